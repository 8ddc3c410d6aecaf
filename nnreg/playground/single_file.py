"""The playground as one file: the page with Pyodide, NumPy and nnreg inside, for any static host.

Every package that the page needs is checked against ``pyodide-lock.json``. The file loads nothing
else, so it also works from a disk without a network.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from nnreg._support.files import write_whole
from nnreg.playground.server import read_page

CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
LOCK = "pyodide-lock.json"
PACKAGES = ("numpy", "threadpoolctl")
UNUSED = ("page", "__pycache__", "course", "commands", "testing")  # folders that are left out

LOADER = """\
const packed = JSON.parse(document.getElementById("nnreg-files").textContent);
const unpack = async (text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
const files = (globalThis.NNREG_FILES = {});
for (const name of Object.keys(packed)) files[name] = await unpack(packed[name]);
const urls = {};
for (const name of MODULES) {
  let text = new TextDecoder().decode(files[name]);
  for (const other in urls) text = text.replaceAll(`"./${other}"`, `"${urls[other]}"`);
  urls[name] = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
}
await import(urls["main.js"]);
"""


def export_page(
    path: str | os.PathLike[str], pyodide: str | os.PathLike[str], *, overwrite: bool = False
) -> int:
    """Write the page as one file, and return its size in bytes.

    Parameters
    ----------
    path : path
    pyodide : path
        A folder with the files of a Pyodide release: its core, ``pyodide-lock.json``, and the
        wheel of NumPy that it names.
    overwrite : bool, default False

    Raises
    ------
    FileNotFoundError
        If the folder has not all the files.
    ValueError
        If a file is not the one of ``pyodide-lock.json``; both SHA-256 sums are stated.
    FileExistsError
        If the file exists and ``overwrite`` is False.
    """
    page = read_page()
    content = read_pyodide(pyodide) | {"nnreg.zip": pack_nnreg()}
    html, style = page.pop("index.html").decode(), page.pop("style.css").decode()
    packed = {
        name: base64.b64encode(gzip.compress(data, mtime=0)).decode()
        for name, data in {**page, **content}.items()
    }
    modules = json.dumps(order_modules({name: data.decode() for name, data in page.items()}))
    script = (
        f'<script type="application/json" id="nnreg-files">{json.dumps(packed)}</script>\n'
        f'<script type="module">\n{LOADER.replace("MODULES", modules)}</script>'
    )
    html = _replace(html, r"<link[^>]*style\.css[^>]*>", f"<style>\n{style}</style>")
    result = _replace(html, r"<script[^>]*main\.js[^>]*></script>", script).encode()
    write_whole(path, result, overwrite=overwrite)
    return len(result)


def _replace(html: str, pattern: str, text: str) -> str:
    """Replace the element that the pattern matches; the text may have backslashes."""
    return re.sub(pattern, lambda _: text, html)


def read_pyodide(folder: str | os.PathLike[str]) -> dict[str, bytes]:
    """Return the files of Pyodide that the page needs, each package checked by its SHA-256."""

    def read(name: str) -> bytes:
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise FileNotFoundError(
                f"pyodide: {path} is missing; the folder must have {', '.join((*CORE, LOCK))} and "
                f"the wheels of {', '.join(PACKAGES)} that the lock names, as in a release of "
                "Pyodide (github.com/pyodide/pyodide/releases)"
            ) from None

    content = {name: read(name) for name in (*CORE, LOCK)}
    try:
        packages = json.loads(content[LOCK])["packages"]
        entries = [(packages[name]["file_name"], packages[name]["sha256"]) for name in PACKAGES]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{LOCK} does not name the packages {PACKAGES}: {error!r}") from None
    for file_name, expected in entries:
        name = os.path.basename(file_name)
        content[name] = read(name)
        found = hashlib.sha256(content[name]).hexdigest()
        if found != expected:
            raise ValueError(f"{name} has the SHA-256 {found}, and {LOCK} states {expected}")
    return content


def pack_nnreg() -> bytes:
    """Return a zip archive of the modules and data of nnreg that the page needs."""
    archive = io.BytesIO()

    def add(folder: Traversable, prefix: str, target: zipfile.ZipFile) -> None:
        for item in sorted(folder.iterdir(), key=lambda item: item.name):
            if item.is_dir() and item.name not in UNUSED:
                add(item, f"{prefix}{item.name}/", target)
            elif item.name.endswith((".py", ".npz")):
                target.writestr(zipfile.ZipInfo(prefix + item.name), item.read_bytes())

    with zipfile.ZipFile(archive, "w") as target:
        add(files("nnreg"), "nnreg/", target)
    return archive.getvalue()


def order_modules(modules: Mapping[str, str]) -> list[str]:
    """Return the names of modules in an order in which each follows those that it imports.

    >>> order_modules({"main.js": 'import { f } from "./f.js";', "f.js": ""})
    ['f.js', 'main.js']
    """
    ordered: list[str] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"modules import each other in a circle: {' '.join((*above, name))}")
        for other in re.findall(r'"\./([\w-]+\.js)"', modules[name]):
            visit(other, (*above, name))
        if name not in ordered:
            ordered.append(name)

    for name in modules:
        visit(name, ())
    return ordered
