"""Decoding with lookups, on the demo's checkpoint and on a model of the shape of SmolLM2-135M with random weights.

Where speeds are compared, both models are steered (`benchmarks.steering`): the forward pass is real, but each row
writes a plan of its own, held-out documents of the demo's invented world with their calls; without lookups, the same
text without the calls. What drafts are made from was learnt from other documents. Seconds are of processor time, with
one thread: others' work on the machine counts little. Arms are measured in turns, and the median stands.
"""

import copy
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from benchmarks.reprefill import reprefill
from benchmarks.steering import Plan, Planned, Steering, plans
from lamlam.corpus import Corpus
from lamlam.corpus.files import load_corpus
from lamlam.engine import DecodingSettings, Engine
from lamlam.engine.draft import Drafter
from lamlam.errors import InputError
from lamlam.evaluate.completion import complete
from lamlam.kb import KnowledgeBase
from lamlam.kb.files import import_file
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.presets import build_model
from lamlam.vocab import Vocabulary
from lamlam.world.names import NameForge

__all__ = ["AIMS", "engine"]

AIMS = {
    **{
        f"{model}.{figure}": aim
        for model in ("demo", "135m_float32", "135m_bfloat16")
        for figure, aim in {
            "reprefill.times_for_1_prompt": ">= 5",
            "reprefill.times_for_32_prompts": ">= 20",
            "lookups.ratio_batch_1": ">= 0.8",
            "lookups.ratio_batch_16": ">= 0.8",
            "share_outside_the_model_batch_16": "<= 0.1",
        }.items()
    },
    "memory.MB_more_at_10000": "<= 5",
    "memory.MB_more_after_1000_cancellations": "<= 5",
}

RUN = Path(os.environ.get("LAMLAM_RUN", "runs/demo/lmlm"))
_SMOLLM2_VOCABULARY = 49_152
_WARM_UP, _ROUNDS = 16, 3
_FREE = DecodingSettings(entities="free", relations="free")


@dataclass
class Subject:
    """A model that is measured, and what it is asked."""

    model: PreTrainedModel
    vocabulary: Vocabulary
    kb: KnowledgeBase
    corpus: Corpus
    tokens: int  # of text, for each prompt
    rounds: int

    def plans(self, count: int, seed: int) -> list[Plan]:
        return plans(self.corpus.heldout["unseen"], self.vocabulary, count, self.tokens, seed)


def engine(folder: Path) -> dict[str, Any]:
    """All figures; `LAMLAM_RUN` names another checkpoint than the demo's."""
    if not (RUN / "model.safetensors").exists():
        raise InputError("no checkpoint of the demo; `make demo` trains one, or set LAMLAM_RUN", path=RUN)
    torch.set_num_threads(1)
    checkpoint = Checkpoint.load(RUN)
    corpus = load_corpus(RUN / "corpus").with_looked_up_values()
    parts = os.environ.get("LAMLAM_BENCH", "demo memory constraints float32 bfloat16").split()
    figures: dict[str, Any] = {"threads": 1}
    with KnowledgeBase.open(RUN / "kb.sqlite") as kb:
        small = Subject(checkpoint.model, checkpoint.vocabulary, kb, corpus, tokens=160, rounds=_ROUNDS)
        drafter = Arm.warm(small)
        if "demo" in parts:
            figures["demo"] = _speed(small, drafter, small.tokens) | {"own_words": _own_words(small)}
        if "memory" in parts:
            figures["memory"] = _memory(small)
        if "constraints" in parts:
            figures["constraints"] = _constraints(small, folder)
        for kind in ("float32", "bfloat16"):
            if kind in parts and (kind == "float32" or torch.cpu._is_avx512_bf16_supported()):
                shape = build_model(
                    "smollm2-135m", checkpoint.vocabulary, overrides={"vocab_size": _SMOLLM2_VOCABULARY}
                ).to(getattr(torch, kind))
                large = Subject(shape, checkpoint.vocabulary, kb, corpus, tokens=256, rounds=1)
                figures[f"135m_{kind}"] = _speed(large, drafter, 96)
    return figures


# Speed, steered


def _speed(subject: Subject, drafter: Drafter, shorter: int) -> dict[str, Any]:
    return {
        "reprefill": _against_reprefill(subject, drafter),
        **_lookups(replace(subject, tokens=shorter), drafter),
    }


class Arm:
    """An engine with its drafter warmed up, as new for each measurement."""

    def __init__(self, subject: Subject, batch_size: int, drafter: Drafter | None) -> None:
        self.engine = Engine(
            subject.model, subject.vocabulary, subject.kb, batch_size=batch_size, speculate=drafter is not None
        )
        self._tokens, self._drafter = subject.tokens, drafter
        self.steering = Steering(self.engine)
        self.steering.remove()

    @classmethod
    def warm(cls, subject: Subject) -> Drafter:
        """What an engine's drafter learns from a few training documents, written with calls and without."""
        arm = cls(subject, _WARM_UP, Drafter(subject.vocabulary))
        for lookups in (True, False):
            arm.measure(plans(subject.corpus.train, subject.vocabulary, _WARM_UP, subject.tokens, 0), lookups=lookups)
            arm._drafter = arm.engine._drafter
        assert arm._drafter is not None
        return arm._drafter

    def _write(self, plans: Sequence[Plan], lookups: bool) -> list[Any]:
        self.steering.ids = {plan.prompt: plan.with_calls if lookups else plan.without_calls for plan in plans}
        settings = DecodingSettings(max_tokens=self._tokens, max_calls=1000, lookups=lookups)
        written = self.engine.generate([plan.prompt for plan in plans], settings)
        for plan, generation in zip(plans, written, strict=True):
            assert list(generation.ids) == list(self.steering.ids[plan.prompt][:-1]), "it writes what was planned"
        return written

    def measure(self, plans: Sequence[Plan], *, lookups: bool) -> dict[str, Any]:
        self.engine._drafter = copy.deepcopy(self._drafter)
        self.engine.counters = type(self.engine.counters)()
        self.steering = Steering(self.engine)
        try:
            started = time.process_time()
            self._write(plans, lookups)
            seconds = time.process_time() - started - self.steering.own_seconds
        finally:
            self.steering.remove()
        return {
            "tokens_a_second": self._tokens * len(plans) / seconds,
            "outside": 1 - self.steering.forward_seconds / seconds,
            "counters": self.engine.counters,
        }


def _against_reprefill(subject: Subject, drafter: Drafter) -> dict[str, Any]:
    """One prompt at a time both; then 32 in a batch, of which the baseline writes a few: it takes each by itself."""
    single, batched = (Arm(subject, size, drafter) for size in (1, 32))
    baseline, one, many = [], [], []
    for round_ in range(subject.rounds):
        several = subject.plans(32, seed=round_)
        plan = several[0]
        started = time.process_time()
        written = reprefill(
            subject.model, subject.vocabulary, subject.kb, plan.prompt, subject.tokens, [Planned(plan.with_calls)]
        )
        assert written.ids[: len(plan.with_calls) - 1] == list(plan.with_calls[:-1])
        baseline.append(written.text_tokens / (time.process_time() - started))
        one.append(single.measure([plan], lookups=True)["tokens_a_second"])
        many.append(batched.measure(several, lookups=True)["tokens_a_second"])
    return {
        "text_tokens": subject.tokens,
        "lookups_of_a_prompt": plan.calls,
        "baseline_tokens_a_second": _rounded(statistics.median(baseline)),
        "tokens_a_second_1_prompt": _rounded(statistics.median(one)),
        "tokens_a_second_32_prompts": _rounded(statistics.median(many)),
        "times_for_1_prompt": _rounded(statistics.median(one) / statistics.median(baseline)),
        "times_for_32_prompts": _rounded(statistics.median(many) / statistics.median(baseline)),
    }


def _lookups(subject: Subject, drafter: Drafter) -> dict[str, Any]:
    """The same text with lookups and without, at batch 1 and 16, with speculation and without."""
    figures: dict[str, Any] = {}
    shares: dict[str, Any] = {}
    for size in (1, 16):
        arms = {speculate: Arm(subject, size, drafter if speculate else None) for speculate in (True, False)}
        measured: dict[tuple[bool, bool], list[dict[str, Any]]] = {}
        for round_ in range(subject.rounds):
            chosen = subject.plans(size, seed=100 + round_)
            for speculate, lookups in product((True, False), repeat=2):
                one = arms[speculate].measure(chosen, lookups=lookups)
                measured.setdefault((speculate, lookups), []).append(one)
        speed = {
            arm: statistics.median(one["tokens_a_second"] for one in several) for arm, several in measured.items()
        }
        for (speculate, lookups), value in speed.items():
            name = f"batch_{size}_{'on' if lookups else 'off'}{'' if speculate else '_without_speculation'}"
            figures[f"tokens_a_second_{name}"] = _rounded(value)
            figures[f"passes_{name}"] = sum(one["counters"].passes for one in measured[speculate, lookups])
        figures[f"ratio_batch_{size}"] = _rounded(speed[True, True] / speed[True, False])
        figures[f"ratio_batch_{size}_without_speculation"] = _rounded(speed[False, True] / speed[False, False])
        figures[f"accepted_batch_{size}"] = _accepted(one["counters"] for one in measured[True, True])
        outside = {arm: statistics.median(one["outside"] for one in several) for arm, several in measured.items()}
        shares[f"share_outside_the_model_batch_{size}"] = _rounded(outside[True, True])
        shares[f"share_outside_the_model_batch_{size}_without_speculation"] = _rounded(outside[False, True])
    return {"lookups": figures, **shares}


def _accepted(counters: Any) -> dict[str, float]:
    counters = list(counters)
    guesses = sum((each.guesses for each in counters[1:]), counters[0].guesses)
    right = sum((each.right for each in counters[1:]), counters[0].right)
    return {str(guess): _rounded(right[guess] / count) for guess, count in sorted(guesses.items())}


# The demo's checkpoint, in its own words


def _own_words(subject: Subject) -> dict[str, Any]:
    """Nothing steered: the texts that the model writes about entities it has not seen, until it ends them itself."""
    prompts = [plan.prompt for plan in subject.plans(48, seed=7)]
    settings = DecodingSettings(max_tokens=subject.tokens)
    running = Engine(subject.model, subject.vocabulary, subject.kb, batch_size=32)
    running.generate(prompts[32:], settings)
    prompts, drafter = prompts[:32], running._drafter
    seconds: dict[str, list[float]] = {"baseline": [], "engine": []}
    for _ in range(subject.rounds):
        running._drafter = copy.deepcopy(drafter)
        started = time.process_time()
        generations = running.generate(prompts, settings)
        between = time.process_time()
        written = [
            reprefill(subject.model, subject.vocabulary, subject.kb, prompt, subject.tokens) for prompt in prompts
        ]
        seconds["engine"].append(between - started)
        seconds["baseline"].append(time.process_time() - between)
    tokens = sum(subject.vocabulary.encode(generation.text).__len__() for generation in generations)
    speed = {
        "baseline": sum(one.text_tokens for one in written) / statistics.median(seconds["baseline"]),
        "engine": tokens / statistics.median(seconds["engine"]),
    }
    return {
        "prompts": len(prompts),
        "lookups_of_a_prompt": _rounded(statistics.mean(len(generation.lookups) for generation in generations)),
        "text_tokens_of_a_prompt": _rounded(tokens / len(prompts)),
        "baseline_tokens_a_second": _rounded(speed["baseline"]),
        "tokens_a_second_32_prompts": _rounded(speed["engine"]),
        "times_for_32_prompts": _rounded(speed["engine"] / speed["baseline"]),
    }


# Memory


def _memory(subject: Subject) -> dict[str, Any]:
    """Short requests, one after another and some of them cancelled."""
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
        "MB_at_1000_requests": _rounded(resident[1_000]),
        "MB_at_10000_requests": _rounded(resident[10_000]),
        "MB_more_at_10000": _rounded(resident[10_000] - resident[1_000]),
        "MB_more_after_1000_cancellations": _rounded(_resident() - resident[10_000]),
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
                    "accuracy": _rounded(scores.accuracy.value),
                    "right_query": _rounded(scores.right_query.value),
                    "probes_a_second": _rounded(len(probes) / (time.process_time() - started)),
                }
            figures[place]["MB_more"] = _rounded(_resident() - before)
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


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
