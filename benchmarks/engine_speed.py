"""How fast the engine writes: the part of `benchmarks.engine` that compares speeds."""

import copy
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from transformers import PreTrainedModel

from benchmarks.reprefill import reprefill
from benchmarks.steering import Plan, Planned, Steering, plans
from lamlam.corpus import Corpus
from lamlam.engine import DecodingSettings, Engine
from lamlam.engine.draft import Drafter, Guess
from lamlam.engine.engine import Counters
from lamlam.kb import KnowledgeBase
from lamlam.vocab import Vocabulary

__all__ = ["Arm", "Subject", "lookups", "own_words", "rounded", "speed"]

_WARM_UP = 16  # documents that a drafter learns from


@dataclass
class Subject:
    """A model that is measured, and what it is asked."""

    model: PreTrainedModel
    vocabulary: Vocabulary
    kb: KnowledgeBase
    corpus: Corpus
    tokens: int  # of text, for each prompt
    rounds: int
    every: int = 1  # call of a text; the others are left out

    def plans(self, count: int, seed: int) -> list[Plan]:
        return plans(self.corpus.heldout["unseen"], self.vocabulary, count, self.tokens, seed, self.every)


def speed(subject: Subject, drafter: Drafter, shorter: int) -> dict[str, Any]:
    return {
        "reprefill": _against_reprefill(subject, drafter),
        **lookups(replace(subject, tokens=shorter), drafter),
    }


class Arm:
    """An engine with its drafter warmed up, as new for each measurement."""

    def __init__(self, subject: Subject, batch_size: int, drafter: Drafter | None, *, compile: bool = False) -> None:
        self.engine = Engine(
            subject.model,
            subject.vocabulary,
            subject.kb,
            batch_size=batch_size,
            speculate=drafter is not None,
            compile=compile,
        )
        self._tokens, self._drafter = subject.tokens, drafter
        self.steering = Steering(self.engine)
        self.steering.remove()

    @classmethod
    def warm(cls, subject: Subject) -> Drafter:
        """What an engine's drafter learns from a few training documents, written with calls and without."""
        arm = cls(subject, _WARM_UP, Drafter(subject.vocabulary))
        for lookups in (True, False):
            learnt = plans(subject.corpus.train, subject.vocabulary, _WARM_UP, subject.tokens, 0, subject.every)
            arm.measure(learnt, lookups=lookups)
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
    sizes = {"1_prompt": 1, "32_prompts": 32}
    arms = {name: Arm(subject, size, drafter) for name, size in sizes.items()}
    arms |= {f"{name}_compiled": Arm(subject, size, drafter, compile=True) for name, size in sizes.items()}
    started = time.perf_counter()
    for name, size in sizes.items():
        arms[f"{name}_compiled"].measure(subject.plans(size, seed=99), lookups=True)
    compiling = time.perf_counter() - started
    speeds: dict[str, list[float]] = {name: [] for name in ("baseline", *arms)}
    for round_ in range(subject.rounds):
        several = subject.plans(32, seed=round_)
        plan = several[0]
        started = time.process_time()
        written = reprefill(
            subject.model, subject.vocabulary, subject.kb, plan.prompt, subject.tokens, [Planned(plan.with_calls)]
        )
        assert written.ids[: len(plan.with_calls) - 1] == list(plan.with_calls[:-1])
        speeds["baseline"].append(written.text_tokens / (time.process_time() - started))
        for name, arm in arms.items():
            chosen = several if name.startswith("32") else [plan]
            speeds[name].append(arm.measure(chosen, lookups=True)["tokens_a_second"])
    median = {name: statistics.median(several) for name, several in speeds.items()}
    return {
        "text_tokens": subject.tokens,
        "lookups_of_a_prompt": plan.calls,
        "seconds_of_compiling": rounded(compiling),
        **{f"tokens_a_second_{name}": rounded(speed) for name, speed in median.items()},
        **{f"times_for_{name}": rounded(median[name] / median["baseline"]) for name in arms},
    }


def lookups(subject: Subject, drafter: Drafter) -> dict[str, Any]:
    """The same text with lookups and without, at batch 1 and 16, with speculation and without."""
    figures: dict[str, Any] = {"lookups_of_a_prompt": subject.plans(1, seed=1000)[0].calls, "tokens": subject.tokens}
    shares: dict[str, Any] = {}
    for size in (1, 16):
        arms = {speculate: Arm(subject, size, drafter if speculate else None) for speculate in (True, False)}
        measured: dict[tuple[bool, bool], list[dict[str, Any]]] = {}
        for round_ in range(subject.rounds):
            chosen = subject.plans(size, seed=1000 + round_)
            for speculate, asking in product((True, False), repeat=2):
                one = arms[speculate].measure(chosen, lookups=asking)
                measured.setdefault((speculate, asking), []).append(one)
        speed = {arm: statistics.median(one["tokens_a_second"] for one in several) for arm, several in measured.items()}
        for (speculate, asking), value in speed.items():
            name = f"batch_{size}_{'on' if asking else 'off'}{'' if speculate else '_without_speculation'}"
            figures[f"tokens_a_second_{name}"] = rounded(value)
            figures[f"passes_{name}"] = sum(one["counters"].passes for one in measured[speculate, asking])
        figures[f"ratio_batch_{size}"] = rounded(speed[True, True] / speed[True, False])
        figures[f"ratio_batch_{size}_without_speculation"] = rounded(speed[False, True] / speed[False, False])
        figures[f"accepted_batch_{size}"] = _accepted(one["counters"] for one in measured[True, True])
        outside = {arm: statistics.median(one["outside"] for one in several) for arm, several in measured.items()}
        shares[f"share_outside_the_model_batch_{size}"] = rounded(outside[True, True])
        shares[f"share_outside_the_model_batch_{size}_without_speculation"] = rounded(outside[False, True])
    return {"lookups": figures, **shares}


def _accepted(counters: Iterable[Counters]) -> dict[str, float]:
    guesses: Counter[Guess] = Counter()
    right: Counter[Guess] = Counter()
    for each in counters:
        guesses += each.guesses
        right += each.right
    return {str(guess): rounded(right[guess] / count) for guess, count in sorted(guesses.items())}


# The demo's checkpoint, in its own words


def own_words(subject: Subject) -> dict[str, Any]:
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
    tokens = sum(len(subject.vocabulary.encode(generation.text)) for generation in generations)
    speed = {
        "baseline": sum(one.text_tokens for one in written) / statistics.median(seconds["baseline"]),
        "engine": tokens / statistics.median(seconds["engine"]),
    }
    return {
        "prompts": len(prompts),
        "lookups_of_a_prompt": rounded(statistics.mean(len(generation.lookups) for generation in generations)),
        "text_tokens_of_a_prompt": rounded(tokens / len(prompts)),
        "baseline_tokens_a_second": rounded(speed["baseline"]),
        "tokens_a_second_32_prompts": rounded(speed["engine"]),
        "times_for_32_prompts": rounded(speed["engine"] / speed["baseline"]),
    }


def rounded(value: float) -> float:
    return float(f"{value:.3g}")
