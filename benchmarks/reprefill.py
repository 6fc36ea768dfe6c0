"""The baseline of the engine's benchmark: decoding with lookups as it is done without an engine for it.

The library's `generate` writes until a call asks for its value; the value is looked up and appended, and `generate`
begins again with everything written so far. One prompt at a time, for each stops elsewhere.
"""

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel

from lamlam.kb import KnowledgeBase
from lamlam.markup import UNKNOWN
from lamlam.vocab import Vocabulary, opened

__all__ = ["Written", "reprefill"]


class Written:
    """All ids of a continuation, its number of text tokens, and of lookups."""

    def __init__(self, ids: list[int]) -> None:
        self.ids, self.text_tokens, self.lookups = ids, 0, 0


def reprefill(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    kb: KnowledgeBase,
    prompt: str,
    max_tokens: int,
    processors: Sequence[LogitsProcessor] = (),
) -> Written:
    """Continue a prompt greedily by about `max_tokens` text tokens at most."""
    written = Written([vocabulary.bos_id, *vocabulary.encode(opened(prompt))])
    context = model.config.max_position_embeddings
    in_call = False
    while written.text_tokens < max_tokens and len(written.ids) < context:
        start = len(written.ids)
        written.ids = model.generate(
            torch.tensor([written.ids]),
            attention_mask=torch.ones(1, start, dtype=torch.long),
            max_new_tokens=min(max_tokens - written.text_tokens, context - start),
            do_sample=False,
            eos_token_id=[vocabulary.return_id, vocabulary.eos_id],
            pad_token_id=vocabulary.pad_id,
            logits_processor=LogitsProcessorList(processors),
        )[0].tolist()
        for token in written.ids[start:]:
            in_call = token == vocabulary.entity_id or (in_call and token != vocabulary.return_id)
            written.text_tokens += not in_call and token not in (vocabulary.return_id, vocabulary.eos_id)
        if written.ids[-1] == vocabulary.eos_id:
            break
        if written.ids[-1] == vocabulary.return_id:
            written.ids += [*vocabulary.encode(" " + _looked_up(written.ids, vocabulary, kb)), vocabulary.end_id]
            written.lookups += 1
    return written


def _looked_up(ids: list[int], vocabulary: Vocabulary, kb: KnowledgeBase) -> str:
    start = len(ids) - 1 - ids[::-1].index(vocabulary.entity_id) if vocabulary.entity_id in ids else 0
    query = ids[start + 1 : -1]
    middle = query.index(vocabulary.relation_id) if vocabulary.relation_id in query else len(query)
    entity, relation = vocabulary.decode(query[:middle]).strip(), vocabulary.decode(query[middle:]).strip()
    found = kb.lookup(entity, relation)
    return found.text if found.found else UNKNOWN
