"""``chainrule explain``: an explained training step of a run on rows of its data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from chainrule import recipes
from chainrule.data import Dataset
from chainrule.errors import ArgumentError
from chainrule.explanation import Explanation, explain
from chainrule.runs.recipe import FromRecipe
from chainrule.runs.trained import Trained
from chainrule.text import _
from chainrule.training import Trainer


def explained(
    run: str,
    path: Path | None,
    rows: Sequence[int],
    *,
    layer: str | None = None,
    composites: Collection[str] = (),
) -> Explanation:
    """Explain one training step of a run's network on some rows of its data.

    Args:
        run: its directory, a checkpoint, or the name of a training recipe, whose
            network has not learned yet.
        path: data like the run's; None for the run's own test part.
        rows: which rows of them make the batch, counted from 0.
        layer, composites: as for :func:`chainrule.explain`.

    Raises:
        ArgumentError: a recipe of several networks, or a row that is not there.
    """
    trainer, part, name = _parts(run, path)
    strange = [row for row in rows if not 0 <= row < len(part)]
    if strange:
        raise ArgumentError(
            _("There is no row {row} in '{name}'.", row=strange[0], name=name),
            expected=_("rows 0 … {last}", last=len(part) - 1),
            got=str(strange[0]),
        )
    chosen = part.rows(list(rows))
    return explain(
        trainer.model,
        chosen.x,
        chosen.y,
        trainer.loss,
        trainer.optimizer,
        layer=int(layer) if layer is not None and layer.isdecimal() else layer,
        composites=composites,
    )


def _parts(run: str, path: Path | None) -> tuple[Trainer, Dataset, str]:
    """Return the Trainer of a run or recipe, the data to explain, and their name."""
    if not Path(run).exists() and run in recipes.names():
        if recipes.kind(run) != "training":
            raise ArgumentError(
                _("The recipe {run} is no single network.", run=repr(run)),
                expected=_("a run, or a recipe that trains one network"),
                got=run,
                fix=_("cr.explain(model, x, y, loss) explains any network"),
            )
        origin = FromRecipe.of(run, {})
        parts = origin.parts()
        assert parts.test is not None
        trainer = origin.trainer(parts)
        if path is None:
            each = -(-len(parts.train) // origin.options["batch_size"])
            trainer.optimizer.bind_schedules(origin.options["epochs"] * each, each)
            return trainer, parts.test, run
        raise ArgumentError(
            _("A recipe is explained on its own data."),
            expected=_("chainrule explain {run}", run=run),
            got=str(path),
            fix=_("train it first: chainrule train {run} --out DIRECTORY", run=run),
        )
    trained = Trained.load(Path(run))
    if path is not None:
        return trained.trainer, trained.measurable(path), str(path)
    name, part, __ = trained.own_data()
    return trained.trainer, part, name
