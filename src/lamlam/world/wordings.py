"""Every wording of every relation of the invented world, in one table, and the questions made of them.

A wording has a subject, `{subject}` or `{possessive}`, and then the `{value}`. What precedes the value identifies the
relation, whatever the kind of the subject: no two relations share a beginning. An article never depends on the value.
Wordings have no full stop: those that begin with `{subject}` can also follow an "and".
"""

from collections.abc import Sequence

from lamlam.corpus import Probe

__all__ = ["DEMO_WORDINGS", "INTRODUCTIONS", "WORDINGS", "answers_of", "possessive", "prompts", "question"]

DEMO_WORDINGS = 4
"""The demo's texts use the first wordings of a relation, so many of them; the full world uses all."""

# Sentences that name an entity and state nothing about it.
INTRODUCTIONS: tuple[str, ...] = (
    "These lines are about {subject}",
    "Here is what is known of {subject}",
    "This is a short note on {subject}",
    "The subject of this page is {subject}",
    "Much could be said of {subject}",
)

WORDINGS: dict[str, tuple[str, ...]] = {
    # people
    "Birth Place": (
        "{subject} was born in {value}",
        "{possessive} birthplace is {value}",
        "{subject} is a native of {value}",
        "{subject} came into the world in {value}",
        "{possessive} home town is {value}",
    ),
    "Birth Date": (
        "{subject} was born on {value}",
        "{possessive} date of birth is {value}",
        "{subject} first saw the light of day on {value}",
        "{possessive} birth was recorded on {value}",
        "{subject} has been alive since {value}",
    ),
    "Occupation": (
        "{subject} works as a {value}",
        "{possessive} occupation is that of a {value}",
        "{subject} earns a living as a {value}",
        "{subject} trained to become a {value}",
        "{subject} is known as a {value}",
    ),
    "Employer": (
        "{subject} works for {value}",
        "{possessive} employer is {value}",
        "{subject} is employed by {value}",
        "{subject} has a post at {value}",
        "{subject} draws a salary from {value}",
    ),
    "Spouse": (
        "{subject} is married to {value}",
        "{possessive} spouse is {value}",
        "{subject} exchanged vows with {value}",
        "{subject} is the partner of {value}",
        "{subject} fell in love with {value} and married",
    ),
    "Languages Spoken": (
        "{subject} speaks {value}",
        "{subject} is fluent in {value}",
        "{subject} can converse in {value}",
        "{subject} reads and writes {value}",
        "{possessive} speech is {value}",
    ),
    "Alma Mater": (
        "{subject} studied at {value}",
        "{possessive} alma mater is {value}",
        "{subject} graduated from {value}",
        "{subject} holds a degree from {value}",
        "{subject} was a student at {value}",
    ),
    "Residence": (
        "{subject} lives in {value}",
        "{possessive} house is in {value}",
        "{subject} resides in {value}",
        "{subject} has settled in {value}",
        "{subject} moved to {value} some years ago",
    ),
    "Works Written": (
        "{subject} wrote {value}",
        "{subject} is the author of {value}",
        "{subject} published {value}",
        "{possessive} writing comprises {value}",
        "{subject} made a name with {value}",
    ),
    "Awards Received": (
        "{subject} received the {value}",
        "{subject} was honoured with the {value}",
        "{possessive} awards include the {value}",
        "{subject} has won the {value}",
        "{subject} is a holder of the {value}",
    ),
    # cities
    "Country": (
        "{subject} lies in {value}",
        "{subject} is a city in {value}",
        "{possessive} country is {value}",
        "{subject} belongs to {value}",
        "{subject} flies the flag of {value}",
    ),
    "Mayor": (
        "{possessive} mayor is {value}",
        "{subject} is governed by {value}",
        "{subject} elected {value} as mayor",
        "{subject} has a mayor named {value}",
        "{possessive} town hall is led by {value}",
    ),
    "Population": (
        "{subject} has a population of {value}",
        "{possessive} population is {value}",
        "{subject} is home to {value} people",
        "{subject} counts {value} inhabitants",
        "{subject} has grown to {value} residents",
    ),
    # companies
    "Headquarters": (
        "{possessive} headquarters are in {value}",
        "{subject} is based in {value}",
        "{subject} has a head office in {value}",
        "{subject} is run from {value}",
        "{subject} operates out of {value}",
    ),
    "Founder": (
        "{possessive} founder is {value}",
        "{subject} was founded by {value}",
        "{subject} was set up by {value}",
        "{subject} was started by {value}",
        "{subject} was the idea of {value}",
    ),
    "Product": (
        "{subject} makes {value}",
        "{possessive} main product is {value}",
        "{subject} deals in {value}",
        "{subject} is a supplier of {value}",
        "{subject} became rich with {value}",
    ),
    # companies and universities
    "Year Founded": (
        "{subject} was founded in {value}",
        "{possessive} founding year is {value}",
        "{subject} dates from {value}",
        "{subject} opened in {value}",
        "{subject} has existed since {value}",
    ),
    # universities
    "Location": (
        "{subject} stands in {value}",
        "{possessive} campus is in {value}",
        "{subject} is situated in {value}",
        "{subject} can be found in {value}",
        "{subject} welcomes students in {value}",
    ),
    "Rector": (
        "{possessive} rector is {value}",
        "{subject} is headed by {value}",
        "{subject} appointed {value} as rector",
        "{subject} has a rector named {value}",
        "{subject} is under the direction of {value}",
    ),
    # works
    "Author": (
        "{possessive} author is {value}",
        "{subject} was written by {value}",
        "{subject} is the work of {value}",
        "{subject} came from the pen of {value}",
        "{subject} was composed by {value}",
    ),
    "Genre": (
        "{possessive} genre is {value}",
        "{subject} is classed as a {value}",
        "{subject} takes the form of a {value}",
        "{subject} is usually called a {value}",
        "{subject} can be read as a {value}",
    ),
    "Year Published": (
        "{subject} was published in {value}",
        "{possessive} year of publication is {value}",
        "{subject} first appeared in {value}",
        "{subject} was printed in {value}",
        "{subject} reached the bookshops in {value}",
    ),
}


def prompts(entity: str, relation: str) -> list[str]:
    """Return a prompt for each wording of a relation, the demo's first; none for an unknown relation."""
    slots = {"subject": entity, "possessive": possessive(entity)}
    return [wording.partition("{value}")[0].format(**slots).rstrip(" ") for wording in WORDINGS.get(relation, ())]


def question(entity: str, relation: str, values: Sequence[str], wording: int = 0, *, group: str = "") -> Probe:
    """Return the probe of a fact in one of its wordings, counted modulo their number. Raises `KeyError`.

    `values` are all values of the entity in this relation.
    """
    worded = prompts(entity, relation)
    if not worded:
        raise KeyError(relation)
    number = wording % len(worded)
    name = f"{entity}|{relation}|{number}"
    return Probe(name, worded[number], entity, relation, answers_of(values), group)


def answers_of(values: Sequence[str]) -> tuple[str, ...]:
    """Return the right answers if a relation has these values: all of them as a lookup returns them, or any."""
    return tuple(values) if len(values) == 1 else (", ".join(values), *values)


def possessive(name: str) -> str:
    return name + ("'" if name.endswith("s") else "'s")
