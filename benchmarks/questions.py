"""Five people's questions: clicks and seconds to the answer, in a real browser, from the report and from Dagster's UI.

    python -m benchmarks.questions --home data [--chromium /usr/bin/chromium]

Needs a finished home (`make full_eval`), playwright and a Chromium. Seconds are from opening the first page to the
answer in view, without the time that a person reads: medians of three tries, beside an empty page.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

TRIES = 3
SECONDS = 60_000
"""Milliseconds that an answer is waited for."""

Ask = Callable[[Page, str], int]
"""Goes from a first page to an answer that is in view; returns the clicks."""


def _in_report(question: str, answer: str) -> Ask:
    def ask(page: Page, address: str) -> int:
        page.goto(address)
        if question:
            page.locator("main summary", has_text=question).first.click()
        page.get_by_text(answer).first.wait_for(timeout=SECONDS)
        return int(bool(question))

    return ask


def _in_ui(asset: str, answer: str) -> Ask:
    """From the UI's first page by its search: "Search", the asset's name, the asset found."""

    def ask(page: Page, address: str) -> int:
        page.goto(address)
        page.get_by_text("Search", exact=True).first.click(timeout=SECONDS)
        page.keyboard.type(asset.rpartition("/")[2])
        page.locator(f"a[href$='/assets/{asset}']").first.click(timeout=SECONDS)
        page.get_by_text(answer).first.wait_for(timeout=SECONDS)
        return 2

    return ask


REPORT: dict[str, Ask] = {
    "Which model do I ship?": _in_report("", "it has the highest SumR"),
    "Is it better, and how sure is that?": _in_report("", "Row 5, EI-CLIP, is ahead of row 3"),
    "What was quarantined, and why?": _in_report("What is the data?", "quarantine"),
    "What changed since yesterday?": _in_report("How this was made", "Kept runs of"),
    "Where does it fail?": _in_report("", "Searches that it loses"),
}
UI: dict[str, Ask] = {
    "Which model do I ship?": _in_ui("results/verdict", "it has the highest SumR"),
    "Is it better, and how sure is that?": _in_ui("results/verdict", "95 % interval"),
    "What was quarantined, and why?": _in_ui("fashiongen/quarantine", "Raw rows in quarantine"),
    "What changed since yesterday?": _in_ui("fashiongen/runs", "Kept runs of fashiongen"),
    "Where does it fail?": _in_ui("fashiongen/recall_breakdowns", "gain over row 3 in recall@1"),
}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def ui(home: Path) -> Iterator[tuple[str, str]]:
    """Serve Dagster's UI and the report of a home: the addresses of both."""
    port, report = _free_port(), _free_port()
    environment = os.environ | {
        "EICLIP_HOME": str(home), "EICLIP_REPORT_PORT": str(report), "EICLIP_DAGSTER_STORAGE": str(home / "dagster"),
        "DAGSTER_HOME": os.environ.get("DAGSTER_HOME", str(Path.cwd())),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    command = [sys.executable, "-m", "pipelines.ui", "--port", str(port), "-m", "pipelines.definitions"]
    served = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                httpx.get(f"{address}/server_info", timeout=2).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        yield address, f"http://127.0.0.1:{report}/report.html"
    finally:
        served.terminate()
        served.wait(timeout=60)


def measure(page: Page, ask: Ask, address: str) -> tuple[int, float]:
    """Clicks and median seconds to an answer."""
    seconds, clicks = [], 0
    for _ in range(TRIES):
        page.goto("about:blank")
        started = time.perf_counter()
        clicks = ask(page, address)
        seconds.append(time.perf_counter() - started)
    return clicks, statistics.median(seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("EICLIP_HOME", "data")))
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    given = parser.parse_args()
    with ui(given.home.resolve()) as (dagster, report), sync_playwright() as started:
        browser = started.chromium.launch(executable_path=given.chromium)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(dagster, timeout=SECONDS)  # the code location loads once
        _, empty = measure(page, lambda page, _: int(bool(page.goto("data:text/html,empty") and 0)), "")
        print("| question | report, clicks | seconds | UI, clicks | seconds |\n|---|--:|--:|--:|--:|")
        for question in REPORT:
            cells = []
            for ask, address in ((REPORT[question], report), (UI[question], dagster)):
                try:
                    clicks, seconds = measure(page, ask, address)
                    cells.append(f"{clicks} | {seconds:.1f}")
                except Exception as error:  # a table with a hole says more than none
                    cells.append(f"none | {type(error).__name__}")
            print(f"| {question} | {' | '.join(cells)} |", flush=True)
        print(f"an empty page: {empty:.2f} s")
        browser.close()


if __name__ == "__main__":
    main()
