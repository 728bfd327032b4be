"""Labels and titles of a picture lie on nothing else, and all of it is within it.

How wide a text is, a browser tells where there is one (slow); else we estimate it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

import chainrule as cr
from chainrule.diagrams import layout
from chainrule.diagrams.element import width_of
from chainrule.diagrams.layout import Place, place_headings
from tests.browsers import browsing
from tests.diagrams.networks import NETWORKS

#: The left, upper, right and lower edge.
Edges = tuple[float, float, float, float]
#: Labels of arrows, titles of frames, arrows, edges of frames, and boxes.
Drawn = dict[str, list[Edges]]
WIDTHS = """() => [...document.querySelectorAll("svg text")].map(
  (text) => [text.textContent, text.getBBox().width])"""


def estimated(text: str) -> float:
    return width_of(text, 11)


def drawn(svg: str, measure: Callable[[str], float] = estimated) -> tuple[Drawn, Edges]:
    """What is drawn, by its kind, and the edges of the whole."""
    root = ElementTree.fromstring(svg)
    found: Drawn = {k: [] for k in ("label", "title", "arrow", "frame", "box")}
    for each in root.iter():
        tag, a = each.tag.rpartition("}")[2], each.attrib
        if tag == "polyline":
            points = [tuple(map(float, p.split(","))) for p in a["points"].split()]
            found["arrow"] += [
                (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
                for (x1, y1), (x2, y2) in pairwise(points)
            ]
        elif tag == "rect" and "width" in a and "x" in a:
            x, y = float(a["x"]), float(a["y"])
            edges = x, y, x + float(a["width"]), y + float(a["height"])
            if a.get("fill-opacity") == ".04":
                found["frame"] += sides(edges)
            elif a.get("rx"):
                found["box"].append(edges)
        elif tag == "text" and each.text:
            x, y, wide = float(a["x"]), float(a["y"]), measure(each.text)
            if a.get("opacity") == ".85":
                found["label"].append((x - wide / 2, y - 9, x + wide / 2, y + 2))
            elif a.get("opacity") == ".8" and "text-anchor" not in a:
                found["title"].append((x, y - 9, x + wide, y + 2))
    __, __, width, height = map(float, root.attrib["viewBox"].split())
    return found, (0.0, 0.0, width, height)


def sides(edges: Edges) -> Iterator[Edges]:
    left, top, right, bottom = edges
    yield left, top, right, top
    yield left, bottom, right, bottom
    yield left, top, left, bottom
    yield right, top, right, bottom


def meet(a: Edges, b: Edges) -> bool:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return wide >= 0 and high >= 0


def check(found: Drawn, whole: Edges) -> None:
    """Texts lie on nothing, and nothing is cut.

    Titles may lie on arrows, where a picture would be too wide without.
    """
    texts = found["label"] + found["title"]
    if not found["arrow"]:
        return  # drawn unit by unit
    assert len(found["label"]) > 0
    on_arrows = found["label"] if crossed(found) else texts
    assert not [(t, e) for t in on_arrows for e in found["arrow"] if meet(t, e)]
    for kind in ("frame", "box"):
        assert not [(t, e) for t in texts for e in found[kind] if meet(t, e)], kind
    assert not [(a, b) for a, b in combinations(texts, 2) if meet(a, b)]
    for edges in texts + found["arrow"] + found["frame"] + found["box"]:
        assert edges[0] >= 0
        assert edges[1] >= 0
        assert edges[2] <= whole[2]
        assert edges[3] <= whole[3]


def crossed(found: Drawn) -> int:
    """How many titles lie on arrows."""
    return sum(any(meet(t, a) for a in found["arrow"]) for t in found["title"])


def picture(name: str) -> str:
    cr.manual_seed(0)
    model, *rows = NETWORKS[name]()
    return model.picture(*rows).to_svg()


@pytest.mark.parametrize("name", NETWORKS)
def test_no_text_lies_on_anything(name: str) -> None:
    check(*drawn(picture(name)))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_title_lies_on_an_arrow_only_where_there_is_no_room(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, __ = drawn(picture(name))
    if not crossed(found):
        return
    monkeypatch.setattr(layout, "ROOM", float("inf"))
    wider, whole = drawn(picture(name))
    assert crossed(wider) < crossed(found)
    assert whole[2] > 1000


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with browsing() as browser:
        yield browser.new_page()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_no_text_lies_on_anything_in_a_browser(page: Any, name: str) -> None:
    svg = picture(name)
    page.set_content(svg)
    widths = dict(page.evaluate(WIDTHS))
    check(*drawn(svg, widths.__getitem__))


def test_the_title_of_a_frame_is_beside_the_arrow_into_it() -> None:
    frame = Place(10, 20, 200, 90)
    into = [(40.0, 0.0), (40.0, 60.0)]
    (place,) = place_headings([80], [frame], [into])
    assert 41 < place.x <= 130
    assert (place.y, place.width) == (20, 80)
    (place,) = place_headings([80], [frame], [])
    assert place.x == 10
