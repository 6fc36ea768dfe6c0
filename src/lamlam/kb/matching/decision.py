"""From likelihoods to an answer: one relation, several that may be meant, or none."""

from collections.abc import Callable, Sequence

from lamlam.kb.matching.settings import MatchSettings

__all__ = ["decide"]


def decide(
    chances: Sequence[float], agree: Callable[[int, int], bool], settings: MatchSettings
) -> tuple[list[int], bool]:
    """The places of the relations that may be meant, the likeliest first, and whether the first is surely meant.

    It is where it is likely enough, and whatever comes close to it agrees with it.
    """
    order = sorted(range(len(chances)), key=lambda at: (-chances[at], at))
    if not order or chances[order[0]] < min(settings.relation, settings.relation_doubt):
        return [], False
    best = order[0]
    close = [at for at in order if chances[at] > chances[best] - settings.relation_margin]
    sure = chances[best] >= settings.relation and all(agree(best, at) for at in close[1:])
    return close, sure
