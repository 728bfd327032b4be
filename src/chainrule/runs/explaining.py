"""``chainrule explain``: an explained training step of a run on rows of its data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule import nn, recipes
from chainrule.errors import ArgumentError
from chainrule.explanation import Explanation, explain
from chainrule.recipes import networks
from chainrule.recipes.experiment import SETTINGS
from chainrule.recipes.networks import Inspection, Subject
from chainrule.runs.recipe import FromRecipe
from chainrule.runs.trained import Trained
from chainrule.text import _, ngettext, tr
from chainrule.util import atomic_files
from chainrule.util.processes import is_there
from chainrule.viz.report import pages

#: Layers that cannot be trained with one sample: its variance is 0.
_OF_BATCHES = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, eq=False)
class Told:
    """An explained training step, and what else may be explained.

    Attributes:
        explanation: of the step.
        network: the name of the network; empty where there is one alone.
        others: the names of the recipe's other networks.
        steps: that the network has learned for; None where no optimiser counted them.
    """

    explanation: Explanation
    network: str = ""
    others: tuple[str, ...] = ()
    steps: int | None = None

    def title(self) -> str:
        """Return what the page of the explanation is called."""
        name = self.network or tr("the network")
        if self.steps is None:
            return name
        return tr(
            ngettext(
                "{name}, after {n:,} step",
                "{name}, after {n:,} steps",
                n=self.steps,
                name=name,
            )
        )


def explained(
    run: str,
    path: Path | None,
    rows: Sequence[int] = (),
    *,
    network: str | None = None,
    layer: str | None = None,
    composites: Collection[str] = (),
) -> Told:
    """Explain one training step of a run's network on some rows of its data.

    Args:
        run: its directory, a checkpoint, or the name of a recipe, whose network has not
            learned yet.
        path: data like the run's; None for the run's own test part, and of a study for
            what its network is trained with.
        rows: which rows of them make the batch, counted from 0; by default the first
            one, or two where one is no batch.
        network: which one of a study's networks; by default the first.
        layer, composites: as for :func:`chainrule.explain`.

    Raises:
        ArgumentError: a recipe without networks; an unknown network; a row that is not
            there.
    """
    subject, name, others = _subject(run, path, network)
    strange = [row for row in rows if not 0 <= row < len(subject)]
    if strange:
        raise ArgumentError(
            _("There is no row {row} in '{name}'.", row=strange[0], name=name),
            expected=_("rows 0 … {last}", last=len(subject) - 1),
            got=str(strange[0]),
        )
    which = int(layer) if layer is not None and layer.isdecimal() else layer
    explanation = explained_step(subject, rows, layer=which, composites=composites)
    known = [*others]
    shown = (network or known[0]) if known else ""
    optimizer = subject.optimizer
    steps = None if optimizer is None else int(optimizer.steps)
    return Told(explanation, shown, tuple(k for k in known if k != shown), steps)


def saved(told: Told, run: str) -> tuple[Path, Path | None]:
    """Write an explanation as a page beside the report of its run, and link the two.

    Args:
        told: the explanation.
        run: the directory of the run.

    Returns:
        the paths of the page and of the report; None where the run has no report.

    Raises:
        ArgumentError: no directory of a run.
        SaveError: a file cannot be written.
    """
    place = Path(run)
    if not place.is_dir():
        raise ArgumentError(
            _("An explanation is kept in the directory of a run."),
            expected=_("a directory that 'chainrule train' left"),
            got=run,
            fix=_("chainrule train {run} --out DIRECTORY", run=run)
            if run in recipes.names()
            else None,
        )
    report = pages.REPORT if (place / pages.REPORT).is_file() else ""
    path = place / pages.name_of(told.network if told.others else "")
    page = told.explanation.to_html(title=told.title(), report=report)
    atomic_files.replace(path, page.encode(), _("explanation"))
    return path, pages.refresh(place)


def explained_step(
    subject: Subject, rows: Sequence[int] = (), **how: Any
) -> Explanation:
    """Explain a network's training step on some rows, by default on as few as it takes.

    Args:
        subject: the network, its data and its loss.
        rows: their numbers.
        how: as for :func:`chainrule.explain`.
    """
    chosen = list(rows) or [0, 1][: 2 if _needs_two(subject.model) else 1]
    x, y = subject.rows(chosen)
    return explain(subject.model, x, y, subject.loss, subject.optimizer, **how)


def _needs_two(model: nn.Module) -> bool:
    return any(isinstance(m, _OF_BATCHES) and m.training for m in model.modules())


def _subject(
    run: str, path: Path | None, network: str | None
) -> tuple[Subject, str, Sequence[str]]:
    """Return what is explained, the name of its data, and the names of networks."""
    place = Path(run)
    if is_there((place / SETTINGS).exists()):
        return _of_study(Inspection.of(place), path, network, run)
    if not place.exists() and run in recipes.names():
        if recipes.kind(run) == "study":
            return _of_study(Inspection(run), path, network, run)
        _refuse_network(run, network)
        return _of_training(run, path), run, ()
    _refuse_network(run, network)
    trained = Trained.load(place)
    if path is not None:
        return _of(trained.trainer, trained.measurable(path)), str(path), ()
    name, part, __ = trained.own_data()
    return _of(trained.trainer, part), name, ()


def _of(trainer: Any, data: Any) -> Subject:
    return Subject(trainer.model, data.x, data.y, trainer.loss, trainer.optimizer)


def _of_study(
    inspection: Inspection, path: Path | None, network: str | None, run: str
) -> tuple[Subject, str, Sequence[str]]:
    if path is not None:
        _refuse_data(run, path)
    subject = networks.inspected(inspection, network)
    known = networks.networks_of(inspection.name)
    return subject, run, known if len(known) > 1 else ()


def _of_training(run: str, path: Path | None) -> Subject:
    """Return the network of a training recipe before it has learned, with test data."""
    if path is not None:
        _refuse_data(run, path)
    origin = FromRecipe.of(run, {})
    parts = origin.parts()
    assert parts.test is not None
    trainer = origin.trainer(parts)
    each = -(-len(parts.train) // origin.options["batch_size"])
    trainer.optimizer.bind_schedules(origin.options["epochs"] * each, each)
    return _of(trainer, parts.test)


def _refuse_data(run: str, path: Path) -> None:
    raise ArgumentError(
        _("A recipe is explained on its own data."),
        expected=_("chainrule explain {run}", run=run),
        got=str(path),
        fix=_("train it first: chainrule train {run} --out DIRECTORY", run=run),
    )


def _refuse_network(run: str, network: str | None) -> None:
    if network is not None:
        raise ArgumentError(
            _("{run} has one network.", run=run),
            expected=_("--network with a recipe of several, such as gan"),
            got=f"--network {network}",
        )
