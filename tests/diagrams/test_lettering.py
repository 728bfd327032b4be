"""Labels and titles of a picture lie on nothing else, and all of it is within it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

import chainrule as cr
from chainrule.diagrams.layout import Place, place_headings
from chainrule.diagrams.svg import SMALL
from chainrule.text.numbers import width as columns
from tests.diagrams.networks import NETWORKS

#: The left, upper, right and lower edge.
Edges = tuple[float, float, float, float]
#: Labels of arrows, titles of frames, arrows, edges of frames, and boxes.
Drawn = dict[str, list[Edges]]


def drawn(svg: str) -> tuple[Drawn, Edges]:
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
            x, y, wide = float(a["x"]), float(a["y"]), columns(each.text) * SMALL
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


@pytest.mark.parametrize("name", NETWORKS)
def test_no_text_lies_on_anything(name: str) -> None:
    cr.manual_seed(0)
    model, *rows = NETWORKS[name]()
    found, whole = drawn(model.picture(*rows).to_svg())
    texts = found["label"] + found["title"]
    if not found["arrow"]:
        return  # drawn unit by unit
    assert len(found["label"]) > 0
    labels = found["label"]
    assert not [(t, e) for t in labels for e in found["arrow"] if meet(t, e)]
    for kind in ("frame", "box"):
        assert not [(t, e) for t in texts for e in found[kind] if meet(t, e)], kind
    assert not [(a, b) for a, b in combinations(texts, 2) if meet(a, b)]
    for edges in texts + found["arrow"] + found["frame"] + found["box"]:
        assert edges[0] >= 0
        assert edges[1] >= 0
        assert edges[2] <= whole[2]
        assert edges[3] <= whole[3]


def test_the_title_of_a_frame_is_beside_the_arrow_into_it() -> None:
    frame = Place(10, 20, 200, 90)
    into = [(40.0, 0.0), (40.0, 60.0)]
    (place,) = place_headings([80], [frame], [into])
    assert 41 < place.x <= 130
    assert (place.y, place.width) == (20, 80)
    (place,) = place_headings([80], [frame], [])
    assert place.x == 10
