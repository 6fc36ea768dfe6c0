"""Nested JSON, an object an entity: the keys that lead to a text are the relation (`mapping` says how).

Texts may be HTML: each line counts by itself, with the bold label in front of it, and no tag is left.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.lines import once, opened
from lamlam.errors import InputError
from lamlam.kb.formats.mapping import Mapping, under
from lamlam.kb.formats.row import ImportContext, InputFile, Row, Rows, vetted
from lamlam.kb.names import normalise

__all__ = ["Line", "lines_of", "read_nested"]

_BREAKS = {"br", "p", "div", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6"}
_BOLD = {"b", "strong"}
_HIDDEN = {"script", "style"}
_LONGEST_LABEL = 60
_Keys = tuple[str, ...]
_REMARK = re.compile(r"\s*\([^()]*\)\s*$")
_NOTE = re.compile(r"^note\s*\d*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text. `label` is what was in bold before a colon at its start, as in **note:**; empty without one."""

    text: str
    label: str = ""


def lines_of(html: str) -> list[Line]:
    """Return the lines of a text that may contain HTML, without blank ones."""
    if "<" not in html and "&" not in html and "\n" not in html:
        return [Line(text)] if (text := " ".join(html.split())) else []
    parser = _HtmlText()
    parser.feed(html)
    parser.close()
    parser.end_line()
    return parser.lines


class _HtmlText(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[Line] = []
        self._pieces: list[tuple[str, bool]] = []  # text, and whether it is bold
        self._bold = self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _BREAKS:
            self.end_line()
        self._bold += tag in _BOLD
        self._hidden += tag in _HIDDEN

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKS:
            self.end_line()
        self._bold = max(0, self._bold - (tag in _BOLD))
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._pieces.append((data, self._bold > 0))

    def end_line(self) -> None:
        label, text = self._split()
        self._pieces = []
        if text:
            self.lines.append(Line(text, label))

    def _split(self) -> tuple[str, str]:
        """Return the bold label before the first colon, and the text behind it."""
        whole = " ".join("".join(piece for piece, _ in self._pieces).split())
        label, colon, rest = whole.partition(":")
        bold = ""
        for piece, is_bold in self._pieces:
            if piece.strip() and not is_bold:
                break
            bold += piece
        bold = " ".join(bold.split())
        if colon and label.strip() and len(label) <= _LONGEST_LABEL and bold.startswith(label.strip()):
            return label.strip(), rest.strip()
        return "", whole


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A text, the keys that lead to it, and its place as a JSON Pointer."""

    keys: _Keys
    pointer: str
    text: str


def read_nested(file: InputFile, reading: ImportContext) -> Rows:
    """Yield the facts of a file, which contains one object or a list of them. Raises `InputError` if it does not."""
    if reading.mapping is None:
        raise InputError("is nested JSON, which needs a mapping", path=file.path)
    root = _load(file, reading)
    many = isinstance(root, list)
    for index, value in enumerate(root if many else [root]):
        field = f"[{index}]" if many else None
        if not isinstance(value, dict):
            yield InputError("is no JSON object", path=file.path, field=field)
            continue
        yield from _JsonEntity(file, reading, reading.mapping, value, f"/{index}" if many else "").rows(field)


def _load(file: InputFile, reading: ImportContext) -> Any:
    with opened(file.path, reading.on_progress) as raw:
        content = raw.read()
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=once)
    except InputError as error:
        raise InputError(error.reason, path=file.path, field=error.field) from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8", path=file.path, line=line) from error
    except json.JSONDecodeError as error:
        raise InputError(f"is no whole JSON ({error.msg})", path=file.path, line=error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise InputError("is no JSON that can be read", path=file.path) from error


class _JsonEntity:
    """One object and what it states."""

    def __init__(
        self, file: InputFile, reading: ImportContext, mapping: Mapping, value: dict[str, Any], place: str
    ) -> None:
        self._file, self._ignored, self._mapping = file, reading.ignored, mapping
        self._leaves = list(_leaves(value, place))

    def rows(self, field: str | None) -> Rows:
        entity = self._name()
        if entity is None:
            paths = " or ".join(" > ".join(path) for path in self._mapping.entity)
            yield InputError(f"names no entity: nothing at {paths}", path=self._file.path, field=field)
            return
        aliases = self._aliases(entity)
        for leaf in self._leaves:
            if not any(under(leaf.keys, path) for path in self._mapping.skip):
                for row in self._facts(entity, leaf, aliases):
                    yield row
                    aliases = ()

    def _name(self) -> str | None:
        given = self._mapping.name_of(self._file.path)
        return given or next((line.text for path in self._mapping.entity for line in self._at(path)), None)

    def _aliases(self, entity: str) -> tuple[str, ...]:
        """Return other names, without the remark in brackets that says of which language one is."""
        names = (
            name
            for rule in self._mapping.aliases
            for line in self._at(rule.path)
            for item in _split(line.text, rule.split)
            if len(name := _REMARK.sub("", item).strip()) <= rule.longest and name != entity and not line.label
        )
        return tuple(dict.fromkeys(name for name in names if not self._nothing(name)))

    def _at(self, path: _Keys) -> Iterator[Line]:
        for leaf in self._leaves:
            if under(self._spoken(leaf.keys), path, exactly=True):
                yield from (line for line in self._lines(leaf.text) if not self._nothing(line.text))

    def _facts(self, entity: str, leaf: _Leaf, aliases: tuple[str, ...]) -> Iterator[Row | InputError]:
        document = self._file.name + (f"#{leaf.pointer}" if self._mapping.source == "path" else "")
        for relation, value in dict.fromkeys(self._statements(leaf)):
            if self._mapping.longest is not None and len(value) > self._mapping.longest:
                self._ignored[f"values of more than {self._mapping.longest} characters"] += 1
                continue
            record = FactRecord(entity, relation, value, document, None, None, aliases)
            yield vetted(self._file.path, None, record, f"{leaf.pointer}: ")
            aliases = ()

    def _statements(self, leaf: _Leaf) -> Iterator[tuple[str, str]]:
        keys = self._spoken(leaf.keys)
        inner = keys[self._mapping.outer :] or keys[-1:]
        at = next((rule.at for rule in self._mapping.split if under(keys, rule.path, exactly=True)), ())
        for line in self._lines(leaf.text):
            label = _NOTE.sub("note", line.label)
            relation = _relation((*inner, label) if label else inner)
            for value in _split(line.text, () if label else at):
                value = _without_key(value, keys[-1])
                if not self._nothing(value):
                    yield relation, value

    def _lines(self, text: str) -> list[Line]:
        return lines_of(text) if self._mapping.html else [Line(" ".join(text.split()))]

    def _spoken(self, keys: _Keys) -> _Keys:
        """Return the keys, without those that only say that a text follows."""
        return tuple(key for key in keys if key not in self._mapping.text) or keys

    def _nothing(self, text: str) -> bool:
        return normalise(text) in ("", *map(normalise, self._mapping.nothing))


def _leaves(value: Any, place: str) -> Iterator[_Leaf]:
    """Yield the texts, numbers and truth values in an object, in its order. Not recursive: the file chooses the
    depth."""
    waiting: list[tuple[_Keys, str, Any]] = [((), place, value)]
    while waiting:
        keys, pointer, value = waiting.pop()
        if isinstance(value, dict):
            below = [((*keys, key), f"{pointer}/{_escaped(key)}", inner) for key, inner in value.items()]
            waiting += reversed(below)
        elif isinstance(value, list):
            waiting += reversed([(keys, f"{pointer}/{index}", inner) for index, inner in enumerate(value)])
        elif value is not None and keys:
            yield _Leaf(keys, pointer, value if isinstance(value, str) else json.dumps(value))


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _relation(keys: _Keys) -> str:
    """Join the keys in one phrase; a key that repeats the one above it stands for both."""
    phrase: list[str] = []
    for key in (" ".join(key.split()) for key in keys):
        if phrase and f" {normalise(phrase[-1])} " in f" {normalise(key)} ":
            phrase[-1] = key
        else:
            phrase.append(key)
    return " ".join(phrase)


def _without_key(text: str, key: str) -> str:
    """Return a text without the key, or the end of it, that it repeats before a colon."""
    repeated, colon, rest = text.partition(":")
    if colon and rest.strip() and normalise(repeated) in (normalise(key), normalise(key.rpartition(":")[2])):
        return rest.strip()
    return text


def _split(text: str, marks: tuple[str, ...]) -> list[str]:
    """Return the items of a list in a text, where one of `marks` separates them outside of brackets."""
    items, begin, depth, place = [], 0, 0, 0
    while place < len(text):
        depth += (text[place] in "([") - (text[place] in ")]")
        mark = next((mark for mark in marks if depth <= 0 and text.startswith(mark, place)), None)
        if mark:
            items.append(text[begin:place])
            begin = place = place + len(mark)
        else:
            place += 1
    items.append(text[begin:])
    return [item for item in (item.strip() for item in items) if item]
