"""The command ``python -m benchmarks.papers``: both tables, one, or the choice of recipes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.papers import nielsen, report, table9
from benchmarks.papers.runner import choice, table
from benchmarks.papers.training import LOADERS
from nnreg._support.files import write_whole

TABLES = {"nielsen": nielsen.ROWS, "table9": table9.ROWS}
CONDITIONS = ("date", "processor", "cores", "python", "versions", "blas")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.papers", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["nielsen", "table9", "choose"])
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of seeds, from 0 on (default: 3)"
    )
    parser.add_argument("--epochs", type=int, help="for every row, instead of its own")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks-out/papers"), help="output folder"
    )
    parser.add_argument(
        "--data", choices=LOADERS, default="mnist", help="digits: check that everything runs"
    )
    return parser.parse_args(given)


def store(path: Path, name: str, result: dict[str, Any]) -> dict[str, Any]:
    """Store one table in the results file, and return it as read back from there."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    results[name] = result
    text = json.dumps(results, ensure_ascii=False) + "\n"
    write_whole(path, text.encode(), overwrite=True)
    return json.loads(text)[name]


def main(given: Sequence[str] | None = None) -> int:
    """Train what is missing, store and print the tables, and return the exit code."""
    options = arguments(given)
    how = {"epochs": options.epochs, "folder": options.out / "runs", "jobs": options.jobs}
    how["data"] = options.data
    words = sys.argv[1:] if given is None else given
    for name in [options.what] if options.what else list(TABLES):
        print(f"== {name}")
        rows = choice(**how) if name == "choose" else table(TABLES[name], options.seeds, **how)
        about = machine.about()
        result = {
            "command": " ".join(["python -m benchmarks.papers", *words]),
            "data": options.data,
            "seeds": 1 if name == "choose" else options.seeds,
            "about": {key: about[key] for key in CONDITIONS},
            "rows": rows,
        }
        result = store(options.out / "results.json", name, result)
        print(f"\n{report.REPORTS[name](result)}\n")
    print(options.out / "results.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
