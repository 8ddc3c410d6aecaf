"""What data there are: the text that ``nnreg data`` prints."""

from __future__ import annotations

from nnreg.datasets.download import sha256
from nnreg.datasets.idx import PARTS, read_bytes
from nnreg.datasets.mnist import Location, is_another, locations
from nnreg.datasets.paths import own_folders
from nnreg.datasets.registry import PUBLISHED

_SHIPPED = """\
Shipped with nnreg
  digits         1,797 rows, 64 features, 10 classes: handwritten digits, 8 by 8
                 CC BY 4.0; E. Alpaydin, C. Kaynak; UCI 80, doi:10.24432/C50P49
  breast-cancer  569 rows, 30 features, 2 classes: tumours, malignant or benign
                 CC BY 4.0; W. Wolberg, O. Mangasarian, N. Street, W. Street; UCI 17,
                 doi:10.24432/C5DW2B

Looked for in these places, in this order, then downloaded into the user cache"""

_OWN = """\
Your own
  FILE.csv       a header, numbers, and one column of labels (the last, or --target COLUMN)
  FILE.npz       the arrays x and y, and x_test and y_test if there are any
  FOLDER         four IDX files named as those of MNIST, each compressed by gzip or not"""


def describe() -> str:
    """Return a text on all data: what is shipped, where the rest is looked for, and what is there.

    Files that are there are read whole and compared with the published SHA-256, which takes about
    a second.

    Returns
    -------
    str
        Several lines.

    Examples
    --------
    >>> print(describe().splitlines()[0])
    Shipped with nnreg
    """
    lines = [_SHIPPED]
    for name, published in PUBLISHED.items():
        lines.append(f"  {name:13}  60,000 + 10,000 rows, 784 features, 10 classes")
        lines.append(f"{'':17}{published.licence}")
        if not own_folders(name):
            lines.append("    NNREG_DATA   is not set")
        lines += [
            f"    {location.origin:11}  {location.folder}: {_state(location, name)}"
            for location in locations(name)
        ]
        lines += [f"    download     {mirror}" for mirror in published.mirrors]
    return "\n".join([*lines, "", _OWN])


def _state(location: Location, name: str) -> str:
    if not location.parts:
        return "not found"
    if location.missing:
        return f"incomplete, without {', '.join(location.missing)}"
    wrong = []
    try:
        if is_another(location, name):
            return "not found (the files there are other data)"
        for part in PARTS:
            if sha256(read_bytes(location.parts[part])) != PUBLISHED[name].digests[part]:
                wrong.append(part)
    except (OSError, ValueError) as error:
        return f"found, but not readable: {error}"
    return f"found, but SHA-256 differs in {', '.join(wrong)}" if wrong else "found, SHA-256 right"
