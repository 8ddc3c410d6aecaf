"""Altered files for `fuzz.py`: bytes, zip archives, NumPy arrays, JSON, tables and notebooks.

Each function draws from a `random.Random` and returns new content.
"""

import bz2
import copy
import gzip
import io
import json
import lzma
import math
import os
import struct
import warnings
import zipfile
import zlib

import numpy as np

LONGEST = 2_000_000  # characters of JSON
MOST_PLACES = 20_000  # items of JSON that are altered
DEEP, DIGITS = "nested 100,000 times", "a number of 5,000 digits"
ODD = (
    *(None, True, False, -1, 0, 1, 3, 10**9, 10**30, 2**63, -(2**63), 0.5, -1.5, 1e308),
    *(math.nan, math.inf, DEEP, DIGITS, "", "x" * 50_000, "\x1b[2J\x1b]0;title\x07", "\ud800"),
    *("__class__", "__init__", "../../outside", "/etc/passwd", "a\0b", "float16", "float64"),
    *("zeros", "Dense", "Layer", "L1", "MaxNorm", "Adam", [], {}, [[]], {"__class__": "Dense"}),
    *({"penalty": 0}, {"penalty": 1}, {"constraint": 0}, {"function": "uniform"}, {"kind": 1}),
)
INTEGERS = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
DTYPES = (
    *("'|O'", "'<f8'", "'>f8'", "'<f4'", "'<f2'", "'<c16'", "'<U9'", "'<U100000000'", "'|V8'"),
    *("'|S0'", "'|b1'", "'<M8[s]'", "'f4,f4'", "[('a', '<f8')]", "('<f8', (9999, 9999))", "'x'"),
    *("3", "None", "__import__('os')", "(" * 300, "'<i8'", "'|u1'", "'" + "x" * 30_000 + "'"),
)
SHAPES = (
    *("()", "(0,)", "(1,)", "(51,)", "(-1,)", "(2**62,)", f"({2**62},)", f"({2**70},)", "'x'"),
    *("(True,)", f"({10**5}, {10**5})", "(1.5,)", f"({'1, ' * 70})", "None", f"({2**28},)"),
)


class Trap:
    """Makes a folder if it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def alter_bytes(raw, rng, other=b""):
    """Flip bits, cut, insert, repeat, and write numbers over others."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        near = at + rng.choice((1, 2, 4, 8, 64, 1000))
        match rng.randrange(8):
            case 0 | 1 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                del data[at:]
            case 3:
                del data[at:near]
            case 4:
                data[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
            case 5:
                data[at:at] = data[at:near] * rng.choice((1, 3, 50))
            case 6:
                start = rng.randrange(len(other) + 1)
                data[at:near] = other[start : start + rng.choice((4, 100, 1000))]
            case 7:
                form = rng.choice(("<H", ">H", "<I", ">I", "B"))
                size = struct.calcsize(form)
                data[at : at + size] = struct.pack(form, rng.choice(INTEGERS) % 256**size)
    return bytes(data)


def places(value):
    """Return each item in nested lists and dictionaries, as its holder and key, up to a limit."""
    found, rest = [], [value]
    while rest and len(found) < MOST_PLACES:
        holder = rest.pop()
        keys = holder if isinstance(holder, dict) else range(len(holder))
        found += [(holder, key) for key in keys]
        rest += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
    return found


def alter_json(value, rng):
    """Return JSON of a value with items removed, replaced, repeated, renamed or exchanged."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        found = places(value)
        if not 0 < len(found) < MOST_PLACES:
            break
        (holder, key), (other, there) = rng.choices(found, k=2)
        match rng.randrange(8):
            case 0:
                del holder[key]
            case 1 | 2:
                holder[key] = copy.deepcopy(rng.choice(ODD))  # some are lists
            case 3 if isinstance(holder[key], int | float):
                holder[key] *= rng.choice((-1, 2, 0.5, 1e9, 10**20))
            case 4 if isinstance(holder, list):
                holder[key:key] = [holder[key]] * rng.choice(
                    (1, 1, 3, 5_000 if len(str(holder[key])) < 200 else 2)
                )
            case 5 if isinstance(holder, dict):
                holder[str(rng.choice((*ODD, *holder)))[:100]] = holder.pop(key)
            case _:
                holder[key] = copy.deepcopy(other[there])
    text = json.dumps(value)
    depth = 10 ** rng.randrange(1, 6)
    text = text.replace(json.dumps(DEEP), "[" * depth + "]" * depth)
    return text.replace(json.dumps(DIGITS), "9" * 5000)[:LONGEST]


def alter_array(array, rng):
    """Return an array of another dtype, shape or size, with odd values, or made of objects."""
    array = np.array(array)
    match rng.randrange(9):
        case 0:
            kinds = ("f4", "f8", ">f8", "f2", "i8", "u1", "?", "c16", "U9", "S5", "V8", "M8[s]")
            with np.errstate(all="ignore"):
                try:
                    return array.astype(rng.choice(kinds))
                except (TypeError, ValueError):
                    return np.zeros(array.shape, "V8")
        case 1 if array.size and array.dtype.kind in "iuf":
            odd = (math.nan, math.inf, 1e38, -1.0, 1e-40, 1e300) if array.dtype.kind == "f" else ()
            with np.errstate(all="ignore"):
                array.flat[rng.randrange(array.size)] = rng.choice((*odd, 0, 1, 100))
            return array
        case 2:
            return array.reshape(rng.choice(((-1,), (1, -1), (-1, 1, 1))))
        case 3:
            return array.ravel()[: rng.randrange(array.size + 1)]
        case 4:
            return np.concatenate([array.ravel()] * (1000 if array.nbytes < 10_000 else 2))
        case 5:
            return np.array(rng.choice(("text", 3, math.nan, b"bytes", "x" * 100_000, "{}")))
        case 6:
            return np.array([Trap()], object)
        case 7:
            return np.asfortranarray(array[..., np.newaxis] if array.ndim < 2 else array)
    return np.empty((0,) * rng.randrange(1, 4))


def alter_arrays(arrays, rng):
    """Alter, remove, add or rename one or more of some arrays."""
    arrays = dict(arrays)
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice([*arrays, "new"])
        array = arrays.get(name, np.zeros(3))
        match rng.randrange(8):
            case 0:
                arrays.pop(name, None)
            case 1:
                new = (*arrays, "x", "X", "y_train", "../x", "\x1b[2J", "a/b", "optimizer.x")
                arrays[rng.choice(new)] = array
            case _:
                arrays[name] = alter_array(array, rng)
    return arrays


def write_npz(arrays):
    """Return the bytes of an ``.npz`` file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, array in arrays.items():
            with file.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, array)
    return content.getvalue()


def false_npy(raw, rng):
    """Return an array file whose header is not that of its values."""
    order = rng.choice(("False", "True", "False", "0", "'x'"))
    header = f"{{'descr': {rng.choice(DTYPES)}, 'fortran_order': {order}, "
    header = f"{header}'shape': {rng.choice(SHAPES)}, }}".encode()
    version = rng.choice((1, 1, 2, 3, 9))
    size = rng.choice((len(header), len(header), 0, 2**16 - 1, 2**32 - 1))
    length = struct.pack("<I", size)[: 4 if version in (2, 3) else 2]
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + raw[rng.choice((80, 128)) :]


BOMBS = []


def make_bombs(size):
    """Compress an array of ``size`` bytes by each method of zip files, for `alter_npz`."""
    content = io.BytesIO()
    np.lib.format.write_array(content, np.zeros((size // 1000, 1000), np.uint8))
    raw = content.getvalue()
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    deflated = packer.compress(raw) + packer.flush()
    properties = lzma._encode_filter_properties({"id": lzma.FILTER_LZMA1, "preset": 0})
    alone = lzma.compress(raw, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "preset": 0}])
    xz = b"\x09\x04" + struct.pack("<H", len(properties)) + properties + alone
    for method, packed in ((8, deflated), (12, bz2.compress(raw, 1)), (14, xz)):
        BOMBS.append((packed, {"method": method, "crc": zlib.crc32(raw), "size": len(raw)}))
    start = b"\0\0\x08\x02" + struct.pack(">II", size // 1000, 1000)
    BOMBS.append(gzip.compress(start + raw[-size:], 1))


# Where the headers of a zip file have their fields.
FIELDS = {
    b"PK\3\4": {"version": 4, "flags": 6, "method": 8, "crc": 14, "packed": 18, "size": 22},
    b"PK\1\2": {"flags": 8, "method": 10, "crc": 16, "packed": 20, "size": 24, "offset": 42},
}


def set_fields(raw, number, values, headers=tuple(FIELDS)):
    """Write values into the headers of one member of a zip file."""
    data = bytearray(raw)
    for header in headers:
        at = -1
        for _ in range(number + 1):
            at = data.find(header, at + 1)
        for name, value in values.items():
            if at >= 0 and name in FIELDS[header]:
                form = "<I" if name in ("crc", "packed", "size", "offset") else "<H"
                struct.pack_into(form, data, at + FIELDS[header][name], value)
    return bytes(data)


def alter_npz(raw, rng):
    """Alter a zip file's bytes, its members, their headers, or their compression."""
    with zipfile.ZipFile(io.BytesIO(raw)) as file:
        members = [(name, file.read(name)) for name in file.namelist()]
    kind = rng.randrange(8)
    if kind == 0:
        return alter_bytes(raw, rng, raw)
    number = rng.randrange(len(members))
    if kind == 1:  # false headers
        name = rng.choice(("flags", "method", "crc", "packed", "size", "offset", "version"))
        value = rng.choice((*INTEGERS, 8, 9, 12, 14, 63))
        value %= 2 ** (32 if name in ("crc", "packed", "size", "offset") else 16)
        headers = rng.choice((tuple(FIELDS), (b"PK\1\2",), (b"PK\3\4",)))
        return set_fields(raw, number, {name: value}, headers)
    name, content = members[number]
    fields, method = {}, 0
    match kind:
        case 2:
            method = rng.choice((8, 12, 14))
        case 3:
            name = rng.choice(
                ("../x.npy", "/x.npy", "x", name, "a\x1b[2J.npy", "d/", members[0][0])
            )
        case 4 if BOMBS:
            content, fields = rng.choice(BOMBS[:-1])
            if rng.random() < 0.3:
                fields = fields | {"size": rng.choice((0, 100, 2**32 - 1))}
        case 5:
            content = alter_bytes(content, rng, raw)
        case _:
            content = false_npy(content, rng)
    members[number] = name, content
    result = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(result, "w") as file:
        warnings.simplefilter("ignore")  # of names that occur twice
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, method)
    return set_fields(result.getvalue(), number, fields)


def alter_gzip(raw, rng):
    """Compress bytes by gzip, alter them before or after, or compress them twice."""
    match rng.randrange(6):
        case 0 if BOMBS:
            return BOMBS[-1]
        case 1:
            return gzip.compress(gzip.compress(raw))
        case 2:
            return gzip.compress(raw) * 2
        case 3:
            return gzip.compress(alter_bytes(raw, rng))
        case 4 if BOMBS:  # far more than the header says
            return gzip.compress(raw) + BOMBS[-1]
    return alter_bytes(gzip.compress(raw), rng)


CELLS = (
    *(
        "",
        "nan",
        "inf",
        "1e999",
        "1_0",
        "\x1b[2J",
        "a\0b",
        '"',
        '""',
        'a"b',
        '"a\nb"',
        "\u0661",
        " ",
    ),
    *("x" * 140_000, "9" * 100_000, "?", "None", "-", "0x10", "1,5", "\ud800", "=1+1", "1e-400"),
)


def alter_table(text, rng):
    """Return the bytes of a table with other cells, lines, columns, quotes and encodings."""
    separator = rng.choice((",", ",", ",", ";", "\t", "|"))
    rows = [line.split(",") for line in text.splitlines()]
    for _ in range(rng.choice((1, 1, 2, 5))):
        row = rng.choice(rows)
        at = rng.randrange(len(row))
        size = sum(len(cell) for cells in rows for cell in cells)
        many = 1 if size > 5000 else rng.choice((1, 1, 1, 10, 10, 100))
        match rng.randrange(10):
            case 0 | 1 | 2:
                row[at] = rng.choice(CELLS)
            case 3:
                rows[0][at % len(rows[0])] = rng.choice((*CELLS, *rows[0], "1", "-2.5"))
            case 4:
                row[at:at] = [row[at] if len(row[at]) < 99 else "1"] * many**2 * 10
            case 5 if len(row) > 1:
                del row[at]
            case 6:
                rows[0] = list(rng.choice(rows))
            case 7:
                numbers = [str(number) for number in range(10 * many)]
                rows = [[*row, *numbers] for row in rows]
            case 8:
                rows += [list(row) for _ in range(100 * many if size < 5000 else 1)]
            case 9:
                row[at] = f'"{row[at]}'
    end = rng.choice(("\n", "\n", "\r\n", "\r", "\n\n"))
    text = end.join(separator.join(row) for row in rows)
    coding = rng.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    raw = text.encode(coding, "replace")
    return alter_bytes(raw, rng, raw) if rng.random() < 0.3 else raw


CODE = (
    *("(" * 300, "[" * 100_000, "x = " + "-" * 5000 + "1", "x = " + "1+" * 3000 + "1", "\0"),
    *("# coding: rot13", "# coding: os", "# coding: punycode", "# coding: bz2", "%%bash", "!ls"),
    *("import os", "from os import *", "from . import x", "from __future__ import x", "def f(:"),
    *("x = '" + "y" * 100_000 + "'", "\x1b[2J = 1", "class A:\n  def f(self): pass", "\ud800 = 1"),
    *(
        "if 1:\n" + "".join(" " * i + "if 1:\n" for i in range(1, 120)),
        "x(\n" * 2000,
        "a b\n" * 500,
    ),
    *("global x", "return 1", "x: int", "@f\n", "lambda:" * 500, "f'{x!r:{y}}'", "x = y = " * 1000),
    *(
        "del " * 50,
        "match x:\n case {**y}: 1",
        "def f(" + ",".join(f"a{i}" for i in range(5000)) + "): 1",
    ),
)


def alter_code(code, rng):
    """Return code with other lines: odd ones, copies, and lines without their end."""
    lines = code.splitlines()
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(lines) + 1)
        match rng.randrange(5):
            case 0 | 1:
                lines[at:at] = rng.choice(CODE).split("\n")
            case 2:
                lines[at : at + 1] = [
                    line[: rng.randrange(len(line) + 1)] for line in lines[at : at + 1]
                ]
            case 3:
                lines[at:at] = lines[at : at + 3] * rng.choice((1, 10, 1000))
            case 4:
                lines[at : at + 1] = [
                    " " * rng.randrange(1, 9) + line for line in lines[at : at + 1]
                ]
    return rng.choice(("\n", "\n", "\r\n", "\r")).join(lines)
