"""Put what `conversion.py` measured of all arms into docs/results/conversion.json and conversion.md.

    python experiments/conversion_page.py --converted runs/s0/arms.json runs/s1/arms.json runs/s2/arms.json \\
        --base runs/base.json --rag runs/base-rag.json --standard runs/std/arms.json --rag-tuned runs/rag/arms.json

Several files of one arm are runs that differ in their seed. An arm that is missing leaves its rows out; an aim that
nothing measured says so. Rows by prompt stay in the files; the page keeps counts, intervals and what they depend on.
"""

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.evaluate.outcome import Outcome
from lamlam.evaluate.results import Mean
from lamlam.files import atomic_write

ARMS = ("converted", "standard", "base", "rag", "rag-tuned")
GROUPS = {"text": "prompts", "question": "prompts", "webnlg unseen": "webnlg"}

Arms = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Aim:
    """What was aimed at, where it is in the results of a converted run, and between which bounds it is met.

    `over` is subtracted: the figure of another arm.
    """

    label: str
    wanted: str
    path: str
    least: float = -math.inf
    most: float = math.inf
    over: tuple[str, str] | None = None
    form: str = "share"

    def values(self, arms: Arms) -> list[float]:
        """The figure of each run; none where it or what it is compared with was not measured."""
        values = [value for run in arms.get("converted", ()) if (value := at(run, self.path)) is not None]
        if self.over is None:
            return values
        others = [value for run in arms.get(self.over[0], ()) if (value := at(run, self.over[1])) is not None]
        return [value - sum(others) / len(others) for value in values] if others else []

    def shown(self, value: float) -> str:
        if self.form == "plain":
            return f"{value:+.3f}" if self.over else f"{value:.3f}"
        return f"{100 * value:+.1f} points" if self.over else f"{100 * value:.1f}%"


def _right(asked: tuple[str, str], way: str, figure: str = "right") -> str:
    part, group = asked
    return f"{part}|ways|{way}|figures|{group}|{figure}|share"


def _known(state: str, outcome: str) -> str:
    return f"known|{state}|ways|forced|figures|known|{outcome}|share"


_WEBNLG, _TEXT, _QUESTION = ("webnlg", "webnlg unseen"), ("prompts", "text"), ("prompts", "question")
_PLAIN_BITS, _BLIMP = "language|perplexity|bits_per_byte", "language|blimp|detail|text|share"
AIMS = (
    Aim("unseen WebNLG subjects, right, own call", "≥ 62%", _right(_WEBNLG, "own"), least=0.62),
    Aim("the same, call forced", "≥ 70%", _right(_WEBNLG, "forced"), least=0.70),
    Aim(
        "the same, right or another true fact, forced", "≥ 85%", _right(_WEBNLG, "forced", "right_or_other"), least=0.85
    ),
    Aim("entity of the query right, forced", "≥ 90%", _right(_WEBNLG, "forced", "calls|entity_right"), least=0.90),
    Aim("texts that determine the fact, right, own call", "≥ 65%", _right(_TEXT, "own"), least=0.65),
    Aim("the same, call forced", "≥ 75%", _right(_TEXT, "forced"), least=0.75),
    Aim(
        "the same, forced, over RAG prompted with all facts of the entity",
        "≥ 25 points",
        _right(_TEXT, "forced"),
        least=0.25,
        over=("rag", _right(_TEXT, "entity")),
    ),
    Aim("questions that determine the fact, right, own call", "≥ 65%", _right(_QUESTION, "own"), least=0.65),
    Aim("the same, call forced", "≥ 75%", _right(_QUESTION, "forced"), least=0.75),
    Aim(
        "the same, forced, over RAG prompted with all facts of the entity",
        "≥ 25 points",
        _right(_QUESTION, "forced"),
        least=0.25,
        over=("rag", _right(_QUESTION, "entity")),
    ),
    Aim(
        "texts, forced, over RAG tuned with BM25",
        "ahead, or equal at a tenth of the tokens",
        _right(_TEXT, "forced"),
        least=0.0,
        over=("rag-tuned", _right(_TEXT, "bm25")),
    ),
    Aim("swapped values followed, forced", "≥ 96%", _known("swapped", "right"), least=0.96),
    Aim("forgotten facts: old value said, forced", "≤ 2%", _known("forgotten", "right"), most=0.02),
    Aim("forgotten facts: another value invented, forced", "≤ 3%", _known("forgotten", "false"), most=0.03),
    Aim(
        "bits a byte on unseen subjects, static, less those without calls",
        "below 0",
        "language|perplexity|static_bits_per_byte",
        most=0.0,
        over=("standard", _PLAIN_BITS),
        form="plain",
    ),
    Aim(
        "the same, normalized",
        "below 0",
        "language|perplexity|normalized_bits_per_byte",
        most=0.0,
        over=("standard", _PLAIN_BITS),
        form="plain",
    ),
    Aim("BLiMP, less the base's", "within 1 point", _BLIMP, least=-0.01, over=("base", _BLIMP)),
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for arm in ARMS:
        options.add_argument(f"--{arm}", type=Path, nargs="+", default=[])
    options.add_argument("--out", type=Path, default=Path("docs/results/conversion.json"))
    chosen = vars(options.parse_args(arguments))
    arms = {arm: [without_rows(json.loads(path.read_text())) for path in chosen[arm.replace("-", "_")]] for arm in ARMS}
    arms = {arm: runs for arm, runs in arms.items() if runs}
    with atomic_write(chosen["out"]) as out:
        whole = {"aims": [told(aim, arms) for aim in AIMS], "arms": arms}
        json.dump(whole, out, indent=1, ensure_ascii=False)
        out.write("\n")
    with atomic_write(chosen["out"].with_suffix(".md")) as out:
        out.write(page(arms))


def at(run: Mapping[str, Any], path: str) -> float | None:
    """The number at a path of keys, or None."""
    found: Any = run
    for key in path.split("|"):
        found = found.get(key) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) else None


def without_rows(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: without_rows(value) for name, value in found.items() if name != "rows"}
    return found


def told(aim: Aim, arms: Arms) -> dict[str, Any]:
    """An aim, the figure of each run, their mean and its 95% interval over runs, and whether the mean meets the aim."""
    values = aim.values(arms)
    mean = Mean.of(values)
    return {
        "aim": aim.label,
        "wanted": aim.wanted,
        "by_run": [round(value, 4) for value in values],
        "mean": round(mean.value, 4) if values else None,
        "interval": mean.student_interval(),
        "met": aim.least <= mean.value <= aim.most if values else None,
    }


def page(arms: Arms) -> str:
    """All tables as Markdown."""
    return "\n".join(
        [
            "# A pretrained model turned into an LMLM, beside its rivals",
            "",
            "All arms come from one base and are asked the same prompts. In full, with counts, 95% Wilson intervals,",
            "seeds, settings and digests: [conversion.json](conversion.json), made by `experiments/conversion.py` and",
            "`experiments/conversion_page.py`. What is counted how:",
            "[evaluation.md](../evaluation.md#a-converted-model-and-its-rivals).",
            "",
            "## Against what was aimed at",
            "",
            "| | aim | measured | |",
            "|---|---|---|---|",
            *(_aim_row(aim, arms) for aim in AIMS),
            *_outcome_tables(arms),
            *_known_table(arms),
            *_call_table(arms),
            *_language_table(arms),
            "",
        ]
    )


def _aim_row(aim: Aim, arms: Arms) -> str:
    found = told(aim, arms)
    if found["mean"] is None:
        return f"| {aim.label} | {aim.wanted} | not measured | |"
    each = f" ({', '.join(map(aim.shown, found['by_run']))})" if len(found["by_run"]) > 1 else ""
    return f"| {aim.label} | {aim.wanted} | {aim.shown(found['mean'])}{each} | {'met' if found['met'] else 'missed'} |"


def _outcome_tables(arms: Arms) -> Iterator[str]:
    """For each group of prompts the four outcomes of every arm and way, of its first run."""
    for group, part in GROUPS.items():
        yield from ("", f"## {group.capitalize()}", "")
        head = ("arm", "n", *Outcome, "wanted fact at hand", "right of those", "tokens", "answers/s")
        yield from (f"| {' | '.join(head)} |", "|---" * len(head) + "|")
        for arm, runs in arms.items():
            for way, answered in runs[0].get(part, {}).get("ways", {}).items():
                if (figures := answered["figures"].get(group)) is None:
                    continue
                cells = [_percent(figures[each]) for each in Outcome]
                at_hand = "" if way in ("off", "none") else _percent(figures["calls"]["returned"])
                right = "" if way in ("off", "none") else _percent(figures["right_if_returned"])
                pace = answered["answers_a_second"] or ""  # unknown where other work ran beside it
                cells = [f"{arm}, {way}", str(figures["n"]), *cells, at_hand, right, str(figures["tokens"]), str(pace)]
                yield f"| {' | '.join(cells)} |"


def _known_table(arms: Arms) -> Iterator[str]:
    yield from ("", "## Facts that the base knows", "")
    yield "`right` is what the knowledge base says; where it is forgotten, or lookups are forbidden, the old value."
    yield from (
        "",
        "| arm | knowledge base | n | right | old value, swapped | false | none |",
        "|---|---|---|---|---|---|---|",
    )
    for arm, runs in arms.items():
        for state, answered in runs[0].get("known", {}).items():
            for way, each in answered.get("ways", {}).items() if isinstance(answered, dict) else ():
                figures = each["figures"]["known"]
                cells = [_percent(figures[outcome]) for outcome in Outcome]
                yield f"| {arm}, {way} | {state} | {figures['n']} | {' | '.join(cells)} |"


def _call_table(arms: Arms) -> Iterator[str]:
    yield from ("", "## Asking at once, by the bias on calls", "")
    yield from ("| arm | bias | asked where a fact comes next | where none does |", "|---|---|---|---|")
    for arm, runs in arms.items():
        for name in ("without_bias", "calibrated"):
            if found := runs[0].get("calls", {}).get(name):
                asked, needless = _percent(found["asked"]), _percent(found["needless"])
                chosen = " (calibrated)" if name == "calibrated" else ""
                yield f"| {arm} | {found['bias']:g}{chosen} | {asked} | {needless} |"


def _language_table(arms: Arms) -> Iterator[str]:
    yield from ("", "## English", "", "| arm | bits a byte, static | normalized | BLiMP |", "|---|---|---|---|")
    for arm, runs in arms.items():
        if found := runs[0].get("language"):
            read = found["perplexity"]
            static = read.get("static_bits_per_byte", read.get("bits_per_byte"))
            blimp = _percent(found["blimp"]["detail"]["text"])
            yield f"| {arm} | {static:.3f} | {read.get('normalized_bits_per_byte', static):.3f} | {blimp} |"


def _percent(share: Mapping[str, Any]) -> str:
    """A share with its interval."""
    if share["share"] is None:
        return "—"
    low, high = share["interval"]
    return f"{100 * share['share']:.1f}% ({100 * low:.0f}–{100 * high:.0f})"


if __name__ == "__main__":
    main()
