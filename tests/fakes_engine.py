"""A knowledge base in a dictionary and a model that writes what it is told: decoding with every choice known."""

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from lamlam.engine import DecodingSettings, Engine
from lamlam.engine.cache import SlotCache
from lamlam.kb.fact import Fact, Resolution, Source, Status
from lamlam.markup import AnnotatedDocument, Call
from lamlam.vocab import Vocabulary, encode

TEXTS = [
    "Ada Lovelace was born in London. Alan Turing worked in logic at Bletchley Park near London.",
    "Birth Place, Work Place, field, unknown: the places where Ada and Alan lived, 1815 to 1954.",
]


def small_vocabulary() -> Vocabulary:
    return Vocabulary.train(TEXTS * 3, 340)


def random_llama(vocabulary: Vocabulary) -> LlamaForCausalLM:
    """A tiny model of random weights."""
    config = LlamaConfig(
        vocab_size=len(vocabulary) + 5,  # rows that stand for no token
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=160,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config)


class DictionaryFacts:
    """Exact names only; `nearest` returns the first fact there is."""

    def __init__(self, values: Mapping[tuple[str, str], str | Sequence[str]]) -> None:
        self.asked: list[list[tuple[str, str]]] = []
        self._facts: dict[tuple[str, str], tuple[Fact, ...]] = {}
        number = 0
        for (entity, relation), value in values.items():
            facts = []
            for text in [value] if isinstance(value, str) else value:
                number += 1
                facts.append(Fact(number, entity, relation, text, (Source(f"document {number}", 0, 9),)))
            self._facts[entity, relation] = tuple(facts)

    def lookup_many(self, pairs: Sequence[tuple[str, str]]) -> list[Resolution]:
        self.asked.append(list(pairs))
        return [self._resolve(*pair) for pair in pairs]

    def nearest(self, entity: str, relation: str) -> Resolution:
        first = next(iter(self._facts), None)
        if first is None:
            return Resolution(entity, relation, Status.UNKNOWN_ENTITY)
        return Resolution(entity, relation, Status.FUZZY, self._facts[first], 0.1)

    def entities_named(self, names: Sequence[str]) -> dict[str, str]:
        known = self._entities()
        return {name: name for name in names if name in known}

    def entities_starting(self, prefix: str, limit: int) -> list[str]:
        return sorted(name for name in self._entities() if name.startswith(prefix))[:limit]

    def relations_of(self, entity: str) -> list[str]:
        return [relation for name, relation in self._facts if name == entity]

    def _entities(self) -> set[str]:
        return {entity for entity, _ in self._facts}

    def _resolve(self, entity: str, relation: str) -> Resolution:
        if facts := self._facts.get((entity, relation)):
            return Resolution(entity, relation, Status.EXACT, facts, 1.0)
        known = entity in self._entities()
        return Resolution(entity, relation, Status.UNKNOWN_RELATION if known else Status.UNKNOWN_ENTITY)


Script = Callable[[list[int]], list[int]]  # all ids that a row can see -> next ids, best first


class ScriptedModel(nn.Module):
    """Logits follow a script over what each row sees: the ids that stand in its cache and are not masked.

    The ids are kept in the key-value cache itself, so that what is masked or selected there is what the script sees.
    """

    def __init__(self, script: Script, vocabulary: Vocabulary, context: int = 512) -> None:
        super().__init__()
        self.script = script
        self.config = LlamaConfig(
            vocab_size=len(vocabulary), max_position_embeddings=context, num_hidden_layers=1, num_attention_heads=1
        )
        self.device, self.dtype = torch.device("cpu"), torch.float

    def set_attn_implementation(self, name: str) -> None:
        """It has no attention."""

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        logits_to_keep: Tensor,
        slot_cache: int,
        **_: object,
    ) -> SimpleNamespace:
        new = torch.stack([input_ids, position_ids], dim=-1)[:, None].double()
        cache = SlotCache.numbered(slot_cache)
        layout = cache.layout
        seen, _values = cache.keep(0, new, new)  # [B, 1, W, 2]
        tokens = [(row, place) for row, length in enumerate(layout.lengths) for place in range(length)]
        rows = [
            seen[row, 0][layout.mask[row, 0, place] == 0].long().tolist()
            for row, place in (tokens[token] for token in logits_to_keep.tolist())
        ]
        return SimpleNamespace(logits=torch.stack([self._logits(row) for row in rows])[None])

    def _logits(self, seen: list[list[int]]) -> Tensor:
        ids, positions = [token for token, _ in seen], [position for _, position in seen]
        assert positions == list(range(len(ids))), "each token the model sees stands at the next position"
        logits = -torch.arange(self.config.vocab_size, dtype=torch.float) / 1000
        for rank, token in enumerate(self.script(ids)):
            logits[token] = 100 - rank
        return logits


def follow(*plans: Sequence[int]) -> Script:
    """Write on as the plans do that begin with what is seen, the first plan first."""

    def script(seen: list[int]) -> list[int]:
        matching = [plan[len(seen)] for plan in plans if list(plan[: len(seen)]) == seen and len(plan) > len(seen)]
        return list(dict.fromkeys(matching))

    return script


def planned(text: str, *calls: Call) -> AnnotatedDocument:
    return AnnotatedDocument("plan", text, calls)


def engine_that_writes(
    *plans: AnnotatedDocument,
    kb: DictionaryFacts,
    vocabulary: Vocabulary,
    context: int = 512,
    speculate: bool = True,
) -> Engine:
    """An engine whose model wants to write the first plan; where it may not, the next that fits."""
    script = follow(*(encode(plan, vocabulary).ids for plan in plans))
    model = ScriptedModel(script, vocabulary, context)
    return Engine(model, vocabulary, kb, speculate=speculate)  # type: ignore[arg-type]


FREE = DecodingSettings(entities="free", relations="free")
