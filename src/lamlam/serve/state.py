"""What the routes share: the model's running batch, the knowledge base, who may do what, the limits."""

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
    """A model by the name that clients know, how to open its engine, its facts' address and their documents.

    `generation_config` says how it is decoded where a request does not. `documents` holds JSON Lines with `id` and
    `text`, in a file or in the files of a folder; None where the sources of facts cannot be shown. `examples` are
    prompts to begin with.
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
    """All that a request needs."""

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
