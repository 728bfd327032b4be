"""The report that a run leaves: one file of HTML that needs nothing else."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.checks import choice
from chainrule.data import Dataset
from chainrule.disk import replace
from chainrule.errors import ArgumentError, NonFiniteError, visible
from chainrule.formatting import measure, number, percent
from chainrule.nn.summary import summary
from chainrule.tables import shorten, width
from chainrule.version import __version__
from chainrule.viz import curve, drawing
from chainrule.viz.report import charts, sections
from chainrule.viz.report.charts import Words
from chainrule.viz.report.predictions import Regressed, classified, regressed

LANGUAGES = ("en", "zh-TW")
#: More classes than this are a picture instead of a table.
MATRIX = 20
#: Rows of long tables that are shown first.
FEW = 15


def write_report(
    trainer: Any,
    path: str | Path,
    *,
    data: Dataset,
    title: str = "",
    options: Mapping[str, Any] | None = None,
    source: str | Path | None = None,
    evaluation: Mapping[str, Any] | None = None,
    lang: str = "en",
) -> None:
    """Write report.html: how a run went, what its network can do and where it errs.

    One file without scripts, fonts or links to elsewhere, for screens, light or dark,
    and for paper. It holds the figures at a glance and the settings; learning curves;
    gradients and other probes; for classes the confusion matrix, precision and recall,
    and, of two features, the decision regions; for quantities predictions against true
    values and residuals; the worst mistakes, as images where rows look like images,
    else with their values; the first layer's weights as pictures, the layers, and a
    table of the epochs. Each section says what to see in it and where the textbook
    treats it.

    Args:
        trainer: a Trainer, trained or loaded.
        path: of the file.
        data: what to measure on, such as the test set.
        title: the heading.
        options: settings to list besides the Trainer's own; None values are left out.
        source: the file that the data were read from, whose cells the worst mistakes
            then show.
        evaluation: what was measured besides: ``baseline``, the same measures of a
            guess without a network; ``importance``, a list of mappings with
            ``feature``, ``mean`` and ``std``.
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
    words = read_words(choice(*LANGUAGES)("lang", lang))
    found = {"evaluation": evaluation or {}, "options": options or {}, "source": source}
    with np.errstate(all="ignore"):  # what a sick network says is shown as it is
        shown = _content(trainer, data, words, **found)
    shown |= {"title": title or words["untitled"], "lang": lang, "data": data}
    page = _environment(words).get_template("report.html.jinja").render(shown)
    replace(Path(path), page.encode(), "report")


def _content(
    trainer: Any,
    data: Dataset,
    words: Words,
    evaluation: Mapping[str, Any],
    options: Mapping[str, Any],
    source: Any,
) -> dict[str, Any]:
    """What the template shows; None, or nothing, for sections that are left out."""
    result, measured = None, {"loss": np.nan}
    try:
        measured = trainer.evaluate(data)
        outputs = trainer.predict(data)
    except NonFiniteError:
        outputs = np.array(np.nan)
    if sick := not np.isfinite(outputs).all():
        measured = {"loss": measured["loss"]}
    else:
        names = sections.target_names(data, words)
        result = classified(trainer, data, outputs)
        result = result or regressed(trainer, data, outputs, names)
    found, layers = sections.probes(trainer, words), summary(trainer.model, data)
    shown: dict[str, Any] = {
        "sick": sick,
        "tiles": {k: v for k, v in measured.items() if np.ndim(v) == 0},
        "baseline": evaluation.get("baseline") or {},
        "totals": sections.totals(trainer, layers),
        "settings": sections.settings(trainer, options, words),
        "curves": sections.curves(trainer, words),
        "gradients": found.pop("grad_norm", None),
        "probes": list(found.values()),
        "layers": sections.layers(layers),
        "weights": sections.weights(trainer, data.x.shape[1:]),
        "history": sections.epochs(trainer),
        "epochs": len(trainer.history.epochs),
        "validation": trainer.history.validation_name,
        **dict.fromkeys(("classes", "quantities", "mistakes", "importance", "plane")),
    }
    if ranked := evaluation.get("importance"):
        shown["importance"] = charts.bars(ranked[:FEW], words)
    if result is None:
        return shown
    shown["mistakes"] = sections.mistakes(data, result, source)
    shown["wrong"] = len(result.worst)
    if isinstance(result, Regressed):
        figures = [
            figure
            for i in range(min(len(result.names), sections.TARGETS))
            for figure in charts.fit(result, i, words, data.name)
        ]
        return shown | {"quantities": result, "fits": figures}
    shown |= {"classes": result, "strengths": sections.strengths(result)}
    if len(result.names) > MATRIX:
        shown["heat"] = charts.heat(result, words)
    if data.x.shape[1:] == (2,):
        shown["plane"] = charts.plane(trainer, data, result.names, words)
    return shown


@lru_cache
def read_words(language: str) -> Words:
    """All texts of a language; those of a section are ``key`` and ``key.see``, ….

    >>> read_words("en")["glance"], read_words("zh-TW")["glance"]
    ('At a glance', '總覽')
    """
    file = resources.files("chainrule.viz").joinpath(f"templates/{language}.toml")
    held = tomllib.loads(file.read_text(encoding="utf-8"))
    found = dict(held["words"])
    for key, texts in held["sections"].items():
        found[key] = texts.pop("title")
        found |= {f"{key}.{part}": text for part, text in texts.items()}
    return found


def _environment(words: Words) -> Any:
    """Templates whose every value is escaped, in words of a language."""
    import jinja2
    from markupsafe import Markup

    def plain(value: Any) -> Any:
        return value if isinstance(value, Markup) else visible(str(value))

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("chainrule.viz"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=plain,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )

    def heading(key: str, validation: str) -> str:
        """A column's name: of the words, of the history, or its own."""
        kind, name = curve.split(key)
        called = curve.named(name, words)
        own = validation if kind == "validation" else kind
        return f"{words.get(own, own)} {called}" if kind else called

    def shown(key: str, value: Any) -> str:
        """A cell, as its column has it."""
        if isinstance(value, str):
            return shorten(value, 40)
        if key in ("epoch", "row", "line"):
            return str(value)
        return measure(curve.split(key)[1], value)

    def table(
        rows: Sequence[Mapping[str, Any]],
        beside: Sequence[Mapping[str, Any]] = (),
        validation: str = "validation",
    ) -> dict[str, Any]:
        """Rows as texts, others beside them under names of their own; and the room.

        That is about how wide it is, in rem: where there is less, it scrolls.
        """
        head = [heading(key, validation) for key in rows[0]]
        texts = [[shown(k, v) for k, v in row.items()] for row in rows]
        kinds = ["" if isinstance(v, str) else "number" for v in rows[0].values()]
        for text, more in zip(texts, beside):
            text += [shown("", value) for value in more.values()]
        if beside:
            head += [shorten(name, 40) for name in beside[0]]
            kinds += ["number"] * len(beside[0])
        columns = zip(head, *texts)
        room = sum(1.25 + 0.5 * max(map(width, column)) for column in columns)
        return {"head": head, "rows": texts, "kinds": kinds, "room": room}

    made.filters |= {"number": number, "percent": percent, "cut": shorten}
    made.filters |= {"heading": heading, "shown": shown, "table": table, "width": width}
    made.globals |= {
        "w": words,
        "colours": drawing.COLOURS,
        "FEW": FEW,
        "MATRIX": MATRIX,
        "version": __version__,
        "now": datetime.datetime.now().astimezone().isoformat(" ", "minutes"),
    }
    return made
