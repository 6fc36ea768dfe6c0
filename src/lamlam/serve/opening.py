"""Opens a model for serving; its engine is opened in the thread that runs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from lamlam.engine import Engine
from lamlam.kb.database import is_url
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.serve.places import ServePaths
from lamlam.serve.state import Served

__all__ = ["open_served"]


def open_served(places: ServePaths, batch_size: int) -> Served:
    """Load the checkpoint; `batch_size` texts run at a time. Raises `InputError` if it can't be read."""
    checkpoint = Checkpoint.load(places.checkpoint, base=places.base)

    @contextmanager
    def open_engine() -> Iterator[Engine]:
        again = (lambda: KnowledgeBase.open(places.kb)) if is_url(places.kb) else None
        with KnowledgeBase.open(places.kb) as facts:
            engine = Engine(checkpoint.model, checkpoint.vocabulary, facts, batch_size=batch_size, open_source=again)
            try:
                yield engine
            finally:
                engine.close()

    return Served(
        name=places.name,
        vocabulary=checkpoint.vocabulary,
        generation_config=checkpoint.model.generation_config,
        open_engine=open_engine,
        kb=places.kb,
        documents=places.documents,
        examples=places.examples,
    )
