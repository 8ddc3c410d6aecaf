"""Markdown tables made from ``results.json``, for the terminal and for the documentation."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.papers import nielsen
from benchmarks.papers.significance import paired, pooled, within_deviations, within_noise

Record = dict[str, Any]
BEST = "dropout, max-norm"
WORST = "L2"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns, except for the first, are right-aligned.

    >>> print(markdown(["row", "error"], [["L2", "1.62"]]))
    | row | error |
    |---|--:|
    | L2 | 1.62 |
    """
    rule = "|---|" + "--:|" * (len(header) - 1)
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, *rows)]
    return "\n".join([lines[0], rule, *lines[1:]])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return mean and standard deviation.

    >>> spread([1.0, 2.0, 3.0]), spread([1.0])
    ('2.00 ± 1.00', '1.00')
    """
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def accuracies(row: Record, figure: str) -> list[float]:
    """Return each seed's accuracy in percent, of the best epoch or of the last one."""
    chosen = {"best": min, "last": lambda errors: errors[-1]}[figure]
    return [100.0 - chosen(run["errors"]) for run in row["runs"]]


def errors(row: Record) -> list[float]:
    """Return each seed's error in percent after the last epoch."""
    return [run["errors"][-1] for run in row["runs"]]


def share(row: Record, name: str) -> float:
    """Return the mean over the seeds of one measured number."""
    return statistics.fmean(run[name] for run in row["runs"])


def minutes(results: Record) -> float:
    """Return the time of all runs together."""
    return sum(run["seconds"] for row in results["rows"] for run in row["runs"]) / 60


def origin(results: Record) -> str:
    """Return the origin of the figures: command, data, machine, versions."""
    about = results["about"]
    blas = ", ".join(
        f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} thread(s)"
        for pool in about["blas"]
    )
    versions = ", ".join(f"{name} {about['versions'][name]}" for name in ("nnreg", "numpy"))
    return (
        f"`{results['command']}`\n\nData: {results['data']}; seeds 0 to {results['seeds'] - 1}; "
        f"{minutes(results):.0f} minutes of training on {about['processor']}, Python "
        f"{about['python']}, {versions}, {blas}; {about['date'][:10]}."
    )


def nielsen_verdict(row: Record) -> str:
    """Return whether a row of Nielsen's is within the deviations; a bound may be surpassed."""
    values = accuracies(row, row["figure"])
    if len(values) < 2:
        return ""
    surpassed = row["at_least"] and statistics.fmean(values) > row["paper"]
    return "inside" if surpassed or within_deviations(row["paper"], values) else "outside"


def nielsen_table(results: Record) -> str:
    """Return Nielsen's rows and ours, accuracies in percent."""
    rows = []
    for row in results["rows"]:
        bound = "> " if row["at_least"] else ""
        decimals = 0 if row["at_least"] else 1 if row["paper"] == 87.1 else 2
        rows.append(
            [
                row["name"],
                row["recipe"]["measured"],
                str(row["recipe"]["epochs"]),
                f"{bound}{row['paper']:.{decimals}f} ({row['figure']})",
                spread(accuracies(row, "best")),
                spread(accuracies(row, "last")),
                spread(first_epoch(row)),
                f"{100.0 - share(row, 'train_error'):.1f}",
                nielsen_verdict(row),
            ]
        )
    header = ["row", "on", "epochs", "Nielsen", "best epoch", "last", "first", "train", "verdict"]
    return markdown(header, rows)


def first_epoch(row: Record) -> list[float]:
    """Return each seed's accuracy in percent after one epoch."""
    return [100.0 - run["errors"][0] for run in row["runs"]]


def nielsen_pairs(results: Record) -> str:
    """Return the differences between rows that differ in one thing."""
    lines = []
    for before, after in nielsen.PAIRS:
        old, new = results["rows"][before], results["rows"][after]
        figures = {"best epoch": (accuracies(new, "best"), accuracies(old, "best"))}
        if new["recipe"]["initial"] != old["recipe"]["initial"]:
            figures["first epoch"] = first_epoch(new), first_epoch(old)
        for name, (values, others) in figures.items():
            test = paired(values, others)
            rows = f"{new['name']}, against {old['name']}"
            lines.append([rows, name, f"{test.difference:+.2f}", f"{test.p:.1g}"])
    return markdown(["rows", "figure", "difference", "p"], lines)


def table9_table(results: Record) -> str:
    """Return table 9 and ours, test errors in percent."""
    compared = results["seeds"] > 1
    noise = pooled([errors(row) for row in results["rows"]]) if compared else (0.0, 0)
    rows = []
    for row in results["rows"]:
        values = errors(row)
        published, verdict = "", ""
        if row["paper"] is not None:
            published = f"{row['paper']:.2f}"
            if compared:
                inside = within_noise(row["paper"], values, *noise)
                verdict = "inside" if inside else "outside"
        rows.append(
            [
                row["name"],
                published,
                spread(values),
                ", ".join(f"{value:.2f}" for value in values),
                f"{share(row, 'train_error'):.2f}",
                f"{share(row, 'zeros'):.0f}",
                str(row["recipe"]["epochs"]),
                f"{share(row, 'updates'):,.0f}",
                verdict,
            ]
        )
    header = ["row", "paper", "ours", "each seed", "train", "zeros", "epochs", "updates", "verdict"]
    return markdown(header, rows)


def table9_pairs(results: Record) -> str:
    """Return the paired differences of all rows: row minus column, and p."""
    names = [row["name"] for row in results["rows"]]
    lines = []
    for index, row in enumerate(results["rows"][:-1]):
        cells = []
        for other in range(1, len(names)):
            if other <= index:
                cells.append("")
                continue
            test = paired(errors(row), errors(results["rows"][other]))
            cells.append(f"{test.difference:+.2f} (p {test.p:.1g})")
        lines.append([row["name"], *cells])
    return markdown(["row minus ...", *names[1:]], lines)


def table9_order(results: Record) -> list[str]:
    """Return which parts of the paper's order hold for our means."""
    means = {row["name"]: statistics.fmean(errors(row)) for row in results["rows"]}
    regularized = {name: mean for name, mean in means.items() if name != "none"}
    best, worst = min(means, key=means.__getitem__), max(regularized, key=regularized.__getitem__)
    published = {row["name"]: row["paper"] for row in results["rows"] if row["paper"] is not None}
    pairs = list(itertools.combinations(published, 2))
    in_order = sum((published[a] > published[b]) == (means[a] > means[b]) for a, b in pairs)
    return [
        f"The best row is *{best}* with {means[best]:.2f} %; in the paper, *{BEST}*.",
        f"The worst regularized row is *{worst}* with {means[worst]:.2f} %; in the paper, "
        f"*{WORST}*.",
        f"Of {len(pairs)} pairs of the paper's rows, {in_order} are in the paper's order.",
    ]


def format_setting(value: Any) -> str:
    """Return a setting as a table shows it.

    >>> format_setting(1e-5), format_setting([0.8, 0.7]), format_setting(8)
    ('1e-05', '0.8/0.7', '8')
    """
    return "/".join(map(format_setting, value)) if isinstance(value, list) else f"{value:g}"


def choice_table(results: Record) -> str:
    """Return the recipes tried on the validation rows; the lowest error of a row is bold."""
    lowest = {
        row: min(one["error"] for one in results["rows"] if one["row"] == row)
        for row in dict.fromkeys(one["row"] for one in results["rows"])
    }
    rows = []
    for one in results["rows"]:
        mark = "**" if one["error"] == lowest[one["row"]] else ""
        settings = one["tried"] | {
            name: one["recipe"][name] for name in ("learning_rate", "epochs")
        }
        tried = ", ".join(f"{name} {format_setting(value)}" for name, value in settings.items())
        rows.append([one["row"], tried, f"{mark}{one['error']:.2f}{mark}"])
    return markdown(["row", "tried", "validation error %"], rows)


def nielsen_report(results: Record) -> str:
    """Return the report on Nielsen's rows."""
    return "\n\n".join([nielsen_table(results), nielsen_pairs(results), origin(results)])


def table9_report(results: Record) -> str:
    """Return the report on table 9."""
    order = "\n".join(f"- {line}" for line in table9_order(results))
    return "\n\n".join([table9_table(results), order, table9_pairs(results), origin(results)])


def choice_report(results: Record) -> str:
    """Return how the recipes of table 9 were chosen."""
    return f"{choice_table(results)}\n\n`{results['command']}`"


REPORTS = {"nielsen": nielsen_report, "table9": table9_report, "choose": choice_report}
