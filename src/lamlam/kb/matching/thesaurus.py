"""General English about the words of which names of relations are made: what means the same, and what asks for what.

Written from general knowledge, not from any knowledge base, and deliberately coarse: it proposes, and the classifier
(`kb.matching.matcher`) weighs. How the words are used stands in `kb.matching.phrase`.
"""

__all__ = ["ANSWERS", "IDIOMS", "LIGHT", "SAME"]

# Words of one meaning in the names of relations, the first of a line standing for all. A word may stand in one line.
_GROUPS = """
birth born birthed nativity native
death died die dead dies deceased demise decease passed
found founded founding foundation founder cofounder cofounded established establish establishment inception creation
  created creator incorporated incorporation formed formation started origin originated instituted
build built building construct construction constructed erected builder constructor
complete completed completion finished
open opened opening inaugurated inauguration
close closed closing closure dissolved dissolution disbanded defunct abolished demolished ceased discontinued
begin began begins begun beginning start starts starting commence commenced commencement onset
end ended ends ending finish final expiry
write wrote written writer author authored authors penned
compose composed composer composition
direct directed director directing
produce produced producer production
publish published publisher publication publishing
release released
premiere premiered
perform performed performer performance singer artist
star starred starring stars cast actor featured
design designed designer architect designing
invent invented inventor invention
discover discovered discoverer discovery
develop developed developer development
make made maker manufacturer manufactured manufacture manufacturing
record recorded recording
label imprint
spouse wife husband married marriage partner wed consort
child children son daughter offspring kid issue
parent father mother
sibling brother sister
kin relative relation family
ancestor ancestry descent descended heritage lineage
occupation profession job career vocation trade
employ employed employer employment company workplace
position post office role rank
lead leader led head chief chairman chairperson leadership headed
president presidency
govern government governed governing ruler ruled rule reign reigned
manage manager managed management
coach coached trainer
own owned owner ownership proprietor
operate operated operator operates run
member membership belonged belongs belong
affiliation affiliated affiliate association associated
party political
religion religious faith denomination
nationality citizenship citizen national
ethnicity ethnic
language languages spoken tongue
educate educated education studied study attended attend schooling alma mater graduated graduate school college
  university
degree diploma
teach taught teacher teaching tutor mentor instructor
award awards prize prizes honor honour honored honours accolade won received
nominate nominated nomination
win winner winning victor victory champion
lose lost loser defeat defeated
population inhabitants residents people populace
area size surface extent acreage
length long
height tall altitude elevation high stature
width wide breadth
depth deep
weight mass heavy weighs
speed velocity fast
distance far away
locate location located lies situated site place where whereabouts position_of
capital
headquarters headquartered base based seat
reside residence resided lived lives home dwelling
country nation
state province
county district
city town municipality settlement
region territory
near proximity nearby close_to adjacent vicinity
border bordered borders bordering neighbour neighbouring
river stream
type kind class sort category classification variety classified
genre style
species taxon
name named called known title_of
alias pseudonym aka
nickname nicknamed sobriquet
mean meaning meant definition defined signifies stands
purpose function aim goal objective intended use used usage
cause caused reason due
result outcome effect consequence
influence influenced inspired inspiration inspiring
subject topic theme about concerning
member_of part component includes contain contained contains comprises consists
number count total amount quantity many tally
cost price budget expense
revenue income earnings turnover sales
currency money
language_of wording
sport game discipline
team club side squad
league division
season
appear appearances appearance caps played matches
goal goals scored score points
draft drafted
replace replaced replacement superseded succeed succeeded successor followed next
precede preceded predecessor previous before
join joined entered entry enrolled
leave left departed departure resigned retired retirement quit
appoint appointed appointment named_as
elect elected election
serve served service serving tenure term
military army
battle fought fight war
kill killed casualties fatalities deaths victims
attack attacked
bury buried burial interred resting
symbol emblem
color colour colored
material substance
date day year when time
last latest most_recent
describe described description
significance importance important relevance relevant
fame famous renown renowned notability
period era epoch timeframe age_of
former formerly old earlier previously prior
first debut earliest initial
language_family
translate translated translation translator
edit edited editor
illustrate illustrated illustrator
sponsor sponsored sponsorship
fund funded funding financed
acquire acquired acquisition bought purchased
sell sold sale
move moved relocated relocation migrated
travel travelled visited visit toured
participate participated participation competed competitor took
rank ranked ranking
rate rating rated
channel network broadcaster broadcast aired airing
host hosted presenter presented
episode episodes
character characters portrayed played_by
song single track
album
film movie
book novel
series show programme program
magazine journal newspaper periodical
law act legislation
religion_of
church parish
instrument instruments
voice voiced
lyrics lyricist
duration lasted runtime lasting
frequency often
age aged old
gender sex
habitat lives_in environment
diet eats food feeds
distribution range native_to found_in
mountain peak
station stop
road highway route
line railway
engine motor powerplant
vehicle car
ship vessel
aircraft plane
launch launched
commission commissioned
rename renamed former_name
convert converted conversion
register registered registration listed designated designation
protect protected
field discipline_of specialty specialization speciality expertise specialisation area_of
work_of works notable_work opus
theory
method technique
ally allied
enemy opponent rival opposed
dynasty house
throne crowned coronation accession ascended
"""

# Turns of phrase, and the word that they stand for.
IDIOMS = {
    "line of work": "occupation", "also known as": "alias", "also called": "alias", "other name": "alias",
    "alternative name": "alias", "alternate name": "alias", "claim to fame": "fame", "known for": "fame",
    "famous for": "fame", "noted for": "fame", "remembered for": "fame", "how long": "length", "how far": "distance",
    "far from": "distance from", "how tall": "height", "how high": "height", "how old": "age", "how big": "size",
    "how large": "size", "how heavy": "weight", "how deep": "depth", "how wide": "width", "how fast": "speed",
    "how many": "number of", "how often": "frequency", "how much": "amount", "passed away": "died",
    "above sea level": "elevation", "took place": "place", "takes place": "place", "taken over by": "acquired by",
    "made up of": "components", "composed of": "components", "consists of": "components", "member of": "affiliation",
    "belongs to": "affiliation", "part of": "affiliation", "in charge": "leader", "located in": "location",
    "situated in": "location", "length of time": "duration", "time span": "duration", "time period": "period",
    "time frame": "period", "came from": "origin", "comes from": "origin", "comes after": "successor",
    "comes before": "predecessor", "came after": "predecessor", "came before": "successor", "going by": "named",
    "head of": "leader", "grew up in": "raised", "brought up in": "raised", "sea level": "elevation",
    "year of age": "age", "native place": "birthplace", "job title": "position", "geographic location": "location",
    "geographical location": "location", "geographic position": "location", "first name": "given name",
}  # fmt: skip

# What a word says about the answer that is wanted. A word of `LIGHT` says nothing else.
_ANSWERS = {
    "date": "date year day when time month century decade era period inception",
    "place": "place location where site city town country region birthplace deathplace residence headquarters venue "
    "locality state province district county headquartered located destination hometown homeland situated lies burial",
    "person": "who founder author writer director composer producer designer architect owner leader president father "
    "mother spouse wife husband son daughter brother sister king queen ruler successor predecessor coach manager "
    "chairman ceo inventor discoverer editor actor singer artist creator teacher mentor governor mayor minister "
    "captain commander child parent sibling translator illustrator builder developer name",
    "number": "number count total amount many population percentage percent area length height width depth weight "
    "speed distance age cost price budget revenue size elevation altitude score points goals appearances caps "
    "capacity duration rate rating rank density quantity inhabitants attendance temperature proportion share",
}
ANSWERS = {kind: frozenset(words.split()) for kind, words in _ANSWERS.items()}
# fmt: off
LIGHT = frozenset((
    "date", "year", "day", "when", "time", "month", "place", "location", "where", "number", "count", "total", "amount",
    "many", "name", "who", "by", "in", "on", "at", "as", "for", "with", "which", "what", "s",
))
# fmt: on


def _same() -> dict[str, str]:
    words: dict[str, str] = {}
    first = ""
    for line in filter(None, _GROUPS.splitlines()):
        first = first if line.startswith(" ") else line.split()[0]
        for word in line.split():
            words.setdefault(word, first)
    return words


SAME = _same()
