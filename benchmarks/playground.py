"""Pictures a second, steps a second and memory of the playground's server, as a page uses it.

``python -m benchmarks.playground [SECONDS]`` starts ``nnreg playground`` and plays a network of
2-8-8-3 units: in each message 20 steps, the decision regions (50 × 50), the picture of every unit
(20 × 20) and all weights; in every tenth also the curves, the histogram and the verdict. On a busy
machine, only the time of the processor is comparable. For Linux.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

STEPS, REPORTS = 20, 10
FAST = {"grid": 50, "units": 20, "links": 1}
SLOW = {**FAST, "curves": 1, "histogram": 40, "verdict": 1}


def read_usage(process: int) -> tuple[float, float]:
    """Return the resident memory of a process in MB, and the time of the processor in seconds."""
    status, stat = (Path(f"/proc/{process}/{name}").read_text() for name in ("status", "stat"))
    [memory] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    ticks = sum(map(int, stat.rpartition(")")[2].split()[11:13]))
    return int(memory) / 1024, ticks / os.sysconf("SC_CLK_TCK")


def main(seconds: float) -> None:
    """Play for so many seconds, and print a line for each tenth of them."""
    command = [sys.executable, "-m", "nnreg", "playground", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = urlsplit(server.stdout.readline().strip())
        connection = http.client.HTTPConnection(address.netloc)
        headers = {"Content-Type": "application/json", "X-Session": "benchmark"}

        def ask(**message: object) -> None:
            connection.request("POST", address.path + "api", json.dumps(message), headers)
            assert "status" in json.loads(connection.getresponse().read())

        try:
            ask(do="hello")
            ask(do="set", knobs={"data": "spirals"})
            print("   s  pictures/s  steps/s  processor ms/picture  memory in MB")
            for report in range(1, REPORTS + 1):
                count, start, before = 0, time.perf_counter(), read_usage(server.pid)[1]
                while (passed := time.perf_counter() - start) < seconds / REPORTS:
                    ask(do="play", steps=STEPS, want=FAST if count % 10 else SLOW)
                    count += 1
                rate, (memory, processor) = count / passed, read_usage(server.pid)
                each = 1000 * (processor - before) / count
                line = f"{rate:11.0f} {STEPS * rate:8.0f} {each:21.1f} {memory:13.1f}"
                print(f"{report * seconds / REPORTS:4.0f} {line}", flush=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
