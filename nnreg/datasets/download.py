"""Fetching a file, and keeping it only if it is the right one.

The SHA-256 is that of the *decompressed* bytes: what the data are does not depend on who
compressed them, and a mirror may have done it anew. The bytes are checked before anything is
written, and written under another name before the file takes its own, so an interrupted or a
wrong download leaves nothing behind.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nnreg._support.files import write_whole
from nnreg.datasets.idx import decompress

if TYPE_CHECKING:
    from collections.abc import Sequence


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal digits.

    Parameters
    ----------
    data : bytes
        The bytes.

    Returns
    -------
    str
        64 digits.

    Examples
    --------
    >>> sha256(b"")[:16]
    'e3b0c44298fc1c14'
    """
    import hashlib

    return hashlib.sha256(data).hexdigest()


def check_digest(data: bytes, expected: str, where: str) -> None:
    """Compare the SHA-256 of decompressed bytes with the one expected.

    Parameters
    ----------
    data : bytes
        Decompressed.
    expected : str
        64 hexadecimal digits.
    where : str
        Where the bytes came from, for the error.

    Raises
    ------
    ValueError
        If they differ; both are named.

    Examples
    --------
    >>> check_digest(b"", sha256(b""), "nothing")
    """
    got = sha256(data)
    if got != expected:
        raise ValueError(
            f"{where}: wrong SHA-256 of the decompressed bytes: expected {expected}, got {got}"
        )


def download(
    urls: Sequence[str], path: str | os.PathLike[str], expected: str, *, timeout: float = 30.0
) -> None:
    """Fetch a file from the first address that has the right one.

    Parameters
    ----------
    urls : sequence of str
        Addresses of the same file, tried in this order.
    path : str or path
        Where the file goes, as it was sent (so compressed, if it was). Its folder is made if need
        be.
    expected : str
        SHA-256 of the decompressed bytes.
    timeout : float
        Seconds to wait for an answer, and for each further piece.

    Raises
    ------
    OSError
        If no address gave the right file; the reason is told for each. Nothing is written then.

    Examples
    --------
    >>> download(["file:///no/such/file"], "copy", sha256(b"abc"))
    Traceback (most recent call last):
    ...
    OSError: copy could not be downloaded:
      file:///no/such/file: ...
    """
    import http.client
    import urllib.request

    failures = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                raw = answer.read()
            check_digest(decompress(raw, url), expected, url)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = str(error).removeprefix(f"{url}: ")
            failures.append(f"  {url}: {reason or type(error).__name__}")
        else:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            write_whole(path, raw, overwrite=True)
            return
    raise OSError("\n".join([f"{os.fspath(path)} could not be downloaded:", *failures]))
