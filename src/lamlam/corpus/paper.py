"""Annotated documents in the paper's JSON: `{"examples": [{"annotated_text", "text", ...}], "metadata": {...}}`.

`annotated_text` holds the calls as `dblookup` markup, as language models wrote it: it is read leniently. The plain text
of a document is what is left of it without the calls; models alter a text that they annotate, so that it may differ
from `text`, the original. A document's title is `title`, else what the original begins with as one.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lamlam.corpus.ids import Ids
from lamlam.corpus.lines import Entry, read_object
from lamlam.corpus.titles import title_of
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument, dblookup

__all__ = ["documents_from_paper", "documents_to_paper"]


def documents_from_paper(path: str | Path, ids: Ids | None = None) -> Iterator[AnnotatedDocument]:
    """The documents of a file in the paper's JSON; an id is the example's own, or the file's name and its index.

    An example without `annotated_text` is its `text`, without calls. Raises `InputError` when the file cannot be read,
    is no JSON, has no `examples`, holds no documents, or has an id twice; `ids` are those of other files.
    """
    if ids is None:
        with Ids() as own:
            yield from documents_from_paper(path, own)
        return
    source = Path(path)
    root = read_object(source)
    index = -1
    for index, example in enumerate(root.entries("examples")):
        id = example.text("id") if example.has("id") else f"{source.stem}-{index}"
        ids.add(id, source, field=f"{example.prefix}id")
        if example.has("annotated_text"):
            document = dblookup.parse(example.text("annotated_text"), id=id, lenient=True)
            yield replace(document, title=_title(example))
        else:
            yield AnnotatedDocument(id, example.text("text"), title=_title(example))
    if index < 0:
        raise InputError("holds no documents", path=source)


def documents_to_paper(documents: Iterable[AnnotatedDocument], path: str | Path) -> int:
    """Write documents in the paper's JSON, with their ids; how many."""
    count = 0
    with atomic_write(path) as file:
        file.write('{"examples": [')
        for document in documents:
            title = {"title": document.title} if document.title else {}
            example = {"id": document.id, **title, "annotated_text": dblookup.render(document), "text": document.text}
            file.write((",\n" if count else "\n") + json.dumps(example, ensure_ascii=False))
            count += 1
        file.write('\n], "metadata": {}}\n')
    return count


def _title(example: Entry) -> str:
    if example.has("title"):
        return example.text("title")
    return title_of(example.text("text")) if example.has("text") else ""
