"""A CSV file is read exactly, or refused with the line and the column that are wrong."""

import csv
import io
import os
import re
import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnreg.datasets import read_csv

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs"]), min_size=1, max_size=8
).map(str.strip)
header = st.lists(names.filter(bool), min_size=2, max_size=5, unique=True)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def tables(draw):
    columns = draw(header)
    target = draw(st.integers(0, len(columns) - 1))
    n = draw(st.integers(4, 8))
    x = [[draw(numbers) for _ in columns[1:]] for _ in range(n)]
    words = draw(st.sampled_from([("no", "yes"), ('a "b", c', "d\ne"), ("-1", "10"), ("é", "ß")]))
    y = [words[i % 2] for i in range(n)]
    return columns, target, np.array(x), y


@given(
    table=tables(),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    mark=st.booleans(),
    by_name=st.booleans(),
)
def test_what_was_written_is_read_back(tmp_path_factory, table, ending, quoting, mark, by_name):
    columns, target, x, y = table
    text = io.StringIO()
    if "d\ne" in y:  # the writer leaves \n bare where lines end in \r
        quoting = csv.QUOTE_ALL
    writer = csv.writer(text, lineterminator=ending, quoting=quoting)
    writer.writerow(columns)
    for row, label in zip(x.tolist(), y, strict=True):
        fields = [repr(value) for value in row]
        fields.insert(target, label)
        writer.writerow(fields)
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    path.write_bytes(text.getvalue().encode("utf-8-sig" if mark else "utf-8"))

    data = read_csv(path, target=columns[target] if by_name else target, header=True)

    assert data.x.dtype == np.float64
    assert np.array_equal(data.x, x)
    assert [data.class_names[label] for label in data.y] == y
    assert data.feature_names == tuple(columns[:target] + columns[target + 1 :])
    assert data.name == "table"


@pytest.fixture
def read(tmp_path):
    def read(text, **arguments):
        path = tmp_path / "file.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_csv(path, **arguments)

    return read


ROWS = "a,b,kind\n1,2,cat\n3,4,dog\n5,6,cat\n7,8,dog\n"


def test_the_last_column_is_the_target_unless_told(read):
    data = read(ROWS)
    assert data.feature_names == ("a", "b")
    assert data.class_names == ("cat", "dog")
    assert data.y.tolist() == [0, 1, 0, 1]
    assert data.y.dtype == np.int64
    assert data.x_test is None
    assert data.source.endswith('file.csv, target column "kind"')


@pytest.mark.parametrize("target", ["kind", 0, "0", -3, "-3"])
def test_the_target_is_a_name_or_a_number(read, target):
    text = "kind,a,b\ncat,1,2\ndog,3,4\n"
    assert read(text, target=target).feature_names == ("a", "b")


def test_a_table_without_a_header_is_read_whole(read):
    data = read("5.1,3.5,alba\n4.9,3.0,alba\n6.3,2.9,rosa\n6.6,3.0,rosa\n", header=False)
    assert data.x[0].tolist() == [5.1, 3.5]
    assert data.feature_names == ("column 0", "column 1")
    first = read("1,14.2,1.7\n1,13.2,1.8\n2,12.4,0.9\n2,12.3,1.1\n", target=0, header=False)
    assert first.y.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("given", [False, True])
def test_the_separator_is_recognized_or_given(read, separator, given):
    data = read(ROWS.replace(",", separator), separator=separator if given else None)
    assert data.feature_names == ("a", "b")
    assert len(data.x) == 4


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("a;b;y\n1;2;u, v\n3;4;u, v\n5;6;w\n7;8;w\n", ("a", "b")),  # a comma in some labels
        ("a|b,y\n1,u\n2,u\n3,v\n4,v\n", ("a|b",)),  # a bar in the header alone
        ('"a;1","b;1",y\n1,2,u\n3,4,v\n5,6,u\n7,8,v\n', ("a;1", "b;1")),  # quoted
        ("\n" * 30 + "a;b;y\n1;2;u\n3;4;v\n5;6;u\n7;8;v\n", ("a", "b")),
    ],
)
def test_the_separator_is_that_of_all_records(read, text, features):
    assert read(text).feature_names == features


@pytest.mark.reliability(
    input="A CSV file that two separators divide into columns",
    sees="`ValueError` with both readings",
)
def test_an_ambiguous_separator_shows_the_readings(read):
    expected = (
        "the separator is ambiguous. separator=',' gives 3 columns: 1, 5;2, 5;u; "
        "separator=';' gives 3 columns: 1,5, 2,5, u. Pass one of them"
    )
    with pytest.raises(ValueError, match=re.escape(expected)):
        read("1,5;2,5;u\n2,5;3,5;v\n3,5;4,5;u\n4,5;5,5;v\n")


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-8-sig", "utf8"),
        ("latin-1", "latin-1"),
        ("cp1252", "windows-1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
    ],
)
def test_the_encoding_is_utf_8_unless_given(read, written, given):
    data = read("größe,y\n1,é\n2,x\n3,é\n4,x\n".encode(written), encoding=given)
    assert data.feature_names == ("größe",)
    assert data.class_names == ("x", "é")


@pytest.mark.parametrize("encoding", ["utf-9", "zlib", "rot13", "a\0"])
def test_an_encoding_that_is_not_one_of_text_is_refused(read, encoding):
    with pytest.raises(ValueError, match=r"^encoding: "):
        read(ROWS, encoding=encoding)


@pytest.mark.parametrize(
    ("choice", "features", "row"),
    [
        ({"columns": ["b", "a"], "target": "y"}, ("b", "a"), [2, 1]),
        ({"columns": [1]}, ("b",), [2]),
        ({"columns": ["1", "-4"]}, ("b", "a"), [2, 1]),
        ({"drop": ["text"]}, ("a", "b"), [1, 2]),
        ({"drop": (2, 0)}, ("b",), [2]),
        ({"target": "b", "drop": ["text", "y"]}, ("a",), [1]),
        ({"target": False, "columns": ["a", "b"]}, ("a", "b"), [1, 2]),
        ({"target": False, "drop": ["text", "y"]}, ("a", "b"), [1, 2]),
    ],
)
def test_features_are_chosen_by_name_or_number(read, choice, features, row):
    data = read("a,b,text,y\n1,2,p,u\n3,4,q,v\n1,2,r,u\n3,4,s,v\n", **choice)
    assert data.feature_names == features
    assert data.x[0].tolist() == row
    assert data.y.shape == ((4, 0) if choice.get("target") is False else (4,))
    assert data.x.flags.c_contiguous
    assert data.x.flags.writeable


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        ({"columns": "a"}, TypeError, r"columns must be a list of .* as \['a'\], got 'a'"),
        ({"drop": 1}, TypeError, "drop must be a list"),
        ({"columns": [1.0]}, TypeError, "columns must be a column's name or number, got 1.0"),
        ({"columns": ["c"]}, ValueError, "columns: .* has no column 'c'; it has a, b, kind"),
        ({"drop": [3]}, ValueError, "drop: .* has 3 columns, so none has the number 3"),
        ({"columns": ["a", 0]}, ValueError, 'columns has "a" twice'),
        ({"columns": [2]}, ValueError, 'columns has "kind", which is the target .the last column'),
        ({"columns": [0], "target": 0}, ValueError, 'columns has "a", which is the target$'),
        ({"drop": ["kind"]}, ValueError, 'drop has "kind", which is the target'),
        ({"columns": ["a", "b"], "drop": ["b"]}, ValueError, 'drop has "b", which is one of col'),
        ({"drop": [0, 1]}, ValueError, "no column is left for the features; it has a, b, kind"),
        ({"columns": []}, ValueError, "no column is left"),
        ({"regression": True, "target": False}, ValueError, "regression=True needs a target"),
        ({"regression": 1}, TypeError, "regression must be True or False"),
        ({"encoding": 8}, TypeError, "encoding must be the name of an encoding, got 8"),
        ({"separator": " "}, ValueError, "separator must be one of"),
        ({"header": "no"}, TypeError, "header must be True or False"),
    ],
)
def test_wrong_arguments_are_named(read, choice, error, message):
    with pytest.raises(error, match=message):
        read(ROWS, **choice)


def test_an_index_without_a_name_is_left_out_by_its_number(read):
    text = ",a,y\n0,5,u\n1,6,v\n2,5,u\n3,6,v\n"
    with pytest.raises(
        ValueError,
        match=r"column 0 \(counted from 0\) has no name in the header; drop=\[0\] leaves",
    ):
        read(text)
    assert read(text, drop=[0]).x.ravel().tolist() == [5, 6, 5, 6]


def test_the_target_of_a_regression_is_a_column_of_numbers(read):
    data = read("price,a,b\n1.5,1,2\n-3e2,3,4\n", target="price", regression=True)
    assert data.y.tolist() == [[1.5], [-300.0]]
    assert data.y.dtype == np.float64
    assert data.x.tolist() == [[1, 2], [3, 4]]
    assert data.class_names == ()
    with pytest.raises(ValueError, match="line 2, column \"y\": 'u' is not a finite number"):
        read("a,y\n1,u\n", regression=True)


ROWS_AFTER = "1,2,u\n1,2,v\n3,4,u\n5,6,v\n"


@pytest.mark.reliability(
    input="A CSV file whose first line consists of numbers",
    sees="`ValueError` with both readings, `header=False` and `header=True`",
)
@pytest.mark.parametrize(
    ("first", "arguments", "is_header"),
    [
        ("a,b,y", {}, True),
        ("id,1999,y", {}, True),
        ("1,2,u", {}, False),
        ("1,?,u", {}, False),  # a missing value is no name
        ("1,,u", {}, False),
        ("1,1,u", {}, False),
        ("x,1,u", {"columns": [1]}, False),  # text is not among these
        ("0,1,u", {"target": "2"}, False),
        ("2,1,u", {"target": "2"}, False),  # 2 may be the number of the column
        ("1,2,y", {"target": "y"}, True),
        ("1,b,y", {"target": False, "columns": ["1", "b"]}, True),
        ("1,2,u", {"target": False, "columns": [0]}, False),
    ],
)
def test_a_first_line_of_numbers_is_not_taken_for_a_header(read, first, arguments, is_header):
    text = f"{first}\n{ROWS_AFTER}"
    if is_header:
        assert len(read(text, **arguments).x) == 4
    else:
        with pytest.raises(ValueError, match=r"line 1: numbers, .* header=False .* header=True"):
            read(text, **arguments)


CURES = {
    "a missing value": "a;b;y\n1;2;u\n3;?;v\n5;6;u\n7;8;v\n1;2;u\n",
    "text": "a,b,y\n1,red,u\n3,blue,v\n5,red,u\n7,red,v\n",
    "decimal commas": "a;b;y\n1,5;2,5;u\n3,5;0;v\n1,5;2,5;u\n3,5;0;v\n",
    "points and commas": "a;b;y\n1.000,5;2,5;u\n3,5;0;v\n1,5;2,5;u\n3,5;0;v\n",
    "thousands": 'a,b,y\n"1,000,000",2,u\n3,0,v\n"1,500",2,u\n3,0,v\n',
    "a missing label": "a,y\n1,u\n2,\n3,v\n4,u\n1,v\n",
}


@pytest.mark.parametrize("fault", CURES)
@pytest.mark.parametrize("header", [True, False])
def test_the_line_of_pandas_in_the_error_mends_the_file(tmp_path, monkeypatch, fault, header):
    pandas = pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    text = CURES[fault] if header else CURES[fault].partition("\n")[2]
    (tmp_path / "file.csv").write_text(text)
    separator = ";" if ";" in text else ","
    with pytest.raises(ValueError, match=r"pandas\.\w+\(") as caught:
        read_csv("file.csv", separator=separator, header=header)
    line = re.search(r"pandas\.\w+\(.*index=False.*?\)", str(caught.value))[0]
    target = re.search("then .*target='(.*)'", str(caught.value))
    eval(line, {"pandas": pandas})
    (mended,) = set(tmp_path.iterdir()) - {tmp_path / "file.csv"}
    options = {"header": header, "target": None}
    if target:
        options = {"header": True, "target": target[1]}
    assert len(read_csv(mended, **options).x) == 4


HOSTILE = {
    "narrow": "x,y\n" + "1,u\n2,v\n" * 15_000,
    "one long label": "x,y\n1," + "z" * 100_000 + "\n" + "1,u\n2,v\n" * 15_000,
    "a label of 999 letters": "x,y\n" + f"1,{'z' * 999}\n" * 2 + "1,u\n2,v\n" * 15_000,
    "many labels": "x,y\n" + "".join(f"1,k{i}\n1,k{i}\n" for i in range(5_000)),
    "20,000 columns": ",".join(f"c{i}" for i in range(20_000)) + ",y\n" + f"{'1,' * 20_000}u\n" * 4,
    "200,000 columns": "1," * 200_000,
    "50,000 columns of one name": "a," * 50_000,
    "blank lines": "\n" * 100_000,
    "quotes": '"' * 200_000,
    "a quote without an end": 'x,y\n1,"' + "a\n" * 50_000,
    "long numbers": "x,y\n" + f"0.{'1' * 100_000},u\n" * 5,
    "a few names, long records": "x,y\n" + f"{'1,' * 1_000}\n" * 100,
    "a short last line": "x,y\n" + "1,u\n" * 20_000 + "1\n",
    "a wrong byte at the end": b"x,y\n" + b"1,u\n" * 20_000 + b"\xff",
    "bytes": bytes(range(256)) * 500,
}

QUICK = {"narrow", "many labels", "200,000 columns", "quotes", "long numbers"}


@pytest.mark.reliability(
    input="A CSV file made to exhaust time or memory: 200,000 columns, long labels and "
    "numbers, blank lines, quotes",
    sees="Read, or `ValueError`, in time and memory that are linear in the size of the file",
)
@pytest.mark.parametrize(
    "kind", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in HOSTILE]
)
def test_time_and_memory_are_linear_in_the_file(read, kind):
    tracemalloc.start()
    begun = time.process_time()
    try:
        with suppress(ValueError):
            read(HOSTILE[kind])
        seconds, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds < 3  # 100 kB; traced, it takes several times longer
    assert peak < 10e6


@pytest.mark.reliability(
    input="A folder, pipe or device in the place of a CSV file",
    sees="`IsADirectoryError`, or `ValueError: ... is a pipe or a device`; nothing is read",
)
def test_what_is_not_a_regular_file_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_csv(tmp_path)
    if os.name == "posix":
        with pytest.raises(ValueError, match="/dev/zero is a pipe or a device"):
            read_csv("/dev/zero")
        os.mkfifo(tmp_path / "pipe.csv")
        with pytest.raises(ValueError, match=r"pipe\.csv is a pipe"):
            read_csv(tmp_path / "pipe.csv")


@pytest.mark.reliability(
    input="Control sequences in a CSV file or in its name",
    sees="They are escaped in every message",
)
@pytest.mark.parametrize(
    "text",
    [
        "{e},y\n,u\n",
        "a,y\n1,{e}\n2,v\n3,w\n",
        "a,y\n{e},u\n",
        "a,{e}\n1,\n",
        "{e},{e}\n1,u\n",
        "{e}\n",
        "{e},a;b\n1,u;v\n",
        "a,y\n1\n",
        'a\ty\n1\t"u"v\n',
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="no such file names")
def test_control_characters_of_a_file_and_of_its_name_are_escaped(tmp_path, text):
    path = tmp_path / "a\x1b[2J\x9b.csv"
    path.write_text(text.replace("{e}", "\x1b[31m\x9b\u202e"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"\\x1b") as caught:
        read_csv(path)
    assert str(caught.value).isprintable()


def test_quotes_may_follow_a_space(read):
    data = read('a, b, kind\n1, 2, "x"\n3, 4, "y"\n')
    assert data.class_names == ("x", "y")


def test_minus_one_is_the_last_column(read):
    assert read(ROWS, target=-1).feature_names == ("a", "b")


def test_a_name_that_is_a_number_is_the_name(read):
    assert read("1,0\n5,a\n6,b\n7,a\n8,b\n", target="0", header=True).x[:, 0].tolist() == [
        5,
        6,
        7,
        8,
    ]


def test_number_classes_are_sorted_by_size_and_text_by_letters(read):
    assert read("a,y\n1,10\n1,9\n1,10.0\n1,9\n").class_names == ("9", "10")
    assert read("a,y\n1,10\n1,9\n1,10\n1,9\n1,x\n1,x\n").class_names == ("10", "9", "x")


def test_spaces_around_numbers_names_and_labels_do_not_matter(read):
    data = read("a , y\n 1 , cat\n2,cat \n3,dog\n4,dog\n")
    assert data.feature_names == ("a",)
    assert data.class_names == ("cat", "dog")


def test_blank_lines_are_skipped_and_counted(read):
    assert len(read("\n" + ROWS + "\n\n").x) == 4
    with pytest.raises(ValueError, match='line 4, column "a": a missing value'):
        read("a,kind\n\n1,cat\n,dog\n")


def test_none_is_a_class_among_words_and_a_gap_among_numbers(read):
    assert read("a,y\n1,none\n2,mild\n3,none\n4,mild\n").class_names == ("mild", "none")
    with pytest.raises(ValueError, match='column "y", line 3: a missing label'):
        read("a,y\n1,0\n2,none\n3,1\n4,1\n")


@pytest.mark.reliability(
    input="A CSV file with a missing value, text among numbers, a record of another length, "
    "no end of a quote, an infinite number, one name twice, bytes of another encoding",
    sees='`ValueError: file.csv, line 3, column "b": a missing value`, for example, with '
    "the line of pandas or the argument that cures it",
)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1,2,u\n3,,v\n", 'line 3, column "b": a missing value'),
        ("a,b,y\n1,2,u\n3, NA ,v\n", 'line 3, column "b": a missing value'),
        ("a,b,y\n1,nan,u\n", 'line 2, column "b": a missing value'),
        ("a,b,y\n1,2,u\n3,red,v\n", "line 3, column \"b\": 'red' is not a finite number"),
        ("a,b,y\n1,inf,u\n", "line 2, column \"b\": 'inf' is not a finite number"),
        ("a,b,y\n1,1e999,u\n", "line 2, column \"b\": '1e999' is not a finite number"),
        ("a,b,y\n1_000,1,u\n", "line 2, column \"a\": '1_000' is not a finite number"),
        ('a,b,y\n1,2,"u\nv"\n3,x,w\n', "line 4, column \"b\": 'x'"),
        ("a,y\n1,u\n2\n", "line 3: 1 fields, but the first line has 2"),
        ("a,y\n1,u\n2,v,3\n", "line 3: 3 fields, but the first line has 2"),
        ("a,y\n1,u\n2,\n", 'column "y", line 3: a missing label'),
        ('a,y\n1,"u\n', "line 2: unexpected end of data"),
        ('a,y\n1,"u"v\n', "line 2: "),
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("a,y\n", "a header, but no rows"),
        ("a  b y\n1  2 u\n", r"one column, .* instead of spaces: pandas.*sep=r'.s\+'\).to_csv"),
        (
            'a,y\n"1,500",u\n',
            r"1500 instead of 1,500: .*thousands=','.*; to write points .* decimal=','",
        ),
        ("a\n1\n", "line 1: one column, 'a'; .* separated by commas, semicolons, tabs, bars"),
        ("a,,y\n1,2,u\n", "line 1: column 1 .counted from 0. has no name"),
        ("a,b,a \n1,2,u\n", 'line 1: columns 0 and 2 have the same name "a".*pandas.*names.csv'),
        ("5.1,3.5,u\n4.9,3,v\n", "numbers, 5.1, 3.5, where .* header=False .* header=True"),
        ("a,\x1b[2J\n1,\n", r'column "\\x1b\[2J", line 2: a missing label'),
        ("\x1b,y\n,u\n", r'column "\\x1b": a missing value'),
        ("a,y\n1,\x9bu\n2,v\n3,w\n4,x\n5,z\n", "5 different labels in 5 rows"),
        ("a,y\n1,u\n2," + "v" * 10**5 + "\n", "line 3: a label of 100,000 characters"),
        ("a" * 10**5 + ",y\n1,u\n2,v\n", "column 0 .* has a name of 100,000 characters"),
        ("a,y\n1,0.5\n2,1.5\n", r'column "y" must hold classes.*got 0\.5 at'),
        ("a,y\n1,1e300\n2,1\n", r'column "y" must hold classes.*got 1e\+300 at'),
        ("a,y\n1,u\n2,u\n", 'column "y": 1 different labels in 2 rows; .* has 2 to 2'),
        ("a,y\n1,u\n2,v\n3,w\n", 'column "y": 3 different labels in 3 rows'),
        (b"a,y\n1,\xff\n", 'line 2: not UTF-8: .*set encoding="latin-1"'),
        ("a,y\n1,u\n".encode("utf-16"), 'not UTF-8, but UTF-16: set encoding="utf-16"'),
        ("a,y\n1,u\n".encode("utf-16-le"), 'line 1: a NUL .*encoding="utf-16-le"'),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(read, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(text)
    assert "file.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("knd", r"no column 'knd' \(did you mean 'kind'\?\); it has a, b, kind"),
        ("zebra", "no column 'zebra'; it has"),
        (3, "has 3 columns, so none has the number 3"),
        (-4, "has 3 columns, so none has the number -4"),
    ],
)
def test_an_unknown_target_is_refused_with_the_nearest_name(read, target, message):
    with pytest.raises(ValueError, match=message):
        read(ROWS, target=target)


@pytest.mark.parametrize("target", [1.0, True, b"kind"])
def test_a_target_is_text_or_a_whole_number(read, target):
    with pytest.raises(TypeError, match="target must be a column's name or number"):
        read(ROWS, target=target)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_csv(tmp_path / "none.csv")
