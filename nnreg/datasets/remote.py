"""Downloads: fetch a file, verify it, and store it in the user's cache.

The SHA-256 is that of the *decompressed* bytes, since a mirror may have compressed the file anew.
The bytes are checked before anything is written, and a file is written whole or not at all, so an
interrupted or wrong download leaves nothing behind.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from nnreg._support.files import write_whole
from nnreg.datasets.idx import decompress


def cache_folder() -> str:
    """Return the folder for downloads, by the operating system's convention.

    Returns
    -------
    str
        ``~/.cache/nnreg``, or in ``XDG_CACHE_HOME`` if that is set; on macOS
        ``~/Library/Caches/nnreg``; on Windows ``nnreg`` in ``LOCALAPPDATA``. It need not exist.

    Examples
    --------
    >>> os.path.basename(cache_folder())
    'nnreg'
    """
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return os.path.join(base, "nnreg")


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal digits.

    >>> sha256(b"")[:16]
    'e3b0c44298fc1c14'
    """
    import hashlib

    return hashlib.sha256(data).hexdigest()


def check_digest(data: bytes, expected: str, source: str) -> None:
    """Raise ``ValueError``, naming the source, unless decompressed bytes have this SHA-256.

    >>> check_digest(b"", sha256(b""), "nothing")
    """
    digest = sha256(data)
    if digest != expected:
        raise ValueError(
            f"{source}: wrong SHA-256 of the decompressed bytes: expected {expected}, got {digest}"
        )


def download(urls: Sequence[str], path: str, expected: str, *, timeout: float = 30.0) -> None:
    """Fetch a file from the first address that has the expected one.

    Parameters
    ----------
    urls : sequence of str
        Addresses of the same file, tried in this order.
    path : str
        Where to store the file, compressed if it was sent so. Its folder is made if need be.
    expected : str
        SHA-256 of the decompressed bytes.
    timeout : float, default 30
        Seconds to wait for an answer, and for each further piece.

    Raises
    ------
    OSError
        If no address gave the expected file, with the reason for each. Nothing is written then.

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
            with urllib.request.urlopen(url, timeout=timeout) as response:
                raw = response.read()
            check_digest(decompress(raw, url), expected, url)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = str(error).removeprefix(f"{url}: ")
            failures.append(f"  {url}: {reason or type(error).__name__}")
        else:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            write_whole(path, raw, overwrite=True)
            return
    raise OSError("\n".join([f"{path} could not be downloaded:", *failures]))
