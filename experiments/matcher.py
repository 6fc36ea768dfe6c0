"""Train the classifier of relations that comes along: `python -m experiments.matcher`.

On the training part of the resolution benchmark alone: its entities, and its meanings of relations.
"""

import tempfile
from pathlib import Path

from benchmarks.resolution.data import REWORDINGS, load, part_of

from lamlam.kb import KnowledgeBase
from lamlam.kb.matching.mining import read_rewordings
from lamlam.kb.matching.training import train_on

OUT = Path(__file__).parent.parent / "src" / "lamlam" / "kb" / "matching" / "matcher.json"


def main() -> None:
    data = load()
    meanings = [each for each in read_rewordings(REWORDINGS) if part_of(each.names[0], "meaning") == "train"]
    facts = [t for entity, triples in data.held.items() if part_of(entity) == "train" for t in triples]
    with tempfile.TemporaryDirectory() as folder, KnowledgeBase.open(Path(folder) / "kb.sqlite", create=True) as kb:
        kb.add(facts)
        pairs = train_on(kb, OUT, meanings)
    print(f"{len(facts):,} facts, {len(meanings)} meanings, {pairs:,} pairs of names")


if __name__ == "__main__":
    main()
