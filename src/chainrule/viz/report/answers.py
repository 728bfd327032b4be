"""The sections about a network's answers: classes and quantities."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.graph.node import Array
from chainrule.viz import fonts
from chainrule.viz.report import charts, images, page
from chainrule.viz.report.charts import number, percent
from chainrule.viz.report.page import Html, el
from chainrule.viz.report.results import Classified
from chainrule.viz.report.sections import (
    FEW,
    MATRIX,
    MISTAKES,
    TARGETS,
    Subject,
)

#: Columns of text that a class name may take.
_NAME = 40
#: How opaque the colour of a cell may be, so that its text stays legible.
STRONGEST = 0.5
#: Longer names stand upright above their columns.
_ACROSS = 6


def confusion(s: Subject) -> Html | None:
    """The confusion matrix: a table, or a picture where there are many classes."""
    result, words = s.classes, s.words
    if result is None:
        return None
    if len(result.names) <= MATRIX:
        return s.section("confusion", _matrix(result, s))
    pairs = result.confusion.copy()
    np.fill_diagonal(pairs, 0)
    order = np.argsort(-pairs, axis=None, kind="stable")[:FEW]
    rows = []
    for true, predicted in zip(*np.unravel_index(order, pairs.shape)):
        count = int(pairs[true, predicted])
        if count:
            share = percent(count / result.confusion[true].sum())
            rows.append([_name(result, true), _name(result, predicted), count, share])
    heading = [words[key] for key in ("true", "predicted", "count", "share")]
    parts = [charts.heat(result, words)]
    if rows:
        parts.append(page.table(words["confused"], heading, rows, texts=2))
    return s.section("confusion", *parts)


def _matrix(result: Classified, s: Subject) -> Html:
    words = s.words
    names = [_name(result, c) for c in range(len(result.names))]
    tall = "tall" if max(map(fonts.columns, names)) > _ACROSS else None
    totals = result.confusion.sum(1)
    shares = result.confusion / np.maximum(totals, 1)[:, None]
    # A few mistakes are to be seen, but not as loudly as many.
    strongest = max(0.05, float((shares - np.diag(np.diag(shares))).max()))

    def cells(true: int) -> Iterator[Html]:
        for predicted, count in enumerate(result.confusion[true]):
            share = count / max(totals[true], 1)
            kind = "right" if true == predicted else None if count else "none"
            whole = 1.0 if kind == "right" else strongest
            strength = STRONGEST * (share / whole) ** 0.5
            style = f"--share:{strength:.2f}" if count else None
            inner = [f"{count:,}"] + [el("small", percent(share, 1))] * bool(count)
            yield el("td", *inner, class_=kind, style=style)

    lines = (f"{words['true']} ↓", el("br"), f"{words['predicted']} →")
    corner = el("th", *lines, scope="col", class_="corner")
    heads = [el("th", name, scope="col", class_=tall) for name in names]
    rows = [
        el("tr", el("th", name, scope="row"), *cells(c)) for c, name in enumerate(names)
    ]
    return page.captioned(
        words["matrix_caption"],
        el("thead", el("tr", corner, *heads)),
        el("tbody", *rows),
        class_="matrix",
    )


def by_class(s: Subject) -> Html | None:
    """Precision, recall and F₁ of each class."""
    result, words = s.classes, s.words
    if result is None:
        return None
    measures = result.by_class()
    heading = [words[k] for k in ("class", "precision", "recall", "f1", "rows")]

    def rows(order: Array) -> Iterator[list[str]]:
        for c in order:
            rates = map(percent, measures[c, :3])
            yield [_name(result, c), *rates, f"{int(measures[c, 3]):,}"]

    every = np.arange(len(measures))
    whole = page.table(words["classes"], heading, rows(every))
    if len(measures) <= MATRIX:
        return s.section("classes", whole)
    # A class that is neither called nor owned has no F₁ and stands last.
    order = np.argsort(np.nan_to_num(measures[:, 2], nan=2.0), kind="stable")[:FEW]
    worst = page.table(words["worst_classes"].format(n=FEW), heading, rows(order))
    title = words["all_classes"].format(n=len(measures))
    return s.section("classes", worst, el("details", el("summary", title), whole))


def mistakes(s: Subject) -> Html | None:
    """The worst mistakes: as pictures where rows are pictures, else as a table."""
    result, words = s.classes, s.words
    if result is None:
        return None
    n, wrong = len(result.truth), result.wrong
    if not len(wrong):
        return s.section("mistakes", el("p", words["no_mistakes"].format(n=f"{n:,}")))
    worst = wrong[:MISTAKES].tolist()
    counts = {"wrong": f"{len(wrong):,}", "n": f"{n:,}", "shown": len(worst)}
    intro = el("p", words["wrong"].format(**counts))
    if images.picture_shape(s.data.x.shape[1:]) is None:
        return s.section("mistakes", intro, _table_of(s, result, worst))
    return s.section("mistakes", intro, _pictures_of(s, result, worst))


def _pictures_of(s: Subject, result: Classified, worst: list[int]) -> Html:
    words = s.words
    uris = images.grey_or_colour(images.as_pictures(s.data.x[worst]))
    items = []
    for row, uri in zip(worst, uris):
        true, predicted = _pair(result, row)
        names = {"row": row, "true": true, "predicted": predicted}
        sure = _sure(result, row)
        said = predicted if np.isnan(sure) else f"{predicted} ({percent(sure)})"
        loss = number(float(result.losses[row]))
        lines = [
            words["pair"].format(words[key], value)
            for key, value in (("true", true), ("predicted", said), ("loss", loss))
        ]
        alt = words["mistake_alt"].format(**names)
        picture = el("img", src=uri, alt=alt, class_="pixels", loading="lazy")
        inner = page.join(part for line in lines for part in (el("br"), line))
        items.append(el("li", picture, Html(inner.removeprefix("<br>")), data_row=row))
    return el("ul", *items, class_="pictures")


def _table_of(s: Subject, result: Classified, worst: list[int]) -> Html:
    words = s.words
    keys = ("row", "true", "predicted", "probability", "loss")
    rows = []
    for row in worst:
        share, loss = _sure(result, row), float(result.losses[row])
        rows.append([row, *_pair(result, row), percent(share), number(loss)])
    heading = [words[key] for key in keys]
    return page.table(words["mistakes"], heading, rows, texts=3)


def plane(s: Subject) -> Html | None:
    """The decision regions of two features."""
    if s.classes is None or s.data.x.shape[1:] != (2,):
        return None
    names = [_name(s.classes, c) for c in range(len(s.classes.names))]
    return s.section("regions", charts.plane(s.trainer, s.data, names, s.words))


def fit(s: Subject) -> Html | None:
    """Quantities: predictions against true values, residuals, errors in numbers."""
    result, words = s.quantities, s.words
    if result is None:
        return None
    targets = result.truth.shape[1]
    names = [words["target_n"].format(i + 1) for i in range(targets)]
    if targets == 1:
        names = [words["target"]]
    figures = [
        figure
        for i in range(min(targets, TARGETS))
        for figure in charts.fit(result, i, names[i], words)
    ]
    measures = result.measures()[:FEW]
    rows = [[name, *map(number, row)] for name, row in zip(names, measures)]
    heading = [words[key] for key in ("target", "r2", "mae", "rmse")]
    parts = [el("div", *figures, class_="figures")]
    if targets > TARGETS:
        shown = {"shown": TARGETS, "all": targets}
        parts.insert(0, el("p", words["some_targets"].format(**shown)))
    parts.append(page.table(words["targets_caption"], heading, rows))
    return s.section("fit", *parts)


def _name(result: Classified, c: int) -> str:
    return fonts.shorten(fonts.one_line(result.names[c]), _NAME)


def _pair(result: Classified, row: int) -> tuple[str, str]:
    """The names of a row's true and predicted class."""
    true, predicted = int(result.truth[row]), int(result.predicted[row])
    return _name(result, true), _name(result, predicted)


def _sure(result: Classified, row: int) -> float:
    """The probability of the predicted class, NaN where there is none."""
    if result.shares is None:
        return float("nan")
    return float(result.shares[row, int(result.predicted[row])])
