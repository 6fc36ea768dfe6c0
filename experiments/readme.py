"""Write the README's table of figures from `docs/results/`: `python experiments/readme.py`."""

import json
from pathlib import Path
from typing import Any

from lamlam.files import atomic_write

ROOT = Path(__file__).parents[1]
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
    return "\n".join([*_demo(demo), "", *_webnlg(webnlg), ""])


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
