"""What lookups cost a model that generates text."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lamlam.engine import DecodingSettings, Engine
from lamlam.kb import KnowledgeBase
from lamlam.model.presets import build_model
from lamlam.vocab import Vocabulary
from lamlam.world import World, WorldSettings

__all__ = ["decoding"]

_PROMPTS = 32


def decoding(folder: Path) -> dict[str, Any]:
    """Text tokens a second of an untrained `nano` model, with and without the work that lookups add to each step."""
    corpus = World(WorldSettings(people=300, size="demo")).corpus()
    vocabulary = Vocabulary.train((document.text for document in corpus.train), 2048)
    settings = DecodingSettings(max_tokens=48)
    prompts = [probe.prompt for probe in corpus.probes[:_PROMPTS]]
    with KnowledgeBase.open(folder / "decoding.sqlite", create=True) as kb:
        kb.add(corpus.facts)
        engine = Engine(build_model("nano", vocabulary), vocabulary, kb)
        off = settings.model_copy(update={"lookups": False})
        forced = settings.model_copy(update={"force_call": True})
        engine.generate(prompts, off)
        seconds = {
            name: _seconds(lambda way=way: engine.generate(prompts, way))
            for name, way in (("off", off), ("on", forced))
        }
    tokens = _PROMPTS * settings.max_tokens
    return {
        "prompts": _PROMPTS,
        "text_tokens_a_second_without_lookups": round(tokens / seconds["off"]),
        "text_tokens_a_second_with_one_call_each": round(tokens / seconds["on"]),
        "ratio_with_to_without": round(seconds["off"] / seconds["on"], 2),
    }


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
