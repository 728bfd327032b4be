"""The report that a run leaves: one file of HTML that needs nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.errors import ArgumentError
from chainrule.training.checkpoint import replace
from chainrule.version import __version__
from chainrule.viz import drawing
from chainrule.viz.report import answers, page, sections
from chainrule.viz.report.page import Html, el
from chainrule.viz.report.results import classified, regressed
from chainrule.viz.report.sections import Subject
from chainrule.viz.report.words import words

__all__ = ["write_report"]


def write_report(
    trainer: Any,
    path: str | Path,
    *,
    data: Dataset,
    title: str = "",
    options: Mapping[str, Any] | None = None,
    lang: str = "en",
) -> None:
    """Write report.html: how a run went, what its network can do and where it errs.

    One file without scripts, fonts or links to elsewhere, for screens, light or dark,
    and for paper. It holds the figures at a glance and the settings; learning curves;
    gradients and other probes; for classes the confusion matrix, precision and recall,
    the worst mistakes (as images where rows look like images) and, of two features, the
    decision regions; for quantities predictions against true values and residuals; the
    first layer's weights as pictures, the layers, and a table of the epochs. Each
    section says what to see in it and where the textbook treats it.

    Args:
        trainer: a Trainer, trained or loaded.
        path: of the file.
        data: what to measure on, such as the test set.
        title: the heading.
        options: settings to list besides the Trainer's own; None values are left out.
        lang: ``"en"`` or ``"zh-TW"``, for headings and explanations.

    Raises:
        ArgumentError: no matplotlib, data that are no Dataset, or another language.
        ShapeError: data that do not fit the network.
        SaveError: the file cannot be written.
    """
    drawing.need_matplotlib("report")
    if not isinstance(data, Dataset):
        raise ArgumentError(
            "A report measures the network on a data set.",
            expected="data=, a cr.data.Dataset",
            got=type(data).__name__,
            fix="data=cr.data.Dataset(x, y)",
        )
    table = words(lang)
    subject = Subject(trainer, data, table, dict(options or {}))
    with np.errstate(all="ignore"):  # what a sick network says is shown as it is
        subject.measured = trainer.evaluate(data)
        outputs = trainer.predict(data)
        subject.classes = classified(trainer, data, outputs)
        if subject.classes is None:
            subject.quantities = regressed(trainer, data, outputs)
        body = _body(subject, title or table["untitled"])
    text = page.document(title or table["untitled"], lang, body)
    replace(Path(path), text.encode(), "report")


_SECTIONS = (
    ("glance", sections.glance),
    ("curves", sections.curves),
    ("confusion", answers.confusion),
    ("classes", answers.by_class),
    ("mistakes", answers.mistakes),
    ("regions", answers.plane),
    ("fit", answers.fit),
    ("weights", sections.weights),
    ("gradients", sections.gradients),
    ("probes", sections.probes),
    ("network", sections.network),
    ("epochs", sections.epochs),
)


def _body(s: Subject, title: str) -> Html:
    made = [(key, section(s)) for key, section in _SECTIONS]
    present = [(key, section) for key, section in made if section is not None]
    links = [
        el("li", el("a", s.words[key], href=f"#{key}")) for key, section in present
    ]
    nav = el("nav", el("ul", *links), aria_label=s.words["contents"])
    now = datetime.datetime.now().astimezone()
    date = now.isoformat(sep=" ", timespec="minutes")
    made_by = s.words["made"].format(version=__version__, date=date)
    return page.join(
        [
            el("header", el("h1", title), nav),
            el("main", *(section for _, section in present)),
            el("footer", el("p", made_by)),
        ]
    )
