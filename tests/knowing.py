"""A guarded server of a few facts with sources, in either database, and who may change them."""

import json
from pathlib import Path
from typing import Any

from fakes_serve import served
from guarded import Guarded
from lamlam.corpus import FactRecord
from lamlam.serve.access import Access, Role
from lamlam.serve.app import build_app
from lamlam.serve.settings import ServeSettings
from places import Place

STORY = "Ada Lovelace was born in London. " + "She wrote to Babbage. " * 60 + "Her field was mathematics, they say."
DOCUMENTS = {"story": STORY, "other": "Alan Turing worked on logic."}
RECORDS = [
    FactRecord("Ada Lovelace", "Birth Place", "London", "story", 25, 31),
    FactRecord("Ada Lovelace", "Field", "mathematics", "story", STORY.index("mathematics"), STORY.index(", they")),
    FactRecord("Alan Turing", "Field", "logic", "other", 22, 27),
    FactRecord("Alan Turing", "Birth Place", "Maida Vale", "lost", 3, 5),
]


def knowing(place: Place, folder: Path, settings: ServeSettings | None = None, **served_: Any) -> Guarded:
    """A server of `RECORDS`, open to readers; `lost` is a document that is not at hand."""
    with place.open(create=True) as kb:
        kb.add(RECORDS, actor="import")
    documents = folder / "documents"
    documents.mkdir()
    lines = (json.dumps({"id": name, "text": text}) for name, text in DOCUMENTS.items())
    (documents / "train.jsonl").write_text("\n".join(lines) + "\n")
    access = Access(folder / "tokens.json", open_reads=True)
    tokens = {role: access.create(f"the {role}", role) for role in Role}
    settings = settings or ServeSettings(requests_a_minute=1_000_000)
    app = build_app(served(place.address, documents=documents, **served_), access, settings)
    return Guarded(app, access, tokens)
