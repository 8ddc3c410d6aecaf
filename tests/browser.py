"""A real browser on the playground's page: Chromium, driven by Playwright.

What a page may never do is checked of every page that is opened: a request to another address than
the server's, an error in the console, or an error in the page.
"""

import json
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import nnreg as nn
from nnreg.playground.server import Server
from nnreg.playground.session import Session

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
WAIT = 60_000  # milliseconds; no test fails because a machine is slow


class Opened:
    """A tab with the playground, and the engine behind it."""

    def __init__(self, page: Any, server: Server) -> None:
        self.page, self.server = page, server
        self.faults: list[str] = []
        page.set_default_timeout(WAIT)
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self._check(request.url))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(text)

    def _check(self, url: str) -> None:
        if not url.startswith((self.server.address, "data:", "blob:")):
            self.faults.append(f"a request to {url}")

    def open(self, part: str = "") -> "Opened":
        """Load the page with this part of the address after #."""
        self.page.goto("about:blank")
        self.page.goto(self.server.address + part)
        self.page.wait_for_selector("body[data-ready]")
        return self.settle()

    def settle(self) -> "Opened":
        """Wait until training has ended and every message has its reply."""
        self.page.wait_for_selector("#play:has-text('Play')")
        self.page.wait_for_selector("#epoch:not([disabled])")
        self.page.wait_for_selector("body:not([aria-busy=true])")
        return self

    def click(self, selector: str) -> "Opened":
        self.page.click(selector)
        self.page.wait_for_timeout(60)
        return self.settle()

    def play(self, steps: int) -> "Opened":
        """Train as fast as possible for at least this many steps; a lesson ends by itself."""
        self.page.select_option("#speed", "fastest")
        self.page.click("#play")
        while self.session.training.steps < steps and not self.session.training.stopped:
            self.page.wait_for_timeout(50)
        lesson = self.page.is_visible("#lesson")
        if not lesson and not self.session.training.stopped:
            self.page.click("#play")
        return self.settle()

    def set(self, knob: str, value: Any) -> "Opened":
        """Change a control as a user does, and leave it."""
        control = self.page.locator(f"[id='knob-{knob}']")
        if isinstance(value, bool):
            control.set_checked(value)
        elif control.evaluate("input => input.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(str(value))
            control.press("Tab")
        self.page.wait_for_timeout(60)
        self.page.wait_for_selector("body:not([aria-busy=true])")
        return self

    @property
    def session(self) -> Session:
        """The newest session of the server."""
        return next(reversed(self.server.sessions.values()))[0]

    @property
    def net(self) -> nn.Network:
        return self.session.training.main.net

    @property
    def hash(self) -> str:
        return "#" + self.page.url.partition("#")[2]

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def number(self, row: str, column: int = 0) -> float:
        """Return a number of the table below the curves, in full precision."""
        cells = self.page.query_selector_all(f"[data-row={row}] data")
        return float(cells[column].get_attribute("value"))

    def stages(self) -> dict[tuple[str, str], dict[str, np.ndarray]]:
        """Return the values of the arrays of the phase that is shown, by part, stage and name."""
        found = self.page.eval_on_selector_all(
            "#stages article",
            """cards => cards.map(card => [card.dataset.part, card.dataset.stage,
                [...card.querySelectorAll("[data-array]")].map(table => [table.dataset.array,
                    [...table.rows].map(row => [...row.querySelectorAll("data")].map(
                        item => item.value))])])""",
        )
        return {
            (part, stage): {name: np.array(rows, float) for name, rows in arrays}
            for part, stage, arrays in found
        }


@contextmanager
def running_server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def running_browser() -> Iterator[Any]:
    """Start Chromium; skip the test if it or Playwright is not installed."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    state = random.getstate()  # Playwright draws from Python's generator
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
    random.setstate(state)


@contextmanager
def opened(browser: Any, server: Server, **settings: Any) -> Iterator[Opened]:
    """Open a tab; at the end there must have been no fault."""
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 1000}, **settings})
    tab = Opened(context.new_page(), server)
    try:
        yield tab
    finally:
        context.close()
    assert tab.faults == [], json.dumps(tab.faults, indent=1)


def shown(array: np.ndarray) -> np.ndarray:
    """Return the part of an array that the page shows: 8 rows and 8 columns."""
    return np.atleast_2d(np.asarray(array, float))[:8, :8]
