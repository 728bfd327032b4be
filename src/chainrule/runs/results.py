"""Results of a training run: its summary, its files, and how to resume it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import viz
from chainrule.recipes.experiment import report_note
from chainrule.runs.session import Session
from chainrule.text import _, ngettext, numbers, tr
from chainrule.text.numbers import width
from chainrule.training import Trainer, checkpoint
from chainrule.training.history import called
from chainrule.training.stopping import Stopped
from chainrule.util import atomic_files
from chainrule.version import __version__

#: The copy of its file that a run leaves.
COPY = "run.toml"
#: The names of the parts of the data.
PARTS = {
    "train": _("training set"),
    "validation": _("validation set"),
    "test": _("test set"),
}


def format_metric(name: str, value: Any) -> str:
    """Format a metric of a run as text, with its name: ``accuracy 97.50%``.

    >>> format_metric("accuracy", 0.975), format_metric("mae", math.nan)
    ('accuracy 97.50%', 'mae not finite')
    """
    finite = math.isfinite(value)
    shown = numbers.measure(name, value) if finite else tr("not finite")
    return f"{called(name)} {shown}"


def omitted(missing: int, rows: int) -> str:
    """Return a note on a data set's omitted rows, or an empty text for none.

    >>> omitted(43, 400), omitted(0, 400)
    (' (43 of 400 rows left out for empty cells)', '')
    """
    if not missing:
        return ""
    return tr(
        ngettext(
            " ({missing} of {n:,} row left out for empty cells)",
            " ({missing} of {n:,} rows left out for empty cells)",
            n=rows,
            missing=f"{missing:,}",
        )
    )


# -- a run that is over ----------------------------------------------------------------


def summary(session: Session) -> dict[str, Any]:
    """Return the summary of a training run, with metrics of the test part."""
    origin, trainer, parts = session.origin, session.trainer, session.parts
    stopped = Stopped.of(trainer)
    row = _row_of_weights(trainer, stopped)
    shown = ("train_",)
    if origin.validation_part == "validation":
        shown = ("train_", "validation_")
    tested = {} if parts.test is None else trainer.evaluate(parts.test)
    result: dict[str, Any] = {
        "run": origin.name,
        "engine": trainer.engine,
        "seed": trainer.seed,
        "epochs": trainer.epoch,
    }
    if stopped is not None:
        result["stopped_early"] = stopped.epoch is not None
        result["best_epoch"] = stopped.best_epoch
    return {
        **result,
        "batch_size": origin.fit_options(parts.train)["batch_size"],
        "lr": trainer.optimizer.schedule.lr,
        "samples": parts.sizes(),
        "incomplete_rows": parts.incomplete,
        "limit": origin.setting("limit"),
        **{k: v for k, v in row.items() if k.startswith(shown)},
        **{f"test_{name}": value for name, value in tested.items()},
        "parameters": sum(int(p.size) for p in trainer.model.parameters()),
        "steps": trainer.optimizer.steps,
        "seconds_compile": trainer.seconds_compile,
        "seconds_training": trainer.seconds_training,
        "out": str(session.directory),
        "version": __version__,
        "resumed_from": session.begun,
    }


def _row_of_weights(trainer: Trainer, stopped: Stopped | None) -> Mapping[str, Any]:
    """Return the history row of the epoch from which a run's final weights are."""
    rows = trainer.history.epochs
    if stopped is not None and stopped.restored:
        return next(row for row in rows if row["epoch"] == stopped.best_epoch)
    return rows[-1] if rows else {}


def write(session: Session, summary: Mapping[str, Any], note: str = "") -> list[str]:
    """Write the result files of a completed run; return their names.

    The report begins with the note, if there is one, such as that of a quick run.

    Besides the checkpoint: a copy of the run's file, metrics.json, and where there is
    matplotlib curve.png, a recipe's own pictures and report.html.
    """
    trainer, parts, directory = session.trainer, session.parts, session.directory
    content = numbers.plain({**summary, "history": trainer.history.epochs})
    texts = {"metrics.json": json.dumps(content, indent=2, ensure_ascii=False) + "\n"}
    if session.origin.copy is not None:
        texts = {COPY: session.origin.copy, **texts}
    for name in (*texts, "curve.png", "report.html"):
        atomic_files.sweep(directory / name)
    for name, text in texts.items():
        atomic_files.replace(
            directory / name, text.encode(), _("file {name}", name=name)
        )
    files = [checkpoint.FILE, *texts]
    if viz.can_plot() and trainer.history.epochs:
        said = {"name": session.origin.name, "seed": trainer.seed}
        with viz.legible(_("learning curve")):
            title = tr("{name}, seed {seed}", **said)
            viz.save_curve(trainer.history, directory / "curve.png", title=title)
        title = tr("{name}, seed {seed}", **said)
        files.append("curve.png")
        part = "test" if parts.test is not None else "validation"
        if (data := getattr(parts, part)) is not None:
            place, source = directory / "report.html", parts.files.get(part)
            drawn, pictures = session.origin.pictures(trainer, directory)
            viz.write_report(
                trainer,
                place,
                data=data,
                title=title,
                source=source,
                pictures=pictures,
                lesson=session.origin.lesson(),
                note=report_note(note) if note else "",
            )
            for name in drawn:
                atomic_files.sweep(directory / name)
            files += [*drawn, "report.html"]
    return files


def readable(session: Session, s: Mapping[str, Any], files: list[str]) -> str:
    """Return the summary of a training run as text for the terminal."""
    trainer, parts = session.trainer, session.parts
    part = next((p for p in ("test", "validation") if f"{p}_loss" in s), "train")
    words = tr(", ").join(
        format_metric(key.removeprefix(f"{part}_"), v)
        for key, v in s.items()
        if key.startswith(f"{part}_") and np.ndim(v) == 0
    )
    samples = tr(", ").join(
        tr("{count} {part}", count=f"{n:,}", part=called(name))
        for name, n in s["samples"].items()
        if n
    )
    seconds = [s["seconds_training"], s["seconds_compile"], s["seconds_total"]]
    training, compiling, whole = (numbers.number(float(x), 3) for x in seconds)
    trained = tr(
        "{epochs}, {steps} of {samples}, {parameters}, seed {seed}",
        epochs=ngettext("{n} epoch", "{n} epochs", n=s["epochs"]),
        steps=ngettext("{n:,} step", "{n:,} steps", n=s["steps"]),
        samples=ngettext("{n} sample", "{n} samples", n=s["batch_size"]),
        parameters=ngettext("{n:,} parameter", "{n:,} parameters", n=s["parameters"]),
        seed=s["seed"],
    )
    left = omitted(parts.incomplete, parts.rows)
    rows = [(tr("samples"), f"{samples}{left}"), (tr("trained"), trained)]
    stopped = Stopped.of(trainer)
    if stopped is not None and stopped.best_epoch is not None:
        rows.append((tr("stopped"), _stopped(stopped)))
    time = tr(
        "{training} s training, {compiling} s compiling, {whole} s in all, engine "
        "{engine}",
        training=training,
        compiling=compiling,
        whole=whole,
        engine=trainer.engine,
    )
    rows += [(tr("time"), time), (tr("files"), f"{s['out']}: {', '.join(files)}")]
    room = max(width(name) for name, __ in rows)
    head = tr(
        "{run}: {words} on the {part}", run=s["run"], words=words, part=tr(PARTS[part])
    )
    lines = [f"  {name}{' ' * (room - width(name))}   {text}" for name, text in rows]
    return "\n".join([head, *lines])


def _stopped(stopped: Stopped) -> str:
    """Describe the end of a run by early stopping, and its best epoch."""
    end = tr("ran to its end")
    if stopped.epoch is not None:
        end = tr("after epoch {epoch}", epoch=stopped.epoch)
    best = tr("{end}; epoch {best} was the best", end=end, best=stopped.best_epoch)
    return best + tr(", whose weights it has") if stopped.restored else best


# -- a run that is not -----------------------------------------------------------------


def why_over(session: Session) -> str | None:
    """Return the reason why a training run is complete, or None if it is not."""
    trainer, epochs = session.trainer, session.epochs
    if trainer.plan is None:
        return None
    if trainer.finished and epochs in (None, trainer.plan.epochs):
        return tr("This run was finished already")
    stopped = Stopped.of(trainer)
    if stopped is None or stopped.epoch is None or epochs is not None:
        return None
    return tr(
        "This run was stopped early after epoch {epoch} (--epochs {more} would go on)",
        epoch=stopped.epoch,
        more=stopped.epoch + 10,
    )


def where_it_stands(trainer: Trainer, target: str) -> str:
    """Describe the progress of an interrupted run, and the command to resume it."""
    plan = trainer.plan
    if plan is None:
        return tr("nothing was trained yet")
    steps = plan.steps_per_epoch
    assert steps is not None  # the data have a length
    done = (trainer.epoch - plan.first) * steps + trainer.step
    where = tr("step {done} of {all}", done=done, all=plan.epochs * steps)
    if trainer.last_checkpoint is None:
        return tr("{where}, nothing saved", where=where)
    words = target, str(Path(trainer.last_checkpoint).parent)
    file, directory = (f'"{word}"' if " " in word else word for word in words)
    return tr(
        "{where} is saved; go on with: chainrule train {file} --resume {directory}",
        where=where,
        file=file,
        directory=directory,
    )
