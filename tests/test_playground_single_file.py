"""The playground as one file: what is packed, what is checked, and that it loads nothing else."""

import base64
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile

import pytest

from nnreg.commands.main import main
from nnreg.playground.server import read_page
from nnreg.playground.single_file import (
    CORE,
    LOCK,
    PACKAGES,
    export_page,
    order_modules,
    pack_nnreg,
)


@pytest.fixture
def pyodide(tmp_path):
    """Return a folder that looks like a release of Pyodide."""
    folder = tmp_path / "pyodide"
    folder.mkdir()
    for name in CORE:
        (folder / name).write_bytes(f"content of {name}".encode())
    packages = {}
    for name in PACKAGES:
        data = f"the wheel of {name}".encode()
        (folder / f"{name}.whl").write_bytes(data)
        packages[name] = {"file_name": f"{name}.whl", "sha256": hashlib.sha256(data).hexdigest()}
    (folder / LOCK).write_text(json.dumps({"packages": packages}))
    return folder


def unpack(html):
    [text] = re.findall(r'id="nnreg-files">(.*?)</script>', html, re.DOTALL)
    return {
        name: gzip.decompress(base64.b64decode(data)) for name, data in json.loads(text).items()
    }


def test_everything_is_in_the_file(pyodide, tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main(["playground", "--export", str(path), "--pyodide", str(pyodide)]) == 0
    html = path.read_text(encoding="utf-8")
    content, page = unpack(html), read_page()
    assert {*CORE, LOCK, "numpy.whl", "nnreg.zip", "engine.js", "worker.js"} <= content.keys()
    assert content["numpy.whl"] == b"the wheel of numpy"
    assert page["style.css"].decode() in html
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', html.partition("<script")[0])
    assert "src=" not in re.findall(r"<script[^>]*>", html)[-1]
    assert f"{path.stat().st_size / 1e6:.1f} MB" in capsys.readouterr().out


def test_nnreg_runs_from_its_archive_with_numpy_alone(tmp_path):
    zipfile.ZipFile(io.BytesIO(pack_nnreg())).extractall(tmp_path)
    code = """
import sys
sys.modules["scipy"] = None
from nnreg.playground import Session
session = Session()
session.handle({"do": "set", "knobs": {"data": "digits", "l1": 0.1, "max_norm": 1.0}})
for do in ("play", *5 * ["phase"], "judge"):
    assert "error" not in session.handle({"do": do})
print(sys.modules["nnreg"].__file__)
"""
    program = [sys.executable, "-c", code]
    result = subprocess.run(
        program, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert result.stdout.strip() == str(tmp_path / "nnreg" / "__init__.py"), result.stderr


def test_a_file_that_is_not_that_of_the_lock_is_named_with_both_sums(pyodide, tmp_path):
    expected = hashlib.sha256((pyodide / "numpy.whl").read_bytes()).hexdigest()
    (pyodide / "numpy.whl").write_bytes(b"another wheel")
    found = hashlib.sha256(b"another wheel").hexdigest()
    with pytest.raises(ValueError, match=rf"numpy\.whl .*{found}.*{expected}"):
        export_page(tmp_path / "page.html", pyodide)
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("name", [*CORE, LOCK, "numpy.whl"])
def test_a_missing_file_is_named(pyodide, tmp_path, name, capsys):
    (pyodide / name).unlink()
    page = str(tmp_path / "page.html")
    assert main(["playground", "--export", page, "--pyodide", str(pyodide)]) == 2
    assert f"{name} is missing" in capsys.readouterr().err


@pytest.mark.parametrize("lock", ["", "[]", '{"packages": {}}', '{"packages": {"numpy": {}}}'])
def test_a_wrong_lock_is_an_error(pyodide, tmp_path, lock):
    (pyodide / LOCK).write_text(lock)
    with pytest.raises(ValueError, match="does not name the packages"):
        export_page(tmp_path / "page.html", pyodide)


def test_a_file_that_exists_is_kept(pyodide, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        export_page(path, pyodide)
    assert path.read_text() == "mine"
    export_page(path, pyodide, overwrite=True)


def test_modules_in_a_circle_are_an_error():
    with pytest.raises(ValueError, match=r"circle: a\.js b\.js a\.js"):
        order_modules({"a.js": 'import "./b.js"', "b.js": 'import "./a.js"'})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--export", "page.html"], "--export FILE.html --pyodide FOLDER"),
        (["--port", "99999"], "--port must be a whole number from 0 to 65535"),
        (["--preset", "overfitt"], "did you mean 'overfit'"),
    ],
)
def test_a_wrong_option_is_explained(arguments, words, capsys):
    assert main(["playground", *arguments]) == 2
    assert words in capsys.readouterr().err
