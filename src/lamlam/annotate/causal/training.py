"""Fine-tunes a causal model with low-rank adapters to annotate as its sources do.

The Hugging Face Trainer trains. A call is decided by two logits, so only the names in calls have a softmax over the
vocabulary. At the end each style gets its threshold on its calibration split; test splits aren't used. A killed run
continues from its last saved state.
"""

import hashlib
import json
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import AdamW, Optimizer
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from lamlam.annotate.causal.annotator import AnnotationSettings, CausalAnnotator, Proposal, select
from lamlam.annotate.causal.gold import GoldDocument, GoldSource, read_gold
from lamlam.annotate.causal.model import CausalModel, Manner, Style
from lamlam.annotate.causal.passage import PassageCoder
from lamlam.annotate.causal.rows import Row, collate, rows_of
from lamlam.annotate.score import PlacedCall, Split, match
from lamlam.errors import InputError, LamLamError
from lamlam.files import atomic_write, file_digest, whole_state
from lamlam.model.adapter import save_adapter
from lamlam.model.continuation import load_adaptable
from lamlam.model.lora import LoraSettings
from lamlam.model.precision import fast_dtype
from lamlam.model.rows import trained_output_rows
from lamlam.pretrain.kernels import DOCUMENTS, linear_cross_entropy, masked_cross_entropy
from lamlam.pretrain.monitor import ProgressBar
from lamlam.pretrain.optimizer import OnMasters, can_be_rounded, round_weights
from lamlam.vocab import IGNORE_INDEX, Vocabulary

__all__ = ["BranchTrainer", "CausalTraining", "calibrate", "draw", "train_causal"]

_SUMMARY, _STATE, _METRICS = "training.json", "state", "metrics.jsonl"
_FLOOR = 0.05  # probability from which on calls are decoded to find a threshold
_PERCENTILES = 101


class CausalTraining(BaseModel):
    """The defaults are for a model of some hundred million parameters and two thousand documents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int = Field(default=700_000, ge=1, description="to train on, those of text, copy and calls")
    batch: int = Field(default=1, ge=1, description="passages per pass; on a CPU more cost padding and gain nothing")
    accumulate: int = Field(default=4, ge=1, description="passes per step")
    learning_rate: float = Field(default=8e-4, gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of the steps")
    rank: int = Field(default=32, ge=1)
    alpha: int = Field(default=64, ge=1)
    window: int = Field(default=1600, ge=200, description="characters of a passage")
    saves: int = Field(default=20, ge=1, description="how often the state is saved")
    calibration: int = Field(default=100, ge=0, description="documents of each style to find its threshold with")
    checkpointing: bool = Field(default=False, description="compute activations twice instead of keeping them")
    seed: int = 0


def train_causal(
    sources: Sequence[GoldSource], base: str | Path, out: str | Path, settings: CausalTraining
) -> dict[str, Any]:
    """Train an adapter of the model `base` and save it in `out` with tokenizer and manner; return the summary.

    A finished run is not repeated. Raises `InputError` if model or sources can't be read, `LamLamError` if there is
    nothing to train on.
    """
    folder = Path(out)
    asked = _asked(sources, base, settings)
    begun = _begun(folder, asked)
    if begun is not None and "seconds" in begun:
        return begun
    vocabulary = Vocabulary.extend(base)
    coder = PassageCoder(vocabulary, settings.window)
    gold = {source: list(read_gold(source)) for source in sources}
    rows = draw(gold, coder, vocabulary, settings)
    lora = LoraSettings(rank=settings.rank, alpha=settings.alpha)
    model, record = load_adaptable(base, vocabulary, lora, settings.seed)
    trainer = BranchTrainer(model, rows, vocabulary.pad_id, folder, settings)
    started, saved = time.monotonic(), whole_state(folder / _STATE)
    trainer.train(resume_from_checkpoint=str(saved) if saved else None)
    folder.mkdir(parents=True, exist_ok=True)
    save_adapter(model, trainer.whole_weights(), record, folder)
    vocabulary.save(folder)
    trained = time.monotonic() - started
    del trainer, model
    manner = _calibrated(folder, gold, settings, base)
    summary = asked | {
        "seconds": round(time.monotonic() - started, 1),
        "seconds_of_training": round(trained, 1),
        "resumed": saved is not None,
        "tokens": sum(map(len, rows)),
        "passages": len(rows),
        "documents": {source.style: len(documents) for source, documents in gold.items()},
        "styles": {name: {"threshold": s.threshold, "f1": s.f1} for name, s in manner.styles.items()},
    }
    _write(folder, summary)
    shutil.rmtree(folder / _STATE)  # the optimizer's state is a pickle, and a finished run isn't resumed
    return summary


def _asked(sources: Sequence[GoldSource], base: str | Path, settings: CausalTraining) -> dict[str, Any]:
    told = [[source.style, source.weight, _digest(source.path)] for source in sources]
    if repeated := [
        source.style for at, source in enumerate(sources) if source.style in [s.style for s in sources[:at]]
    ]:
        raise InputError(f"the style '{repeated[0]}' is named twice", field="gold")
    return {"settings": settings.model_dump(), "base": str(base), "sources": told}


def _digest(path: Path) -> str:
    files = sorted(path.glob("*.gz")) if path.is_dir() else [path]
    return hashlib.sha256("".join(map(file_digest, files)).encode()).hexdigest()[:16]


def _begun(folder: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Return the summary of an earlier run of the same; remove another run's state, so its model can't be opened."""
    path = folder / _SUMMARY
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if json.loads(json.dumps(asked)).items() <= found.items():
            return found
    Manner.remove(folder)
    shutil.rmtree(folder / _STATE, ignore_errors=True)
    _write(folder, asked)
    return None


def _write(folder: Path, summary: dict[str, Any]) -> None:
    with atomic_write(folder / _SUMMARY) as file:
        json.dump(summary, file, indent=1)


def draw(
    gold: Mapping[GoldSource, Sequence[GoldDocument]],
    coder: PassageCoder,
    vocabulary: Vocabulary,
    settings: CausalTraining,
) -> list[Row]:
    """Draw rows from the train splits until there are enough tokens, each source's share of them by its weight.

    A source's documents come in a random order, and all of them before one comes again. Raises `LamLamError` if a
    source has none.
    """
    streams = {}
    for source, documents in gold.items():
        train = [document for document in documents if document.split is Split.TRAIN]
        if not train:
            raise LamLamError(f"no document of the train split of '{source.style}' is left to learn from")
        random.Random(f"{settings.seed} {source.style}").shuffle(train)
        streams[source] = cycle(train)
    drawn: dict[GoldSource, int] = dict.fromkeys(streams, 0)
    rows: list[Row] = []
    while sum(drawn.values()) < settings.tokens:
        source = min(drawn, key=lambda source: drawn[source] / source.weight)
        for row in rows_of(next(streams[source]), coder, vocabulary):
            rows.append(row)
            drawn[source] += len(row)
    return rows


class BranchTrainer(Trainer):
    """Trains a model on rows. On a CPU that multiplies bfloat16, weights are in it, with float32 masters."""

    def __init__(
        self, model: PreTrainedModel, rows: list[Row], pad_id: int, folder: Path, settings: CausalTraining
    ) -> None:
        self._settings = settings
        self._on_cpu = not torch.cuda.is_available()
        bf16 = fast_dtype("cpu" if self._on_cpu else "cuda") is torch.bfloat16
        rounds = self._on_cpu and bf16 and can_be_rounded(model)
        self._masters = round_weights(model) if rounds else {}
        model.set_attn_implementation(DOCUMENTS if self._on_cpu else "sdpa")
        steps = max(1, len(rows) // (settings.batch * settings.accumulate))
        super().__init__(
            model=model,
            args=_arguments(settings, steps, folder / _STATE, bf16=bf16 and not self._on_cpu),
            train_dataset=cast(Any, rows),
            data_collator=partial(collate, pad_id=pad_id),
            callbacks=[ProgressBar("training an annotator"), _Metrics(folder / _METRICS, rows, settings)],
        )
        self.remove_callback(PrinterCallback)

    def create_optimizer(self, model: Any = None) -> Optimizer:
        if self.optimizer is None:
            named = cast(nn.Module, model or self.model).parameters()
            trained = [self._masters.get(p, p) for p in named if p.requires_grad]
            optimizer = AdamW(trained, self._settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
            self.optimizer = OnMasters(self._masters, optimizer) if self._masters else optimizer
        return self.optimizer

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss of the supervised positions over their number in the whole step."""
        where = inputs["labels"] != IGNORE_INDEX
        scale = 1 / (where.sum() if num_items_in_batch is None else num_items_in_batch)
        read = {key: inputs[key] for key in ("input_ids", "position_ids", "attention_mask")}
        hidden = model.base_model(**read, use_cache=False).last_hidden_state[where]
        right, rivals = inputs["labels"][where], inputs["rivals"][where]
        pairs = rivals >= 0
        odds = (hidden[pairs].float() * (output_rows(model, right[pairs]) - output_rows(model, rivals[pairs]))).sum(-1)
        decisions = softplus(-odds).sum() * scale
        return decisions + self._names(model, hidden[~pairs], right[~pairs]) * scale

    def _names(self, model: Any, hidden: Tensor, right: Tensor) -> Tensor:
        if self._on_cpu:
            weight = model.get_output_embeddings().weight
            return linear_cross_entropy(hidden, weight, right, rows=trained_output_rows(model))
        return masked_cross_entropy(model.get_output_embeddings()(hidden), right)

    def whole_weights(self) -> dict[str, Tensor]:
        """Return the weights by name, in float32 on the CPU."""
        named = cast(nn.Module, self.model).named_parameters(remove_duplicate=False)
        return {name: self._masters.get(p, p).detach().float().cpu() for name, p in named}


def output_rows(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """Return the output weights [N, H] of tokens, in float32; trained ones have gradients."""
    rows = cast(Tensor, model.get_output_embeddings().weight)[ids].float()
    own = trained_output_rows(model)
    if own is None:
        return rows
    which, weights = own
    same = ids[:, None] == which.to(ids.device)  # [N, R]
    return torch.where(same.any(-1, keepdim=True), same.float() @ weights.float(), rows)


def _arguments(settings: CausalTraining, steps: int, folder: Path, *, bf16: bool) -> TrainingArguments:
    log = max(1, steps // 100)
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulate,
        activation_checkpointing=settings.checkpointing,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(settings.warmup * steps),
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=log,
        save_strategy="steps",
        save_steps=log * max(1, round(steps / settings.saves / log)),
        save_total_limit=1,
        seed=settings.seed,
        data_seed=settings.seed,
        report_to=[],
        remove_unused_columns=False,
        dataloader_num_workers=0,
        disable_tqdm=True,
    )


class _Metrics(TrainerCallback):
    """Appends step, loss and tokens a second to a file, at the Trainer's logging cadence."""

    def __init__(self, path: Path, rows: Sequence[Row], settings: CausalTraining) -> None:
        self._path = path
        self._tokens_a_step = settings.batch * settings.accumulate * sum(map(len, rows)) / len(rows)
        self._since, self._step = time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._since, self._step = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if "loss" not in (logs := more.get("logs") or {}):
            return
        now, steps = time.monotonic(), state.global_step - self._step
        rate = steps * self._tokens_a_step / max(now - self._since, 1e-3)
        line = {"step": state.global_step, "of": state.max_steps, "loss": round(float(logs["loss"]), 4)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"tokens_a_second": round(rate)}) + "\n")
        self._since, self._step = now, state.global_step


def _calibrated(
    folder: Path,
    gold: Mapping[GoldSource, Sequence[GoldDocument]],
    settings: CausalTraining,
    base: str | Path,
) -> Manner:
    """Give each style its threshold and save the manner, which completes the model. The first style is the default."""
    styles = {source.style: Style() for source in gold}
    manner = Manner(window=settings.window, default=next(iter(styles)), styles=styles)
    manner.save(folder)
    model = CausalModel.open(folder, base=base, dtype=fast_dtype())
    for source, documents in gold.items():
        chosen = [document for document in documents if document.split is Split.CALIBRATION][: settings.calibration]
        if chosen and not source.is_partial:
            styles[source.style] = calibrate(model, source.style, chosen)
    manner = manner.model_copy(update={"styles": styles})
    manner.save(folder)
    return manner


def calibrate(model: CausalModel, style: str, gold: Sequence[GoldDocument]) -> Style:
    """Return a style with the threshold from which on its calls have the best F1 of places, by overlap."""
    annotator = CausalAnnotator(model, AnnotationSettings(style=style, threshold=_FLOOR))
    proposed = annotator.propose([document.document for document in gold])
    probabilities = sorted({proposal.probability for proposals in proposed for proposal in proposals})
    if not probabilities:
        return Style(f1=0.0)
    tried = probabilities[:: max(1, len(probabilities) // 50)]
    best, threshold = max((_f1(gold, proposed, threshold), threshold) for threshold in tried)
    made = [proposal for proposals in proposed for proposal in select(proposals, threshold)]
    likelihoods = torch.tensor([proposal.likelihood for proposal in made], dtype=torch.float64)
    steps = torch.linspace(0, 1, _PERCENTILES, dtype=torch.float64)
    return Style(threshold=threshold, likelihoods=tuple(likelihoods.quantile(steps).tolist()), f1=round(best, 4))


def _f1(gold: Sequence[GoldDocument], proposed: Sequence[Sequence[Proposal]], threshold: float) -> float:
    hits = made = wanted = 0
    for document, proposals in zip(gold, proposed, strict=True):
        found = [PlacedCall(each.call, each.call.at, each.end) for each in select(proposals, threshold)]
        hits += len(match([PlacedCall(call.call, call.start, call.end) for call in document.calls], found))
        made, wanted = made + len(found), wanted + len(document.calls)
    return 2 * hits / (made + wanted) if made + wanted else 0.0
