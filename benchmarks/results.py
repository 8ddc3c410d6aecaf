"""Settings and results of a run: tables on the terminal, and ``results.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.frameworks import ENTRIES, USUAL
from benchmarks.rounds import FULL, QUICK, SMOKE, Pace


@dataclass
class Settings:
    """The options of the command line."""

    out: Path
    names: tuple[str, ...] | None = None
    quick: bool = False
    smoke: bool = False
    minutes: float | None = None

    def pace(self, full: Pace = FULL) -> Pace:
        """Return the pace: ``full``, or a quick one."""
        return SMOKE if self.smoke else QUICK if self.quick else full

    def seconds(self, full: float, quick: float) -> float:
        """Return a mode's budget."""
        if self.minutes is not None:
            return 60 * self.minutes
        return quick if self.quick or self.smoke else full

    def available(self, usual: tuple[str, ...] = USUAL) -> list[str]:
        """Return the requested frameworks, by default the usual ones, that are installed.

        A message names those that are not. nnreg is always among them.
        """
        names = []
        for name in dict.fromkeys(("nnreg", *(self.names or usual))):
            missing = ENTRIES[name].missing()
            if missing:
                print(f"left out: {name}, since {', '.join(missing)} is not installed")
            else:
                names.append(name)
        return names


@dataclass
class Results:
    """``results.json``: a mode replaces only its own results, and the file is replaced whole."""

    path: Path
    modes: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, float] = field(default_factory=dict)  # busy, cores

    @classmethod
    def load(cls, out: Path, **conditions: float | None) -> Results:
        """Return the results in an output folder."""
        path = out / "results.json"
        modes = json.loads(path.read_text())["modes"] if path.exists() else {}
        return cls(path, modes, {name: value for name, value in conditions.items() if value})

    def store(self, mode: str, result: dict[str, Any], about: dict[str, Any]) -> None:
        """Write the results of a mode so far; with conditions under a name that states them."""
        name = ", ".join([mode, *(f"{name} {value}" for name, value in self.conditions.items())])
        self.modes[name] = {"about": about | self.conditions, **result}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps({"modes": self.modes}, indent=1))
        os.replace(partial, self.path)


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under a header: the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *others = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())
    print(flush=True)


def microseconds(value: float) -> str:
    """Return a number of microseconds with three digits.

    >>> microseconds(0.51234), microseconds(81.26), microseconds(45678.0)
    ('0.512', '81.3', '45,700')
    """
    if value >= 100:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"


def spread(ratio: Sequence[float]) -> str:
    """Return a median with its quartiles.

    >>> spread((1.2, 1.25, 1.4))
    '1.25 (1.20-1.40)'
    """
    low, middle, high = ratio
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def describe(about: dict[str, Any]) -> str:
    """Return the line above the tables."""
    blas = ", ".join(f"{b['internal_api']} {b['version']}" for b in about["blas"])
    return (
        f"{about['processor']}, {about['cores']} cores, Python {about['python']}, "
        f"NumPy {about['versions']['numpy']} with {blas}; load {about['load']}"
    )


def begin() -> dict[str, Any]:
    """Return the description of the machine, and print it."""
    about = machine.about()
    print(describe(about), flush=True)
    return about
