"""Pages of HTML as trees, read by the standard library's parser."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np

VOID = ("img", "meta", "br")


@dataclass
class Element:
    """An element: its tag, attributes, and what is in it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    inner: list[Element | str] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def every(self) -> Iterator[Element]:
        """This element and all within it."""
        yield self
        for item in self.inner:
            if isinstance(item, Element):
                yield from item.every()

    def find(self, tag: str, **attributes: str) -> list[Element]:
        """All of a tag with these attributes (``class_``: one of its classes)."""
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        return [
            e
            for e in self.every()
            if e.tag == tag
            and all(
                value in e.attributes.get(key, "").split()
                if key == "class"
                else e.attributes.get(key) == value
                for key, value in wanted.items()
            )
        ]

    @property
    def text(self) -> str:
        """Its text, without that of style sheets."""
        return "".join(
            item if isinstance(item, str) else item.text
            for item in self.inner
            if self.tag != "style"
        )

    def rows(self) -> list[list[str]]:
        """Of a table: the texts of its cells."""
        return [
            [cell.text for cell in row.inner if isinstance(cell, Element)]
            for row in self.find("tr")
        ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice: {names}"
        made = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inner.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].inner.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def read(text: str) -> Element:
    """The tree of a page or of a part of one; every element must be closed.

    Raises:
        AssertionError: elements that overlap or stay open.
    """
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is never closed"
    return reader.open[0]


def pixels(source: str) -> np.ndarray:
    """The picture in a data URI, as it would be shown."""
    from PIL import Image

    head, _, content = source.partition(",")
    assert head == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    return np.asarray(picture.convert("RGB"))
