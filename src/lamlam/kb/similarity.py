"""When two names of relations, or of entities, say the same although they are spelled differently.

Strings only, exact and repeatable, and careful: one word that one side alone has makes another relation ("Capital" and
"Capital City", "Award" and "Award Year"), since a wrong value is worse than none. What to do with the scores is left to
`kb.resolve`.
"""

import re
import unicodedata
from collections import Counter
from itertools import permutations

from rapidfuzz.distance import DamerauLevenshtein

from lamlam.text import LETTERS_BEYOND_ACCENTS

__all__ = [
    "FILLERS",
    "IRREGULAR",
    "OPPOSITES",
    "ORDINALS",
    "QUALIFIERS",
    "ROMAN",
    "VARIANTS",
    "name_similarity",
    "relation_key",
    "relation_similarity",
    "relation_words",
    "stem",
]

# Words that relations carry or lack without a change of meaning. Prepositions are not among them: "Founded In" is a
# year or a place and "Founded By" a person.
# fmt: off
FILLERS = frozenset((
    "a", "an", "the", "of", "is", "was", "are", "were", "be", "been", "has", "have", "had",
))
# Words that make another relation if one side alone has them.
QUALIFIERS = frozenset((
    "former", "vice", "deputy", "assistant", "acting", "ex", "non", "not", "no", "without", "co", "sub", "honorary",
    "by", "in", "on", "at", "from", "to",
))
OPPOSITES = tuple(frozenset(pair) for pair in (
    ("start", "end"), ("begin", "end"), ("beginning", "end"), ("first", "last"), ("previous", "next"),
    ("predecessor", "successor"), ("preceded", "followed"), ("before", "after"), ("birth", "death"),
    ("born", "died"), ("minimum", "maximum"), ("min", "max"), ("largest", "smallest"), ("highest", "lowest"),
    ("earliest", "latest"), ("north", "south"), ("east", "west"), ("northern", "southern"), ("eastern", "western"),
    ("upper", "lower"), ("left", "right"), ("male", "female"), ("father", "mother"), ("son", "daughter"),
    ("brother", "sister"), ("husband", "wife"), ("actor", "actress"), ("opening", "closing"), ("opened", "closed"),
    ("home", "away"), ("winner", "loser"), ("win", "loss"), ("old", "new"), ("senior", "junior"),
    ("summer", "winter"), ("import", "export"), ("arrival", "departure"), ("parent", "child"),
    ("former", "current"), ("from", "to"), ("in", "by"), ("major", "minor"), ("internal", "external"),
    ("domestic", "international"),
))
_COUNTS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
)
_ROMANS = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv", "xv", "xvi")
# fmt: on
ORDINALS = {word: str(at % 10 + 1) for at, word in enumerate(_COUNTS)}
ROMAN = {numeral: str(number) for number, numeral in enumerate(_ROMANS, 1)}
IRREGULAR = {"series": "series", "species": "species", "news": "news", "children": "child", "people": "person"}
VARIANTS = (("isation", "ization"), ("centre", "center"), ("theatre", "theater"), ("programme", "program"))


_FILLER_WEIGHT = 0.1
_LEAST_IF_SAME = 0.9
_MOST_IN_DOUBT = 0.8
_SHORTEST_MISSPELLED_NAME = 6  # letters, without which too many names are one slip apart
_SHORTEST_MISSPELLED_WORD = 3
_LONG_NAME = 16
_COST_OF_A_SLIP = 0.05
_SHORTEST_SURNAME = 3
_SIGNS = "#%&*@♭"  # beside those of mathematics and money
_SIGNED = re.compile(r"[#%&*@+<=>|~$-]")
_MINUS = "−"


def relation_key(relation: str) -> str:
    """Equal for relations whose words have the same letters, as "Birthplace" and "Place of Birth" do."""
    return "".join(sorted("".join(_content(relation_words(relation)))))


def relation_similarity(a: str, b: str) -> float:
    """Return how far two names of relations consist of the same words, up to case, order, number, spelling and fillers.

    Above 0.85 if they share all words of content; at most 0.8 if one side has words that the other lacks; 0.0 if each
    side has such words, numbers differ, opposites meet, or a qualifier ("former", "vice") is added.
    """
    words_a, words_b = relation_words(a), relation_words(b)
    content_a, content_b = _content(words_a), _content(words_b)
    left_a, left_b = _left_over(content_a, content_b)
    left_a, left_b = _join_compounds(left_a, left_b)
    left_b, left_a = _join_compounds(left_b, left_a)
    size = len(content_a) + len(content_b)
    if not content_a or not content_b or (left_a and left_b) or _opposed(content_a, content_b):
        return 0.0
    left = {*left_a, *left_b}
    if left & QUALIFIERS or any(word[0].isdigit() for word in left):
        return 0.0
    if left:
        return min(_MOST_IN_DOUBT, (size - len(left_a) - len(left_b)) / size)
    fillers = abs(len(words_a) - len(content_a) - len(words_b) + len(content_b))
    return max(_LEAST_IF_SAME, size / (size + _FILLER_WEIGHT * fillers))


def name_similarity(asked: str, held: str) -> float:
    """Return how likely a normalised name that is asked for means one that is held, from 0.0 to 1.0.

    0.0 if the difference is one that tells entities apart: a sign, a number or numeral, an opposite, a word more or
    less, a short or strongly changed word, or a change that makes another word of the language, as no slip would.
    """
    if not _same_signs(asked, held):
        return 0.0
    words_a, words_b = _name_words(asked), _name_words(held)
    if _abbreviated(words_a, words_b):
        return 0.95
    if not words_a or not words_b or _numerals(words_a) != _numerals(words_b) or _opposed(words_a, words_b):
        return 0.0
    if words_a == words_b:
        return 0.99
    if sorted(word for word in words_a if word != "the") == sorted(word for word in words_b if word != "the"):
        return 0.98 if ("," in asked) != ("," in held) else 0.96
    if "".join(words_a) == "".join(words_b):
        return 0.97
    if len(words_a) != len(words_b):
        return 0.0
    return _misspelled_name(words_a, words_b)


def relation_words(relation: str) -> list[str]:
    """Return the words of a relation's name in lower case: split at spaces, signs, underscores, digits and in
    camelCase."""
    text = unicodedata.normalize("NFKC", relation)
    words: list[str] = []
    word = ""
    for at, sign in enumerate(text):
        if sign in "'’\\":
            continue
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        if word and (not _belongs(sign) or _starts_word(before, sign, after)):
            words.append(word)
            word = ""
        if _belongs(sign):
            word += sign
    words += [word] if word else []
    return [word.casefold() for word in words]


def _belongs(sign: str) -> bool:
    return sign.isalnum() or unicodedata.category(sign).startswith("M")


def _starts_word(before: str, sign: str, after: str) -> bool:
    """Whether a capital or a digit begins a new word: birth|Place, GDP|Nominal, runway|1."""
    if sign.isupper():
        return before.islower() or before.isdigit() or (before.isupper() and after.islower())
    return sign.isdigit() and before.isalpha()


def _content(words: list[str]) -> list[str]:
    """Return the words that carry meaning, in one form each. A closing "of" turns a relation round and is kept."""
    kept = [word for at, word in enumerate(words) if word not in FILLERS or (word == "of" and at == len(words) - 1)]
    return [stem(word) for word in kept]


def stem(word: str) -> str:
    """Return one form for singular and plural, British and American, first and 1st."""
    if word in ORDINALS or word in IRREGULAR:
        return ORDINALS.get(word) or IRREGULAR[word]
    if word[0].isdigit():
        return word.rstrip("stndrh") or word
    for british, american in VARIANTS:
        word = word.replace(british, american)
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word[:-3] + "or" if len(word) > 5 and word.endswith("our") else word


def _left_over(a: list[str], b: list[str]) -> tuple[list[str], list[str]]:
    count_a, count_b = Counter(a), Counter(b)
    return list((count_a - count_b).elements()), list((count_b - count_a).elements())


def _join_compounds(a: list[str], b: list[str]) -> tuple[list[str], list[str]]:
    """Remove each word of `a` that is two words of `b` written as one: birthplace, birth + place."""
    rest_a, rest_b = [], list(b)
    for word in a:
        pair = next((pair for pair in permutations(rest_b, 2) if pair[0] + pair[1] == word), None)
        if pair is None:
            rest_a.append(word)
        else:
            for part in pair:
                rest_b.remove(part)
    return rest_a, rest_b


def _opposed(a: list[str], b: list[str]) -> bool:
    only_a, only_b = set(a) - set(b), set(b) - set(a)
    return any((pair & only_a) and (pair & only_b) for pair in OPPOSITES)


def _name_words(norm: str) -> list[str]:
    """Return the words of a name without accents, signs and a leading "the"."""
    plain = "".join(sign for sign in unicodedata.normalize("NFD", norm) if unicodedata.category(sign) != "Mn")
    plain = plain.translate(LETTERS_BEYOND_ACCENTS).replace("'", "").replace("’", "")
    words = "".join(sign if sign.isalnum() else " " for sign in plain).split()
    return words[1:] if len(words) > 1 and words[0] == "the" else words


def _same_signs(asked: str, held: str) -> bool:
    """Whether two names have the same signs in the same words: "C#" differs from "C", and "A+" from "A-"."""
    signed_a, signed_b = _signed_words(asked), _signed_words(held)
    return sorted(signed_a) == sorted(signed_b) or "".join(asked.split()) == "".join(held.split())


def _signed_words(norm: str) -> list[str]:
    """Return the words of a name with a sign that is part of the name, not punctuation."""
    if norm.isascii() and not _SIGNED.search(norm):
        return []
    signed = []
    for word in norm.split():
        plain = "".join("-" if unicodedata.category(sign) == "Pd" or sign == _MINUS else sign for sign in word)
        counting = [at for at, sign in enumerate(plain) if _counts(plain, at)]
        if counting:
            signed.append("".join(sign for at, sign in enumerate(plain) if sign.isalnum() or at in counting))
    return signed


def _counts(word: str, at: int) -> bool:
    """Whether a sign is part of a name: any but punctuation; a hyphen at the end of a word, or beside a digit."""
    sign, before, after = word[at], word[at - 1 : at], word[at + 1 : at + 2]
    if sign == "-":
        ends = not before or not after or "-" in (before, after)
        return len(word) > 1 and (ends or before.isdigit() or after.isdigit())
    return sign in _SIGNS or unicodedata.category(sign) in ("Sm", "Sc")


def _numerals(words: list[str]) -> list[str]:
    """Return everything that counts in a name: digits, numerals, ordinals, and the generations of a family."""
    found = []
    for word in words:
        if any(sign.isdigit() for sign in word):
            found.append(word.rstrip("stndrh") if word[0].isdigit() else word)
        elif word in ROMAN or word in ORDINALS or word in ("jr", "sr", "junior", "senior"):
            found.append(ROMAN.get(word) or ORDINALS.get(word) or word[0] + word[-1])
    return sorted(found)


def _abbreviated(asked: list[str], held: list[str]) -> bool:
    """Whether all words but the last, which is the same, are initials of the others: M. Curie, Marie Curie."""
    if len(asked) < 2 or len(asked) != len(held) or asked[-1] != held[-1] or len(asked[-1]) < _SHORTEST_SURNAME:
        return False
    return all(len(a) == 1 < len(b) and b[0] == a and b.isalpha() for a, b in zip(asked[:-1], held[:-1], strict=True))


def _misspelled_name(asked: list[str], held: list[str]) -> float:
    slips = 0
    for a, b in zip(asked, held, strict=True):
        if a != b:
            made = _slips(a, b)
            if not made:
                return 0.0
            slips += made
    letters = sum(map(len, held))
    most = 2 if letters >= _LONG_NAME else 1
    return 1.0 - _COST_OF_A_SLIP * slips if letters >= _SHORTEST_MISSPELLED_NAME and slips <= most else 0.0


def _slips(asked: str, held: str) -> int:
    """Return how many slips make one word of another; 0 if it is more likely another word."""
    if min(len(asked), len(held)) < _SHORTEST_MISSPELLED_WORD or asked[0] != held[0]:
        return 0
    from lamlam.kb.matching.words import is_word

    slips = DamerauLevenshtein.distance(asked, held)
    return 0 if slips > 2 or is_word(asked) else slips
