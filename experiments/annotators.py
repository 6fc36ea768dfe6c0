"""What each annotator scores, how fast it is and what it costs: the table of docs/annotators.md.

    python experiments/annotators.py --tagger runs/tagger     # scores a tagger anew, a minute; writes tagger.json
    python experiments/annotators.py                          # writes the table from docs/results/

Scores are of the test split, which nothing is tuned on. Cost is of processor time, or of a language model's tokens as
`lamlam annotate --dry-run` estimates them: prices change.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from lamlam.annotate.score import Split, gold_split, score
from lamlam.corpus.files import read_documents
from lamlam.evaluate.results import Provenance
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
PAGE = ROOT / "docs" / "annotators.md"
BEGIN, END = "<!-- scores:begin -->\n", "<!-- scores:end -->"
GOLD = {"squad-train1k_gpt4o": "GPT-4o", "wiki-1k_annotator": "8B annotator"}
MEASURES = {
    "span_overlap": "values, by overlap: F1",
    "span_exact": "values, exact: F1",
    "entity": "entity, given the value",
    "relation_exact": "relation, given the value",
    "relation_meaning": "the same, by meaning",
    "call_meaning": "whole calls, relations by meaning: F1",
}
_WORDS, _TIMED = 200, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tagger", type=Path, help="the folder of a trained tagger, to be scored anew")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LAMLAM_DATA", "data")))
    options = parser.parse_args()
    if options.tagger:
        with atomic_write(RESULTS / "tagger.json") as file:
            json.dump(scored(options.tagger, options.data / "lmlm"), file, indent=1)
    text = PAGE.read_text(encoding="utf-8")
    with atomic_write(PAGE) as file:
        file.write(with_scores(text))


def scored(folder: Path, data: Path) -> dict[str, Any]:
    """Scores on both test splits, in the manner of each, and documents a second on two cores."""
    from lamlam.annotate.chat.annotator import estimate, open_client
    from lamlam.annotate.tagger.folder import OpenSettings
    from lamlam.annotate.tagger.tagger import Tagger

    results: dict[str, Any] = {}
    for name in GOLD:
        tagger = Tagger.open(folder, OpenSettings(manner=name))
        gold = [each for each in read_documents(data / f"{name}.json") if gold_split(each) is Split.TEST]
        results[name] = score(gold, tagger.annotate_many(gold)).as_json()
    texts = [each for each in read_documents(data / "wiki-1k_annotator.json") if gold_split(each) is not Split.TEST]
    long = [each for each in texts if len(each.text.split()) >= _WORDS][:_TIMED]
    documents = [AnnotatedDocument(each.id, " ".join(each.text.split()[:_WORDS]), (), each.title) for each in long]
    for precision in ("fp32", "int8"):
        tagger = Tagger.open(folder, OpenSettings.model_validate({"precision": precision, "threads": 2}))
        list(tagger.annotate_many(documents[:8]))
        started = time.perf_counter()
        list(tagger.annotate_many(documents))
        results[f"documents_a_second_{precision}"] = round(len(documents) / (time.perf_counter() - started), 1)
    training = json.loads((folder / "training.json").read_text("utf-8"))
    told = {"training": training["settings"], "encoder": training["encoder"], "words": _WORDS}
    told_by_chat = estimate(texts, open_client("any", None, None, {}))
    results["tokens_a_million_words"] = {
        "in": round(told_by_chat.tokens_in / told_by_chat.words * 1_000_000),
        "out": round(told_by_chat.tokens_out / told_by_chat.words * 1_000_000),
    }
    return results | Provenance(seed=training["settings"]["seed"], settings=told).as_json()


def with_scores(text: str) -> str:
    """The page with the table that the result files give."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def table() -> str:
    tagger, align, transfer = (
        json.loads((RESULTS / f"{name}.json").read_text("utf-8")) for name in ("tagger", "align", "transfer")
    )
    seconds = 1_000_000 / _WORDS / tagger["documents_a_second_fp32"]
    tokens = tagger["tokens_a_million_words"]
    rows = ["| `tagger`, on the test split of | " + " | ".join(GOLD.values()) + " |", "|---|---|---|"]
    rows += [f"| {told} | {_cell(tagger, measure)} |" for measure, told in MEASURES.items()]
    rows += [
        f"| documents | {' | '.join(str(tagger[name]['documents']) for name in GOLD)} |",
        "",
        "| | scores | speed on two cores | a million words cost |",
        "|---|---|---|---|",
        f"| `align` | {align['stated']['share']:.1%} of WebNLG's triples placed ([precision](#align)) | "
        f"{align['stated']['documents a second']:,} texts of WebNLG a second | seconds |",
        f"| `tagger` | above | {tagger['documents_a_second_fp32']} documents of {_WORDS} words a second "
        f"({tagger['documents_a_second_int8']} with int8) | {seconds / 60:.0f} minutes of two cores |",
        f"| `chat` | no model was asked yet | the server's | some {tokens['in'] / 1e6:.1f} million tokens in, "
        f"{tokens['out'] / 1e6:.1f} million out (estimated) |",
        "| `causal` | no large model was trained yet | the model's | not measured |",
        f"| moving a model's calls onto the text | {transfer['models']['wiki-1k_annotator']['moved']:,} of "
        f"{transfer['models']['wiki-1k_annotator']['proposed']:,} of the 8B annotator's, "
        f"{transfer['models']['squad-train1k_gpt4o']['moved']:,} of "
        f"{transfer['models']['squad-train1k_gpt4o']['proposed']:,} of GPT-4o's | "
        f"{transfer['models']['squad-train1k_gpt4o']['words_a_second']:,} words a second, one core | seconds |",
    ]
    return "\n".join([*rows, ""])


def _cell(tagger: dict[str, Any], measure: str) -> str:
    figures = [tagger[name][measure]["f1"] for name in GOLD]
    return " | ".join(f"{each['value']:.1%} ({each['low']:.0%} to {each['high']:.0%})" for each in figures)


if __name__ == "__main__":
    main()
