"""Time of `import nnreg`, compared with `import numpy`, in fresh interpreters.

The two are started alternately, so that a change of the machine's speed affects both. The medians
are compared. The first pair only warms the file cache and lets bytecode be written.

    python benchmarks/import_time.py --pairs 20 --limit 60
"""

import argparse
import os
import statistics
import subprocess
import sys

PROGRAM = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
# An installed package comes with its bytecode, so a checkout must be allowed to keep its own.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def milliseconds(module: str) -> float:
    """Return the time that a fresh interpreter takes to import the module."""
    command = [sys.executable, "-c", PROGRAM.format(module)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    return 1e3 * float(run.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--pairs", type=int, default=20, help="how many of each (default %(default)s)"
    )
    parser.add_argument("--limit", type=float, help="end with 1 if it costs more milliseconds")
    arguments = parser.parse_args()

    times: dict[str, list[float]] = {"numpy": [], "nnreg": []}
    for pair in range(arguments.pairs + 1):
        for module, measured in times.items():
            elapsed = milliseconds(module)
            if pair > 0:
                measured.append(elapsed)
    for module, measured in times.items():
        low, middle, high = statistics.quantiles(measured, n=4)
        print(f"import {module}: median {middle:.0f} ms, quartiles {low:.0f} and {high:.0f} ms")
    cost = statistics.median(times["nnreg"]) - statistics.median(times["numpy"])
    print(f"nnreg costs {cost:.0f} ms more")
    return int(arguments.limit is not None and cost > arguments.limit)


if __name__ == "__main__":
    sys.exit(main())
