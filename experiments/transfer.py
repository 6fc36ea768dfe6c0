"""How many calls of language models can be moved onto the untouched text, and whether they come where they belong.

    python experiments/transfer.py            # a minute; writes docs/results/transfer.json

Two things are measured. Of the raw and cleaned outputs of real models: how many of their calls may stand in the
original text, and why the others may not. And of copies that are spoilt on purpose, made of the test split: how many
calls come to the very place from which they were taken, how many to another, and how many are lost.
"""

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamlam.annotate.score import Split, gold_split
from lamlam.annotate.transfer import QuotedCall, propose_quoted, transfer
from lamlam.annotate.vetting import Vetted, Vetting
from lamlam.corpus.lines import read_object
from lamlam.evaluate.results import Provenance
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument, dblookup
from lamlam.text import title_of

DATA = Path(os.environ.get("LAMLAM_DATA", "../shared/data")) / "lmlm"
FILES = ("squad-10_gpt4o_raw", "squad-30_annotator_raw", "squad-train1k_gpt4o", "wiki-1k_annotator")
OUT = Path("docs/results/transfer.json")
SEED = 0
_SENTENCES = re.compile(r"(?<=[a-z)\"]\.) (?=[A-Z\[])(?![^\[]*\])")  # not within calls


def main() -> None:
    real = {name: of_models(name) for name in FILES}
    pristine = [vetted.document for _, vetted in outputs(FILES[2]) if gold_split(vetted.document) == Split.TEST]
    spoilt = {name: of_spoilt(pristine, name) for name in (*FAULTS, "all at once", "list")}
    figures = {"models": real, "spoilt": spoilt, "provenance": Provenance(seed=SEED, settings={}).as_json()}
    with atomic_write(OUT) as out:
        json.dump(figures, out, indent=1)
        out.write("\n")
    for name, row in (real | spoilt).items():
        print(name, row)


def outputs(name: str) -> Iterator[tuple[str, Vetted]]:
    """What a model wrote, and what is left of it on the original text."""
    for index, example in enumerate(read_object(DATA / f"{name}.json").entries("examples")):
        text, copy = example.text("text"), example.text("annotated_text")
        yield copy, transfer(AnnotatedDocument(f"{name}-{index}", text, title=title_of(text)), copy)


def of_models(name: str) -> dict[str, Any]:
    started, proposed, moved, words, dropped = time.monotonic(), 0, 0, 0, Counter[str]()
    for copy, vetted in outputs(name):
        proposed += copy.count("dblookup(")
        moved += len(vetted.document.calls)
        words += len(vetted.document.text.split())
        dropped.update(reason.value for reason in vetted.dropped.elements())
    seconds = time.monotonic() - started
    return {"proposed": proposed, "moved": moved, "dropped": dict(dropped), "words_a_second": round(words / seconds)}


def of_spoilt(documents: list[AnnotatedDocument], fault: str) -> dict[str, int]:
    rng, counts = random.Random(SEED), Counter[str]()
    for number, document in enumerate(documents):
        other = documents[(number + 1) % len(documents)].text
        if fault == "list":
            found = listed(document, rng)
        else:
            sentences = _SENTENCES.split(dblookup.render(document))
            for each in FAULTS if fault == "all at once" else (fault,):
                sentences = FAULTS[each](sentences, other, rng)
            found = transfer(document, " ".join(sentences)).document
        right = set(found.calls) & set(document.calls)
        counts.update(calls=len(document.calls), right=len(right), elsewhere=len(found.calls) - len(right))
    return dict(counts)


def repeated(sentences: list[str], other: str, rng: random.Random) -> list[str]:
    return [*sentences, "assistant\n\n" + sentences[0], *sentences[1 : rng.randint(1, len(sentences))]]


def shortened(sentences: list[str], other: str, rng: random.Random) -> list[str]:
    return [sentence for sentence in sentences if rng.random() > 0.15] or sentences


def padded(sentences: list[str], other: str, rng: random.Random) -> list[str]:
    foreign = _SENTENCES.split(other)
    return [
        piece
        for sentence in sentences
        for piece in ((sentence, rng.choice(foreign)) if rng.random() < 0.2 else (sentence,))
    ]


def reworded(sentences: list[str], other: str, rng: random.Random) -> list[str]:
    """One word in twenty outside of calls becomes a word of another text."""
    foreign, spoilt = other.split(), []
    for sentence in sentences:
        depth, words = 0, []
        for word in sentence.split(" "):
            depth += word.count("[dblookup(")
            words.append(rng.choice(foreign) if depth == 0 and rng.random() < 0.05 else word)
            depth = 0 if word.endswith("]") else depth
        spoilt.append(" ".join(words))
    return spoilt


FAULTS = {"repeated": repeated, "sentences left out": shortened, "sentences added": padded, "words altered": reworded}


def listed(document: AnnotatedDocument, rng: random.Random) -> AnnotatedDocument:
    """The calls as a list, each with six words before it, of which one in twenty is altered."""
    quoted = []
    for call in document.calls:
        before = document.text[: call.at].split()[-6:]
        told = " ".join(word if rng.random() > 0.05 else "so" for word in before)
        quoted.append(QuotedCall(call.entity, call.relation, call.value, told))
    vetting = Vetting(replace(document, calls=()))
    propose_quoted(vetting, document.text, quoted)
    return vetting.result().document


if __name__ == "__main__":
    main()
