"""The models that TOFU compares: fine-tuned from the run's own checkpoint, and unlearnt by gradients.

Losses of unlearning are as in open-unlearning (`src/trainer/unlearn/{grad_ascent,grad_diff,npo}.py`,
`trainer/utils.py`); as there and in TOFU, only the answers' tokens count, EOS included.

Shapes: B sequences, T tokens.
"""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import PreTrainedModel

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.spans import facts_in
from lamlam.batches import batches
from lamlam.corpus import Corpus
from lamlam.corpus.prompts import prompt_of, text_of
from lamlam.evaluate.tofu import QuestionPair
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.weights import weight_digests
from lamlam.pretrain.recipe import (
    FolderSource,
    ModelSettings,
    Recipe,
    SubstitutionSettings,
    TrainingSettings,
    load_recipe,
)
from lamlam.pretrain.training import Run, pretrain
from lamlam.vocab import IGNORE_INDEX, Arm, Vocabulary, encode, opened

__all__ = [
    "METHODS",
    "Method",
    "ModelCache",
    "UnlearningSettings",
    "answer_losses",
    "corpus_of",
    "examples_of",
    "npo_loss",
    "unlearn",
]

Method = Literal["gradient_ascent", "gradient_difference", "npo"]
METHODS: tuple[Method, ...] = get_args(Method)

_CONTEXT = 512
_TOKENS_A_STEP = 1024  # some six to eight pairs: there are few of them, and each must be learnt from often


class UnlearningSettings(BaseModel):
    """Passes over the forget set as in TOFU; `beta` as in NPO (arXiv 2404.05868)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=5, ge=1)
    batch: int = Field(default=8, ge=1, description="pairs of each set a step")
    learning_rate: float = Field(default=1e-4, gt=0.0)
    weight_decay: float = Field(default=0.01, ge=0.0)
    beta: float = Field(default=0.1, gt=0.0)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ModelCache:
    """Trains models from the checkpoint in `base`, and keeps each in a folder of its own in `folder`.

    A fine-tuned model is an ordinary run: its recipe continues the checkpoint (`model.path`) on question-answer pairs,
    annotated or not as the arm has it, with the optimizer of the run's own recipe. A run that was interrupted resumes,
    one that has ended is not trained again; the recipe's name holds a digest of checkpoint and texts, so that changed
    ones are trained again.
    """

    base: Path
    checkpoint: Checkpoint
    arm: Arm
    folder: Path
    epochs: int
    seed: int

    def fine_tune(self, name: str, corpus: Corpus) -> Run:
        """The run of a model that was trained further on a corpus; its knowledge base holds the corpus's facts."""
        run, looked_up = Run(self.folder / name), corpus.with_looked_up_values()
        pretrain(self._recipe(f"tofu-{name}-{self._digest(corpus)}", looked_up, run), run.folder, [looked_up])
        return run

    def unlearn(
        self,
        method: Method,
        trained: Run,
        forget: Sequence[QuestionPair],
        retain: Sequence[QuestionPair],
        settings: UnlearningSettings,
    ) -> Path:
        """The folder of the model of `trained` after unlearning; `unlearning.json` is written there last."""
        folder, marker = self.folder / method, self.folder / method / "unlearning.json"
        recipe = (trained.folder / "recipe.yaml").read_text(encoding="utf-8")
        made_of = json.dumps({"of": recipe, "pairs": len(forget), "settings": settings.model_dump()}, indent=1)
        if marker.exists() and marker.read_text(encoding="utf-8") == made_of:
            return folder
        marker.unlink(missing_ok=True)
        checkpoint = Checkpoint.load(trained.folder, device=self.checkpoint.model.device)
        unlearn(checkpoint.model, checkpoint.vocabulary, method, forget, retain, settings)
        checkpoint.save(folder)
        with atomic_write(marker) as file:
            file.write(made_of)
        return folder

    @property
    def learning_rate(self) -> float:
        """The rate of the fine-tuning, for AdamW."""
        return self._settings[0].learning_rate

    @property
    def _settings(self) -> tuple[TrainingSettings, SubstitutionSettings]:
        """How the checkpoint was trained; for one without a recipe, AdamW at a low rate.

        An LMLM goes on seeing values replaced, and lookups that find nothing, as often as before. A standard model gets
        the texts as they are: it has only its weights to keep them in.
        """
        own = self.base / "recipe.yaml"
        if not own.exists():
            return TrainingSettings(learning_rate=1e-4), SubstitutionSettings()
        recipe = load_recipe(own)
        return recipe.training, recipe.corpora[0].substitution if self.arm == "lmlm" else SubstitutionSettings()

    def _recipe(self, name: str, corpus: Corpus, run: Run) -> Recipe:
        training, substitution = self._settings
        context = min(_CONTEXT, int(self.checkpoint.model.config.max_position_embeddings))
        once = sum(len(encode(document, self.checkpoint.vocabulary, self.arm).ids) for document in corpus.train)
        changes = {
            "tokens": once * self.epochs,  # packed one after another, so that each pass is substituted afresh
            "epochs": 1.0,
            "context": context,
            "batch": max(1, _TOKENS_A_STEP // context),
            "accumulate": 1,
            "evaluations": 0,
            "checkpoints": 4,
        }
        return Recipe(
            name=name,
            arm=self.arm,
            seed=self.seed,
            corpora=(FolderSource(kind="folder", path=str(run.corpus), substitution=substitution),),
            model=ModelSettings(path=str(self.base)),
            training=training.model_copy(update=changes),
        )

    def _digest(self, corpus: Corpus) -> str:
        texts = [(document.text, [str(call) for call in document.calls]) for document in corpus.train]
        return hashlib.sha256(json.dumps([weight_digests(self.base), texts]).encode()).hexdigest()[:8]


def corpus_of(pairs: Sequence[QuestionPair], annotator: Annotator) -> Corpus:
    """Pairs as documents with calls, and the facts that these name, each with the pair's id as its source."""
    plain = (AnnotatedDocument(pair.id, text_of(pair.question, pair.answer), title=pair.author) for pair in pairs)
    documents = list(annotator.annotate_many(plain))
    return Corpus(documents, {}, [fact for document in documents for fact in facts_in(document)])


class Example(NamedTuple):
    """The ids of a pair, and where its answer begins."""

    ids: list[int]
    answer_at: int


def unlearn(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    method: Method,
    forget: Sequence[QuestionPair],
    retain: Sequence[QuestionPair],
    settings: UnlearningSettings,
) -> None:
    """Train `model`, which knows both sets, to forget one of them; it is changed in place, in float32.

    gradient_ascent      minus the loss on the forget set
    gradient_difference  the same, plus the loss on the retain set
    npo                  `npo_loss` on the forget set, with the original model as reference, plus the loss on retain
    """
    rng = random.Random(settings.seed)
    forgotten, kept = (examples_of(pairs, vocabulary) for pairs in (forget, retain))
    model.eval()
    with torch.no_grad():
        reference = [answer_losses(model, [example], vocabulary.pad_id)[0] for example in forgotten]
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    model.train()
    for _ in range(settings.epochs):
        order = rng.sample(range(len(forgotten)), len(forgotten))
        for chosen in batches(order, settings.batch):
            losses, tokens = answer_losses(model, [forgotten[index] for index in chosen], vocabulary.pad_id)
            if method == "npo":
                loss = npo_loss(losses, torch.cat([reference[index] for index in chosen]), settings.beta)
            else:
                loss = -losses.sum() / tokens
            if method != "gradient_ascent":
                others = rng.sample(kept, min(len(chosen), len(kept)))
                losses, tokens = answer_losses(model, others, vocabulary.pad_id)
                loss = loss + losses.sum() / tokens
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    model.eval()


def examples_of(pairs: Sequence[QuestionPair], vocabulary: Vocabulary) -> list[Example]:
    """Each pair as a model reads it: question and answer as in training, and EOS."""
    examples = []
    for pair in pairs:
        asked = [vocabulary.bos_id, *vocabulary.encode(opened(prompt_of(pair.question)))]
        answer = [*vocabulary.encode(" " + pair.answer.strip()), vocabulary.eos_id]
        examples.append(Example(asked + answer, len(asked)))
    return examples


def npo_loss(losses: Tensor, reference: Tensor, beta: float) -> Tensor:
    """Negative preference optimisation: -2/beta * mean of log sigmoid(beta * (losses - reference)), both [B].

    It falls as the answers become less likely than for the reference, and ever more slowly (arXiv 2404.05868,
    equation 3; `compute_dpo_loss` without a preferred answer).
    """
    return -2 / beta * logsigmoid(beta * (losses - reference)).mean()


def answer_losses(model: PreTrainedModel, examples: Sequence[Example], pad_id: int) -> tuple[Tensor, int]:
    """Minus log p of each answer, summed over its tokens [B], and how many tokens they have in all."""
    width = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), width), pad_id, device=model.device)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORE_INDEX)
    for row, (tokens, answer_at) in enumerate(examples):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        labels[row, answer_at : len(tokens)] = torch.tensor(tokens[answer_at:])
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    losses = cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORE_INDEX, reduction="none")
    return losses.sum(-1), int((labels != IGNORE_INDEX).sum())
