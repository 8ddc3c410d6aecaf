"""Pictures a second, steps a second and memory of the playground, at a network of 2-8-8-3 units.

``python -m benchmarks.playground [SECONDS]`` starts ``nnreg playground`` and asks it, as the page
does, in each message for 20 steps, the decision regions (50 × 50), the picture of every unit
(20 × 20) and all weights; in every tenth also for the curves, the histogram and the verdict.
With ``--page``, Chromium opens the page and plays it: without a graphics processor, drawing takes
most of the time. On a busy machine, only the time of the processor is comparable. For Linux.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

STEPS, REPORTS = 20, 10
FAST = {"grid": 50, "units": 20, "links": 1}
SLOW = {**FAST, "curves": 1, "histogram": 40, "verdict": 1}

Measure = Callable[[float], tuple[float, float]]


def read_usage(process: int) -> tuple[float, float]:
    """Return the resident memory of a process in MB, and the time of the processor in seconds."""
    status, stat = (Path(f"/proc/{process}/{name}").read_text() for name in ("status", "stat"))
    [memory] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    ticks = sum(map(int, stat.rpartition(")")[2].split()[11:13]))
    return int(memory) / 1024, ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def send_messages(address: str) -> Iterator[Measure]:
    """Yield a function that plays for so many seconds and counts pictures and steps."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.netloc)
    headers = {"Content-Type": "application/json", "X-Session": "benchmark"}

    def ask(**message: object) -> None:
        connection.request("POST", url.path + "api", json.dumps(message), headers)
        assert "status" in json.loads(connection.getresponse().read())

    def measure(seconds: float) -> tuple[float, float]:
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            ask(do="play", steps=STEPS, want=FAST if count % 10 else SLOW)
            count += 1
        return count, STEPS * count

    ask(do="hello")
    ask(do="set", knobs={"data": "spirals"})
    yield measure


@contextmanager
def watch_page(address: str) -> Iterator[Measure]:
    """Yield a function that lets the page play for so many seconds and counts as above."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        page.add_init_script(
            "window.drawn = 0; const draw = CanvasRenderingContext2D.prototype.clearRect;"
            "CanvasRenderingContext2D.prototype.clearRect = function (...place) {"
            " window.drawn += this.canvas.id === 'regions'; draw.apply(this, place); };"
        )
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        page.select_option("[id='knob-data']", "spirals")
        page.click("#play")

        def count() -> tuple[float, float]:
            steps = re.search(r"step (\d+)", page.inner_text("#counters"))
            return page.evaluate("window.drawn"), int(steps.group(1)) if steps else 0

        def measure(seconds: float) -> tuple[float, float]:
            before = count()
            page.wait_for_timeout(1000 * seconds)
            after = count()
            return after[0] - before[0], after[1] - before[1]

        yield measure
        chromium.close()


def main(seconds: float, *, page: bool) -> None:
    """Play for so many seconds, and print a line for each tenth of them."""
    command = [sys.executable, "-m", "nnreg", "playground", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            with (watch_page if page else send_messages)(
                server.stdout.readline().strip()
            ) as measure:
                print("   s  pictures/s  steps/s  processor ms/picture  memory in MB")
                for report in range(1, REPORTS + 1):
                    start, before = time.perf_counter(), read_usage(server.pid)[1]
                    pictures, steps = measure(seconds / REPORTS)
                    passed, (memory, processor) = (
                        time.perf_counter() - start,
                        read_usage(server.pid),
                    )
                    each = 1000 * (processor - before) / max(1, pictures)
                    line = f"{pictures / passed:11.0f} {steps / passed:8.0f} {each:21.1f}"
                    print(f"{report * seconds / REPORTS:4.0f} {line} {memory:13.1f}", flush=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=60.0)
    parser.add_argument("--page", action="store_true", help="play the page in Chromium")
    arguments = parser.parse_args()
    main(arguments.seconds, page=arguments.page)
