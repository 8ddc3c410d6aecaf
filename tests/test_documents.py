"""The documentation: its Python runs as printed, and no module, kernel or command is missing."""

import re
from pathlib import Path

import pytest
import reliability

import nnreg
from nnreg.commands.experiments import COMMANDS

CHECKOUT = Path(__file__).parents[1]
SOURCE = Path(nnreg.__file__).parent
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documents_with_python() -> list[Path]:
    pages = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")]
    return sorted(page for page in pages if FENCE.search(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "page", documents_with_python(), ids=lambda page: str(page.relative_to(CHECKOUT))
)
def test_the_python_of_a_document_runs_as_printed(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "document"}
    for block in FENCE.finditer(text):
        # Blank lines in front, so that an error names the line of the document.
        above = "\n" * text.count("\n", 0, block.start(1))
        try:
            exec(compile(above + block[1], str(page), "exec"), names)
        except ModuleNotFoundError as error:
            if str(error.name).startswith("nnreg"):
                raise
            # README's environment has no extras; the full run has them and runs every example
            pytest.skip(f"needs {error.name}")


def test_the_api_pages_cover_every_module():
    shown = {
        name
        for page in (CHECKOUT / "docs").rglob("*.md")
        for name in re.findall(r"automodule:: nnreg\.(\w+)", page.read_text(encoding="utf-8"))
    }
    written = {path.stem for path in SOURCE.glob("*.py")} | {
        path.parent.name for path in SOURCE.glob("*/__init__.py")
    }
    assert shown == written - {"__init__", "__main__"}


def test_the_derivations_leave_no_kernel_out():
    page = (CHECKOUT / "docs" / "understand" / "derivations.md").read_text(encoding="utf-8")
    shown = re.findall(r"literalinclude} \S*/nnreg/(\w+\.py)\n:pyobject: (\w+)", page)
    written = [
        (module, name)
        for module in ("kernels.py", "proximal.py")
        for name in re.findall(r"^def ([a-z]\w+)", (SOURCE / module).read_text(), re.MULTILINE)
    ]
    assert sorted(shown) == sorted(written)


def test_the_page_of_the_command_line_leaves_no_command_out():
    page = (CHECKOUT / "docs" / "reference" / "command_line.md").read_text(encoding="utf-8")
    written = ["train", "predict", "inspect", "convert", "data", *COMMANDS]
    written += ["playground", "grade", "course"]
    assert re.findall(r'show_help\("([\w-]+)"\)', page) == written
    assert re.findall(r"^## nnreg ([\w-]+)$", page, re.MULTILINE) == written


def test_the_page_of_faults_and_wrong_input_is_what_the_tests_say():
    page = reliability.PAGE.read_text(encoding="utf-8")
    assert reliability.make_page(page) == page, "write it anew: python tests/reliability.py"
