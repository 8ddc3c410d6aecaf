"""Slides: one page with the figures of the lessons, made from the built pages."""

from html import escape
from pathlib import Path
from string import Template

from bs4 import BeautifulSoup
from sphinx.application import Sphinx

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Slides for the lessons</title>
<link rel="stylesheet" href="../_static/katex/katex.min.css">
<style>
  :root { color-scheme: light; font: max(1.6vw, 12px)/1.4 sans-serif;
          scroll-snap-type: y mandatory; }
  body { margin: 0; color: #222; background: white; }
  section { box-sizing: border-box; height: 100vh; padding: 4vh 6vw; scroll-snap-align: start;
            display: flex; flex-direction: column; justify-content: center; break-after: page; }
  h1 { font-size: 2rem; } h2 { font-size: 1.375rem; margin: 0 0 2vh; }
  img { flex: 1; min-height: 0; object-fit: contain; width: 100%; }
  a { color: inherit; } p { margin: 2vh 0 0; }
  @page { size: 297mm 167mm; margin: 0; }
</style>
$slides
</html>
""")


def write_slides(app: Sphinx, error: Exception | None) -> None:
    """Write ``course/slides.html``: the title of each lesson, and a slide for each figure."""
    if error or app.builder.name != "html":
        return
    slides = []
    for path in sorted(Path(app.outdir, "learn").glob("[0-9]*.html")):
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        title = page.h1.find(string=True)
        link = f'<a href="../learn/{path.name}">{escape(title)}</a>'
        slides.append(
            f'<section id="{path.stem}"><h1>{link}</h1>{page.h1.find_next("p")}</section>'
        )
        for figure in page.find_all("figure"):
            heading = figure.find_previous(["h1", "h2", "h3"]).find(string=True)
            image = figure.find("img", class_=lambda name: name != "narrow")
            caption = figure.find("span", class_="caption-text")
            words = caption.decode_contents() if caption else ""
            slides.append(
                f"<section><h2>{escape(heading)}</h2>"
                f'<img src="{escape(image["src"])}" alt="{escape(image.get("alt", ""))}">'
                f"<p>{words}</p></section>"
            )
    target = Path(app.outdir, "course", "slides.html")
    target.write_text(PAGE.substitute(slides="\n".join(slides)), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the end of the build."""
    app.connect("build-finished", write_slides)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
