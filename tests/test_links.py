"""The documents' links: files and headings that they name exist; others are well formed."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

CHECKOUT = Path(__file__).parents[1]
SLIDES = CHECKOUT / "docs" / "course" / "slides.html"
FENCE = re.compile(r"(`{3,}|~{3,})\s*(\S*)")
PROSE = {f"{{{name}}}" for name in ("admonition", "glossary", "hint", "note", "tip", "warning")}
INCLUDED = re.compile(r"^```\{include\} (\S+)\n```$", re.M)
INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.S)
LINK = re.compile(r"\]\(\s*<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s+(\S+)", re.M)
TAG = re.compile(r"<(?:img|a)\b[^>]*?\b(?:src|href)=\"([^\"]*)\"")
BARE = re.compile(r"<(https?://[^>\s]+)>")
HEADING = re.compile(r"^#{1,3}\s+(.+?)\s*#*$", re.M)
LABEL = re.compile(r"^\(([\w-]+)\)=$", re.M)


def documents() -> list[Path]:
    docs = [p for kind in ("*.md", "*.ipynb") for p in (CHECKOUT / "docs").rglob(kind)]
    docs = [page for page in docs if "_build" not in page.parts and ".ipynb_" not in str(page)]
    return sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("*/README.md"), *docs])


@cache
def text(page: Path) -> str:
    """Return a page's Markdown, without what stands in code."""
    whole = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(whole)["cells"]
        whole = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return "\n".join(prose_of(whole.split("\n")))


def prose_of(lines: list[str]) -> Iterator[str]:
    """Yield the lines outside fences, and those in directives that hold text."""
    code, directives = "", list[str]()
    for line in lines:
        fence = FENCE.match(line)
        if code:
            code = "" if fence and fence[1].startswith(code) and not fence[2] else code
        elif fence and fence[2] in PROSE:
            directives.append(fence[1])
        elif fence and directives and fence[1] == directives[-1] and not fence[2]:
            directives.pop()
        elif fence:
            code = fence[1]
        else:
            yield line


def links(page: Path) -> list[str]:
    prose = INLINE_CODE.sub(lambda code: "`" * len(code[0]), text(page))
    result = [link[1] or link[2] or "" for link in LINK.finditer(prose)]
    return result + TAG.findall(prose) + BARE.findall(prose)


@cache
def anchors(page: Path) -> set[str]:
    """Return what `#...` may name: slugs as GitHub and MyST make them, labels, what is included."""
    result, seen = set(LABEL.findall(text(page))), Counter[str]()
    for included in INCLUDED.findall(page.read_text(encoding="utf-8")):
        result |= anchors((page.parent / included).resolve())
    for heading in HEADING.findall(text(page)):
        shown = re.sub(r"\{\w+\}|\]\([^)]*\)", "", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        result.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return result


def fault(page: Path, link: str) -> str | None:
    """Return what is wrong with a link, if anything is."""
    parts = urlsplit(link)
    if parts.scheme:
        fine = parts.scheme in ("http", "https") and re.fullmatch(
            r"[\w-]+(\.[\w-]+)+", parts.netloc
        )
        return None if fine or parts.scheme == "mailto" else "is no web address"
    if parts.path.startswith("/"):
        return "is absolute"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target == SLIDES:  # written by the build, with a slide for each lesson
        lesson = CHECKOUT / "docs" / "learn" / f"{parts.fragment}.md"
        return "leads to no slide" if parts.fragment and not lesson.exists() else None
    if not target.exists():
        return "leads to no file"
    if parts.fragment and target.suffix in (".md", ".ipynb"):
        return None if unquote(parts.fragment) in anchors(target) else "leads to no heading"
    return None


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_leads_somewhere(page):
    assert [(link, fault(page, link)) for link in links(page) if fault(page, link)] == []


@pytest.mark.parametrize(
    ("link", "wrong"),
    [
        ("there.md", None),
        ("there.md#a-code-heading", None),
        ("there.md#a-code-heading-1", None),
        ("there.md#label", None),
        ("#title", None),
        ("picture.png", None),
        ("https://example.org/a?b#c", None),
        ("mailto:a@example.org", None),
        ("there.md#elsewhere", "leads to no heading"),
        ("there.md#no-heading", "leads to no heading"),
        ("gone.md", "leads to no file"),
        ("gone.png", "leads to no file"),
        ("/there.md", "is absolute"),
        ("https://example", "is no web address"),
        ("https:/example.org", "is no web address"),
        ("htp://example.org", "is no web address"),
    ],
)
def test_a_broken_link_is_told_from_a_good_one(link, wrong, tmp_path):
    page, other = tmp_path / "page.md", tmp_path / "there.md"
    page.write_text("# Title\n\n" + f"[here]({link})", encoding="utf-8")
    other.write_text(
        "(label)=\n# A `code` heading!\n\n```sh\n# no heading\n```\n\n## A [code](x.md) heading\n",
        encoding="utf-8",
    )
    (tmp_path / "picture.png").touch()
    assert links(page) == [link]
    assert fault(page, link) == wrong


def test_links_are_found_in_prose_and_not_in_code(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "[a](a.md) ![b](b.png) [c][1] <https://d.org> `[x](x.md)` ``[x](`x`.md)``\n"
        '\n[1]: c.md\n\n<img alt="e" src="e.png">\n\n```python\nx[0](y)\n```\n\n```\nx[0](y)\n```\n'
        "\n````{note}\n[f](f.md)\n```{code-cell}\nx[0](y)\n```\n````\n[g](g.md)\n",
        encoding="utf-8",
    )
    assert set(links(page)) == {"a.md", "b.png", "c.md", "https://d.org", "e.png", "f.md", "g.md"}


def test_a_page_that_includes_another_has_its_headings(tmp_path):
    (tmp_path / "page.md").write_text("```{include} other.md\n```\n", encoding="utf-8")
    (tmp_path / "other.md").write_text("# Five steps\n", encoding="utf-8")
    assert anchors(tmp_path / "page.md") == {"five-steps"}
