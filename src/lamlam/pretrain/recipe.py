"""A recipe: all settings of a pretraining run, in one YAML file under `recipes/`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lamlam.checked import checked
from lamlam.errors import InputError
from lamlam.model.lora import LoraSettings
from lamlam.vocab import Arm

__all__ = [
    "CorpusSource",
    "FolderSource",
    "IntroductionsSource",
    "OffloadingSettings",
    "PaperSource",
    "ReDocREDSource",
    "Recipe",
    "SubstitutionSettings",
    "TrainingSource",
    "WebNLGSource",
    "WorldSource",
    "arm_of",
    "data_folder",
    "load_recipe",
]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SubstitutionSettings(_Settings):
    """Probabilities, each drawn once per subject, per value and per call of a document."""

    subjects: float = Field(default=0.0, ge=0.0, le=1.0, description="probability that a subject is renamed")
    values: float = Field(default=0.0, ge=0.0, le=1.0, description="probability that a value is replaced")
    unknown: float = Field(default=0.0, ge=0.0, le=1.0, description="probability that a call finds nothing")


class TrainingSource(_Settings):
    weight: float = Field(default=1.0, gt=0.0, description="share of the training tokens, relative to the others")
    substitution: SubstitutionSettings = SubstitutionSettings()
    questions: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="share of the documents that become a question about a fact of theirs",
    )
    unanswered: float = Field(default=0.1, ge=0.0, le=1.0, description="share of these questions that find nothing")
    facts: int = Field(
        default=0,
        ge=0,
        description="facts that are shown before a text, for a rival of lookups; the standard arm alone",
    )
    partial: bool = Field(default=False, description="only some facts have calls: where none is made isn't trained")


class FolderSource(TrainingSource):
    """A corpus folder as `lamlam world` writes it."""

    kind: Literal["folder"]
    path: str


class PaperSource(TrainingSource):
    """Annotated documents in the paper's JSON; every `heldout_every`-th document is held out."""

    kind: Literal["paper"]
    path: str
    heldout_every: int = Field(default=20, ge=2)


class WebNLGSource(TrainingSource):
    """WebNLG, annotated by alignment and split by subject: one in `one_in` is held out."""

    kind: Literal["webnlg"]
    path: str
    one_in: int = Field(default=8, ge=2)


class IntroductionsSource(TrainingSource):
    """Wikipedia introductions with calls for the table facts that they state; `documents` of them (None: all)."""

    kind: Literal["introductions"]
    path: str
    documents: int | None = Field(default=None, ge=1)
    partial: bool = True


class ReDocREDSource(TrainingSource):
    """Re-DocRED's annotated documents; every `heldout_every`-th document is held out."""

    kind: Literal["redocred"]
    path: str
    heldout_every: int = Field(default=20, ge=2)


class WorldSource(TrainingSource):
    """The invented world, made on the spot."""

    kind: Literal["world"]
    people: int = Field(default=3000, ge=1)
    size: Literal["demo", "full"] = "demo"


CorpusSource = Annotated[
    FolderSource | PaperSource | WebNLGSource | IntroductionsSource | ReDocREDSource | WorldSource,
    Field(discriminator="kind"),
]


class OffloadingSettings(_Settings):
    """A `share` of the facts are looked up: drawn by hash, or those that are hardest for the model `reference`."""

    share: float = Field(default=1.0, ge=0.0, le=1.0, description="share of the training texts' facts that have calls")
    policy: Literal["random", "hardest"] = "random"
    reference: str | None = Field(default=None, description="run of the standard arm that says what is hard")


class VocabularySettings(_Settings):
    """A byte-level BPE of `size` trained on the corpora, or a Hugging Face tokenizer by `path`."""

    size: int = Field(default=4096, ge=300)
    path: str | None = None


class ModelSettings(_Settings):
    """A preset's shape with random weights, or one to be trained further: a folder, GGUF file or name on the hub."""

    preset: str = "nano"
    overrides: dict[str, Any] = Field(default_factory=dict, description="fields of the Hugging Face configuration")
    path: str | None = None

    @model_validator(mode="after")
    def _path_has_a_shape(self) -> Self:
        if self.path and (self.preset != type(self).model_fields["preset"].default or self.overrides):
            raise ValueError("a model by path has a shape of its own: give no preset and no overrides")
        return self


class AdapterSettings(LoraSettings):
    """An adapter is trained in the place of all weights; the run keeps it as it is, or merged into its base."""

    save: Literal["adapter", "merged"] = "adapter"


class TrainingSettings(_Settings):
    """Batch sizes are in rows of `context` tokens; a step sees `batch * accumulate` rows on each process."""

    lora: AdapterSettings | None = Field(default=None, description="for a model by path: all else stays frozen")
    tokens: int = Field(
        default=2_000_000, ge=1, description="tokens of the packed file, augmented afresh as they repeat"
    )
    epochs: float = Field(default=1.0, gt=0.0, description="passes over the packed file")
    context: int = Field(default=256, ge=8)
    batch: int = Field(default=32, ge=1)
    accumulate: int = Field(default=1, ge=1)
    optimizer: Literal["adamw", "muon"] = Field(default="adamw", description="muon: for the layers' matrices alone")
    learning_rate: float = Field(default=3e-3, gt=0.0)
    muon_learning_rate: float = Field(default=0.02, gt=0.0)
    warmup: float = Field(default=0.05, ge=0.0, lt=1.0, description="share of the steps")
    weight_decay: float = Field(default=0.1, ge=0.0)
    mask_values: bool = Field(default=True, description="values carry no loss; off: for comparison")
    bf16: bool = True
    boundaries: bool = Field(default=True, description="no attention from one document of a row to another")
    attention: Literal["sdpa", "flex"] = Field(default="sdpa", description="flex: for GPUs alone")
    compile: bool = Field(default=False, description="torch.compile")
    gradient_checkpointing: bool = Field(default=False, description="activations are computed twice, not kept")
    fsdp: bool = Field(default=False, description="weights and optimizer sharded over the processes of torchrun")
    evaluations: int = Field(default=10, ge=0, description="times the held-out documents are scored while training")
    heldout: int = Field(default=200, ge=1, description="held-out documents a group that are scored while training")
    checkpoints: int = Field(default=4, ge=1, description="times that the state is saved, to resume from")


class Recipe(_Settings):
    """The settings of one run. `corpora[0]` is the main one: its held-out documents are scored while training."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    arm: Arm = "lmlm"
    seed: int = 0
    corpora: tuple[CorpusSource, ...] = Field(min_length=1)
    vocabulary: VocabularySettings = VocabularySettings()
    model: ModelSettings = ModelSettings()
    offloading: OffloadingSettings = OffloadingSettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def _shown_facts_are_for_the_standard_arm(self) -> Self:
        if self.arm == "lmlm" and any(source.facts for source in self.corpora):
            raise ValueError("facts are shown to the standard arm alone: an LMLM looks them up")
        return self

    @model_validator(mode="after")
    def _path_has_a_tokenizer(self) -> Self:
        if self.model.path and self.vocabulary != VocabularySettings():
            raise ValueError("a model by path has a tokenizer of its own: give no vocabulary")
        if self.training.lora and not self.model.path:
            raise ValueError("an adapter needs a model that knows something: give model.path")
        return self


def load_recipe(path: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe; each change is `key=value` with a dotted key, as in `training.tokens=100000`.

    A path may start with `$LAMLAM_DATA`, by default `../shared/data`. Raises `InputError` for a missing or malformed
    file, an unknown key, and a value out of range.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such recipe", path=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("the recipe cannot be read as UTF-8 text", path=path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError("not well-formed YAML", path=path, line=mark.line + 1 if mark else None) from error
    if not isinstance(raw, dict):
        raise InputError("a recipe is a mapping of settings", path=path)
    for change in changes:
        _set(raw, change, path)
    return checked(Recipe, _expand(raw), path)


def data_folder() -> str:
    """Return the folder of public data, `$LAMLAM_DATA` or `../shared/data`."""
    return os.environ.get("LAMLAM_DATA", "../shared/data")


def arm_of(run: Path) -> Arm:
    """Return the arm of a run's recipe; a checkpoint without one is taken for an LMLM."""
    recipe = run / "recipe.yaml"
    return load_recipe(recipe).arm if recipe.exists() else "lmlm"


def _set(raw: dict[str, Any], change: str, path: str | Path) -> None:
    key, equals, value = change.partition("=")
    if not equals:
        raise InputError(f"'{change}' is not of the form key=value", path=path)
    *parents, last = key.split(".")
    target: Any = raw
    for part in parents:
        target = target[int(part)] if isinstance(target, list) and part.isdigit() else target.setdefault(part, {})
    if isinstance(target, list):
        target[int(last)] = yaml.safe_load(value)
    else:
        target[last] = yaml.safe_load(value)


def _expand(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item) for item in value]
    if isinstance(value, str) and value.startswith("$LAMLAM_DATA"):
        return data_folder() + value.removeprefix("$LAMLAM_DATA")
    return value
