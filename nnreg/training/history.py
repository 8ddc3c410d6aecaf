"""What training has recorded: one row an epoch."""

from __future__ import annotations

from typing import Any

from nnreg._support.tables import text_table


class History:
    """Columns of numbers, an entry an epoch.

    ``data_loss`` is the epoch's mean over rows in *training* mode (dropout on, while the parameters
    were moving); ``penalty`` is taken at the epoch's end; ``total`` is their sum. Everything else,
    metrics and ``val_...``, is measured at the epoch's end in inference mode. ``seconds`` is what
    the epoch took.

    Attributes
    ----------
    stopped : str
        Why training ended: ``"epochs"``, ``"interrupted"``, ``"non-finite loss"``, or a callback's
        reason.

    Examples
    --------
    >>> history = History()
    >>> history.append({"epoch": 1, "data_loss": 0.5})
    >>> history["data_loss"], history.last["epoch"], len(history)
    ([0.5], 1, 1)
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {}
        self.stopped = "epochs"

    def append(self, row: dict[str, Any]) -> None:
        """Add an epoch."""
        for name, value in row.items():
            self.columns.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> list[Any]:
        try:
            return self.columns[name]
        except KeyError:
            raise KeyError(
                f"nothing recorded as {name!r}; there are {', '.join(self.columns)}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(self.columns.get("epoch", []))

    @property
    def last(self) -> dict[str, Any]:
        """The newest epoch."""
        return {name: values[-1] for name, values in self.columns.items()}

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the columns as plain lists, ready for JSON or a data frame."""
        return {name: list(values) for name, values in self.columns.items()}

    def __repr__(self) -> str:
        if not len(self):
            return f"<History: no epoch finished, stopped: {self.stopped}>"
        text = text_table(list(self.columns), self._rows(), right=range(len(self.columns)))
        return f"{text}\n{self._end()}"

    def _repr_html_(self) -> str:
        """Return the same table and a picture of the losses, for a notebook."""
        from nnreg._support import tables

        if not len(self):
            return tables.paragraphs([self._end()])
        losses = [name for name in ("data_loss", "val_data_loss") if name in self]
        label = "; dashed: ".join(f"{name} by epoch" for name in losses)
        picture = tables.sparkline([self.columns[name] for name in losses], label)
        right = range(len(self.columns))
        return "".join(
            [
                f"<figure>{picture}<figcaption>{label}</figcaption></figure>" if losses else "",
                tables.html_table(list(self.columns), self._rows(), right=right),
                tables.paragraphs([self._end()]),
            ]
        )

    def _rows(self) -> list[list[str]]:
        """Return the cells of the first and the last epochs."""
        numbers = range(len(self))
        shown = [*numbers] if len(self) <= 6 else [0, 1, 2, *numbers[-3:]]
        rows = [[_text(column[i]) for column in self.columns.values()] for i in shown]
        if len(self) > 6:
            rows.insert(3, ["..."] * len(self.columns))
        return rows

    def _end(self) -> str:
        return f"{len(self)} epochs, stopped: {self.stopped}"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
