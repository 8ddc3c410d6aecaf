"""A CSV file is read exactly, or refused with the line and the column that are wrong."""

import csv
import io
import time

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


def test_numbers_for_names_are_a_header_where_the_target_is_named_or_it_is_said(read):
    text = "400,410,kind\n1,2,cat\n3,4,dog\n"
    assert read(text, target="kind").feature_names == ("400", "410")
    assert read(text, header=True).feature_names == ("400", "410")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_taken_where_it_is_named(read, separator):
    assert len(read(ROWS.replace(",", separator), separator=separator).x) == 4


def test_quotes_may_follow_a_space(read):
    data = read('a, b, kind\n1, 2, "x"\n3, 4, "y"\n')
    assert data.class_names == ("x", "y")


def test_a_wide_table_takes_linear_time(read):
    names = ",".join(f"c{i}" for i in range(30_000))
    begun = time.perf_counter()
    read(f"{names},y\n" + ("1," * 30_000 + "u\n" + "1," * 30_000 + "v\n"))
    assert time.perf_counter() - begun < 5


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
        ("a\n1\n", "line 1: one column, 'a'; .* separated by commas, semicolons, tabs, bars"),
        ("a,,y\n1,2,u\n", "line 1: column 1 has no name"),
        ("a,b,a \n1,2,u\n", 'line 1: columns 0 and 2 have the same name "a"'),
        ("5.1,3.5,u\n4.9,3,v\n", "numbers, 5.1, 3.5, where .* header=False .* header=True"),
        ("a,\x1b[2J\n1,\n", r'column "\\x1b\[2J", line 2: a missing label'),
        ("\x1b,y\n,u\n", r'column "\\x1b": a missing value'),
        ("a,y\n1,\x9bu\n2,v\n3,w\n4,x\n5,z\n", "5 different labels in 5 rows"),
        ("a,y\n1,u\n2," + "v" * 10**5 + "\n", "line 3: a label of 100,000 characters"),
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
