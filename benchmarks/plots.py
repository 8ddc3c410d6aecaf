"""Plots of ``results.json``: the ratio chart, the sweeps, the growth curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.frameworks import ENTRIES
from benchmarks.machine import version
from benchmarks.modes.step import MAIN
from benchmarks.problem import CONFIGURATIONS
from benchmarks.results import describe


def draw(modes: dict[str, Any], out: Path) -> list[Path]:
    """Draw the plots for which there are results, and return the files."""
    if version("matplotlib") is None:
        print("no plots, since matplotlib is not installed: pip install matplotlib")
        return []
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    written = []
    for mode, name, picture in (
        ("step", "ratios.png", ratio_chart),
        ("sweep", "sweeps.png", sweeps),
        ("growth", "growth.png", growth),
    ):
        if mode in modes:
            figure = picture(plt, modes[mode])
            if figure is not None:
                figure.text(0.01, 0.005, describe(modes[mode]["about"]), fontsize=6, color="gray")
                figure.savefig(out / name, dpi=150)
                plt.close(figure)
                written.append(out / name)
    return written


def ratio_chart(plt: Any, results: dict[str, Any]) -> Any:
    """Return the chart of each framework's time over nnreg's, Adam with dropout and L2."""
    cells = {name: results["cells"].get(f"{name} adam {MAIN}") for name in CONFIGURATIONS}
    cells = {name: cell for name, cell in cells.items() if cell}
    if not cells:
        return None
    rows = -(-len(cells) // 2)
    figure, axes = plt.subplots(
        rows, 2, figsize=(7.2, 2.6 * rows), layout="constrained", squeeze=False
    )
    for ax in axes.flat[len(cells) :]:
        ax.axis("off")
    for ax, (name, cell) in zip(axes.flat, cells.items(), strict=False):
        shown = {
            label: entry
            for label, entry in cell["times"].items()
            if label in ENTRIES and "ratio" in entry
            and (ENTRIES[label].trains or label == cell["floor"])
        }  # fmt: skip
        labels = sorted(shown, key=lambda label: shown[label]["ratio"][1])
        for index, label in enumerate(labels):
            low, middle, high = shown[label]["ratio"]
            colour = "C3" if label == "nnreg" else "C0" if ENTRIES[label].trains else "0.6"
            error = [[middle - low], [high - middle]]
            ax.barh(index, middle, xerr=error, color=colour, ecolor="0.3")
            ax.text(high * 1.05, index, f"{middle:.2g}", va="center", fontsize=8.5)
        ax.set_yticks(range(len(labels)), [ENTRIES[label].title for label in labels], fontsize=8.5)
        ax.set_xscale("log")
        ax.set_xlim(0.03, 30)
        ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
        ax.axvline(1, color="C3", linewidth=0.8)
        ax.set_title(f"{name}\n{cell['problem'].partition(',')[0]}", fontsize=9)
    figure.supxlabel("time per step, nnreg = 1 (median of rounds, quartiles)", fontsize=9)
    return figure


def _side_by_side(plt: Any, number: int) -> tuple[Any, Any]:
    """Return a figure, and its axes in a row."""
    figure, axes = plt.subplots(
        1, number, figsize=(3.6 * number, 3.8), layout="constrained", squeeze=False
    )
    return figure, axes[0]


def sweeps(plt: Any, results: dict[str, Any]) -> Any:
    """Return each framework's microseconds against batch, width and depth."""
    results["sweeps"] = {sweep: cells for sweep, cells in results["sweeps"].items() if cells}
    if not results["sweeps"]:
        return None
    figure, axes = _side_by_side(plt, len(results["sweeps"]))
    for ax, (sweep, cells) in zip(axes, results["sweeps"].items(), strict=True):
        ax.set(xscale="log", yscale="log", xlabel=sweep)
        sizes = sorted(map(int, cells))
        labels = dict.fromkeys(label for cell in cells.values() for label in cell["times"])
        for label in labels:
            if label not in ENTRIES or not ENTRIES[label].trains:
                continue
            points = [(s, _at(cells, s)["times"].get(label)) for s in sizes]
            points = [(size, entry["microseconds"]) for size, entry in points if entry]
            colour = "C3" if label == "nnreg" else None
            ax.plot(*zip(*points, strict=True), "o-", label=ENTRIES[label].title, color=colour)
        floors = [
            (s, _at(cells, s)["times"][_at(cells, s)["floor"]]["microseconds"])
            for s in sizes
            if _at(cells, s)["floor"]
        ]
        if floors:
            ax.plot(*zip(*floors, strict=True), "--", color="0.5", label="bare products")
    axes[0].set_ylabel("µs per step")
    axes[0].legend(fontsize=7)
    figure.supxlabel(" ")
    return figure


def _at(cells: dict[Any, Any], size: int) -> Any:
    """Return a size's cell; its key is a string if the results were read from a file."""
    return cells.get(size) or cells[str(size)]


def growth(plt: Any, results: dict[str, Any]) -> Any:
    """Return nnreg's time against batch, width and depth, with the slopes."""
    if not results["growth"]:
        return None
    figure, axes = _side_by_side(plt, len(results["growth"]))
    for ax, (sweep, points) in zip(axes, results["growth"].items(), strict=True):
        for name, style in (("nnreg", "o-C3"), ("floor", "--")):
            slope = points["exponents"][name]["larger half"]
            label = "bare products" if name == "floor" else name
            label += "" if slope is None else f": larger half ∝ size^{slope:.2f}"
            microseconds = [1e6 * value for value in points[name]]
            colour = {"color": "0.5"} if name == "floor" else {}
            ax.plot(points["sizes"], microseconds, style, label=label, **colour)
        ax.set(xscale="log", yscale="log", xlabel=sweep)
        ax.legend(fontsize=7)
    axes[0].set_ylabel("µs per step")
    figure.supxlabel(" ")
    return figure
