"""CSV files.

A CSV file has numbers for features and, unless it is for prediction only, a column of labels or
values. The error for an invalid file has the position, such as line 812, column "age". Each cell is
read strictly; no value is guessed, imputed or dropped. Time and memory are linear in the file.
"""

from __future__ import annotations

import codecs
import io
import math
import os
import re
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from nnreg._support import validation
from nnreg._support.files import check_path, open_regular
from nnreg._support.tables import listed, printable
from nnreg._support.typing import Array
from nnreg.datasets.columns import Column, choose
from nnreg.datasets.dataset import LONGEST_LABEL, Dataset, Part, make_dataset

_MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MOST_COLUMNS = 100_000
_UTF_8 = "utf-8-sig"  # with or without a byte-order mark
_BLOCK = 2**16  # cells that are converted at once
_SAMPLE = 20  # lines, from which the separator is recognized


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: Column | None = None,
    header: bool | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    columns: Sequence[Column] | None = None,
    drop: Sequence[Column] = (),
    regression: bool = False,
) -> Dataset:
    r"""Read features and labels from a CSV file.

    Parameters
    ----------
    path : str or path
        A regular file with any line ending, fields quoted by ``"`` or not, blank lines skipped.
    target : str, int or False, optional
        The column of labels, by name or by number (from 0; negative from the end). Default: the
        last one. Text that is not a column's name is read as a number. If False, the file has no
        labels, as a file for prediction.
    header : bool, optional
        Whether the first line has the names of the columns. Default: yes, but a first line of
        numbers is an error, since it is ambiguous. If False, columns are called ``column 0``,
        ``column 1``, ...
    separator : {",", ";", "\t", "|"}, optional
        What separates the fields. Default: the one that divides each of the first 20 records into
        the same number of fields; more than one is an error.
    encoding : str, optional
        Default: UTF-8 with or without a byte-order mark.
    columns : list of str or int, optional
        The features, in this order. Default: all columns but the target.
    drop : list of str or int, optional
        Columns that are not features.
    regression : bool, default False
        If True, the target is a number, and ``y`` has the shape (N, 1) and dtype float64.

    Returns
    -------
    Dataset
        ``x`` is float64 of shape (N, D), since a table may contain numbers that float32 cannot
        distinguish; ``y`` int64 of shape (N,). Labels are text or whole numbers; classes are
        sorted.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        For a missing value or a text among the features (line and column are named, and the line
        of pandas that changes the file), a name that is empty or used twice in the header, a line
        with another number of fields, more than 100,000 columns, an unknown column (the nearest
        name is suggested), labels that are not a classification, a file without rows, an ambiguous
        separator or header (both readings are shown), text in another encoding, or a path that is
        not a regular file.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "pets.csv"
    ...     size = path.write_text(
    ...         "weight;kind;legs\n4.5;cat;4\n30;dog;4\n0.03;bird;2\n"
    ...         "5;cat;4\n25;dog;3\n0.1;bird;2\n"
    ...     )
    ...     pets = read_csv(path, target="kind")
    ...     legs = read_csv(path, target="legs", drop=["kind"], regression=True)
    >>> pets.feature_names, pets.class_names
    (('weight', 'legs'), ('bird', 'cat', 'dog'))
    >>> pets.x[0], pets.y
    (array([4.5, 4. ]), array([1, 2, 0, 1, 2, 0]))
    >>> legs.y.shape, legs.class_names
    ((6, 1), ())
    """
    regression = validation.flag("regression", regression)
    if regression and target is False:
        raise ValueError("regression=True needs a target, got target=False")
    header = None if header is None else validation.flag("header", header)
    source = open_source(check_path("path", path), separator, encoding, header)
    file = source.file
    line, names = read_first_line(source)
    if len(names) < 2 and target is not False:
        spaces = f"; to write commas instead of spaces: {source.advise_spaces()}"
        raise ValueError(
            f"{file}, line {line}: one column, {printable(names[0])!r}; at least one feature and "
            f"the labels are expected, separated by {', '.join(SEPARATORS.values())}"
            f"{spaces if ' ' in names[0] else ''}"
        )
    features, label = choose(file, names, target=target, columns=columns, drop=drop)
    if header is None:
        check_is_header(file, line, names, features, (target, *(columns or ())))
    _check_names(source, line, names, features if label is None else [*features, label])
    numeric = [*features, label] if regression and label is not None else features
    x, texts = _read_rows(source, names, numeric, label)
    labels: Array | list[str] | None = None
    where = file if label is None else f'{file}, column "{printable(names[label])}"'
    if regression:
        x, labels = np.ascontiguousarray(x[:, :-1]), x[:, -1:].copy()
    elif label is not None:
        labels = _label_values(source, where, texts)
    return make_dataset(
        os.path.splitext(os.path.basename(source.path))[0],
        Part(x, labels, where),
        feature_names=[names[number] for number in features],
        source=file if label is None else f'{file}, target column "{printable(names[label])}"',
        regression=regression,
    )


def read_first_line(source: Source) -> tuple[int, list[str]]:
    """Return the number of the first line, and the names of the columns."""
    file = source.file
    line, first = next(read_records(source), (0, [""]))
    if not line:
        raise ValueError(f"{file}: the file is empty; a header and rows are expected")
    if "\0" in "".join(first):
        raise ValueError(f'{file}, line {line}: a NUL character; for UTF-16, encoding="utf-16-le"')
    if len(first) > _MOST_COLUMNS:
        raise ValueError(
            f"{file}, line {line}: {len(first):,} columns, more than {_MOST_COLUMNS:,}; "
            "an .npz file may have more"
        )
    if source.header is False:
        return line, [f"column {number}" for number in range(len(first))]
    return line, [name.strip() for name in first]


class Source(NamedTuple):
    """A file, and how it is written."""

    path: str
    encoding: str
    separator: str
    header: bool | None

    @property
    def file(self) -> str:
        """The path as it is shown."""
        return printable(self.path, None)

    def in_pandas(self, *arguments: str) -> str:
        """Return the call of pandas that reads the file."""
        given = [repr(self.path)]
        if self.separator != ",":
            given.append(f"sep={self.separator!r}")
        if self.encoding != _UTF_8:
            given.append(f"encoding={self.encoding!r}")
        if self.header is False:
            given.append("header=None")
        return f"pandas.read_csv({', '.join([*given, *arguments])})"

    def advise_rows(self, text: str) -> str:
        """Return the lines of pandas that leave out the rows with a missing value."""
        arguments = [f"na_values={text.strip()!r}"] if text.strip() else []
        return f"to leave out such rows: {self.in_pandas(*arguments)}.dropna(){self._write()}"

    def advise_spaces(self) -> str:
        """Return the lines of pandas that write commas in the place of spaces."""
        return self.in_pandas("sep=r'\\s+'") + self._write()

    def advise_commas(self, text: str) -> str:
        """Return the lines of pandas that write points for decimal commas, or no separators."""
        parts = ["thousands='.'"] if "." in text else []
        reading = self.in_pandas("decimal=','", *parts)
        decimal = f"to write points instead of decimal commas: {reading}{self._write()}"
        if not re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", text):
            return decimal
        reading = self.in_pandas("thousands=','")
        whole = f"to write {text.replace(',', '')} instead of {text}: {reading}{self._write()}"
        return whole if text.count(",") > 1 or "." in text else f"{whole}; {decimal}"

    def advise_text(self, name: str, label: str | None, *, may_be_label: bool) -> str:
        """Return what makes numbers of a column of text, or leaves it out."""
        key: object = name
        then = f", then target={label!r}"
        if self.header is False:
            key = int(name.removeprefix("column "))
            then = f", then header=True, target={(label or '').removeprefix('column ')!r}"
        first = f"target={key!r} if it is the column of labels; " if may_be_label else ""
        return (
            f"{first}drop=[{key!r}] leaves the column out; to replace it by columns of 0 and 1: "
            f"pandas.get_dummies({self.in_pandas()}, columns=[{key!r}], dtype=int)"
            f".to_csv('numbers.csv', index=False){then if label else ''}"
        )

    def _write(self) -> str:
        header = ", header=False" if self.header is False else ""
        return f".to_csv('complete.csv', index=False{header})"


def open_source(
    file: str, separator: str | None, encoding: str | None, header: bool | None
) -> Source:
    """Return the file with its encoding checked and its separator recognized."""
    if not isinstance(encoding, str | None):
        raise TypeError(f"encoding must be the name of an encoding, got {encoding!r}")
    try:
        name = codecs.lookup(encoding or _UTF_8).name
        "".encode(name)  # refuses encodings that are not of text
    except (LookupError, ValueError) as error:
        raise ValueError(f"encoding: {error}") from None
    name = _UTF_8 if name == "utf-8" else name
    separator = _recognize_separator(file, name) if separator is None else separator
    return Source(file, name, validation.one_of("separator", separator, SEPARATORS), header)


def _recognize_separator(path: str, encoding: str) -> str:
    """Return the separator that divides the first records into equal numbers of fields."""
    import csv

    with _lines(path, encoding) as text:
        lines = list(islice(filter(str.strip, text), _SAMPLE))
    even: dict[str, list[str]] = {}
    uneven: dict[str, list[str]] = {}
    for separator in SEPARATORS:
        records: list[list[str]] = []
        with suppress(csv.Error):  # the last record may go on beyond these lines
            records.extend(filter(None, _parse(lines, separator)))
        if records and len(records[0]) > 1:
            is_even = all(len(record) == len(records[0]) for record in records)
            (even if is_even else uneven)[separator] = records[0]
    found = even or uneven
    if len(found) > 1:
        readings = "; ".join(
            f"separator={separator!r} gives {len(fields)} columns: {listed(fields, 4)}"
            for separator, fields in found.items()
        )
        file = printable(path, None)
        raise ValueError(f"{file}: the separator is ambiguous. {readings}. Pass one of them")
    return next(iter(found), ",")


def _parse(lines: Iterable[str], separator: str) -> Any:
    """Return a reader of the records in lines of text."""
    import csv

    return csv.reader(lines, strict=True, delimiter=separator, skipinitialspace=True)


@contextmanager
def _lines(file: str, encoding: str) -> Iterator[Iterator[str]]:
    """Open a file of text; the error for other text names the line."""
    with open_regular(file) as stream, io.TextIOWrapper(stream, encoding, newline="") as text:
        try:
            yield text
        except UnicodeError as error:
            raise ValueError(_locate(file, encoding, error)) from None


def _locate(file: str, encoding: str, error: UnicodeError) -> str:
    """Return the message for a file that is not in an encoding: the line, and the cure."""
    name = printable(file, None)
    shown = "UTF-8" if encoding == _UTF_8 else encoding
    with open_regular(file) as stream:
        if stream.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return f'{name}: not {shown}, but UTF-16: set encoding="utf-16"'
        hint = '; if it is an older text, set encoding="latin-1"' if encoding == _UTF_8 else ""
        has_lines = len("\n\n".encode(encoding)) - len("\n".encode(encoding)) == 1
        for number, line in enumerate(stream if has_lines else (), 1):
            try:
                line.decode(encoding)
            except UnicodeError as wrong:
                return f"{name}, line {number}: not {shown}: {wrong.args[-1]}{hint}"
    return f"{name}: not {shown}: {error.args[-1]}{hint}"


def read_records(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with the number of the line it starts on."""
    import csv

    with _lines(source.path, source.encoding) as text:
        reader = _parse(text, source.separator)
        line = 1
        try:
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{source.file}, line {line}: {printable(str(error))}") from error


def check_is_header(
    file: str, line: int, names: list[str], features: list[int], keys: Iterable[object]
) -> None:
    """Raise if the first line may be a row: numbers, and no column's name is an argument."""
    known = set(names)
    named = [key for key in keys if isinstance(key, str) and key in known]
    chosen = [names[number] for number in features]
    may_be_row = all(map(_is_value, chosen)) or named  # "2" may be a name or a number of a column
    if may_be_row and all(map(_is_value, named)):
        raise ValueError(
            f"{file}, line {line}: numbers, {listed(chosen, 3)}, where a header has names. If the "
            "file has no header, set header=False (its columns are called column 0 to column "
            f"{len(names) - 1}); if these are the names of the columns, set header=True"
        )


def _check_names(source: Source, line: int, names: list[str], used: list[int]) -> None:
    file, counts = source.file, Counter(names)
    for number in used:
        name = names[number]
        if not name or len(name) > LONGEST_LABEL:
            fault = f"a name of {len(name):,} characters" if name else "no name"
            raise ValueError(
                f"{file}, line {line}: column {number} (counted from 0) has {fault} in the header; "
                f"drop=[{number}] leaves it out"
            )
        if counts[name] > 1:
            first, second, *_ = (other for other, text in enumerate(names) if text == name)
            raise ValueError(
                f"{file}, line {line}: columns {first} and {second} have the same name "
                f'"{printable(name)}" (if there is no header, set header=False); to rename them: '
                f"{source.in_pandas()}.to_csv('names.csv', index=False)"
            )


def _read_rows(
    source: Source, names: list[str], numeric: list[int], label: int | None
) -> tuple[Array, list[str]]:
    """Return the numbers (N, D), and the text of each row's label."""
    import csv

    values, labels = array("d"), list[str]()
    known: dict[str, str] = {}  # rows of one class share one text
    start = rows = 0 if source.header is False else 1  # records before the block
    with _lines(source.path, source.encoding) as text:
        parsed = islice(filter(None, _parse(text, source.separator)), start, None)
        records = _end_at_wrong_width(parsed, len(names))
        try:
            while block := list(islice(records, max(1, _BLOCK // len(names)))):
                numbers = _get_numbers(block, numeric)
                if numbers is None:
                    raise ValueError(_find_fault(source, names, numeric, label, rows))
                values.extend(numbers)
                if label is not None:
                    texts = list(map(str.strip, map(itemgetter(label), block)))
                    labels.extend(map(known.setdefault, texts, texts))
                rows += len(block)
        except csv.Error:
            deque(read_records(source), maxlen=0)  # which raises it with the line
            raise
    if rows == start:
        raise ValueError(f"{source.file}: a header, but no rows")
    return np.frombuffer(values).reshape(rows - start, len(numeric)), labels


def _end_at_wrong_width(records: Iterable[list[str]], width: int) -> Iterator[list[str]]:
    """Yield records up to the first of another width; an empty one is in its place."""
    for fields in records:
        if len(fields) != width:
            yield []
            return
        yield fields


def _get_numbers(block: list[list[str]], numeric: list[int]) -> list[float] | None:
    """Return the numbers of some records, or None if a record or a cell is wrong."""
    if not block[-1]:
        return None
    pick = itemgetter(*numeric)
    texts: Iterable[str] = map(pick, block)
    texts = list(chain.from_iterable(texts) if len(numeric) > 1 else texts)
    try:
        numbers = list(map(float, texts))
    except ValueError:
        return None
    # Python reads 1_000 as a number; in a table it is probably a mistake.
    if (math.isfinite(sum(numbers)) and "_" not in "".join(texts)) or all(map(is_number, texts)):
        return numbers
    return None


def _find_fault(
    source: Source, names: list[str], numeric: list[int], label: int | None, start: int
) -> str:
    """Return the message for the first record from ``start`` that is wrong."""
    for line, fields in islice(read_records(source), start, None):
        if len(fields) != len(names):
            return (
                f"{source.file}, line {line}: {len(fields)} fields, but the first line has "
                f"{len(names)}"
            )
        for number in numeric:
            if not is_number(fields[number]):
                where = f'{source.file}, line {line}, column "{printable(names[number])}"'
                fault, cure = _explain_cell(source, names, numeric, label, number, fields[number])
                return f"{where}: {fault}{cure and '; '}{cure}"
    raise ValueError(f"{source.file} changed while it was read")


def _explain_cell(
    source: Source, names: list[str], numeric: list[int], label: int | None, number: int, text: str
) -> tuple[str, str]:
    """Return what is wrong with a cell that is not a finite number, and its cure."""
    if is_missing(text):
        return "a missing value", source.advise_rows(text)
    fault = f"'{printable(text, 60)}' is not a finite number"
    if re.fullmatch(r"[-+]?\d[\d,.]*,[\d.]+", text.strip()):
        return fault, source.advise_commas(text.strip())
    with suppress(ValueError):
        float(text)  # inf, 1e999 or 1_000
        return fault, ""
    if number == label:
        return fault, "if the target is a class, leave out regression=True"
    target = None if label is None else names[label]
    may_be_label = label == len(names) - 1 and label not in numeric  # the default
    return fault, source.advise_text(names[number], target, may_be_label=may_be_label)


def is_number(text: str) -> bool:
    """Return whether a cell is a finite number, which is not written as in a program (1_000)."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def is_missing(text: str) -> bool:
    """Return whether a cell is empty or has one of the usual signs for a missing value."""
    return text.strip().lower() in _MISSING


def _is_value(text: str) -> bool:
    return is_number(text) or is_missing(text)


def _label_values(source: Source, where: str, labels: list[str]) -> Array | list[str]:
    """Return the labels as numbers if all of them are, otherwise as text."""
    distinct = set(labels)
    missing = set(filter(is_missing, distinct))
    # Among numbers, "none" is a missing value; among words it may be a class.
    numeric = distinct > missing and all(map(is_number, distinct - missing))
    missing = missing if numeric else missing & {""}
    if wrong := missing | {label for label in distinct if len(label) > LONGEST_LABEL}:
        row, text = next(pair for pair in enumerate(labels) if pair[1] in wrong)
        line, _ = next(
            islice(read_records(source), row + (source.header is not False), None), (0, [])
        )
        fault = f"a label of {len(text):,} characters"
        if text in missing:
            fault = f"a missing label; {source.advise_rows(text)}"
        raise ValueError(f"{where}, line {line}: {fault}")
    numbers = {label: float(label) for label in distinct} if numeric else {}
    return np.array([numbers[label] for label in labels]) if numeric else labels
