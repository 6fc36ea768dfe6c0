"""A server whose model is known: it asks for facts of the entity that the prompt names, and says what comes back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from transformers import GenerationConfig

from fakes_engine import Script, ScriptedModel
from lamlam.engine import Engine, FactSource
from lamlam.kb import KnowledgeBase
from lamlam.serve.state import Served
from lamlam.vocab import Vocabulary

FACTS = [
    ("Ada Lovelace", "Birth Place", "London"),
    ("Ada Lovelace", "Work Place", "Bletchley Park"),
    ("Alan Turing", "Birth Place", "Maida Vale"),
]
TEXTS = [*(" ".join(fact) for fact in FACTS), "was born in and lived at, say: 0123456789."]


def words() -> Vocabulary:
    return Vocabulary.train(TEXTS * 3, 400)


def teller(vocabulary: Vocabulary, relations: Sequence[str], entities: Sequence[str]) -> Script:
    """Asks for each relation in turn of the first of `entities` that it reads, and says each value and a full stop."""
    stop = vocabulary.encode(".")
    names = [(vocabulary.encode(" " + name), vocabulary.encode(" " + name)) for name in entities]

    def script(seen: list[int]) -> list[int]:
        name = next((name for name, written in names if _holds(seen, written)), names[0][0])
        done = seen.count(vocabulary.end_id)
        last = max(
            (at for at, token in enumerate(seen) if token in (vocabulary.end_id, vocabulary.entity_id)), default=0
        )
        if seen[last] == vocabulary.entity_id and done < len(relations):  # within a call
            relation = vocabulary.encode(" " + relations[done])
            call = [*name, vocabulary.relation_id, *relation, vocabulary.return_id]
            return call[len(seen) - last - 1 :][:1]
        if seen[last] == vocabulary.end_id:  # behind one
            returned = max(at for at, token in enumerate(seen[:last]) if token == vocabulary.return_id)
            to_say = [*seen[returned + 1 : last], *stop]
            said = len(seen) - last - 1
            if said < len(to_say):
                return [to_say[said]]
        return [vocabulary.entity_id] if done < len(relations) else [vocabulary.eos_id]

    return script


def _holds(seen: list[int], written: list[int]) -> bool:
    return any(seen[at : at + len(written)] == written for at in range(len(seen)))


def served(
    kb: Path | str,
    relations: Sequence[str] = ("Birth Place",),
    *,
    documents: Path | None = None,
    source: Callable[[KnowledgeBase], FactSource] = lambda facts: facts,
) -> Served:
    """A served model of the name "teller", which asks `source` of the knowledge base.

    The knowledge base is made with `FACTS` where its file is missing.
    """
    if not Path(kb).exists() and "://" not in str(kb):
        with KnowledgeBase.open(kb, create=True) as made:
            made.add(FACTS)
    vocabulary = words()
    script = teller(vocabulary, relations, [entity for entity, _, _ in FACTS])

    @contextmanager
    def open_engine() -> Iterator[Engine]:
        with KnowledgeBase.open(kb) as facts:
            model = ScriptedModel(script, vocabulary)
            again = (lambda: source(KnowledgeBase.open(kb))) if "://" in str(kb) else None  # as a server does
            engine = Engine(model, vocabulary, source(facts), batch_size=8, open_source=again)  # type: ignore[arg-type]
            yield engine
            engine.close()

    config = GenerationConfig(max_new_tokens=64)
    return Served("teller", vocabulary, config, open_engine, kb, documents)
