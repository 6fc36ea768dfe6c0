"""Take the README's pictures of the page: `python experiments/screenshots.py http://127.0.0.1:8000 --token TOKEN`.

The server has a run of the demo; the token is an eraser's. What the pictures show is done to its knowledge base: a fact
is corrected, and another forgotten. So serve a copy.
"""

import argparse
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

OUT = Path(__file__).parents[1] / "docs" / "pictures"
MOST_BYTES = 200_000
DESK: ViewportSize = {"width": 1280, "height": 940}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("--token", required=True)
    arguments.add_argument("--value", default="Leano", help="what the first fact is corrected to")
    arguments.add_argument("--out", type=Path, default=OUT)
    given = arguments.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        take_all(browser, f"{given.url.rstrip('/')}/#token={given.token}", given.value, given.out)
        browser.close()


def take_all(browser: Browser, start: str, value: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with opened(browser, start) as page:
        page.locator("#examples button", has_text="was born in").first.click()
        page.locator(".answer .fact.found").first.click()
        entity = page.locator("#panel-title").inner_text().split(" of ", 1)[1]
        correct(page, value)
        page.get_by_role("button", name="Ask again").first.click()
        page.locator("ins").first.click()
        page.locator("aside .timeline").first.wait_for()
        take(page, out / "write.png")
        see(page, f"#facts?entity={quote(entity)}", "#entity-card section")
        take(page, out / "facts.png")
        ask_to_forget(page, -1)  # the corrected one, which takes its past along
        take(page, out / "forget.png")
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        ask_to_forget(page, 0)
        page.locator("dialog .danger").click()
        page.locator(".seal").wait_for()
        take(page, out / "certificate.png")
        page.get_by_role("button", name="Close").last.click()
        see(page, "#log", "#certificates details")
        page.locator("#revisions summary").first.click()
        page.locator("#revisions .inside li").first.wait_for()
        take(page, out / "log.png")


@contextmanager
def opened(browser: Browser, start: str) -> Iterator[Page]:
    context = browser.new_context(viewport=DESK, color_scheme="light", reduced_motion="reduce", locale="en-GB")
    page = context.new_page()
    page.goto(start)
    yield page
    context.close()


def correct(page: Page, value: str) -> None:
    panel = page.locator("aside")
    panel.get_by_role("button", name="Correct").first.click()
    panel.get_by_label("Correct value").fill(value)
    panel.get_by_label("Reason").fill("the register says so")
    panel.get_by_role("button", name="Save").click()
    panel.locator(".value", has_text=value).wait_for()


def ask_to_forget(page: Page, row: int) -> None:
    page.locator("#facts-table .danger").nth(row).click()
    page.locator("dialog .closure li").first.wait_for()


def see(page: Page, hash: str, until: str) -> None:
    page.evaluate("hash => { location.hash = hash }", hash)
    page.locator(until).first.wait_for()


def take(page: Page, path: Path) -> None:
    """A picture of 256 colours, a third of the size. Raises `ValueError` where it is too large all the same."""
    page.wait_for_load_state("networkidle")
    for message in page.locator(".message button").all():
        message.click()
    page.evaluate("scrollTo(0, 0)")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(256)
    picture.save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} has more than {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
