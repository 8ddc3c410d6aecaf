"""Disk space of an installed distribution and of its dependencies."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def installed(name: str) -> dict[str, int]:
    """Return bytes by distribution: this one and, recursively, its requirements."""
    sizes: dict[str, int] = {}
    waiting = [name]
    while waiting:
        current = canonicalize_name(waiting.pop())
        if current in sizes:
            continue
        try:
            distribution = metadata.distribution(current)
        except metadata.PackageNotFoundError:  # required only elsewhere
            continue
        sizes[current] = _files(distribution) + _folder(current, distribution)
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return sizes


def _files(distribution: metadata.Distribution) -> int:
    paths = [Path(str(file.locate())) for file in distribution.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _folder(name: str, distribution: metadata.Distribution) -> int:
    """Return the size of a package that is installed in editable mode."""
    top = f"{name}/__init__.py"
    if name != "nnreg" or any(str(file) == top for file in distribution.files or ()):
        return 0
    import nnreg

    folder = Path(nnreg.__file__).parent
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
