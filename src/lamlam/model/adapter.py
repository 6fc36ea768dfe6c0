"""The folder of an adapter: what `lora` keeps, the run's tokenizer, and `base.json`, which tells its base from another.

An adapter on another model writes plausible nonsense. Therefore the digest of the base's weights is kept beside it, and
any other model is refused.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel

from lamlam.corpus.lines import read_object
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.model.folder import check_ended, is_adapter, move_model
from lamlam.model.growth import grow
from lamlam.model.lora import merged, save_injected
from lamlam.model.weights import load_model, model_digest
from lamlam.pretrained import is_hub_name
from lamlam.vocab import Vocabulary
from lamlam.vocab.fast import fast_tokenizer

__all__ = ["BASE_VARIABLE", "Base", "load_whole", "save_adapter"]

BASE_VARIABLE = "LAMLAM_BASE"
_FILE = "base.json"


@dataclass(frozen=True, slots=True)
class Base:
    """A base model: its place or name, which weights are accepted, and how many tokens it knows.

    `digests` has the digests of weights, and names on the hub that are accepted whatever their digest, as those of the
    same weights in another precision are.
    """

    model: str
    digests: tuple[str, ...]
    tokens: int

    @classmethod
    def of(cls, model: PreTrainedModel, source: str | Path) -> "Base":
        """That of a model as it was loaded from `source`."""
        place = str(source) if is_hub_name(source) else str(Path(source).resolve())
        return cls(place, (model_digest(model),), len(fast_tokenizer(source)))

    @classmethod
    def load(cls, folder: Path) -> "Base":
        """What an adapter's folder says. Raises `InputError` when it says nothing, or something else."""
        entry = read_object(folder / _FILE)
        return cls(entry.text("model", empty=False), entry.texts("digests"), entry.number("tokens", least=1))

    def save(self, folder: Path) -> None:
        with atomic_write(folder / _FILE) as out:
            json.dump(asdict(self), out, indent=1)

    def check(self, digest: str, source: str | Path) -> None:
        """Raise `InputError` when the model with this digest, read from `source`, isn't the one that was adapted.

        A model is known by the digest of its weights; one on the hub by its name too, if that is accepted.
        """
        if is_hub_name(source) and str(source) in self.digests:
            return
        if digest not in self.digests:
            known = ", ".join(accepted[:12] for accepted in self.digests if not is_hub_name(accepted))
            reason = f"not the adapter's base: its weights have the digest {digest}, not {known}…"
            raise InputError(reason, path=source)


def load_whole(source: str | Path, base: str | Path | None = None, *, ended: bool = True) -> PreTrainedModel:
    """The model of a folder, a GGUF file or a name on the hub; an adapter's in float32, merged into its base.

    Without `ended`, an adapter is taken from a run that has just been trained and isn't marked as ended yet.
    That base is `base`, or where it was when the adapter was trained, or where LAMLAM_BASE says.

    Raises `InputError` when a part is missing, cannot be read, or is another adapter's base.
    """
    folder = Path(source)
    if not is_adapter(folder):
        if base is not None:
            raise InputError("not an adapter, which alone has a base", path=source)
        return load_model(source)
    if ended:
        check_ended(folder)
    record = Base.load(folder)
    place = base or _found(record.model, folder)
    model = load_whole(place).float()
    record.check(model_digest(model), place)
    grow(model, Vocabulary.load(folder), record.tokens)
    return merged(model, folder)


def save_adapter(model: PreTrainedModel, weights: Mapping[str, Tensor], base: Base, folder: Path) -> None:
    """Write the adapter that is injected in a model, its `weights` by name, in float16; each file appears whole.

    Raises `InputError` when the place cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as temporary:
            save_injected(model, weights, Path(temporary))
            base.save(Path(temporary))
            move_model(Path(temporary), folder)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", path=folder) from error


def _found(recorded: str, folder: Path) -> str:
    if Path(recorded).exists():
        return recorded
    if named := os.environ.get(BASE_VARIABLE):
        return named
    if is_hub_name(recorded):
        return recorded
    told = f"the base model is not at {recorded} any more: say where with --base or {BASE_VARIABLE}"
    raise InputError(told, path=folder)
