"""Disk space of an installed distribution and of its dependencies.

`python -m benchmarks.sizes` lists what each extra of nnreg adds, where `nnreg[all]` is installed.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def installed(name: str, extra: str = "") -> dict[str, int]:
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
            wanted = {"extra": extra if current == name else ""}
            if requirement.marker is None or requirement.marker.evaluate(wanted):
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


def main() -> None:
    """Print, by extra, the distributions that it adds to nnreg and their size."""
    base = installed("nnreg")
    rows = {"": base}
    extras = metadata.metadata("nnreg").get_all("Provides-Extra") or []
    for extra in extras[: extras.index("all")]:  # the later ones are for development
        sizes = installed("nnreg", extra)
        rows[extra] = {name: size for name, size in sizes.items() if name not in base}
    for extra, sizes in rows.items():
        print(f"{extra or 'nnreg':12} {sum(sizes.values()) / 1e6:6.1f} MB  {', '.join(sizes)}")


if __name__ == "__main__":
    main()
