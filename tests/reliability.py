"""Write docs/reliability.md: the faults and the wrong inputs that tests hold, and what is seen.

``python tests/reliability.py`` replaces the parts of the page between its marks. Rows come from

- ``@pytest.mark.reliability(fault=..., sees=...)`` on a test, or ``input=`` instead of ``fault=``:
  what happens or is given, and what the user then sees and has. Both are literal strings.
- ``CASES`` of ``test_validation.py``, whose calls are run for the messages of their errors.

The marks are read from the source, so that the page does not depend on which packages are there.
"""

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import nnreg

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "reliability.md"
PACKAGE = str(Path(nnreg.__file__).parent)
START, END = "<!-- written by tests/reliability.py: (\\w+) -->\n", "<!-- end -->"
PART = re.compile(f"({START}).*?({END})", re.DOTALL)


@functools.cache
def read_marks(path: Path) -> tuple[str, list[tuple[str, dict[str, str]]]]:
    """Return the docstring of a file, and the name of the test and the texts of each mark."""
    text, marks = path.read_text(encoding="utf-8"), []
    if "mark.reliability" not in text:
        return "", marks
    module = ast.parse(text)
    for test in ast.walk(module):
        for mark in getattr(test, "decorator_list", []):
            if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.reliability"):
                texts = {word.arg: ast.literal_eval(word.value) for word in mark.keywords}
                if texts.keys() not in ({"fault", "sees"}, {"input", "sees"}):
                    raise ValueError(f"{path}: {test.name}: a mark has fault= or input=, and sees=")
                marks.append((test.name, texts))
    return ast.get_docstring(module) or "", marks


def make_sections(kind: str) -> Iterator[str]:
    """Yield a heading and a table for each file with marks of this kind."""
    for path in sorted(TESTS.glob("test_*.py")):
        docstring, marks = read_marks(path)
        rows = [
            (texts[kind], texts["sees"], test.removeprefix("test_").replace("_", " "))
            for test, texts in marks
            if kind in texts
        ]
        if rows:
            subject = re.split(r": |\.$", docstring.partition("\n")[0])[0]
            heads = (kind.capitalize(), "What you see and have", f"Test in `{path.name}`")
            yield f"### {subject}\n\n{make_table(heads, rows)}"


def make_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (heads, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def run_cases() -> Iterator[tuple[str, str]]:
    """Yield the function that raises and its message, for each call of test_validation.py."""
    from test_validation import CASES, network

    for group in CASES.values():
        for _, call, _, _, outputs in group:
            try:
                call(network(outputs))
            except Exception as error:
                message, trace = " ".join(str(error).split()), error.__traceback__
                while trace and not trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
                    trace = trace.tb_next
                if trace:  # otherwise Python itself refuses the call
                    yield name_function(trace.tb_frame), message


def name_function(frame) -> str:
    """Return the public name of the function or class that the user has called."""
    variables, (kind, _, name) = frame.f_locals, frame.f_code.co_qualname.rpartition(".")
    thing = variables.get("obj", variables.get("self"))
    if thing is None or not kind:
        return name
    method = f".{name}" if not name.startswith("__") and "<locals>" not in kind else ""
    return type(thing).__name__ + method


def make_messages() -> str:
    """Return the table of messages; one stands for those that differ in numbers and values."""
    functions: dict[str, dict[str, None]] = {}
    examples: dict[str, str] = {}
    for function, message in run_cases():
        wanted = re.sub(r",? got .*|validation (?=[xy])", "", message)
        wanted = re.sub(r"\d+", "0", wanted)
        examples.setdefault(wanted, message)
        functions.setdefault(wanted, {})[function] = None
    rows = [
        (", ".join(f"`{name}`" for name in functions[wanted]), f"`{shorten(message)}`")
        for wanted, message in examples.items()
    ]
    return make_table(("In", "Message, for example"), rows)


def shorten(message: str, length: int = 220) -> str:
    """Return a message whose quoted value is not longer than the rest."""
    return message if len(message) <= length else f"{message[:length]} ..."


def make_page(page: str) -> str:
    """Return the page with its parts written anew."""
    parts = {
        "faults": lambda: "\n\n".join(make_sections("fault")),
        "inputs": lambda: "\n\n".join(make_sections("input")),
        "messages": make_messages,
    }
    return PART.sub(lambda match: f"{match[1]}\n{parts[match[2]]()}\n\n{match[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(make_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
