"""Token log-probabilities in the format of OpenAI's protocols.

Clients count tokens: they request a prompt's log-probabilities and skip as many tokens as their own tokenizer finds in
its beginning. The model reads the first word with a leading space, which may tokenize differently; the tokens reported
are the client's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lamlam.engine import Generation, TokenLogProb
from lamlam.serve.protocol import LogProbs
from lamlam.vocab import Kind, Vocabulary

__all__ = ["Spelled", "Speller", "log_probs_of"]


@dataclass(frozen=True, slots=True)
class Spelled:
    """A token's bytes, its log-probability (None if unknown), and the likeliest alternatives."""

    spelling: bytes
    log_prob: float | None
    top: Mapping[bytes, float]

    @property
    def text(self) -> str:
        return self.spelling.decode(errors="replace")


class Speller:
    """Spells the tokens of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary, self._bytes = vocabulary, vocabulary.token_bytes()

    def written(self, generation: Generation) -> Iterator[Spelled]:
        """Yield the visible tokens; those of calls aren't in the text."""
        chosen = zip(generation.kinds, generation.log_probs, strict=True)
        texts = [each for kind, each in chosen if kind is Kind.TEXT and each is not None]
        for place, each in enumerate(texts):
            spelled = self._spelled(each)
            if not place and spelled.spelling[:1] == b" " and not generation.text.startswith(" "):
                spelled = _without_space(spelled)  # the prompt ends with it
            yield spelled

    def prompt(self, generation: Generation, tokens: Sequence[int] | None) -> list[Spelled]:
        """Return the prompt's `tokens` as a client counts them (default: as the tokenizer splits the text).

        If the first ones differ from the model's, the last of them carries the log-probability of all.
        """
        read = generation.prompt_log_probs
        if tokens is None:
            tokens = self._tokens_of(generation.prompt) or [each.token for each in read]
        same = _same_at_the_end(tokens, [each.token for each in read])
        other, first = tokens[: len(tokens) - same], read[: len(read) - same]
        out = [Spelled(self._spelling(token), 0.0, {self._spelling(token): 0.0}) for token in other]
        if out and first:
            whole, spelling = sum(each.log_prob for each in first), out[-1].spelling
            out[-1] = Spelled(spelling, whole, self._top(first[0]) | {spelling: whole})
        out += map(self._spelled, read[len(read) - same :])
        if out:
            spelling = out[0].spelling
            opens = not other and not generation.prompt.startswith(" ")
            out[0] = Spelled(spelling.removeprefix(b" ") if opens else spelling, None, {})
        return out

    def _tokens_of(self, text: str) -> list[int] | None:
        """Tokenize a text as clients do; None if the tokens don't spell the text."""
        ids: list[int] = self._vocabulary.tokenizer(text, add_special_tokens=False).input_ids
        spelled = b"".join(map(self._spelling, ids))
        return ids if text.encode() == spelled else None

    def _spelled(self, each: TokenLogProb) -> Spelled:
        spelling = self._spelling(each.token)
        return Spelled(spelling, each.log_prob, self._top(each) | {spelling: each.log_prob})

    def _top(self, each: TokenLogProb) -> dict[bytes, float]:
        """The likeliest tokens; of two with the same spelling, the likelier."""
        return {self._spelling(token): log_prob for token, log_prob in reversed(each.top)}

    def _spelling(self, token: int) -> bytes:
        """A text token's bytes; none for `[bos]`, and the name of a control token."""
        if token == self._vocabulary.bos_id:
            return b""
        return self._bytes.get(token) or str(self._vocabulary.tokenizer.convert_ids_to_tokens(token)).encode()


def log_probs_of(tokens: Sequence[Spelled]) -> LogProbs:
    """Convert to the format of `/v1/completions`."""
    found, text = LogProbs(), b""
    for each in tokens:
        found.tokens.append(each.text)
        found.token_logprobs.append(each.log_prob)
        top = {spelling.decode(errors="replace"): log_prob for spelling, log_prob in each.top.items()}
        found.top_logprobs.append(None if each.log_prob is None else top)
        found.text_offset.append(len(text.decode(errors="ignore")))
        text += each.spelling
    return found


def _same_at_the_end(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common suffix of two sequences."""
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return length


def _without_space(spelled: Spelled) -> Spelled:
    bare = spelled.spelling.removeprefix(b" ")
    return Spelled(bare, spelled.log_prob, {**spelled.top, bare: spelled.log_prob or 0.0})
