"""How a causal model is asked for an annotated copy of a text: the same words in training and in use.

The words stand beside the model, so that a model is always asked as it was taught.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lamlam.corpus.lines import read_object
from lamlam.errors import InputError
from lamlam.files import atomic_write

__all__ = ["Template"]

_FILE = "annotator.json"
_BEFORE = """\
Copy the text below letter by letter. Before each value of a fact that it states about something named by then, insert \
[dblookup('Entity', 'Relation') -> Value].

### Text
"""
_BETWEEN = """

### Copy with calls
"""


@dataclass(frozen=True, slots=True)
class Template:
    """What stands before the text and between text and answer; it may name control tokens, the text never does.

    `end` is the token that ends an answer (default: the tokenizer's EOS), `window` how many characters of a document
    are asked about at once.
    """

    before: str = _BEFORE
    between: str = _BETWEEN
    end: str | None = None
    window: int = 1600

    def save(self, folder: str | Path) -> None:
        with atomic_write(Path(folder) / _FILE) as file:
            json.dump(asdict(self), file, indent=1, ensure_ascii=False)

    @classmethod
    def remove(cls, folder: str | Path) -> None:
        """Take the template from beside a model, which nobody can ask any more then."""
        (Path(folder) / _FILE).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | Path) -> "Template":
        """The template beside a model. Raises `InputError` when there is none, or it is something else."""
        entry = read_object(Path(folder) / _FILE)
        unknown = sorted(entry.value.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise InputError("is no field of an annotator's template", path=entry.path, field=unknown[0])
        end = entry.text("end", empty=False) if entry.has("end") else None
        return cls(entry.text("before"), entry.text("between"), end, entry.number("window", least=200))
