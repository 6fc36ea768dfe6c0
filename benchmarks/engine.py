"""Decoding with lookups, on the demo's checkpoint and on a model of the shape of SmolLM2-135M with random weights.

Where speeds are compared, both models are steered (`benchmarks.steering`): the forward pass is real, but each row
writes a plan of its own, held-out documents of the demo's invented world with their calls; without lookups, the same
text without the calls. What drafts are made from was learnt from other documents. Seconds are of processor time, with
one thread: others' work on the machine counts little. Arms are measured in turns, and the median stands.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine_speed import Arm, Subject, lookups, own_words, rounded, speed
from lamlam.corpus.files import load_corpus
from lamlam.engine import DecodingSettings, Engine
from lamlam.errors import InputError
from lamlam.evaluate.completion import complete
from lamlam.kb import KnowledgeBase
from lamlam.kb.files import import_file
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.precision import fast_dtype
from lamlam.model.presets import build_model
from lamlam.world.names import NameForge

__all__ = ["AIMS", "engine", "sparse"]

AIMS = {
    **{
        f"{model}.{figure}": aim
        for model in ("demo", "135m_float32", "135m_bfloat16")
        for figure, aim in {
            "reprefill.times_for_1_prompt": ">= 5",
            "reprefill.times_for_32_prompts": ">= 20",
            "lookups.ratio_batch_1": ">= 0.8",
            "lookups.ratio_batch_16": ">= 0.8",
        }.items()
    },
    **{f"135m_{kind}.share_outside_the_model_batch_16": "<= 0.1" for kind in ("float32", "bfloat16")},
    "memory.MB_more_at_10000": "<= 5",
    "memory.MB_more_after_1000_cancellations": "<= 5",
}

RUN = Path(os.environ.get("LAMLAM_RUN", "runs/demo/lmlm"))
_SMOLLM2_VOCABULARY = 49_152
_ROUNDS = 3
_SHORTER = 96  # text tokens of the large model, with lookups and without
_EVERY = 4  # call of a text, where it has few


def engine(folder: Path) -> dict[str, Any]:
    """All figures; `LAMLAM_RUN` names another checkpoint than the demo's, `LAMLAM_BENCH` the parts to measure."""
    parts = os.environ.get("LAMLAM_BENCH", "demo memory constraints float32 bfloat16").split()
    figures: dict[str, Any] = {"threads": 1}
    with _demo() as small:
        if "memory" in parts:
            figures["memory"] = _memory(small)
        drafter = Arm.warm(small)
        if "demo" in parts:
            figures["demo"] = speed(small, drafter, small.tokens) | {"own_words": own_words(small)}
        if "constraints" in parts:
            figures["constraints"] = _constraints(small, folder)
        for kind in _fast_types():
            if kind in parts:
                figures[f"135m_{kind}"] = speed(_large(kind, small), drafter, _SHORTER)
    return figures


def sparse(folder: Path) -> dict[str, Any]:
    """Lookups against none where a text asks for every fourth of its facts: six or so in 256 tokens."""
    with _demo() as every:
        small = replace(every, every=_EVERY)
        drafter = Arm.warm(small)
        large = {
            f"135m_{kind}": lookups(replace(_large(kind, small), tokens=_SHORTER), drafter) for kind in _fast_types()
        }
        return {"threads": 1, "demo": lookups(small, drafter), **large}


@contextmanager
def _demo() -> Iterator[Subject]:
    """The demo's model with its knowledge base and corpus."""
    if not (RUN / "model.safetensors").exists():
        raise InputError("no checkpoint of the demo; `make demo` trains one, or set LAMLAM_RUN", path=RUN)
    torch.set_num_threads(1)
    checkpoint = Checkpoint.load(RUN)
    corpus = load_corpus(RUN / "corpus").with_looked_up_values()
    with KnowledgeBase.open(RUN / "kb.sqlite") as kb:
        yield Subject(checkpoint.model, checkpoint.vocabulary, kb, corpus, tokens=160, rounds=_ROUNDS)


def _large(kind: str, small: Subject) -> Subject:
    """The shape of SmolLM2-135M with random weights of a floating-point type, asked what the small one is asked."""
    overrides = {"vocab_size": _SMOLLM2_VOCABULARY}
    shape = build_model("smollm2-135m", small.vocabulary, overrides=overrides).to(getattr(torch, kind))
    return replace(small, model=shape, tokens=256, rounds=1)


def _fast_types() -> list[str]:
    return ["float32", *(["bfloat16"] if fast_dtype() is torch.bfloat16 else [])]


# Memory


def _memory(subject: Subject) -> dict[str, Any]:
    """Short requests, one after another, then cancelled ones; first of all, for memory once used would hide growth."""
    running = Engine(subject.model, subject.vocabulary, subject.kb, batch_size=32)
    prompts = [document.text[: document.calls[0].at] for document in subject.corpus.train]
    rng = random.Random(0)
    settings = DecodingSettings(max_tokens=4)
    resident = {}
    for number in range(1, 10_001):
        running.submit(rng.choice(prompts), settings)
        if number % 32 == 0 or number in (1_000, 10_000):
            while running.step():
                pass
        if number in (1_000, 10_000):
            resident[number] = _resident()
    for _ in range(1_000):
        sequence = running.submit(rng.choice(prompts), DecodingSettings(max_tokens=64))
        for _ in range(rng.randrange(3)):
            running.step()
        running.cancel(sequence)
    return {
        "MB_at_1000_requests": rounded(resident[1_000]),
        "MB_at_10000_requests": rounded(resident[10_000]),
        "MB_more_at_10000": rounded(resident[10_000] - resident[1_000]),
        "MB_more_after_1000_cancellations": rounded(_resident() - resident[10_000]),
        "sequences_left": len(running._running) + len(running._waiting),
    }


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# Constraints


def _constraints(subject: Subject, folder: Path, names: int = 1_000_000) -> dict[str, Any]:
    """Accuracy and probes a second under each constraint, with the demo's knowledge base and a million names more."""
    probes = subject.corpus.probes[::2]
    figures: dict[str, Any] = {"probes": len(probes), "names_more": names}
    with _enlarged(subject, folder, names) as large:
        for place, kb in (("demo", subject.kb), ("million", large)):
            running = Engine(subject.model, subject.vocabulary, kb)
            before = _resident()
            for entities, relations in product(("free", "known", "context"), ("free", "known")):
                settings = DecodingSettings(max_tokens=16, entities=entities, relations=relations)
                started = time.process_time()
                scores = complete(running, probes, settings).scores
                figures.setdefault(place, {})[f"{entities}_{relations}"] = {
                    "accuracy": rounded(scores["accuracy"].value),
                    "right_query": rounded(scores["right_query"].value),
                    "probes_a_second": rounded(len(probes) / (time.process_time() - started)),
                }
            figures[place]["MB_more"] = rounded(_resident() - before)
    return figures


@contextmanager
def _enlarged(subject: Subject, folder: Path, names: int) -> Iterator[KnowledgeBase]:
    rng = random.Random(1)
    forge = NameForge(rng, diacritics=False)
    first, last = ([forge.word() for _ in range(1_200)] for _ in range(2))
    pairs = rng.sample(range(len(first) * len(last)), names)
    with (folder / "facts.jsonl").open("w", encoding="utf-8") as file:
        for fact in subject.kb.facts():
            file.write(json.dumps({"entity": fact.entity, "relation": fact.relation, "value": fact.value}) + "\n")
        for pair in pairs:
            name = f"{first[pair % len(first)]} {last[pair // len(first)]}"
            file.write(json.dumps({"entity": name, "relation": "Occupation", "value": "clerk"}) + "\n")
    with KnowledgeBase.open(folder / "large.sqlite", create=True) as kb:
        import_file(kb, folder / "facts.jsonl")
        yield kb
