"""runs -> screenshots of the service's page, for the README and docs/.

    python -m scripts.publish.screenshots RUN OTHER_RUN

With `--every FOLDER`, every view is also photographed as on a desktop, on a phone and in dark
colours, to be looked at.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

DOCS = Path(__file__).parents[2] / "docs"
DESKTOP = {"viewport": {"width": 1000, "height": 800}}
SCREENS: dict[str, dict[str, Any]] = {
    "desktop": DESKTOP,
    "phone": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2},
    "dark": {**DESKTOP, "color_scheme": "dark"},
}
PUBLISHED = {"review": "desktop", "compare": "dark"}  # view -> screen
ROWS = [
    "A quiet, moving film with two great performances.",
    "The jokes are old and the story is thin.",
    "Good ideas, but far too long.",
    "I liked the music more than the plot.",
    "Not bad for a sequel.",
]
SECONDS = 60  # until the models are loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--every", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with serving(options.runs) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        for view, screen in PUBLISHED.items():
            photograph(browser, address, view, screen, DOCS / f"service_{view}.png")
        if options.every is not None:
            for view in VIEWS:
                for screen in SCREENS:
                    file = options.every / f"{view}_{screen}.png"
                    photograph(browser, address, view, screen, file)
        browser.close()


@contextmanager
def serving(runs: list[Path]) -> Iterator[str]:
    """Run the service in a process of its own; yield the address of its page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "lstm_sentiment",
        "serve",
        *map(str, runs),
        "--port",
        str(port),
    ]
    process = subprocess.Popen([*command, "--no-access-log"])
    try:
        for _ in range(10 * SECONDS):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def photograph(browser: Browser, address: str, view: str, screen: str, file: Path) -> None:
    """Open a view, let it show something, and write the screenshot of the whole page."""
    context = browser.new_context(**SCREENS[screen])
    context.set_default_timeout(1000 * SECONDS)
    page = context.new_page()
    page.goto(f"{address}#{view}")
    page.locator("body[data-ready]").wait_for()
    VIEWS[view](page)
    page.screenshot(path=file, full_page=True)
    context.close()


def review(page: Page) -> None:
    page.locator("#review-examples").get_by_role("button", name="Mixed").click()
    page.locator("#review-words .words").wait_for()


def compare(page: Page) -> None:
    page.locator("#compare-examples").get_by_role("button", name="Negation").click()
    expect(page.locator("#compare-columns .words")).to_have_count(2, timeout=1000 * SECONDS)


def file(page: Page) -> None:
    rows = "".join(f'"{row}"\n' for row in ROWS)
    upload = {"name": "reviews.csv", "mimeType": "text/csv", "buffer": f"text\n{rows}".encode()}
    page.locator("#file-input").set_input_files([upload])  # type: ignore[list-item]
    page.get_by_role("button", name="Classify").click()
    page.get_by_role("table", name="Least certain rows").wait_for()


def model(page: Page) -> None:
    page.get_by_role("table", name="Recipe").wait_for()


VIEWS = {"review": review, "compare": compare, "file": file, "model": model}

if __name__ == "__main__":
    main()
