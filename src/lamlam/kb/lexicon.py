"""Words that make or do not make a difference between two names. The rules that use them stand in `kb.similarity`."""

__all__ = [
    "CONFUSABLE",
    "FILLERS",
    "IRREGULAR",
    "LETTERS_BEYOND_ACCENTS",
    "OPPOSITES",
    "ORDINALS",
    "QUALIFIERS",
    "ROMAN",
    "VARIANTS",
]

# Words that relations carry or lack without a change of meaning. Prepositions are not among them: "Founded In" is a
# year or a place and "Founded By" a person.
# fmt: off
FILLERS = frozenset((
    "a", "an", "the", "of", "is", "was", "are", "were", "be", "been", "has", "have", "had",
))
# Words that turn a relation into another one where they stand on one side alone.
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
# Letters that lose no accent when decomposed.
LETTERS_BEYOND_ACCENTS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
)
# Letters and figures that look like Latin ones, as in Unicode's list of confusables: Cyrillic, Greek, figures.
CONFUSABLE = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408\u051a\u051c"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u0501\u051b\u051d\u04bb"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u03b1\u03b9\u03bd\u03bf\u03c1\u03c5\u0585\u057d\u0261\u0131"
    "Il1|0"
    "\u2018\u2019\u02bc\u2032"
    "\u2010\u2011\u2012\u2013\u2014\u2212",
    "ABEKMHOPCTYXSlJQWaeopcyxsijdqwhABEZHlKMNOPTYXaivopuougillllo''''------",
)
