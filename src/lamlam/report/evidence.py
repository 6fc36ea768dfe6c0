"""Drawings of the tasks that `lamlam evaluate` adds to the demo's own, one function per task.

Each takes the run and returns a drawing, or None if the run has no such figures. The paper (arXiv 2505.15962) has the
same comparisons over training, by knowledge of masked values, by share of offloaded facts and for unlearning.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lamlam.report.drawing import Drawing, bar_drawing, curve_drawing
from lamlam.report.figures import Bar, Dot, Series, points, scatter
from lamlam.report.headline import ARMS, GROUPS
from lamlam.report.run import RunResults

__all__ = ["EVIDENCE"]


def _memorisation(run: RunResults) -> Drawing | None:
    figures = run.measured("lmlm", "memorisation")
    if figures is None:
        return None
    panels = []
    for group in figures["curves"]["masked"]:
        series = [
            Series("mask on", "lmlm", _pairs(figures["curves"]["masked"].get(group))),
            Series("mask off", "standard", _pairs(figures["curves"]["unmasked"].get(group))),
        ]
        drawn = [curve for curve in series if curve.points]
        floor = figures["floor_loss"].get(group)
        if drawn and floor is not None:
            ends = [tokens for tokens, _ in drawn[0].points]
            drawn.append(Series("guess from the relation", "off", [(ends[0], floor), (ends[-1], floor)], dashed=True))
        panels.append((GROUPS.get(group, group), drawn))
    return curve_drawing(
        panels,
        "loss, nats per token",
        "What the weights learn about values, with and without the mask",
        "Loss on the values inside calls of held-out documents, with values masked and with values learnt. "
        "A guess from the relation alone knows how often training gives each value.",
    )


def _offloading(run: RunResults) -> Drawing | None:
    steps = (run.measured("lmlm", "offloading") or {}).get("steps")
    if not steps:
        return None
    shares = sorted({step["share"] for step in steps})
    series = []
    for policy, colour in (("random", "off"), ("hardest", "lmlm")):
        # Nothing and everything offloaded are the same for both policies.
        own = sorted((s for s in steps if s["policy"] == policy or s["share"] in (0, 1)), key=lambda s: s["share"])
        for group, dashed in (("seen", False), ("unseen", True)):
            found = [step for step in own if group in step]
            line = [(float(shares.index(step["share"])), step[group]["accuracy"]) for step in found]
            intervals = [tuple(step[group]["interval"]) for step in found]
            series.append(Series(f"{policy}, {group}", colour, line, dashed, intervals))
    labels = [f"{100 * share:.0f}%" for share in shares]
    title = "Accuracy by share of facts looked up"
    perplexities = ", ".join(
        f"{100 * step['share']:.0f}% {step['policy']} {step['perplexity']['normalized']:.2f} / "
        f"{step['perplexity']['dynamic']:.2f}"
        for step in steps
    )
    caption = f"One model is trained per share. Perplexity, normalized / dynamic: {perplexities}."
    svg = points(labels, [line for line in series if line.points], "share of facts looked up", "accuracy")
    return Drawing("offloading", title, caption, f"{title}. {caption}", svg)


def _tofu(run: RunResults) -> Drawing | None:
    found = [(arm, point) for arm in ARMS for point in (run.measured(arm, "tofu") or {}).get("points", ())]
    # Utility is a harmonic mean, and 0 where a model knows nothing of one of its nine parts: small ones know no author.
    key = "utility" if any(point["utility"] for _, point in found) else "utility_on_retain"
    dots = [
        Dot(point["method"].replace("_", " "), arm, point[key], math.log10(max(point["forget_quality"], 1e-20)))
        for arm, point in found
        if point[key] is not None and point["forget_quality"] is not None
    ]
    if not dots:
        return None
    title = "Unlearning: forget quality against utility (TOFU)"
    what = (
        "Utility is that of the nine parts" if key == "utility" else "Utility is that of the retain set's three parts"
    )
    caption = (
        "Up and to the right is better: the model answers like one that never saw the forgotten authors, and still "
        f"answers everything else. Forget quality is the p-value of a two-sample test, drawn as its logarithm. {what}."
    )
    alt = "; ".join(f"{ARMS[dot.colour]} {dot.label}: utility {dot.x:.2f}, log10 p {dot.y:.1f}" for dot in dots)
    svg = scatter(dots, "utility", "forget quality, log₁₀ p", level=(math.log10(0.05), "p = 0.05"))
    return Drawing("tofu", title, caption, f"{title}. {alt}.", svg)


def _language(run: RunResults) -> Drawing | None:
    panels = []
    fields = sorted({field for arm in ARMS for field in (run.measured(arm, "blimp") or {}).get("by_field", {})})
    for field in fields:
        found = [(arm, run.measured(arm, "blimp", "by_field", field, "detail", "text")) for arm in ARMS]
        panels.append((field.replace("_", " "), [_share_bar(ARMS[arm], arm, share) for arm, share in found if share]))
    return bar_drawing(
        panels,
        "language",
        "Language: minimal pairs (BLiMP)",
        "How often the grammatical sentence of a pair is likelier; 50% is chance. Likelihoods are over text "
        "tokens only.",
    )


def _audit(run: RunResults) -> Drawing | None:
    """The model on the facts of its own world."""
    return _forgotten(
        run.measured("lmlm", "audit", "world"),
        "model",
        "audit",
        "Forgetting audit: the model on its own world",
        "The forgotten facts have near-duplicates and aliases. Ours reports a miss; the nearest "
        "neighbour, which other systems return, is another fact's value.",
    )


def _countries(run: RunResults) -> Drawing | None:
    """The knowledge base's answers to the right query."""
    return _forgotten(
        run.measured("lmlm", "audit_countries", "noise"),
        "oracle",
        "countries",
        "Forgetting audit: the knowledge base alone, on countries",
        "The right query on a hostile database (“noise”) with forgotten facts.",
    )


def _forgotten(figures: Mapping[str, Any] | None, caller: str, name: str, title: str, caption: str) -> Drawing | None:
    names = {"full": "right before", "survival": "right after", "wrong_answer": "another value", "collateral": "lost"}
    panels = []
    for who, colour, way in ((caller, "lmlm", "ours"), (f"{caller}_nearest", "off", "nearest neighbour")):
        detail = (figures or {}).get(who, {}).get("detail", {})
        panels.append((way, [_share_bar(label, colour, detail[key]) for key, label in names.items() if key in detail]))
    return bar_drawing(panels, name, title, caption)


def _changes(run: RunResults) -> Drawing | None:
    names = {
        "efficacy": "efficacy",
        "generalisation": "other wordings",
        "specificity": "specificity",
        "consequence": "consequences",
    }
    panels = []
    for step in (run.measured("lmlm", "counterfact") or {}).get("steps", ()):
        number, detail = step["edits"], step["detail"]
        found = [_share_bar(label, "lmlm", detail[name]) for name, label in names.items() if detail[name]["n"]]
        panels.append(("1 edit" if number == 1 else f"{number:,} edits", found))
    return bar_drawing(
        panels,
        "counterfact",
        "Sequential edits",
        "Efficacy: the model says the new value. Specificity: statements of other facts are unchanged. "
        "Consequences: asked about the new value next, the model says what is true of it.",
    )


def _share_bar(label: str, colour: str, share: Mapping[str, Any]) -> Bar:
    low, high = share["interval"]
    return Bar(label, colour, share["share"] or 0.0, (low, high))


def _pairs(line: Iterable[Iterable[float]] | None) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in line or ()]


EVIDENCE: tuple[Callable[[RunResults], Drawing | None], ...] = (
    _memorisation,
    _offloading,
    _tofu,
    _audit,
    _countries,
    _changes,
    _language,
)
