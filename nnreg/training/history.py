"""The history of a training run: one row of figures per epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnreg._support import tables

if TYPE_CHECKING:
    import pandas

# Figures that are sums of recorded ones, under the names that Keras uses.
SUMS = {"loss": ("data_loss", "penalty"), "val_loss": ("val_data_loss", "penalty")}


class Figures(dict[str, Any]):
    """Figures by name. ``loss`` and ``val_loss`` are computed on access.

    Examples
    --------
    >>> figures = Figures(data_loss=0.5, penalty=0.25, val_data_loss=1.0)
    >>> figures["loss"], figures["val_loss"]
    (0.75, 1.25)
    """

    def __missing__(self, name: str) -> Any:
        try:
            return sum(dict.__getitem__(self, part) for part in SUMS[name])
        except KeyError:
            names = ", ".join(self) or "no epochs"
            raise KeyError(f"no figure {name!r} is recorded; available: {names}") from None


class History:
    """Columns of figures, with one entry per epoch.

    ``data_loss`` is the mean over rows in *training* mode: with dropout, and while the parameters
    changed. ``penalty`` is the value at the end of the epoch, ``total`` the sum of the two. Metrics
    and the columns that begin with ``val_`` are measured at the end of the epoch in inference mode.
    ``seconds`` is the duration of the epoch.

    ``history["loss"]`` is the total, and ``history["val_loss"]`` is the validation data loss plus
    the penalty, as in Keras; neither is stored as a column.

    Attributes
    ----------
    rows : list of Figures
    stopped : str
        The reason for the end of training: ``"epochs"``, ``"interrupted"``, ``"non-finite loss"``,
        ``"error"``, or the reason of a callback.

    Examples
    --------
    >>> history = History()
    >>> history.append({"epoch": 1, "data_loss": 0.5, "penalty": 0.25})
    >>> history["data_loss"], history["loss"], history.last["epoch"], len(history)
    ([0.5], [0.75], 1, 1)
    """

    def __init__(self) -> None:
        self.rows: list[Figures] = []
        self.stopped = "epochs"

    def append(self, row: dict[str, Any]) -> None:
        """Add the figures of an epoch, under the same names as before.

        Whole rows are added, so that all columns always have the same length.
        """
        self.rows.append(Figures(row))

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The figures by column."""
        return {name: self[name] for name in (self.rows[0] if self.rows else ())}

    def __getitem__(self, name: str) -> list[Any]:
        if not self.rows:
            raise KeyError(f"no figure {name!r} is recorded; no epoch is finished")
        return [row[name] for row in self.rows]

    def __contains__(self, name: object) -> bool:
        return all(part in self.last for part in SUMS.get(str(name), (name,)))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def last(self) -> Figures:
        """The figures of the last epoch; empty before the end of the first one."""
        return Figures(self.rows[-1] if self.rows else {})

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the columns as plain lists, ready for JSON or a data frame."""
        return self.columns

    def to_pandas(self) -> pandas.DataFrame:
        """Return the columns as a data frame of pandas, with one row per epoch.

        The column ``epoch`` is its index. For polars: ``polars.DataFrame(history.to_dict())``.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> history = History()
        >>> history.append({"epoch": 1, "data_loss": 0.5})
        >>> history.append({"epoch": 2, "data_loss": 0.25})
        >>> history.to_pandas()
               data_loss
        epoch
        1           0.50
        2           0.25
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install 'nnreg[pandas]'") from None
        return pandas.DataFrame(self.columns or {"epoch": []}).set_index("epoch")

    def __repr__(self) -> str:
        if not self.rows:
            return f"<History: no epoch finished, stopped: {self.stopped}>"
        head, cells = self._cells()
        return f"{tables.text_table(head, cells, right=range(len(head)))}\n{self._end()}"

    def _repr_html_(self) -> str:
        """Return the same table and a picture of the losses, for a notebook."""
        if not self.rows:
            return tables.paragraphs([self._end()])
        head, cells = self._cells()
        losses = [name for name in ("data_loss", "val_data_loss") if name in self]
        label = "; dashed: ".join(f"{name} by epoch" for name in losses)
        picture = tables.sparkline([self[name] for name in losses], label)
        return "".join(
            [
                f"<figure>{picture}<figcaption>{label}</figcaption></figure>" if losses else "",
                tables.html_table(head, cells, right=range(len(head))),
                tables.paragraphs([self._end()]),
            ]
        )

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the columns' names, and the text of the first and the last epochs."""
        head = list(self.last)
        cells = [
            [f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()]
            for row in self.rows
        ]
        if len(cells) > 6:
            cells[3:-3] = [["..."] * len(head)]
        return head, cells

    def _end(self) -> str:
        return f"{len(self)} epochs, stopped: {self.stopped}"
