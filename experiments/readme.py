"""Write the README's table of claims and docs/results/speed.md: `python experiments/readme.py`.

Their figures come from `docs/results/` and `benchmarks/results/`.
"""

import json
from pathlib import Path
from typing import Any

from lamlam.files import atomic_write

ROOT = Path(__file__).parents[1]
_SIZES = {
    "import_seconds": "import, seconds",
    "facts_imported_a_second": "facts imported per second",
    "import_peak_MB": "peak memory of the import, MB",
    "GB_on_disk": "size on disk, GB",
    "opening_ms": "time to open, ms",
    "lookup_median_us": "exact lookup, median, µs",
    "lookup_p99_ms": "exact lookup, 99th percentile, ms",
    "lookups_a_second_64_at_once": "lookups per second, 64 at once",
    "fuzzy_median_ms": "misspelled-name lookup, median, ms",
    "forget_visible_ms": "forgetting: time until lookups no longer find it, ms",
    "forget_erased_seconds": "forgetting: time until the file is erased and searched, seconds",
}
_QUESTIONS = {
    "as_written": "exact names: right",
    "perturbed": "misspelled or rearranged names: right",
    "reworded": "reworded relations: right",
    "absent": "absent or deleted facts: answered (wrong)",
}
SPEED = ROOT / "docs/results/speed.md"
BEGIN, END = "<!-- figures:begin -->\n", "<!-- figures:end -->"


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    with atomic_write(readme) as out:
        out.write(with_figures(text))
    with atomic_write(SPEED) as out:
        out.write(speed())


def with_figures(text: str) -> str:
    """Return the README with its table of claims rebuilt from the result files."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + claims() + END + rest.split(END)[1]


def speed() -> str:
    """The page of speeds and sizes."""
    head = ["# Speed and sizes", "", "Measured by `make bench` on a shared two-core machine.", ""]
    return "\n".join([*head, *_knowledge_base(), "", *_engine(), ""])


def claims() -> str:
    """Each claim of the paper with its figure, ours, and whether ours supports it."""
    demo, webnlg, evidence, full, conversion = (
        _result(name) for name in ("demo", "webnlg", "evidence", "full-size", "conversion")
    )
    rows = [*_invented(demo, evidence["lmlm"], evidence["standard"], full["lmlm"]), *_real(webnlg)]
    rows += _converted(conversion) if conversion else []
    table = ["| claim | the paper | LamLam | measured on | result |", "|---|---|---|---|---|"]
    return "\n".join([*table, *(f"| {' | '.join(row)} |" for row in rows), "", LEGEND, ""])


Row = tuple[str, str, str, str, str]
LEGEND = """\
Arrows go from the standard model to the LMLM. *Invented*: 2.2M parameters, the demo's world. *Converted*: the adapter,
calls forced, beside its base tuned to read what BM25 finds. Mostly one seed: [all results](docs/results/README.md)."""
_INVENTED = "[invented](docs/results/demo.json)"
_EVIDENCE = "[invented](docs/results/evidence.json)"


def _invented(demo: dict[str, Any], lmlm: dict[str, Any], standard: dict[str, Any], full: dict[str, Any]) -> list[Row]:
    ours, theirs, edit, forget = (demo[key] for key in ("lmlm", "standard", "edit", "forget"))
    bits = ours["perplexity"]
    steps = full["offloading"]["figures"]["steps"]
    none, every = (_normalized(steps, share) for share in (0.0, 1.0))
    quality = lmlm["tofu"]["figures"]["forget_quality"]["forget"]
    return [
        (
            "lower perplexity (dynamic / normalized)",
            "14.1 → 12.2 / 8.5",
            f"{theirs['perplexity']:.1f} → {bits['dynamic']:.1f} / {bits['normalized']:.1f}",
            _INVENTED,
            "shown",
        ),
        (
            "factual accuracy, entities never trained on",
            "",
            f"{_percent(theirs['unseen'])} → {_percent(ours['unseen'])}",
            _INVENTED,
            "shown",
        ),
        (
            "factual accuracy without lookups",
            "FActScore −19 points",
            _percent(ours["db_off"]),
            _INVENTED,
            "shown",
        ),
        (
            "perplexity with 0% → 100% of facts offloaded",
            "yes",
            f"{none:.1f} → {every:.1f}",
            "[invented](docs/results/full-size.json)",
            "shown",
        ),
        (
            "edits: success; locality",
            "",
            f"{edit['success']:.0%}; {edit['locality']:.0%}",
            _INVENTED,
            "shown",
        ),
        (
            "forgetting: survival / wrong answers / collateral",
            "",
            " / ".join(f"{forget[key]:.0%}" for key in ("survival", "wrong_answer", "collateral")),
            _INVENTED,
            "shown",
        ),
        (
            "FActScore",
            "10.7 → 20.6%",
            f"{_figures(standard, 'factscore', 'plain')['score']:.1%}"
            f" → {_figures(lmlm, 'factscore', 'free')['score']:.1%}",
            _EVIDENCE,
            "shown",
        ),
        (
            "PopQA, own calls / forced",
            "18.5 → 49.9%",
            " / ".join(f"{_figures(lmlm, 'popqa', way)['strict']:.0%}" for way in ("own_free", "own_forced")),
            _EVIDENCE,
            "not shown",
        ),
        (
            "T-REx",
            "41.2 → 54.6%",
            f"0% → {lmlm['trex']['figures']['given_forced']['strict']:.0%}",
            _EVIDENCE,
            "not shown",
        ),
        (
            "grammar: BLiMP",
            "parity",
            f"{standard['blimp']['figures']['text']:.1%} → {lmlm['blimp']['figures']['text']:.1%}",
            _EVIDENCE,
            "both near chance",
        ),
        ("TOFU: forget quality after deleting rows", "p > 0.05", f"p = {quality:.1e}", _EVIDENCE, "not shown"),
    ]


def _figures(arm: dict[str, Any], task: str, way: str) -> dict[str, Any]:
    found: dict[str, Any] = arm[task]["figures"][way]
    return found


def _normalized(steps: list[dict[str, Any]], share: float) -> float:
    return next(float(step["perplexity"]["normalized"]) for step in steps if step["share"] == share)


def _real(webnlg: dict[str, Any]) -> list[Row]:
    lmlm, standard = webnlg["unseen"]["lmlm"], webnlg["unseen"]["standard"]
    resolution = _benchmark("resolution")["figures"]
    return [
        (
            "perplexity; factual accuracy, unseen subjects",
            "",
            f"{standard['perplexity']['normalized']:.0f} → {lmlm['perplexity']['normalized']:.0f};"
            f" {standard['completion']:.0%} → {lmlm['completion']:.0%}",
            "[WebNLG](docs/results/webnlg.md), 2.2M",
            "shown",
        ),
        (
            "absent facts answered anyway",
            f"{resolution['paper_absent']:.0%} (its retriever)",
            f"{resolution['ours_absent']:.1%}",
            "[real facts](docs/results/resolution.md)",
            "better",
        ),
        (
            "reworded relations resolved",
            f"{resolution['paper_reworded']:.0%} (its retriever)",
            f"{resolution['ours_reworded']:.0%}",
            "[real facts](docs/results/resolution.md)",
            "behind",
        ),
    ]


def _result(name: str) -> dict[str, Any]:
    path = ROOT / "docs/results" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def _knowledge_base() -> list[str]:
    """Sizes, speeds and what lookups find, each with its aim where it has one."""
    head = "The knowledge base (times are rough, since the machine was shared):"
    five, full, resolution = (_benchmark(name) for name in ("knowledge-base", "full-size", "resolution"))
    rows = ["| | 5 million facts | the paper's 54.6 million | aim |", "|---|---|---|---|"]
    for figure, told in _SIZES.items():
        cells = [_figure(each.get("figures", {}), figure) for each in (five, full)]
        aims = full.get("aims", {}) | five["aims"]
        aim = _figure(aims, figure) + (" (at 5 million)" if f"{figure}_at_5M" in aims else "")
        rows.append(f"| {told} | {' | '.join(cells)} | {aim} |")
    asked = ["| lookups of 11,594 real facts | LamLam | the paper's retriever | aim |", "|---|---|---|---|"]
    for kind, told in _QUESTIONS.items():
        shares = [f"{resolution['figures'][f'{who}_{kind}']:.1%}" for who in ("ours", "paper")]
        aim = resolution["aims"][f"ours_{kind}"].split()
        asked.append(f"| {told} | {' | '.join(shares)} | {aim[0]} {float(aim[1]):.0%} |")
    speed = resolution["figures"]["speed"]
    asked.append(f"| lookup by exact name, median | {speed['ours_us']} µs | {speed['paper_ms']} ms | |")
    return [
        head,
        "",
        *rows,
        "",
        *asked,
        "",
        "[resolution.md](resolution.md) describes the queries and the failures.",
    ]


def _engine() -> list[str]:
    """Decoding speed, compared with prefilling again and with no lookups."""
    dense, sparse = _benchmark("engine"), _benchmark("engine-sparse")
    models = {"demo": "the demo's model", "135m_float32": "135M, float32", "135m_bfloat16": "135M, bfloat16"}
    there = [model for model in models if model in dense["figures"]]
    rows = [
        f"| decoding with lookups | {' | '.join(models[model] for model in there)} | aim |",
        "|---" * (len(there) + 2) + "|",
    ]
    for found, figure, told in (
        (dense, "reprefill.times_for_1_prompt", "speedup over prefilling again at each call: 1 prompt"),
        (dense, "reprefill.times_for_32_prompts", "the same, 32 prompts"),
        (dense, "reprefill.times_for_1_prompt_compiled", "the same, compiled: 1 prompt"),
        (dense, "reprefill.times_for_32_prompts_compiled", "compiled, 32 prompts"),
        (dense, "lookups.ratio_batch_1", "speed with lookups relative to without, a call per fact: batch 1"),
        (dense, "lookups.ratio_batch_16", "the same, batch 16"),
        (sparse, "lookups.ratio_batch_1", "speed with lookups relative to without, a call per four facts: batch 1"),
        (sparse, "lookups.ratio_batch_16", "the same, batch 16"),
        (dense, "share_outside_the_model_batch_16", "share of time outside the model, batch 16"),
    ):
        cells = [_nested(found.get("figures", {}), f"{model}.{figure}") for model in there]
        aim = next((found["aims"][f"{m}.{figure}"] for m in there if f"{m}.{figure}" in found.get("aims", {})), "")
        rows.append(f"| {told} | {' | '.join(cells)} | {aim} |")
    return ["The engine (CPU time of one core; `benchmarks/engine.py` explains how texts are steered):", "", *rows]


def _nested(figures: dict[str, Any], path: str) -> str:
    for key in path.split("."):
        figures = figures.get(key, {})
    return str(figures) if figures != {} else ""


def _benchmark(name: str) -> dict[str, Any]:
    path = ROOT / "benchmarks/results" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def _figure(figures: dict[str, Any], name: str) -> str:
    found = [value for key, value in figures.items() if key == name or key.startswith(f"{name}_at_")]
    return "" if not found else found[0] if isinstance(found[0], str) else f"{found[0]:,}"


def _percent(scores: dict[str, Any]) -> str:
    return f"{scores['accuracy']:.1%}"


def _converted(conversion: dict[str, Any]) -> list[Row]:
    """The rows of the converted model, from the base tuned to read retrieved facts, where that was measured."""
    [ours, *_], rivals = conversion["arms"]["converted"], conversion["arms"].get("rag-tuned")
    if not rivals:
        return []
    text = [_share(arm["prompts"], way, "text") for arm, way in ((rivals[0], "bm25"), (ours, "forced"))]
    old = [_share(arm["known"]["forgotten"], way, "known") for arm, way in ((rivals[0], "bm25"), (ours, "forced"))]
    where = "[converted](docs/results/conversion.md), 135M"
    return [
        ("facts right on unseen Wikipedia entities; retrieval → lookups", "", _arrow(text), where, "shown"),
        ("forgotten facts still stated; retrieval → lookups", "", _arrow(old), where, "shown"),
    ]


def _share(answered: dict[str, Any], way: str, group: str) -> float:
    return float(answered["ways"][way]["figures"][group]["right"]["share"])


def _arrow(shares: list[float]) -> str:
    return " → ".join(f"{100 * share:.1f}%" for share in shares)


if __name__ == "__main__":
    main()
