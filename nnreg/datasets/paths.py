"""Where data that are not in the package are looked for.

First in the folder that the environment variable ``NNREG_DATA`` names: in its sub-folder
``mnist`` or ``fashion-mnist``, then in the folder itself. After that in the user's cache, where
downloads are kept.
"""

from __future__ import annotations

import os
import sys


def cache_folder() -> str:
    """Return the folder for downloads, as the operating system's customs have it.

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


def own_folders(name: str) -> list[str]:
    """Return the folders that ``NNREG_DATA`` gives for a data set, in the order of looking.

    Parameters
    ----------
    name : str
        The data set, which is also the name of its sub-folder.

    Returns
    -------
    list of str
        Two folders, or none if the variable is not set. They need not exist.

    Examples
    --------
    >>> len(own_folders("mnist")) in (0, 2)
    True
    """
    root = os.environ.get("NNREG_DATA")
    return [os.path.join(root, name), root] if root else []
