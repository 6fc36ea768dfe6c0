"""Take the README's pictures of the page: `python experiments/screenshots.py http://127.0.0.1:8000 --token TOKEN`.

The server has a run of the demo; the token is an eraser's. What the pictures show is done to its knowledge base: one fact
is corrected, and one forgotten. So serve a copy.
"""

import argparse
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

OUT = Path(__file__).parents[1] / "docs" / "pictures"
MOST_BYTES = 200_000
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("--token", required=True)
    arguments.add_argument("--value", default="Rumond", help="what the first fact is corrected to")
    arguments.add_argument("--out", type=Path, default=OUT)
    given = arguments.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        take_all(browser, f"{given.url.rstrip('/')}/#token={given.token}", given.value, given.out)
        browser.close()


def take_all(browser: Browser, start: str, value: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with opened(browser, start) as page:
        ask(page)
        page.locator(".answer .fact.found").first.click()
        page.locator("aside blockquote").first.wait_for()
        take(page, out / "write.png")
        correct(page, value)
        page.get_by_role("button", name="Ask again").first.click()
        page.locator("ins").first.wait_for()
        page.locator("ins").first.click()
        page.locator("aside .timeline").first.wait_for()
        take(page, out / "again.png")
        see(page, "Facts", "#facts-table tbody")
        take(page, out / "facts.png")
        page.locator("#facts-table .danger").nth(1).click()
        page.locator("dialog .closure li").first.wait_for()
        take(page, out / "forget.png")
        page.locator("dialog .danger").click()
        page.locator(".seal").wait_for()
        take(page, out / "certificate.png")
        page.get_by_role("button", name="Close").last.click()
        see(page, "Log", "#certificates details")
        take(page, out / "log.png")
    for name, look in {"phone": {"viewport": PHONE}, "dark": {"color_scheme": "dark"}}.items():
        with opened(browser, start, **look) as page:
            ask(page)
            if name == "dark":
                page.locator(".answer .fact.found").first.click()
                page.locator("aside blockquote").first.wait_for()
            take(page, out / f"{name}.png")


@contextmanager
def opened(browser: Browser, start: str, **look: object) -> Iterator[Page]:
    settings = {"viewport": DESK, "color_scheme": "light", "reduced_motion": "reduce", "locale": "en-GB"} | look
    context = browser.new_context(**settings)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(start)
    page.locator("#examples button").first.wait_for()
    yield page
    context.close()


def ask(page: Page) -> None:
    page.locator("#examples button").first.click()
    page.get_by_role("button", name="Ask again").wait_for()


def correct(page: Page, value: str) -> None:
    page.locator("aside").get_by_role("button", name="Correct").first.click()
    page.get_by_label("The right value").fill(value)
    page.locator("aside").get_by_label("Why").fill("the register says so")
    page.get_by_role("button", name="Save").click()
    page.locator("aside .value", has_text=value).wait_for()


def see(page: Page, view: str, until: str) -> None:
    page.get_by_role("link", name=view, exact=True).click()
    page.locator(until).first.wait_for()
    page.locator(".message button").first.click() if page.locator(".message").count() else None


def take(page: Page, path: Path) -> None:
    """A picture of 256 colours, which is a third of the size. Raises `ValueError` where it is too large all the same."""
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(256)
    picture.save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} has more than {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
