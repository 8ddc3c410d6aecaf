"""The forms in which data come: arrays, frames, sparse matrices, memory-mapped files, batches.

Each trains, evaluates and predicts to the bit as the plain array of its values.
"""

import subprocess
import sys
import tempfile
import textwrap
import tracemalloc
from decimal import Decimal

import numpy as np
import pytest
import scipy.sparse
from small import everything, fit, linear, network, problem

import nnreg as nn
from nnreg._support import rows

X, Y = problem(200)
LOSS = nn.SoftmaxCrossEntropy()


def outcome(x, y=Y, *, like=X, **options):
    """Return what training, evaluation and prediction give; y may be missing."""
    net = network(dtype="float32")
    arguments = (x,) if y is None else (x, y)
    history = nn.fit(
        net, *arguments, loss=LOSS, optimizer=nn.Adam(0.01), epochs=2, batch_size=16, **options
    )
    history.rows[:] = [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]
    figures = nn.evaluate(net, *arguments, loss=LOSS)
    return everything(net), history.rows, figures, net.predict(x).tobytes()


# --- Forms of the same values ---------------------------------------------------------------------

WHOLE = np.round(X)


class Lazy:
    """An object with ``__array__``, as libraries for distributed arrays have."""

    def __array__(self, dtype=None, copy=None):
        return np.array(X, dtype)


def frame(library):
    module = pytest.importorskip(library)
    names = ["b", "a"]
    if library == "pyarrow":
        return module.table(dict(zip(names, X.T, strict=True)))
    if library == "pandas":
        return module.DataFrame(X, columns=names, index=np.arange(200)[::-1])
    return module.DataFrame(X, schema=names)


def in_file(x):
    with tempfile.TemporaryFile() as file:
        x.tofile(file)
        return np.memmap(file, x.dtype, "r", shape=x.shape)


FORMS = {
    "lists": lambda: X.tolist(),
    "Fortran order": lambda: np.asfortranarray(X),
    "strided": lambda: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda: X[::-1].copy()[::-1],
    "big-endian": lambda: X.astype(">f8"),
    "read-only": lambda: np.broadcast_to(X, X.shape),
    "not aligned": lambda: (
        np.frombuffer(b"." + X.tobytes(), np.uint8)[1:].view("f8").reshape(-1, 2)
    ),
    "masked nowhere": lambda: np.ma.masked_array(X),
    "a memoryview": lambda: memoryview(X),
    "an object with __array__": Lazy,
    "a memory-mapped file": lambda: in_file(X),
    "csr_matrix": lambda: scipy.sparse.csr_matrix(X),
    "csc_matrix": lambda: scipy.sparse.csc_matrix(X),
    "coo_array": lambda: scipy.sparse.coo_array(X),
    "dok_array": lambda: scipy.sparse.dok_array(X),
    "pandas": lambda: frame("pandas"),
    "nullable pandas": lambda: frame("pandas").convert_dtypes(),
    "polars": lambda: frame("polars"),
    "pyarrow": lambda: frame("pyarrow"),
}


@pytest.mark.reliability(
    input="Arrays of every dtype, byte order and memory order, lists, frames of pandas, polars and "
    "PyArrow, sparse matrices, memory-mapped files",
    sees="The bits that the plain array of the same values gives",
)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_bits_of_the_plain_array(form):
    options = {"validation_split": 0.25, "metrics": ["accuracy"], "sample_weight": np.arange(200.0)}
    assert outcome(FORMS[form](), **options) == outcome(X, **options)
    assert outcome(X, validation_data=(FORMS[form](), Y)) == outcome(X, validation_data=(X, Y))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float16", ">i4", "longdouble"])
def test_whole_numbers_of_every_dtype_are_the_same_data(dtype):
    given = np.abs(WHOLE).astype(dtype)
    assert outcome(given) == outcome(np.abs(WHOLE))
    assert outcome(scipy.sparse.csr_array(np.abs(WHOLE).astype("int16"))) == outcome(np.abs(WHOLE))


def test_a_series_of_labels_is_taken_by_position_whatever_its_index():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    index = np.random.default_rng(0).permutation(200)
    x = pandas.DataFrame(X)
    for y in (
        pandas.Series(Y, index=index),
        pandas.Series(Y, index=index).astype("Int64"),
        polars.Series(Y),
    ):
        assert outcome(x, y) == outcome(X)
    assert outcome(x, polars.Series(np.eye(3)[Y])) == outcome(X, np.eye(3)[Y])
    weights = pandas.Series(np.arange(200.0), index=index)
    assert outcome(x, sample_weight=weights) == outcome(X, sample_weight=np.arange(200.0))


def test_frames_of_numbers_and_bools_need_no_conversion():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    values = {"a": X[:, 0], "b": X[:, 1] > 0}
    expected = outcome(np.column_stack(list(values.values())))
    table = pandas.DataFrame(values)
    decimals = polars.DataFrame(values | {"b": [Decimal(int(value)) for value in values["b"]]})
    for given in (table, table.convert_dtypes(), polars.DataFrame(values), decimals):
        assert outcome(given) == expected
    twice = pandas.DataFrame(np.column_stack([X[:, 0], X[:, 1] > 0]), columns=["a", "a"])
    assert outcome(twice.convert_dtypes()) == expected


def test_the_taught_loop_takes_sparse_batches():
    sparse, net = scipy.sparse.csr_matrix(X), network()
    batch = next(nn.batches(200, 16, net))
    assert (net.forward(sparse[batch])[0] == net.forward(X[batch])[0]).all()


def test_sampled_predictions_and_solutions_take_sparse_rows():
    sparse = scipy.sparse.csr_matrix(X)
    samples = [nn.sample_predictions(network(), x, samples=3).outputs for x in (X, sparse)]
    assert (samples[0] == samples[1]).all()
    nets = [linear(2), linear(2)]
    for net, x in zip(nets, (X, sparse), strict=True):
        nn.solve(net, x, Y[:, np.newaxis] * 1.0, loss=nn.MeanSquaredError())
    assert everything(nets[0]) == everything(nets[1])


# --- What is wrong in them ------------------------------------------------------------------------


def pandas_frame(**changes):
    pandas = pytest.importorskip("pandas")
    values = {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]} | changes
    return pandas.DataFrame(values, index=["u", "v", "w"])


def polars_frame(**changes):
    polars = pytest.importorskip("polars")
    return polars.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]} | changes)


def sparse_with(value):
    matrix = scipy.sparse.csr_matrix(np.eye(3, 2))
    matrix.data[1] = value
    return matrix


TEXT = ["red", "green", "red"]
FAULTS = {
    "text": (lambda: pandas_frame(b=TEXT), r"\['b'\].*x = pandas.get_dummies\(x, columns=\['b'\]"),
    "a category": (lambda: pandas_frame(b=TEXT).astype({"b": "category"}), r"\['b'\] of dtype cat"),
    "dates": (lambda: pandas_frame(b=np.zeros(3, "M8[s]")), r"x\['b'\] = .*Timedelta.*counts days"),
    "durations": (
        lambda: pandas_frame(b=np.zeros(3, "m8[s]")),
        r"x\['b'\] = x\['b'\] / pandas.Timedelta\(days=1\)",
    ),
    "dates in polars": (
        lambda: polars_frame(b=np.arange(3).astype("M8[D]")),
        r"x = x.with_columns\(polars.col\(\['b'\]\).to_physical\(\)\)",
    ),
    "dates in PyArrow": (
        lambda: polars_frame(b=np.arange(3).astype("M8[D]")).to_arrow(),
        r"x = x.to_pandas\(\); x\['b'\] = \(x",
    ),
    "lists": (lambda: polars_frame(b=[[1.0, 2.0]] * 3), r"dtype List.*: x = x.drop\(\['b'\]\)"),
    "records": (lambda: polars_frame(b=[{"c": 1.0}] * 3), r"\['b'\] of dtype Struct"),
    "text in polars": (lambda: polars_frame(b=TEXT), r"x = x.to_dummies\(\['b'\]\)"),
    "missing": (
        lambda: pandas_frame(b=[1.0, np.nan, np.nan]),
        r"got one in row 1 \(index 'v'\), column 'b' and 1 more; x = x.fillna\(x.median\(\)\)",
    ),
    "nullable": (lambda: pandas_frame(a=[1, None, 3]).convert_dtypes(), "row 1 .*'v'.*column 'a'"),
    "missing text": (lambda: pandas_frame(b=["red", None, ""]), r"column 'b'; keep = x.notna\(\)"),
    "missing in polars": (lambda: polars_frame(b=[1.0, None, 2.0]), r"'b'; x = x.fill_nan\(None\)"),
    "missing in PyArrow": (
        lambda: polars_frame(b=[1.0, None, 2.0]).to_arrow(),
        r"column 'b'; x.to_pandas\(\) has methods",
    ),
    "no rows": (lambda: pandas_frame().iloc[:0], r"not be empty, got shape \(0, 2\)"),
    "a query": (lambda: polars_frame().lazy(), r"LazyFrame is a query; x.collect\(\)"),
    "infinite": (lambda: pandas_frame(a=[1.0, np.inf, 1]), r"be finite, got inf at index \[1, 0\]"),
    "sparse NaN": (lambda: sparse_with(np.nan), r"be finite, got nan at index \[1, 1\]"),
    "sparse 1e300": (
        lambda: sparse_with(1e300),
        r"fit into float32, got 1e\+300 at index \[1, 1\]",
    ),
    "sparse complex": (lambda: sparse_with(1).astype(complex), "got dtype complex128: use .real"),
    "sparse, 3 columns": (lambda: scipy.sparse.csr_matrix(np.eye(3)), r"got shape \(3, 3\)"),
}


@pytest.mark.reliability(
    input="Missing values, text, categories and dates in a frame; NaN in a sparse matrix",
    sees="`x must have no missing values, got one in row 1 (index 'v'), column 'b' ...` or the "
    "columns without numbers, with the line that mends or encodes them; nothing has changed",
)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_by_row_and_column_with_the_line_that_mends_it(fault):
    make, words = FAULTS[fault]
    net = network(dtype="float32")
    before = everything(net)
    with pytest.raises((TypeError, ValueError), match=rf"^x must (?=.*{words})"):
        fit(net, make(), [0, 1, 2])
    assert everything(net) == before


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_missing_target_is_named_by_its_row(library):
    y = pytest.importorskip(library).Series([0.0, None, 1.0])
    method = {"pandas": "notna", "polars": "is_not_null"}[library]
    words = (
        rf"^y must have .* in row 1; keep = y.{method}\(\).to_numpy\(\) and x\[keep\], y\[keep\]"
    )
    with pytest.raises(ValueError, match=words):
        fit(network(), np.ones((3, 2)), y)
    with pytest.raises(ValueError, match=r"^sample_weight must have no missing values"):
        fit(network(), np.ones((3, 2)), [0, 1, 2], sample_weight=y)


def test_values_that_a_sparse_matrix_stores_twice_are_added_before_they_are_checked():
    x = scipy.sparse.csr_array(([1e300, -1e300, 1.0], [0, 0, 1], [0, 3, 3]), shape=(2, 2))
    figures = [
        nn.evaluate(network(dtype="float32"), v, [0, 1], loss=LOSS) for v in (x, x.toarray())
    ]
    assert figures[0] == figures[1]


def test_batches_of_which_none_is_left_are_refused():
    with pytest.raises(ValueError, match="x must have a batch, got none: is it an iterator that"):
        network().predict(iter([]))


def test_the_lines_of_the_errors_mend_the_data():
    pandas = pytest.importorskip("pandas")
    x, y = pandas_frame(b=[1.0, np.nan, 2.0]), np.array([0, 1, 2])
    keep = x.notna().all(axis=1).to_numpy()
    assert np.isfinite(network().predict(x.fillna(x.median()))).all()
    assert len(network().predict(x[keep])) == len(y[keep]) == 2
    dummies = pandas.get_dummies(pandas_frame(b=TEXT).drop(columns="a"), columns=["b"], dtype=float)
    assert len(network().predict(dummies)) == 3


def test_a_fault_far_into_the_data_is_named_by_its_row():
    for value, words in ((np.nan, "be finite, got nan"), (1e300, r"fit into float32, got 1e\+300")):
        x = np.ones((150_000, 2))
        x[140_000, 1] = value
        with pytest.raises(ValueError, match=rf"^x must {words} at index \[140000, 1\]"):
            nn.fit(
                *(network(dtype="float32"), x, np.zeros(150_000, int)),
                **{"loss": LOSS, "optimizer": nn.SGD(0.1), "epochs": 1},
            )


# --- Memory ---------------------------------------------------------------------------------------


def peak_of(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def train_evaluate_and_predict(x, y, **options):
    net = nn.Network([nn.Dense(2)], inputs=x.shape[1])
    options |= {"loss": LOSS, "epochs": 1, "batch_size": 256, "optimizer": nn.SGD(0.01)}
    nn.fit(net, x, y, validation_split=0.25, metrics=["accuracy"], **options)
    nn.evaluate(net, x, y, loss=LOSS)
    net.predict(x)


@pytest.mark.parametrize(
    ("dtype", "order"), [("float64", "C"), ("float32", "F"), (">f4", "C"), ("uint8", "C")]
)
def test_nothing_of_a_memory_mapped_files_size_is_allocated(tmp_path, dtype, order):
    shape = (30_000, 200)
    file = np.memmap(tmp_path / "x", dtype, "w+", shape=shape, order=order)
    file[...] = 1
    x, y = np.memmap(tmp_path / "x", dtype, "r", shape=shape, order=order), np.arange(30_000) % 2
    peak = peak_of(lambda: train_evaluate_and_predict(x, y))
    assert peak < 5.5e6 < x.nbytes, (
        "a chunk of prediction, a block of a check, and what has one value per row"
    )


def test_targets_in_a_memory_mapped_file_are_not_copied_either(tmp_path):
    np.save(tmp_path / "y.npy", np.ones((10_000, 200)))
    y = np.load(tmp_path / "y.npy", mmap_mode="r")
    net = nn.Network([nn.Dense(200)], inputs=2)
    options = {"loss": nn.SigmoidCrossEntropy(), "optimizer": nn.SGD(0.1), "epochs": 1}
    assert peak_of(lambda: nn.fit(net, np.ones((10_000, 2)), y, **options)) < 4e6
    changed = np.load(tmp_path / "y.npy", mmap_mode="r+")
    changed[9_000, 3] = 2.0
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 2.0 at index \[9000, 3\]"):
        nn.fit(net, np.ones((10_000, 2)), changed, **options)


def test_sparse_rows_are_never_dense_as_a_whole():
    row, column = np.arange(20_000) // 2, np.arange(20_000) * 7 % 2_000
    x = scipy.sparse.csr_array((np.sin(np.arange(20_000.0)), (row, column)), (10_000, 2_000))
    dense = 10_000 * 2_000 * 8
    assert peak_of(lambda: train_evaluate_and_predict(x, np.arange(10_000) % 2)) < dense / 4


@pytest.mark.reliability(
    input="Memory-mapped data ten times as large as the memory that the process may allocate",
    sees="Training and evaluation in constant memory",
)
@pytest.mark.slow
@pytest.mark.posix
def test_a_file_ten_times_the_memory_limit_is_trained_on(tmp_path):
    script = f"""
        import resource, numpy as np, nnreg as nn
        path, rows = {str(tmp_path / "x")!r}, 2**20
        with open(path, "wb") as file:
            file.truncate(rows * 128 * 8)  # 1 GiB without blocks on the disk
        def run(x):
            net = nn.Network([nn.Dense(8), nn.ReLU(), nn.Dense(2)], inputs=128)
            y, loss = np.arange(len(x)) % 2, nn.SoftmaxCrossEntropy()
            options = dict(optimizer=nn.Adam(), epochs=1, batch_size=1024, validation_split=0.1)
            nn.fit(net, x, y, loss=loss, **options)
            return nn.evaluate(net, x, y, loss=loss)
        run(np.zeros((2048, 128)))  # what is imported and allocated once
        used = [int(line.split()[1]) for line in open("/proc/self/status") if "VmData" in line]
        limit = used[0] * 1024 + 100 * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        print(run(np.memmap(path, float, "r", shape=(rows, 128)))["accuracy"])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == ["0.5"], done.stderr


# --- The order of memory-mapped rows --------------------------------------------------------------


def order_of(n, shuffle, seed=0, epoch=0, size=100):
    net = linear(1)
    net.seed, net.epochs = seed, epoch
    return list(nn.batches(n, size, net, shuffle=shuffle))


@pytest.mark.parametrize("n", [1, 257, 32_768, 50_001])
def test_by_blocks_every_row_occurs_once_per_epoch(n):
    batches = order_of(n, "blocks")
    assert sorted(np.concatenate(batches)) == list(range(n))
    assert {len(batch) for batch in batches[:-1]} <= {100}


def test_the_order_by_blocks_is_a_function_of_seed_and_epoch():
    first = np.concatenate(order_of(40_000, "blocks"))
    assert (first == np.concatenate(order_of(40_000, "blocks"))).all()
    for other in ({"seed": 1}, {"epoch": 1}):
        assert (first != np.concatenate(order_of(40_000, "blocks", **other))).mean() > 0.99


@pytest.mark.parametrize(("n", "same"), [(32_767, True), (32_768, False)])
def test_few_rows_are_permuted_as_a_whole(n, same):
    whole, blocks = (np.concatenate(order_of(n, shuffle)) for shuffle in (True, "blocks"))
    assert (whole == blocks).all() == same


def test_another_order_is_refused():
    with pytest.raises(TypeError, match="shuffle must be True, False or 'blocks', got 'block'"):
        order_of(10, "block")


def test_the_order_by_blocks_has_the_stated_statistics():
    n, size, moved, same, means = 200_000, 100, [], [], []
    values = np.random.default_rng(1).normal(size=782)  # one for each block
    for epoch in range(3):
        batches = order_of(n, "blocks", epoch=epoch, size=size)
        moved.append(np.abs(np.concatenate(batches) - np.arange(n)).mean() / n)
        for batch in batches:
            blocks = batch // 256
            pairs = sum(c * (c - 1) for c in np.bincount(blocks)) / (size * (size - 1))
            same.append(pairs)
            means.append(np.mean(values[blocks]))
    assert np.mean(moved) == pytest.approx(1 / 3, rel=0.05), "as in a permutation of all rows"
    assert 0.5 / 64 < np.mean(same) <= 1.05 * 255 / 16_383
    assert 1 / size < np.var(means) < 1.1 * (1 / size + 1 / 64), "rows of a block are alike"


def test_fit_shuffles_memory_mapped_rows_by_blocks_and_the_taught_loop_can_too(tmp_path):
    x, y = problem(40_000)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert rows.is_memory_mapped(mapped)
    assert rows.is_memory_mapped(np.asarray(mapped)[5:])
    nets = [network(), network(), network()]
    options = {"loss": LOSS, "optimizer": nn.SGD(0.1), "epochs": 2, "batch_size": 512}
    for net, given, extra in zip(nets, (mapped, x), ({}, {"shuffle": "blocks"}), strict=False):
        nn.fit(net, given, y, **options | {"optimizer": nn.SGD(0.1), "threads": 1} | extra)
    optimizer = nn.SGD(0.1)
    for _ in range(2):
        for batch in nn.batches(len(mapped), 512, nets[2], shuffle="blocks"):
            outputs, cache = nets[2].forward(mapped[batch], training=True)
            gradients = nets[2].backward(LOSS(outputs, y[batch])[1], cache)
            optimizer.update(nets[2].parameters, gradients)
    assert everything(nets[0]) == everything(nets[1]) == everything(nets[2])
