"""A parser of HTML for tests: tags, attributes, texts, and whether every tag is closed."""

import html.parser

VOID = {"meta", "br", "img", "source", "rect", "polyline", "!doctype"}


class Page(html.parser.HTMLParser):
    """The parts of a page or of a piece of HTML."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == [], "a tag is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def values(self, name: str) -> list[str | None]:
        """Return an attribute's values, of any tag."""
        return [value for _, key, value in self.attributes if key == name]

    def loads(self) -> list[str | None]:
        """Return the addresses from which it loads something."""
        return [
            value
            for _, name, value in self.attributes
            if name in ("src", "srcset", "href", "action", "data", "xlink:href")
            and not (value or "").startswith("#")
        ]
