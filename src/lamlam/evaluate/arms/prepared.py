"""A folder with what the arms are asked: prompts, facts, a knowledge base, examples, and positions without a fact.

It is made once from public data (`prepare`) and holds no model's answers.
"""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamlam.corpus import FactRecord, Probe
from lamlam.corpus.files import read_facts, write_facts
from lamlam.corpus.lines import read_entries, write_objects
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.arms.known import candidates
from lamlam.evaluate.arms.prompts import Passage, Prompt, cut_passages, part_of, plain_positions, questions
from lamlam.evaluate.arms.rows import answer
from lamlam.evaluate.arms.wikipedia import build_knowledge_base, read_passages
from lamlam.evaluate.completion import Generator
from lamlam.evaluate.outcome import Outcome

__all__ = ["Prepared", "from_probes", "prepare", "prepare_known"]

_EXAMPLES = 40  # of each group, to choose worked examples from
_PLAIN = 1000
_EXAMPLE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Prepared:
    """The folder, read."""

    folder: Path
    prompts: tuple[Prompt, ...]
    examples: tuple[Prompt, ...]
    plain: tuple[tuple[str, str], ...]
    facts: tuple[FactRecord, ...]

    @property
    def kb(self) -> Path:
        return self.folder / "kb.sqlite"

    @classmethod
    def read(cls, folder: Path) -> "Prepared":
        """Raises `InputError` for a folder that `prepare` did not finish."""
        if not (folder / "prompts.jsonl").exists():
            raise InputError("holds no prompts: prepare it first", path=folder)
        return cls(
            folder,
            tuple(map(Prompt.of, read_entries(folder / "prompts.jsonl"))),
            tuple(map(Prompt.of, read_entries(folder / "examples.jsonl"))),
            tuple((entry.text("text"), entry.text("part")) for entry in read_entries(folder / "plain.jsonl")),
            tuple(read_facts(folder / "facts.jsonl")),
        )

    @property
    def known_kb(self) -> Path:
        return self.folder / "known.sqlite"

    def known(self) -> tuple[list[Prompt], list[FactRecord]]:
        """Prompts about facts that the base knows, and the facts of their knowledge base. Raises `InputError`."""
        if not (path := self.folder / "known.jsonl").exists():
            raise InputError("holds no facts that a base knows: prepare it with a base", path=self.folder)
        return list(map(Prompt.of, read_entries(path))), list(read_facts(self.folder / "known.facts.jsonl"))

    def of(self, part: str) -> list[Prompt]:
        """The prompts of a part, "reported" or "calibration"."""
        return [prompt for prompt in self.prompts if prompt.part == part]


def prepare(wikipedia: Path, folder: Path) -> Prepared:
    """Make the folder from introductions and their facts, where it is not there; `prompts.jsonl` comes last."""
    if not (folder / "prompts.jsonl").exists():
        folder.mkdir(parents=True, exist_ok=True)
        dev, train = (passages := read_passages(wikipedia))["dev"], passages["train"]
        facts = [fact for passage in (*dev, *train) for fact in passage.facts]
        names = {passage.entity: passage.names for passage in (*dev, *train)}
        write_facts(facts, folder / "facts.jsonl")
        if not (folder / "kb.sqlite").exists():
            build_knowledge_base(facts, folder / "kb.sqlite")
        texts = list(cut_passages(dev, train))
        plain = plain_positions(dev, _PLAIN, seed=0)
        write_objects(({"text": text, "part": part_of(entity)} for entity, text in plain), folder / "plain.jsonl")
        write_objects((each.as_json() for each in _examples(train, names)), folder / "examples.jsonl")
        write_objects((each.as_json() for each in (*texts, *questions(texts, names))), folder / "prompts.jsonl")
    return Prepared.read(folder)


def prepare_known(pararel: Path, folder: Path, base: Generator, *, most: int = 200, seed: int = 0) -> list[Prompt]:
    """Ask a base about facts of ParaRel, and keep those in the folder that it states right without lookups.

    One wording a fact, `most` facts, as even over relations as they are known. `known.jsonl` comes last.
    """
    path = folder / "known.jsonl"
    if not path.exists():
        prompts, facts = candidates(pararel, seed)
        rows = answer(base, prompts, DecodingSettings(max_tokens=8, stop=("\n",), lookups=False))
        right = [prompt for prompt, row in zip(prompts, rows, strict=True) if row.outcome is Outcome.RIGHT]
        write_facts(facts, folder / "known.facts.jsonl")
        if not (folder / "known.sqlite").exists():
            build_knowledge_base(facts, folder / "known.sqlite")
        write_objects((prompt.as_json() for prompt in _evenly(right, most, seed)), path)
    return list(map(Prompt.of, read_entries(path)))


def _evenly(prompts: Sequence[Prompt], most: int, seed: int) -> list[Prompt]:
    """One prompt a fact, drawn in turn from each relation."""
    facts = list({(prompt.entity, prompt.relation): prompt for prompt in prompts}.values())
    random.Random(seed).shuffle(facts)
    turns: Counter[str] = Counter()
    ordered = []
    for prompt in facts:
        turns[prompt.relation] += 1
        ordered.append((turns[prompt.relation], prompt))
    return [prompt for _, prompt in sorted(ordered, key=lambda each: each[0])][:most]


def from_probes(probes: Sequence[Probe], facts: Sequence[FactRecord], group: str) -> list[Prompt]:
    """A corpus' probes of one of its groups as prompts; what else is true of an entity are its other facts."""
    values: dict[str, dict[str, None]] = {}
    for fact in facts:
        values.setdefault(fact.entity, {})[fact.value] = None
    return [
        Prompt(
            id=probe.id,
            text=probe.prompt,
            entity=probe.entity,
            relation=probe.relation,
            answers=probe.answers,
            others=tuple(value for value in values.get(probe.entity, ()) if value not in probe.answers),
            rest="",
            group=f"webnlg {probe.group}",
        )
        for probe in probes
        if probe.group == group
    ]


def _examples(train: Sequence[Passage], names: Mapping[str, Collection[str]]) -> list[Prompt]:
    """Short texts about entities that no prompt is about, cut before a determined fact, and the same as questions."""
    texts = [each for each in cut_passages(train[:3000], train) if len(each.text) < _EXAMPLE_CHARACTERS][:_EXAMPLES]
    return [*texts, *questions(texts, names)]
