"""What every run leaves: metrics.json, pictures, and where it stands when it stops."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule import formatting, viz
from chainrule.disk import replace, sweep
from chainrule.training import Trainer
from chainrule.training.stopping import Stopped


def new_directory(name: str) -> Path:
    """A directory under ``runs`` that is not there yet, named after the time."""
    stem = f"{Path(name).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    paths = [Path("runs", stem), *(Path("runs", f"{stem}-{i}") for i in range(2, 1000))]
    return next(path for path in paths if not path.exists())


def where_it_stands(trainer: Trainer, target: str) -> str:
    """What to say about an interrupted run, and the command that goes on with it."""
    plan = trainer.plan
    if plan is None:
        return "nothing was trained yet"
    per_epoch = plan.steps_per_epoch
    if per_epoch is None:  # a stream, whose length nobody knows
        where = f"step {trainer.step} of epoch {trainer.epoch + 1}"
    else:
        done = (trainer.epoch - plan.first) * per_epoch + trainer.step
        where = f"step {done} of {plan.epochs * per_epoch}"
    if trainer.last_checkpoint is None:
        return f"{where}, nothing saved"
    directory = Path(trainer.last_checkpoint).parent
    command = f"chainrule train {_word(target)} --resume {_word(str(directory))}"
    return f"{where} is saved; go on with: {command}"


def why_over(trainer: Trainer, epochs: int | None) -> str | None:
    """Why a run has nothing more to train; None where it has.

    Args:
        trainer: of the run.
        epochs: how many it shall have altogether; None: as planned.
    """
    if trainer.plan is None:
        return None
    if trainer.finished and epochs in (None, trainer.plan.epochs):
        return "This run was finished already"
    stopped = Stopped.of(trainer)
    if stopped is None or stopped.epoch is None or epochs is not None:
        return None
    return (
        f"This run was stopped early after epoch {stopped.epoch} (--epochs "
        f"{stopped.epoch + 10} would go on)"
    )


def stopped(trainer: Trainer) -> dict[str, Any]:
    """What early stopping did, for a summary; nothing where there was none."""
    found = Stopped.of(trainer)
    if found is None:
        return {}
    return {"stopped_early": found.epoch is not None, "best_epoch": found.best_epoch}


def row_of_weights(trainer: Trainer) -> Mapping[str, Any]:
    """The row of the history of the epoch whose weights the model has."""
    rows, found = trainer.history.epochs, Stopped.of(trainer)
    if found is not None and found.restored:
        return next(row for row in rows if row["epoch"] == found.best_epoch)
    return rows[-1] if rows else {}


def told_of_stopping(trainer: Trainer) -> list[str]:
    """The line of a readable summary about early stopping, where there was some."""
    found = Stopped.of(trainer)
    if found is None or found.best_epoch is None:
        return []
    best = f"epoch {found.best_epoch} was the best"
    said = "ran to its end" if found.epoch is None else f"after epoch {found.epoch}"
    kept = ", whose weights it has" if found.restored else ""
    return [f"  stopped   {said}; {best}{kept}"]


def _word(text: str) -> str:
    """One word of a command, in any shell."""
    return f'"{text}"' if " " in text else text


def number(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None


#: What the parts of the data are called.
PARTS = {
    "train": "training set",
    "validation": "validation set",
    "test": "test set",
}


def worded(name: str, value: Any) -> str:
    """A measured number in words.

    >>> worded("accuracy", 0.975), worded("loss", 0.1234567), worded("mae", None)
    ('accuracy 97.50%', 'loss 0.1235', 'mae not finite')
    """
    text = "not finite" if value is None else formatting.measure(name, value)
    return f"{name} {text}"


def write_files(
    trainer: Trainer,
    directory: Path,
    summary: Mapping[str, Any],
    title: str,
    data: Any,
    source: Path | None = None,
) -> list[str]:
    """metrics.json, curve.png and report.html; the names of what was written.

    Args:
        trainer: of the run that is over.
        directory: where to write.
        summary: what metrics.json holds besides the history.
        title: above the pictures.
        data: the data set that the report shows mistakes of, or None.
        source: the file that it was read from, or None.
    """
    rows = [
        {k: number(v) if isinstance(v, float) else v for k, v in row.items()}
        for row in trainer.history.epochs
    ]
    for name in ("metrics.json", "curve.png", "report.html"):
        sweep(directory / name)
    text = json.dumps({**summary, "history": rows}, indent=2, ensure_ascii=False)
    replace(directory / "metrics.json", f"{text}\n".encode(), "summary")
    files = ["metrics.json"]
    if viz.can_plot() and rows:
        viz.save_curve(trainer.history, directory / "curve.png", title=title)
        files.append("curve.png")
        if data is not None:
            place = directory / "report.html"
            viz.write_report(trainer, place, data=data, title=title, source=source)
            files.append("report.html")
    return files


def times(trainer: Trainer, total: float) -> str:
    """The line of a readable summary about time."""
    training, compiling, whole = (
        formatting.number(float(seconds), 3)
        for seconds in (trainer.seconds_training, trainer.seconds_compile, total)
    )
    return (
        f"  time      {training} s training, {compiling} s compiling, {whole} s in "
        f"all, engine {trainer.engine}"
    )
