"""``chainrule doctor``: a diagnosis of a run file, a recipe, or a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chainrule import recipes
from chainrule.doctor import Diagnosis, diagnose
from chainrule.doctor.study import StudyDiagnosis, loaded
from chainrule.errors import ArgumentError
from chainrule.runs import studies
from chainrule.runs.file import RunFile, load
from chainrule.runs.fixing import InFile
from chainrule.runs.recipe import FromRecipe
from chainrule.runs.session import Origin
from chainrule.runs.trained import Trained
from chainrule.text import _


def diagnosed(
    target: str,
    *,
    seconds: float | None = None,
    threads: int | None = None,
    full: bool = False,
    stages: int | None = None,
) -> Diagnosis | StudyDiagnosis:
    """Diagnose a training as it begins: with the initial weights of its seed.

    Args:
        target: a run file, the name of a recipe, the directory of a run or a
            checkpoint; or a file of a diagnosis, which is read.
        seconds: the budget, see :func:`chainrule.diagnose`.
        threads: of the native engine; the diagnosis does not depend on it.
        full, stages: of a study, see :func:`.studies.diagnosed_study`.

    Raises:
        ArgumentError: a run of a Python program, whose data nobody knows; options of a
            study for something else; what a study itself refuses.
        RunFileError: a file that does not describe a run.
        DataError: a file of JSON that is no diagnosis.
    """
    path = Path(target)
    if not path.exists() and target in recipes.names() and not _trains(target):
        count = studies.STAGES if stages is None else stages
        return studies.diagnosed_study(
            target, full=full, stages=count, seconds=seconds, threads=threads
        )
    if full or stages is not None:
        raise ArgumentError(
            _("{target} is no study.", target=repr(target)),
            expected=_("a recipe with several stages for --full and --stages"),
            got=target,
            fix=_("leave them out"),
        )
    if path.suffix.lower() == ".json" and path.exists():
        return loaded(path)
    origin = origin_named(target)
    if threads is not None:
        origin = origin.with_options(threads=threads)
    known = origin.parts()
    trainer = origin.trainer(known)
    parts = known.for_loss(trainer.loss)
    plan = origin.fit_options(parts.train)
    diagnosis = diagnose(
        trainer,
        parts.train,
        validation=getattr(parts, origin.validation_part),
        epochs=plan["epochs"],
        batch_size=plan["batch_size"],
        drop_last=plan.get("drop_last"),
        seconds=seconds,
        callbacks=origin.callbacks(Path()),
    )
    if isinstance(origin, RunFile) and diagnosis.case is not None:
        diagnosis.in_file = said = InFile(origin, known, diagnosis.case)
        diagnosis.findings = [
            f if f.change is None else replace(f, file_diff=said([f.change]))
            for f in diagnosis.findings
        ]
    return diagnosis


def origin_named(target: str) -> Origin:
    """Return what a target describes: a run file, a recipe, or those of a run.

    Raises:
        ArgumentError: nothing of the kind; a study, or a run of a Python program.
    """
    path = Path(target)
    if not path.exists() and target in recipes.names():
        if _trains(target):
            return FromRecipe.of(target, {})
        raise ArgumentError(
            _("The recipe {run} has no single supervised loss.", run=repr(target)),
            expected=_("a recipe that trains one network, such as mnist"),
            got=_("a study: it trains several networks, an agent, or none"),
            fix=_("cr.diagnose(trainer, data) examines any Trainer"),
        )
    if path.suffix.lower() == ".toml" or (path.is_file() and path.suffix != ".ckpt"):
        return load(path)
    if not path.exists():
        raise ArgumentError(
            _("There is nothing called {target} to examine.", target=repr(target)),
            expected=_("a run file, the directory of a run, a checkpoint, or a recipe"),
            got=_("neither a path that exists nor a recipe"),
            fix=_(
                "one of the recipes {names}, or a path",
                names=", ".join(n for n in recipes.names() if _trains(n)),
            ),
        )
    trained = Trained.load(path)
    if trained.origin is None:
        raise ArgumentError(
            _("{place} does not say which data it belongs to.", place=trained.place),
            expected=_("a run that 'chainrule train' made"),
            got=_("a run of a Python program"),
            fix=_("cr.diagnose(cr.Trainer.load(path), data)"),
        )
    return trained.origin


def _trains(recipe: str) -> bool:
    """Return whether a recipe trains one network."""
    return recipes.kind(recipe) == "training"
