"""The report of a training run: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.errors import ArgumentError, NonFiniteError
from chainrule.metrics import evaluation
from chainrule.nn.first_use import Use, first_use
from chainrule.nn.summary import summary
from chainrule.text import _
from chainrule.text.catalogue import current
from chainrule.text.languages import language
from chainrule.util.atomic_files import replace
from chainrule.util.validation import choice
from chainrule.viz import drawing, images
from chainrule.viz.report import charts, page, pages, sections
from chainrule.viz.report.predictions import Regressed, classified, regressed
from chainrule.viz.words import LANGUAGES, Words, read_words


def write_report(
    trainer: Any,
    path: str | Path,
    *,
    data: Dataset,
    title: str = "",
    options: Mapping[str, Any] | None = None,
    source: str | Path | None = None,
    pictures: Mapping[str, bytes] | None = None,
    lesson: str = "",
    note: str = "",
    lang: str | None = None,
) -> None:
    """Write a training run's report as one HTML file: curves, predictions, mistakes.

    One file without scripts, fonts or links to elsewhere, for screens, light or dark,
    and for paper. It holds the figures at a glance and the settings; learning curves;
    gradients and other probes; for classes the confusion matrix, precision and recall,
    and, of two features, the decision regions; for quantities predictions against true
    values and residuals; the worst mistakes, as images where rows look like images,
    else with their values; the first layer's weights as pictures, the layers, and a
    table of the epochs. Behind each chart stands the table of its numbers. Each section
    says what to see in it and where the textbook treats it; abbreviations are explained
    at the end. Explanations beside it (``chainrule explain RUN --save``) are linked.

    Args:
        trainer: a Trainer, trained or loaded.
        path: of the file.
        data: what to measure on, such as the test set.
        title: the heading.
        options: settings to list besides the Trainer's own; None values are left out.
        source: the file that the data were read from, whose cells the worst mistakes
            then show.
        pictures: PNG files of your own to show, by their titles.
        lesson: a text on the network and what to look at, shown at the end as it is.
        note: a sentence on the run, shown first of all.
        lang: ``"en"`` or ``"zh-TW"``, for headings and explanations; by default the
            language in use.

    Raises:
        ArgumentError: no matplotlib, data that are no Dataset, or another language.
        ShapeError: data that do not fit the network.
        SaveError: the file cannot be written.
    """
    drawing.need_matplotlib("report")
    if not isinstance(data, Dataset):
        raise ArgumentError(
            _("A report measures the network on a data set."),
            expected="data=, a cr.data.Dataset",
            got=type(data).__name__,
            fix="data=cr.data.Dataset(x, y)",
        )
    data = trainer.like(data)
    evaluation.require_one(data)
    spoken = choice(*LANGUAGES)("lang", lang or current())
    words = read_words(spoken)
    with (
        language(spoken),
        np.errstate(all="ignore"),
    ):  # what a sick network says is shown as it is
        shown = _content(trainer, data, words, options or {}, source)
    shown |= {"title": title or words["untitled"], "data": data}
    shown["picture"] = sections.network(trainer.model, data, spoken)
    own = (pictures or {}).items()
    shown |= {"lesson": lesson.splitlines(), "note": note}
    shown["pages"] = pages.links(Path(path).parent, spoken)
    shown["pictures"] = {title: images.png_uri(png) for title, png in own}
    replace(Path(path), page.render(spoken, shown).encode(), "report")


def write_experiment_report(
    path: str | Path,
    *,
    title: str,
    summary: str,
    references: Sequence[Mapping[str, Any]] = (),
    blocks: Sequence[Mapping[str, Any]] = (),
    lang: str | None = None,
    **more: Any,
) -> None:
    """Write the report of a recipe's run as one HTML file.

    Args:
        path: of the file.
        title, summary, references, blocks, more: see :func:`.page.render_experiment`.
        lang: ``"en"`` or ``"zh-TW"``, for what the page adds; by default the
            language in use.

    Raises:
        ArgumentError: no matplotlib, or another language.
        SaveError: the file cannot be written.
    """
    drawing.need_matplotlib("report")
    spoken = choice(*LANGUAGES)("lang", lang or current())
    text = page.render_experiment(
        spoken,
        title=title,
        summary=summary,
        references=references,
        blocks=blocks,
        pages=pages.links(Path(path).parent, spoken),
        **more,
    )
    replace(Path(path), text.encode(), "report")


def _content(
    trainer: Any,
    data: Dataset,
    words: Words,
    options: Mapping[str, Any],
    source: Any,
) -> dict[str, Any]:
    """Return the variables of a report's template; None for missing sections."""
    result, measured = None, {"loss": np.nan}
    beside, ranked, metrics = None, [], []
    try:
        measured = trainer.evaluate(data)
        outputs = trainer.predict(data)
    except NonFiniteError:
        outputs = np.array(np.nan)
    if sick := not np.isfinite(outputs).all():
        measured = {"loss": measured["loss"]}
    else:
        metrics = evaluation.metrics_for(trainer, data, outputs)
        beside = evaluation.baseline(trainer, data, outputs, metrics)
        if metrics and metrics[0].scalar:
            ranked = evaluation.permutation_importance(trainer, data, metrics[0])
        names = sections.target_names(data, words)
        result = classified(trainer, data, outputs)
        result = result or regressed(trainer, data, outputs, names)
    charts_by_kind, layers = (
        sections.probes(trainer, words),
        summary(trainer.model, data),
    )
    shown: dict[str, Any] = {
        "sick": sick,
        "tiles": {k: v for k, v in measured.items() if np.ndim(v) == 0},
        "baseline": {} if beside is None else beside.values,
        "totals": sections.totals(trainer, layers),
        "settings": sections.settings(trainer, options, words),
        "curves": sections.curves(trainer, words),
        "gradients": charts_by_kind.pop("grad_norm", None),
        "probes": list(charts_by_kind.values()),
        "layers": sections.layers(layers),
        "weights": sections.weights(trainer, data.x.shape[1:]),
        "history": sections.epochs(trainer),
        "epochs": len(trainer.history.epochs),
        "validation": trainer.history.validation_name,
        **dict.fromkeys(("classes", "quantities", "mistakes", "importance", "plane")),
    }
    if ranked:
        metric = metrics[0].name
        shown["importance"] = charts.bars(ranked[: page.FEW], metric, words)
    if result is None:
        return shown
    worst = evaluation.mistakes(trainer, data, outputs, sections.MISTAKES)
    shown["mistakes"] = sections.mistakes(data, result, worst, source)
    shown["wrong"] = len(data)
    if isinstance(result, Regressed):
        figures = [
            figure
            for i in range(min(len(result.names), sections.TARGETS))
            for figure in charts.fit(result, i, words, data.name)
        ]
        return shown | {"quantities": result, "fits": figures}
    shown |= {"classes": result, "strengths": sections.strengths(result)}
    shown["wrong"] = int((result.predicted != result.truth).sum())
    if len(result.names) > page.MATRIX:
        shown["heat"] = charts.heat(result, words)
    plane = data.x.shape[1:] == (2,)
    if plane and first_use(trainer.model, (2,)) is not Use.INDICES:
        shown["plane"] = charts.plane(trainer, data, result.names, words)
    return shown
