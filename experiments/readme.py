"""Write the README's tables of figures: `python experiments/readme.py`.

They come from `docs/results/` and `benchmarks/results/`.
"""

import json
from pathlib import Path
from typing import Any

from lamlam.files import atomic_write

ROOT = Path(__file__).parents[1]
_SIZES = {
    "import_seconds": "import, seconds",
    "facts_imported_a_second": "facts imported a second",
    "import_peak_MB": "memory of the import, MB",
    "GB_on_disk": "on disk, GB",
    "opening_ms": "opening, ms",
    "lookup_median_us": "exact lookup, median, µs",
    "lookup_p99_ms": "exact lookup, 99th percentile, ms",
    "lookups_a_second_64_at_once": "lookups a second, 64 at once",
    "fuzzy_median_ms": "lookup of a misspelt name, median, ms",
    "forget_visible_ms": "forgetting: gone from lookups, ms",
    "forget_erased_seconds": "forgetting: gone from the file and searched for, seconds",
}
_QUESTIONS = {
    "as_written": "names as written: right",
    "perturbed": "misspelt or rearranged names: right",
    "reworded": "reworded relations: right",
    "absent": "facts that are not there, or were deleted: answered, which is wrong",
}
BEGIN, END = "<!-- figures:begin -->\n", "<!-- figures:end -->"


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    with atomic_write(readme) as out:
        out.write(with_figures(text))


def with_figures(text: str) -> str:
    """The README with the table that the result files give."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + figures() + END + rest.split(END)[1]


def figures() -> str:
    """What the demo and the runs on real text showed, as Markdown."""
    demo, webnlg = (
        json.loads((ROOT / "docs/results" / f"{name}.json").read_text("utf-8")) for name in ("demo", "webnlg")
    )
    return "\n".join([*_demo(demo), "", *_webnlg(webnlg), "", *_knowledge_base(), "", *_engine(), ""])


def _knowledge_base() -> list[str]:
    """Sizes, speeds and what lookups find, each with its aim where it has one."""
    head = "The knowledge base (`make bench`; one shared machine with two cores, so that times are rough):"
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
    asked.append(f"| a lookup of names as written, median | {speed['ours_us']} µs | {speed['paper_ms']} ms | |")
    return [
        head,
        "",
        *rows,
        "",
        *asked,
        "",
        "What was asked, and what fails: [resolution](docs/results/resolution.md).",
    ]


def _engine() -> list[str]:
    """How fast the engine writes, beside prefilling anew and beside no lookups; as `make bench` measured it."""
    dense, sparse = _benchmark("engine"), _benchmark("engine-sparse")
    models = {"demo": "the demo's model", "135m_float32": "135M, float32", "135m_bfloat16": "135M, bfloat16"}
    there = [model for model in models if model in dense["figures"]]
    rows = [
        f"| decoding with lookups | {' | '.join(models[model] for model in there)} | aim |",
        "|---" * (len(there) + 2) + "|",
    ]
    for found, figure, told in (
        (dense, "reprefill.times_for_1_prompt", "times as fast as prefilling anew at each call: 1 prompt"),
        (dense, "reprefill.times_for_32_prompts", "the same, 32 prompts"),
        (dense, "reprefill.times_for_1_prompt_compiled", "the same, compiled: 1 prompt"),
        (dense, "reprefill.times_for_32_prompts_compiled", "compiled, 32 prompts"),
        (dense, "lookups.ratio_batch_1", "speed with lookups to speed without, a call for every fact: batch 1"),
        (dense, "lookups.ratio_batch_16", "the same, batch 16"),
        (sparse, "lookups.ratio_batch_1", "speed with lookups to speed without, a call for every fourth fact: batch 1"),
        (sparse, "lookups.ratio_batch_16", "the same, batch 16"),
        (dense, "share_outside_the_model_batch_16", "share of time outside of the model, batch 16"),
    ):
        cells = [_nested(found.get("figures", {}), f"{model}.{figure}") for model in there]
        aim = next((found["aims"][f"{m}.{figure}"] for m in there if f"{m}.{figure}" in found.get("aims", {})), "")
        rows.append(f"| {told} | {' | '.join(cells)} | {aim} |")
    return ["The engine (processor time of one core; texts steered, as `benchmarks/engine.py` says):", "", *rows]


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


def _demo(results: dict[str, Any]) -> list[str]:
    lmlm, standard, edit, forget = (results[key] for key in ("lmlm", "standard", "edit", "forget"))
    rows = [
        ("right completions, entities in training", _percent(lmlm["seen"]), _percent(standard["seen"])),
        (
            "right completions, entities only in the knowledge base",
            _percent(lmlm["unseen"]),
            _percent(standard["unseen"]),
        ),
        ("right completions with lookups forbidden", _percent(lmlm["db_off"]), ""),
        ("perplexity: static", f"{lmlm['perplexity']['static']:.2f}", f"{standard['perplexity']:.2f}"),
        ("perplexity: normalized", f"{lmlm['perplexity']['normalized']:.2f}", f"{standard['perplexity']:.2f}"),
        ("perplexity: dynamic", f"{lmlm['perplexity']['dynamic']:.2f}", f"{standard['perplexity']:.2f}"),
        ("edits: success, locality", f"{edit['success']:.1%}, {edit['locality']:.1%}", ""),
        (
            "forgetting: survival, wrong answers, collateral",
            f"{forget['survival']:.1%}, {forget['wrong_answer']:.1%}, {forget['collateral']:.1%}",
            "",
        ),
    ]
    return ["The demo's invented world:", "", *_table(rows)]


def _webnlg(results: dict[str, Any]) -> list[str]:
    rows = []
    for group, name in (("unseen", "subjects never read of"), ("seen", "subjects in training")):
        lmlm, standard = results[group]["lmlm"], results[group]["standard"]
        rows += [
            (f"right completions, {name}", f"{lmlm['completion']:.1%}", f"{standard['completion']:.1%}"),
            (f"right queries, {name}", f"{lmlm['right_query']:.1%}", ""),
            *(
                (f"perplexity, {name}: {way}", f"{lmlm['perplexity'][way]:.1f}", f"{standard['perplexity'][way]:.1f}")
                for way in ("static", "normalized")
            ),
        ]
    head = "Real text, WebNLG split by subject ([what was found](docs/results/webnlg.md)):"
    return [head, "", *_table(rows)]


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    return ["| | LMLM | standard |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]


def _percent(scores: dict[str, Any]) -> str:
    return f"{scores['accuracy']:.1%}"


if __name__ == "__main__":
    main()
