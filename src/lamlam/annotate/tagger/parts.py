"""What a tagger is made of."""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from lamlam.annotate.tagger.decoding import Readiness
from lamlam.annotate.tagger.inventory import Inventory
from lamlam.annotate.tagger.model import TaggerModel
from lamlam.annotate.tagger.settings import TaggerSettings

__all__ = ["Manner", "TaggerParts"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How one collection of gold annotates: its name, and how readily the tagger marks values when it does likewise."""

    name: str
    readiness: Readiness


@dataclass(frozen=True, slots=True)
class TaggerParts:
    """The network, its tokenizer, the relations that it can name, and a manner for each collection of gold."""

    model: TaggerModel
    tokenizer: PreTrainedTokenizerBase
    inventory: Inventory
    settings: TaggerSettings
    manners: tuple[Manner, ...]
