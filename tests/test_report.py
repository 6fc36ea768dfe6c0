"""The report: complete, self-contained, and safe with whatever facts and texts hold."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fakes_evaluate import lookup, said
from lamlam.engine.generation import Lookup
from lamlam.errors import InputError
from lamlam.evaluate.results import Proportion
from lamlam.kb.fact import Fact, Resolution, Source, Status
from lamlam.report.report import write_report
from lamlam.report.trace import Passage, Statement, Trace, read_traces, trace, write_traces

HOSTILE = "<script>alert('facts are untrusted')</script>"


def share(hits: int, n: int, **more: object) -> dict[str, object]:
    return Proportion(hits, n).as_json("accuracy") | more


def change(**shares: tuple[int, int]) -> dict[str, object]:
    detail = {name: Proportion(*counts).as_json("share") for name, counts in shares.items()}
    return {name: each["share"] for name, each in detail.items()} | {"detail": detail}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a finished run, small and full of hostile text."""
    mentions = {"1": share(9, 10), "2-3": share(10, 10), "16+": share(5, 5)}
    results = {
        "lmlm": {
            "seen": share(96, 100, right_query=0.97),
            "unseen": share(93, 100, right_query=0.95),
            "by_mentions": mentions,
            "db_off": share(3, 200),
            "perplexity": {"static": 3.21, "normalized": 4.13, "dynamic": 3.37},
        },
        "standard": {"seen": share(7, 100), "unseen": share(1, 100), "by_mentions": mentions, "perplexity": 6.25},
        "edit": change(success=(50, 50), locality=(149, 150), reverted=(50, 50))
        | {"examples": [{"prompt": HOSTILE, "old": HOSTILE, "new": "b", "before": "a", "after": HOSTILE}]},
        "forget": change(survival=(0, 50), wrong_answer=(1, 50), collateral=(0, 150))
        | {"examples": [{"prompt": "c", "status": "forgotten", "before": "a", "after": HOSTILE}]},
        "seconds": {"lmlm": 251.4, "evaluation": 12.0, HOSTILE: 1.0},
    }
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    for arm in ("lmlm", "standard"):
        lines = [{"step": step, "tokens": 1000 * step, "loss": 3.0} for step in range(4)]
        for line in list(lines):
            for group in ("seen", "unseen"):
                figures = {"static": 5.0 - line["step"], "normalized": 6.0, "value_loss": 7.0, "stated_loss": 2.0}
                lines.append(line | {"group": group} | figures)
        (tmp_path / arm).mkdir()
        (tmp_path / arm / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


@pytest.fixture
def page(run: Path) -> str:
    text = f" Rome. He has {HOSTILE}."
    fact = Fact(1, HOSTILE, "Birth Place", "Rome", (Source("doc-1", 12, 16), Source(HOSTILE)))
    found = Resolution(HOSTILE, "Birth Place", Status.ALIAS, (fact,), 1.0)
    calls = (
        Lookup(HOSTILE, "Birth Place", found, "Rome", start=1, end=5),
        Lookup(HOSTILE, "Pets", Resolution(HOSTILE, "Pets", Status.UNKNOWN_RELATION), "unknown", start=13, end=13),
    )
    documents = {"doc-1": "Ada lives in Rome with <img src=x onerror=alert(1)>."[1:]}
    write_traces(run, [trace(said(f"{HOSTILE} was born in", text, *calls), documents)])
    write_report(run, run / "report.html")
    return (run / "report.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Every element of a page with its attributes, and whether they are nested well."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.found


def test_hostile_text_is_shown_and_never_run(page: str) -> None:
    tags = {tag for tag, _ in elements(page)}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link"}
    assert not any(name.startswith("on") for _, attributes in elements(page) for name in attributes)
    assert page.count("&lt;script&gt;alert(") >= 8
    assert "&lt;img src=x onerror" in page


def test_the_page_loads_nothing_from_elsewhere(page: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", page)
    for _, attributes in elements(page):
        for name in ("src", "href", "xlink:href", "srcset", "data"):
            assert (attributes.get(name) or "#").startswith("#")


def test_every_link_leads_to_a_place_on_the_page_and_no_id_stands_twice(page: str) -> None:
    ids = [attributes["id"] for _, attributes in elements(page) if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {
        attributes[name] for _, attributes in elements(page) for name in ("href", "xlink:href") if name in attributes
    }
    assert {target.removeprefix("#") for target in targets if target} <= set(ids)
    assert {"t1-1", "t1-2"} <= set(ids)


def test_the_headline_holds_the_runs_own_figures(page: str) -> None:
    for figure in (
        "96.0%",
        "93.0%",
        "7.0%",
        "1.5%",
        "4.13",
        "3.21",
        "3.37",
        "6.25",
        "97.0%",
        "99.3%",
        "2.0%",
        "4 min 11 s",
    ):
        assert figure in page


def test_the_better_arm_of_each_row_stands_out(page: str) -> None:
    best = re.findall(r'<td class="number best">([^<]*)', page)
    assert best == ["96.0%", "93.0%", "4.13", "3.21", "3.37"]


def test_all_figures_are_drawn_and_described(page: str) -> None:
    figures = [attributes for tag, attributes in elements(page) if tag == "figure"]
    assert [figure["id"] for figure in figures] == [
        "mentions",
        "lookups",
        "perplexity-over-training",
        "loss-on-values-over-training",
        "edits",
    ]
    assert page.count("<svg ") == 5
    for figure in figures:
        assert re.search(r"\d", figure["aria-label"] or "")
    assert "var(--lmlm)" in page
    assert "prefers-color-scheme: dark" in page


def test_a_statement_leads_to_its_fact_and_passage(page: str) -> None:
    assert '<mark class="alias">Rome</mark><sup id="t1-1-said"><a class="" href="#t1-1">1</a></sup>' in page
    assert "da lives in <mark>Rome</mark> with" in page
    assert "unknown relation" in page


def test_what_a_run_does_not_have_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"lmlm": {"seen": {"accuracy": 0.5}}}')
    write_report(tmp_path, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "50.0%" in page
    assert "Perplexity, static" not in page
    assert "Sources of a text's facts" not in page


def test_traces_survive_their_file(tmp_path: Path) -> None:
    passage = Passage("doc", "before ", "it", " after")
    kept = trace(said("p", " a.", lookup("E", "R", "a")), {})
    assert kept.statements[0].values == ("a",)
    traces = [
        kept,
        Trace("q", "", ()),
        Trace("r", " x", (Statement(0, 1, "exact", "e", "r", ("x",), (passage,)),)),
    ]
    write_traces(tmp_path, traces)
    assert read_traces(tmp_path) == traces
    assert read_traces(tmp_path / "nowhere") == []


def test_a_long_document_is_shown_around_the_span_by_whole_words() -> None:
    text = "word " * 100 + "Rome" + " word" * 100
    fact = Fact(1, "E", "R", "Rome", (Source("doc", 500, 504),))
    call = Lookup("E", "R", Resolution("E", "R", Status.EXACT, (fact,), 1.0), "Rome")
    (passage,) = trace(said("p", " Rome", call), {"doc": text}).statements[0].passages
    assert passage.marked == "Rome"
    assert passage.before.startswith("… word ")
    assert passage.after.endswith(" word …")
    assert len(passage.before) < 170


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("lmlm/metrics.jsonl", '{"tokens": 1}\n{"tok', r"metrics\.jsonl:2: is not JSON"),
        ("lmlm/metrics.jsonl", '{"step": 1}', "field 'tokens'"),
        ("traces.json", '[{"prompt": "x"}]', r"traces\.json: holds no traces"),
        ("results.json", "[]", "JSON object"),
    ],
)
def test_a_broken_file_is_told_by_name_and_leaves_no_page(run: Path, name: str, content: str, reason: str) -> None:
    (run / name).write_text(content)
    with pytest.raises(InputError, match=reason):
        write_report(run, run / "report.html")
    assert not (run / "report.html").exists()


def share_of(hits: int, n: int) -> dict[str, object]:
    return Proportion(hits, n).as_json("share")


def test_what_was_measured_besides_is_drawn_and_listed(run: Path) -> None:
    shares = {"full": (9, 10), "survival": (0, 9), "wrong_answer": (1, 9), "collateral": (0, 20)}
    detail = {"detail": {name: share_of(*counts) for name, counts in shares.items()}}
    edits = ("efficacy", "generalisation", "specificity", "consequence")
    step = {"seen": share(9, 10), "unseen": share(5, 10), "perplexity": {"normalized": 4.0, "dynamic": 3.0}}
    line = [[1000, 5.0], [2000, 4.5]]
    figures = {
        "memorisation": {
            "curves": {"masked": {"seen": line}, "unmasked": {"seen": line}},
            "floor_loss": {"seen": 4.2},
        },
        "offloading": {"steps": [{"policy": "random", "share": each / 2} | step for each in range(3)]},
        "audit": {"world": {"facts": 9, "model": detail, "model_nearest": detail}},
        "counterfact": {"steps": [{"edits": 1, "detail": {name: share_of(3, 4) for name in edits}}]},
        "tofu": {
            "points": [
                {"method": "forget", "forget_quality": 0.4, "utility": 0.0, "utility_on_retain": 0.5, "parts": {}}
            ]
        },
        "blimp": {"by_field": {"syntax": {"text": 0.6, "detail": {"text": share_of(6, 10)}}}, HOSTILE: 1.5},
        "popqa": {"skipped": HOSTILE},
    }
    entries = {
        name: {"task": name, "figures": each, "seed": 0, "settings": {"arm": "lmlm"}} for name, each in figures.items()
    }
    (run / "lmlm" / "results.json").write_text(json.dumps(entries))
    write_report(run, run / "report.html")
    page = (run / "report.html").read_text(encoding="utf-8")
    for name in ("offloading", "audit", "counterfact", "tofu", "language"):
        assert f'<figure id="{name}"' in page
    assert "What the weights learn about values" in page
    assert "skipped" in page
    assert "<script" not in page


def test_a_lone_run_has_a_report_from_what_was_measured_of_it(tmp_path: Path) -> None:
    entry = {"task": "completion", "settings": {"arm": "lmlm"}, "figures": {"all": share(1, 2), "seen": share(1, 2)}}
    (tmp_path / "results.json").write_text(json.dumps({"completion": entry}))
    write_report(tmp_path, tmp_path / "report.html")
    assert "50.0%" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="no results"):
        write_report(tmp_path / "nothing", tmp_path / "report.html")


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"memorisation": {"skipped": "models must be trained"}, "offloading": {"skipped": "models must be trained"}},
        {"memorisation": {"curves": {"masked": {}, "unmasked": {}}, "floor_loss": {}}, "offloading": {"steps": []}},
        {"memorisation": {"curves": {"masked": {"seen": []}, "unmasked": {}}, "floor_loss": {"seen": None}}},
    ],
)
@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
def test_a_run_without_models_trained_beside_it_has_no_drawings_of_them(
    run: Path, figures: dict[str, dict[str, object]]
) -> None:
    entries = {name: {"task": name, "figures": each, "settings": {"arm": "lmlm"}} for name, each in figures.items()}
    (run / "lmlm" / "results.json").write_text(json.dumps(entries))
    write_report(run, run / "report.html")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "What the weights learn about values" not in page
    assert '<figure id="offloading"' not in page
    assert '<figure id="lookups"' in page
