"""The command: ``python -m benchmarks.papers``, both tables, or one of them, or the choosing."""

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
KEPT = ("date", "processor", "cores", "python", "versions", "blas")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.papers", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["nielsen", "table9", "choose"])
    parser.add_argument("--seeds", type=int, default=3, help="0 to so many less one (default: 3)")
    parser.add_argument("--epochs", type=int, help="for every row, instead of its own")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks-out/papers"), help="output folder"
    )
    parser.add_argument(
        "--data", choices=LOADERS, default="mnist", help="digits: see that everything works"
    )
    return parser.parse_args(given)


def stored(path: Path, name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Put one table into the file of results, beside the others, and return it as it is there."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    results[name] = found
    text = json.dumps(results, ensure_ascii=False) + "\n"
    write_whole(path, text.encode(), overwrite=True)
    return json.loads(text)[name]


def main(given: Sequence[str] | None = None) -> int:
    """Train what is missing, store, print, and return how the process should end."""
    asked = arguments(given)
    how = {"epochs": asked.epochs, "folder": asked.out / "runs", "jobs": asked.jobs}
    how["data"] = asked.data
    words = sys.argv[1:] if given is None else given
    for name in [asked.what] if asked.what else list(TABLES):
        print(f"== {name}")
        rows = choice(**how) if name == "choose" else table(TABLES[name], asked.seeds, **how)
        about = machine.about()
        found = {
            "command": " ".join(["python -m benchmarks.papers", *words]),
            "data": asked.data,
            "seeds": 1 if name == "choose" else asked.seeds,
            "about": {key: about[key] for key in KEPT},
            "rows": rows,
        }
        found = stored(asked.out / "results.json", name, found)
        print(f"\n{report.REPORTS[name](found)}\n")
    print(asked.out / "results.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
