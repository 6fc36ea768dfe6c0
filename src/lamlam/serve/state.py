"""State shared by the routes: the running batch, the knowledge base, access, limits."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request
from transformers import GenerationConfig

from lamlam.engine import Engine
from lamlam.serve.access import Access
from lamlam.serve.batch import RunningBatch
from lamlam.serve.documents import Documents
from lamlam.serve.knowledge import Knowledge
from lamlam.serve.metrics import Metrics
from lamlam.serve.settings import ServeSettings
from lamlam.vocab import Vocabulary

__all__ = ["AppState", "Served", "StateOf"]


@dataclass(frozen=True, slots=True)
class Served:
    """A served model: its public name, how to open its engine, and its knowledge base and documents.

    `generation_config` has the decoding defaults. `documents` is JSON Lines with `id` and `text`, a file or a folder;
    None if sources can't be shown. `examples` are example prompts.
    """

    name: str
    vocabulary: Vocabulary
    generation_config: GenerationConfig
    open_engine: Callable[[], AbstractContextManager[Engine]]
    kb: str | Path
    documents: Path | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AppState:
    """Everything that a request needs."""

    served: Served
    settings: ServeSettings
    batch: RunningBatch
    knowledge: Knowledge
    documents: Documents
    access: Access
    metrics: Metrics
    started: int = field(default_factory=lambda: int(time.time()))


def _state(request: Request) -> AppState:
    return cast(AppState, request.app.state.lamlam)


StateOf = Annotated[AppState, Depends(_state)]
