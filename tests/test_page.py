"""The page in a browser, against a real server: from the first question to the certificate, by mouse and by keys."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from fakes_serve import served
from lamlam.kb import KnowledgeBase
from lamlam.kb.fact import Source
from lamlam.serve.access import Access, Role
from lamlam.serve.app import build_app

PATIENCE = 20_000  # milliseconds, for a machine that is busy with other tests
CHROMIUM = Path("/usr/bin/chromium")
PAGE = Path(__file__).resolve().parents[1] / "src" / "lamlam" / "serve" / "page"
# Letters beyond the first 65,536 stand before each span: Python counts them once, JavaScript twice.
PASSAGE = "𝔄𝔡𝔞: Ada Lovelace was born in London, and worked at Bletchley Park."
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
ADA = "Ada Lovelace was born in"
"""A prompt after which the model asks for two facts."""


class Served:
    """A server in a thread, with tokens, its knowledge base and what its page complained of."""

    def __init__(self, folder: Path, *, open_reads: bool = True) -> None:
        folder.mkdir(exist_ok=True)
        self.kb = folder / "kb.sqlite"
        self._documents(folder / "documents.jsonl")
        access = Access(folder / "tokens.json", open_reads=open_reads)
        self.tokens = {role: access.create(f"{role}-of-tests", role) for role in Role}
        app = build_app(served(self.kb, ("Birth Place", "Work Place"), documents=folder / "documents.jsonl"), access)
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run)

    def _documents(self, path: Path) -> None:
        path.write_text(json.dumps({"id": "lovelace", "text": PASSAGE}) + "\n")
        at = {value: PASSAGE.index(value) for value in ("London", "Bletchley Park")}
        with KnowledgeBase.open(self.kb, create=True) as kb, kb.transaction("founder", "the beginning"):
            for relation, value in (("Birth Place", "London"), ("Work Place", "Bletchley Park")):
                source = Source("lovelace", at[value], at[value] + len(value))
                kb.add([("Ada Lovelace", relation, value)], source=source)
            kb.add([("Alan Turing", "Birth Place", "Maida Vale")])

    def __enter__(self) -> "Served":
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            self._thread.join(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. A test that asks for it is skipped where it is missing, but never in CI."""
    if not CHROMIUM.exists():
        told = "Chromium is not installed (Debian: apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as running:
        yield running


Opener = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, server: Served) -> Iterator[Opener]:
    """Opens the page. At the end of the test the browser must not have complained of anything."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_it(hash: str = "", role: Role | None = None, *, of: Served = server, **settings: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"} | settings)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.goto(of.url + (f"#token={of.tokens[role]}" if role else hash))
        if role and hash:
            page.evaluate("hash => { location.hash = hash }", hash)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def ask(page: Page, prompt: str = ADA) -> None:
    page.get_by_label("Start a text").fill(prompt)
    page.get_by_role("button", name="Write", exact=True).click()
    written(page)


def written(page: Page) -> None:
    expect(page.locator(".answer")).not_to_have_count(0)
    expect(page.locator(".writing")).to_have_count(0)


def give_token(page: Page, token: str) -> None:
    dialog = page.get_by_role("dialog", name="Token required")
    dialog.get_by_label("Token").fill(token)
    dialog.get_by_role("button", name="Use token").click()
    expect(dialog).to_be_hidden()


def panel(page: Page) -> Any:
    return page.get_by_role("complementary")


def test_from_the_first_question_to_the_certificate(open_page: Opener, server: Served) -> None:
    page = open_page()
    page.get_by_role("group", name="Examples").get_by_role("button", name=ADA).click()
    written(page)
    expect(page.locator(".answer .text")).to_have_text(f"{ADA} London. Bletchley Park.")
    assert page.locator(".answer .fact.found[role]").all_text_contents() == ["London", "Bletchley Park"]

    page.get_by_role("button", name="London: Birth Place of Ada Lovelace, found").click()
    aside = panel(page)
    expect(aside.get_by_role("heading", name="Birth Place of Ada Lovelace")).to_be_focused()
    expect(aside.locator("blockquote mark")).to_have_text("London")
    expect(aside.locator("blockquote")).to_have_text(PASSAGE)
    expect(aside).to_contain_text("Correcting and retracting require an editor's token.")

    aside.get_by_role("button", name="Correct").click()
    aside.get_by_label("Correct value").fill("Marylebone")
    aside.get_by_label("Source document").fill("lovelace")
    aside.get_by_label("Reason").fill("read it again")
    aside.get_by_role("button", name="Save").click()
    give_token(page, server.tokens[Role.EDITOR])
    expect(aside.locator(".value")).to_have_text("Marylebone")
    expect(aside.locator(".timeline li")).to_have_count(2)
    expect(aside.locator("blockquote")).to_have_text(PASSAGE)

    page.get_by_role("button", name="Ask again").first.click()
    written(page)
    before, now = page.locator(".answer").nth(0), page.locator(".answer").nth(1)
    expect(before.locator("del")).to_have_text("London")
    expect(now.locator("ins")).to_have_text("Marylebone")
    expect(now.locator(".text")).to_have_text(f"{ADA} Marylebone. Bletchley Park.")

    now.get_by_role("button", name="Marylebone").click()
    aside.get_by_role("button", name="Forget").click()
    dialog = page.get_by_role("dialog", name="Forget permanently")
    expect(dialog.locator(".closure")).to_contain_text("2 facts would be erased")  # the former value goes as well
    dialog.get_by_label("Reason").fill("she asked for it")
    dialog.get_by_role("button", name="Forget 2 facts permanently").click()
    give_token(page, server.tokens[Role.ERASER])
    done = page.get_by_role("dialog", name="Forgotten")
    expect(done.locator(".seal")).to_have_text("Erased; no trace found in the files")
    with page.expect_download() as download:
        done.get_by_role("button", name="Download the certificate").click()
    certificate = json.loads(download.value.path().read_text())
    assert certificate["clean"]
    assert len(certificate["facts"]) == 2
    done.get_by_role("button", name="Close").click()

    page.get_by_role("button", name="Ask again").last.click()
    written(page)
    now = page.locator(".answer").nth(1)
    expect(now.locator(".text")).to_have_text(f"{ADA} unknown. Bletchley Park.")
    expect(now.locator(".fact.forgotten[role]")).to_have_text("unknown")
    with KnowledgeBase.open(server.kb) as kb:
        assert [(each.actor, each.reason) for each in kb.log()][-2:] == [
            ("editor-of-tests", "read it again"),
            ("eraser-of-tests", "she asked for it"),
        ]


def test_an_answer_can_be_asked_of_a_former_revision(open_page: Opener, server: Served) -> None:
    with KnowledgeBase.open(server.kb) as kb:
        former = kb.revision
        kb.edit(1, value="Marylebone")
    page = open_page()
    page.get_by_text("Settings").click()
    page.get_by_label("Use facts as of revision").fill(str(former))
    ask(page)
    expect(page.locator(".answer .text")).to_contain_text("London")
    page.get_by_role("button", name="Ask again").click()
    written(page)
    expect(page.locator(".answer").nth(1).locator("ins")).to_have_text("Marylebone")


def test_marks_stand_where_the_server_counts_in_characters(open_page: Opener, server: Served) -> None:
    with KnowledgeBase.open(server.kb) as kb:
        kb.edit(1, value="𝔏𝔬𝔫𝔡𝔬𝔫")
    page = open_page()
    ask(page)
    assert page.locator(".answer .fact[role]").all_text_contents() == ["𝔏𝔬𝔫𝔡𝔬𝔫", "Bletchley Park"]


def test_a_fact_that_was_missing_can_be_added_where_the_answer_lacks_it(open_page: Opener, server: Served) -> None:
    page = open_page(role=Role.EDITOR)
    ask(page, "Alan Turing was born in")
    mark = page.get_by_role("button", name="unknown: Work Place of Alan Turing, unknown relation")
    expect(mark).to_have_text("unknown")
    mark.click()
    panel(page).get_by_label("Value").fill("Bletchley Park")
    panel(page).get_by_role("button", name="Add the fact").click()
    page.get_by_role("button", name="Ask again").first.click()
    written(page)
    expect(page.locator(".answer").nth(1).locator(".text")).to_contain_text("Maida Vale. Bletchley Park.")


def test_a_link_with_a_token_is_taken_out_of_the_address(open_page: Opener) -> None:
    page = open_page(role=Role.ERASER)
    expect(page.locator("#access")).to_have_text("eraser-of-tests (eraser)")
    assert "token" not in page.url
    page.reload()
    expect(page.locator("#access")).to_have_text("eraser-of-tests (eraser)")


def test_each_view_has_an_address_and_back_goes_back(open_page: Opener) -> None:
    page = open_page()
    navigation = page.get_by_role("navigation", name="Views")
    for view in ("Facts", "Log", "Write"):
        navigation.get_by_role("link", name=view).click()
        expect(navigation.locator("[aria-current=page]")).to_have_text(view)
        expect(page.locator("main > section:visible")).to_have_id(f"view-{view.lower()}")
    page.go_back()
    expect(page.locator("main > section:visible")).to_have_id("view-log")
    assert page.title() == "Log · LamLam"


def test_facts_are_found_by_the_beginning_of_a_name(open_page: Opener) -> None:
    page = open_page("#facts")
    expect(page.locator("#facts-found")).to_have_text("3 facts.")
    box = page.get_by_role("combobox", name="Entity")
    box.press_sequentially("ada")
    expect(page.get_by_role("listbox").get_by_role("option")).to_have_text(["Ada Lovelace"])
    box.press("ArrowDown")
    box.press("Enter")
    expect(page.locator("#facts-found")).to_have_text("2 facts.")
    page.get_by_label("Value contains").fill("Bletchley")
    page.get_by_label("Value contains").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#facts-found")).to_have_text("3 facts.")
    page.get_by_label("Source document", exact=True).fill("lovelace")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_facts_are_edited_added_and_given_other_names(open_page: Opener, server: Served) -> None:
    page = open_page("#facts", Role.EDITOR)
    page.get_by_role("button", name="Edit Birth Place of Alan Turing").click()
    page.get_by_label("Correct value").fill("Warrington Crescent")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#facts-table")).to_contain_text("Warrington Crescent")

    page.get_by_text("Add a fact").click()
    for label, text in (("Entity", "Grace Hopper"), ("Relation", "Birth Place"), ("Value", "New York")):
        page.locator("#add").get_by_label(label, exact=True).fill(text)
    page.locator("#add").get_by_role("button", name="Add the fact").click()
    expect(page.locator("tbody tr")).to_have_count(4)

    page.get_by_role("link", name="Grace Hopper").click()
    page.get_by_label("Another name").fill("Amazing Grace")
    page.get_by_role("button", name="Add the name").click()
    expect(page.locator(".names")).to_have_text("Amazing Grace")
    with KnowledgeBase.open(server.kb) as kb:
        assert kb.lookup("Amazing Grace", "Birth Place").values == ("New York",)
        assert kb.lookup("Alan Turing", "Birth Place").values == ("Warrington Crescent",)


def test_a_spreadsheet_is_tried_before_it_is_applied(open_page: Opener, server: Served, tmp_path: Path) -> None:
    page = open_page("#facts", Role.EDITOR)
    page.get_by_text("Edit many facts").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    text = download.value.path().read_text().replace("London", "Marylebone") + ",Grace Hopper,Birth Place,New York\n"
    page.get_by_label("Edited CSV file").set_input_files(
        {"name": "facts.csv", "mimeType": "text/csv", "buffer": text.encode()}
    )
    page.get_by_role("button", name="Preview changes").click()
    changes = page.locator("#csv-changes")
    expect(changes.locator("tbody tr")).to_have_count(2)
    expect(changes.locator("tr", has_text="Fact 1")).to_contain_text("Birth Place of Ada Lovelace")
    expect(changes.locator("del")).to_have_text("London")
    expect(changes.locator("ins")).to_have_text(["Marylebone", "New York"])
    with KnowledgeBase.open(server.kb) as kb:
        before = kb.revision
        assert kb.lookup("Ada Lovelace", "Birth Place").values == ("London",)
        changes.get_by_label("Reason").fill("a spreadsheet")
        changes.get_by_role("button", name="Apply 2 changes").click()
        expect(page.locator("#facts-table")).to_contain_text("Marylebone")
        assert kb.revision == before + 1
        assert kb.lookup("Grace Hopper", "Birth Place").values == ("New York",)


def test_the_log_tells_who_and_why_and_takes_changes_back(open_page: Opener, server: Served) -> None:
    with KnowledgeBase.open(server.kb) as kb:
        kb.edit(1, value="Marylebone", actor="byron", reason="a guess")
        kb.forget(3, actor="byron")
    page = open_page("#log", Role.EDITOR)
    edit = page.locator("#revisions > li", has_text="a guess")
    expect(edit).to_contain_text("by byron")
    edit.locator("summary").click()
    expect(edit.locator(".inside")).to_contain_text("Marylebone")
    expect(edit.locator(".inside")).to_contain_text("London")
    edit.get_by_role("button", name="Undo").click()
    edit.get_by_label("Reason").fill("it was right")
    edit.get_by_role("button", name="Undo").last.click()
    expect(page.locator("#revisions > li").first).to_contain_text("by editor-of-tests")
    expect(page.locator("#revisions > li").first).to_contain_text("it was right")
    with KnowledgeBase.open(server.kb) as kb:
        assert kb.lookup("Ada Lovelace", "Birth Place").values == ("London",)

    page.locator("#certificates summary").click()
    expect(page.locator("#certificates")).to_contain_text("Erased; no trace found in the files")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the certificate").click()
    assert json.loads(download.value.path().read_text())["facts"] == [3]


def test_all_of_an_entity_is_forgotten_from_the_table(open_page: Opener, server: Served) -> None:
    page = open_page("#facts?entity=Ada%20Lovelace", Role.ERASER)
    page.get_by_role("button", name="Forget everything about Ada Lovelace").click()
    page.get_by_role("button", name="Forget 2 facts permanently").click()
    page.get_by_role("dialog", name="Forgotten").get_by_role("button", name="Close").click()
    expect(page.locator("#facts-found")).to_have_text("No matching facts.")
    assert b"Lovelace" not in server.kb.read_bytes()


def test_what_tells_of_an_entity_is_ticked_to_go_with_it(open_page: Opener, server: Served) -> None:
    with KnowledgeBase.open(server.kb) as kb:
        kb.add([("Somerville College", "Pupil", "ada  lovelace")])
    page = open_page("#facts?entity=Ada%20Lovelace", Role.ERASER)
    page.get_by_role("button", name="Forget everything about Ada Lovelace").click()
    dialog = page.get_by_role("dialog", name="Forget permanently")
    expect(dialog).not_to_contain_text("null")
    expect(dialog).to_contain_text("Pupil of Somerville College (names it as its value)")
    dialog.get_by_label("Facts with this entity as their value (1)").click()  # its label changes with it
    page.get_by_role("button", name="Forget 3 facts permanently").click()
    page.get_by_role("dialog", name="Forgotten").get_by_role("button", name="Close").click()
    assert b"lovelace" not in server.kb.read_bytes().lower()


def test_many_facts_come_in_pages(open_page: Opener, server: Served) -> None:
    with KnowledgeBase.open(server.kb) as kb:
        kb.add([("Ada Lovelace", "Number", f"number {n}") for n in range(60)])
    page = open_page("#facts?relation=Number")
    expect(page.locator("#facts-found")).to_have_text("50 facts, more available.")
    page.get_by_role("button", name="More").click()
    expect(page.locator("#facts-found")).to_have_text("Page 2: 10 facts.")
    expect(page.get_by_role("button", name="More")).to_be_disabled()
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#facts-found")).to_have_text("50 facts, more available.")


def test_a_bad_spreadsheet_is_refused_as_a_whole(open_page: Opener, server: Served) -> None:
    page = open_page("#facts", Role.EDITOR)
    page.get_by_text("Edit many facts").click()
    table = "id,entity,relation,value\n1,Ada Lovelace,Birth Place,Paris\n99,Nobody,Birth Place,Rome\n"
    page.get_by_label("Edited CSV file").set_input_files(
        {"name": "facts.csv", "mimeType": "text/csv", "buffer": table.encode()}
    )
    page.get_by_role("button", name="Preview changes").click()
    expect(page.locator("#csv-changes")).to_contain_text("1 row is invalid")
    expect(page.locator("#csv-changes tr", has_text="Refused")).to_contain_text("Line 3")
    expect(page.locator("#csv-changes button")).to_have_count(0)


def test_a_fact_is_retracted_with_a_reason(open_page: Opener, server: Served) -> None:
    page = open_page("#facts", Role.EDITOR)
    page.get_by_role("button", name="Open Birth Place of Alan Turing").click()
    panel(page).get_by_role("button", name="Retract").click()
    panel(page).get_by_label("Reason").fill("not sure of it")
    panel(page).get_by_role("button", name="Retract").click()
    expect(panel(page)).to_contain_text("This fact was retracted and no longer holds.")
    expect(page.locator("#facts-found")).to_have_text("2 facts.")
    with KnowledgeBase.open(server.kb) as kb:
        assert kb.log()[-1].reason == "not sure of it"
    panel(page).get_by_role("button", name="Close").click()
    expect(page.get_by_role("heading", name="Facts")).to_be_focused()  # the row it was opened from is gone


def test_where_reading_takes_a_token_the_page_asks_for_one_first(open_page: Opener, tmp_path: Path) -> None:
    with Served(tmp_path / "closed", open_reads=False) as closed:
        page = open_page(of=closed)
        give_token(page, closed.tokens[Role.READER])
        page.get_by_role("group", name="Examples").get_by_role("button", name=ADA).click()
        written(page)
        page.get_by_role("button", name="London: Birth Place").click()
        expect(panel(page)).to_contain_text("Forgetting requires an eraser's token; yours is a reader's.")
        page.context.close()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => { const it = document.activeElement; if (it === document.body) return '';"
            " return it.getAttribute('aria-label') ?? it.labels?.[0]?.textContent ?? it.textContent }"
        )
        if name in focused:
            return
    pytest.fail(f"Tab does not come to '{name}'")


def test_the_keyboard_suffices(open_page: Opener) -> None:
    page = open_page(role=Role.EDITOR)
    tab_to(page, "Start a text")
    page.keyboard.type(ADA)
    page.keyboard.press("Enter")
    written(page)
    tab_to(page, "London: Birth Place")
    page.keyboard.press("Enter")
    expect(panel(page).locator(".value")).to_have_text("London")
    tab_to(page, "Correct")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Correct value")).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel(page).get_by_role("button", name="Correct")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("Marylebone")
    page.keyboard.press("Enter")
    expect(panel(page).locator(".value")).to_have_text("Marylebone")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="London: Birth Place")).to_be_focused()
    tab_to(page, "Ask again")
    page.keyboard.press("Enter")
    written(page)
    expect(page.locator("ins")).to_have_text("Marylebone")


def test_nothing_that_a_fact_contains_runs(open_page: Opener, server: Served) -> None:
    with KnowledgeBase.open(server.kb) as kb:
        kb.edit(1, value=HOSTILE, actor=HOSTILE, reason=HOSTILE)
        kb.add([(HOSTILE, HOSTILE, HOSTILE)], source=Source(HOSTILE))
        kb.alias(HOSTILE + "2", entity="Ada Lovelace")
    page = open_page(role=Role.ERASER)
    ask(page)
    page.get_by_role("button", name=HOSTILE).click()
    expect(panel(page).locator(".value")).to_have_text(HOSTILE)
    panel(page).get_by_role("button", name="Forget").click()
    expect(page.locator(".closure")).to_contain_text(HOSTILE)
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    harmless(page)
    page.evaluate("location.hash = '#facts?entity=Ada%20Lovelace'")
    expect(page.locator(".names")).to_have_text(HOSTILE + "2")
    harmless(page)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("tbody tr")).to_have_count(4)
    page.get_by_role("combobox", name="Entity").press_sequentially("<img")
    expect(page.get_by_role("listbox").get_by_role("option")).to_have_count(2)
    harmless(page)
    page.get_by_role("link", name="Log").click()
    expect(page.locator("#revisions")).to_contain_text(HOSTILE)
    page.locator("#revisions summary").first.click()
    harmless(page)


def test_each_status_differs_by_more_than_its_colour(open_page: Opener) -> None:
    page = open_page()
    looks: dict[str, set[str]] = {}
    for mark in panel(page).locator(".legend .fact").all():
        kind, look = mark.evaluate(
            "it => { const style = getComputedStyle(it);"
            " return [it.className, [style.textDecorationLine, style.textDecorationStyle, style.fontStyle].join(' ')] }"
        )
        looks.setdefault(look, set()).add(kind)
    assert len(looks) == 6
    assert all(len(kinds) == 1 for kinds in looks.values())


def harmless(page: Page) -> None:
    assert page.locator("img").count() == 1  # the brand's
    assert page.locator("script").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(open_page: Opener, scheme: str) -> None:
    phone = {"width": 360, "height": 740}
    page = open_page(role=Role.EDITOR, viewport=phone, color_scheme=scheme, reduced_motion="reduce")
    ask(page)
    page.get_by_role("button", name="London: Birth Place").click()
    expect(panel(page).locator(".value")).to_be_in_viewport()
    for hash in ("#write", "#facts", "#facts?entity=Ada%20Lovelace", "#log"):
        page.evaluate("hash => { location.hash = hash }", hash)
        expect(page.locator("main > section:visible")).to_have_id(f"view-{hash[1:].split('?')[0]}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) > 3 * 128) is (scheme == "light")


def test_a_text_that_is_being_written_can_be_stopped(open_page: Opener) -> None:
    page = open_page()
    page.route("**/v1/completions", lambda route: None)  # an answer that never comes
    page.get_by_label("Start a text").fill(ADA)
    page.get_by_role("button", name="Write", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.locator("#spoken")).to_have_text("Stopped.")
    page.unroute("**/v1/completions")
    ask(page)
    expect(page.locator(".answer .text")).to_contain_text("London")


def test_the_page_puts_in_no_markup_and_runs_no_text() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setTimeout\(\s*[\"'`]"
    for file in PAGE.iterdir():
        text = file.read_text()
        assert not re.search(forbidden, text), file.name
        if file.suffix == ".html":
            assert not re.search(r"\son\w+\s*=|\sstyle\s*=|<style|javascript:", text)
            assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL) == [""]
        if file.suffix == ".js":
            assert not re.search(r"\.on[a-z]+\s*=|[\"'`]on[a-z]+[\"'`]|https?://", text), file.name


def test_texts_stand_out_from_what_is_behind_them() -> None:
    """Contrast as WCAG 2.2 AA wants it: 4.5 for texts, 3 for the borders of fields (success criteria 1.4.3, 1.4.11)."""
    light, dark = re.findall(r":root \{(.*?)\}", (PAGE / "style.css").read_text(), re.DOTALL)
    marks = ("found", "alias", "fuzzy", "missing", "forgotten")
    for block in (light, dark):
        colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for ground in ("paper", "card"):
            for text in ("ink", "soft", "accent", "danger"):
                assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
            assert contrast(colour["field"], colour[ground]) >= 3
        for mark in (*marks, "ins", "del"):
            assert contrast(colour["ink"], colour[mark]) >= 4.5, mark
        for mark in marks:
            assert contrast(colour[f"{mark}-line"], colour[mark]) >= 3, mark
        assert contrast(colour["on-accent"], colour["accent"]) >= 4.5


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_file_of_the_page_is_served_as_what_it_is(server: Served) -> None:
    kinds = {".html": "text/html", ".css": "text/css", ".js": "javascript", ".svg": "image/svg+xml"}
    app = build_app(served(server.kb), Access(server.kb.parent / "none.json", open_reads=True))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for file in PAGE.iterdir():
            answer = client.get(f"/{file.name}")
            assert kinds[file.suffix] in answer.headers["content-type"]
            assert answer.headers["content-security-policy"].startswith("default-src 'self';")
