"""Changes of a run between two of its steps, and how they stay true in what is shared.

A rate that is changed becomes a part of the run's file: a schedule with another
constant rate from that update on. So the run file, the link and the Python program
still give the run's own weights, and its checkpoint goes on with the rate. No file of
settings can say a weight that is edited by hand: the checkpoint notes it, and the
others say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from annotated_types import Ge, Len
from pydantic import Field, TypeAdapter, ValidationError

from chainrule.errors import ArgumentError, CheckpointError
from chainrule.graph.context import no_grad
from chainrule.lab.state import Stage
from chainrule.optim import PiecewiseConstantLR
from chainrule.runs import RunFile, Session, parse
from chainrule.runs.fixing import NotSaid, with_settings
from chainrule.text import _
from chainrule.training import Trainer

#: Edits that a run keeps, and of which a file tells.
EDITS, TOLD = 1000, 50


@dataclass(frozen=True)
class Edit:
    """A number of a parameter that was set by hand.

    Attributes:
        step: the updates that had been made.
        name: of the parameter.
        index: its place in it.
        before: what it was.
        value: what it became.
    """

    step: Annotated[int, Ge(0)]
    # It stands in a comment of a program: a checkpoint may be a stranger's.
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,200}$")]
    index: list[int]
    before: float
    value: float


_EDITS = TypeAdapter(Annotated[list[Edit], Len(0, EDITS)])


def edits_of(trainer: Trainer) -> list[Edit]:
    """Return what of a network was edited by hand, in its order.

    Raises:
        CheckpointError: notes that are none of ours.
    """
    notes: Any = trainer.notes
    said = notes.get("edits", []) if isinstance(notes, dict) else []
    try:
        return _EDITS.validate_python(said)
    except ValidationError as error:
        raise CheckpointError(
            _("The checkpoint does not say which weights were edited."),
            expected=_("names, places and numbers"),
            got=f"{said!r:.200}",
        ) from error


def edit(trainer: Trainer, name: str, index: list[int], value: float) -> None:
    """Set one number of a parameter, and note it.

    Raises:
        ArgumentError: no such number.
    """
    parameters = dict(trainer.model.named_parameters())
    p = parameters.get(name)
    inside = p is not None and len(index) == len(p.shape)
    if p is None or not inside or any(i >= n for i, n in zip(index, p.shape)):
        shapes = ", ".join(f"{k} {tuple(q.shape)}" for k, q in parameters.items())
        raise ArgumentError(
            _("The network has no such weight."),
            expected=shapes[:500],
            got=f"{name} {index}"[:200],
        )
    done = edits_of(trainer)
    if len(done) >= EDITS:
        raise ArgumentError(
            _("So many weights were edited that no file tells of more."),
            expected=_("at most {n:,} edits", n=EDITS),
            got=f"{len(done):,}",
            fix=_("build the network anew"),
        )
    place = tuple(index)
    with no_grad():
        before = p[place].item()
        p[place] = value
        after = p[place].item()
    made = Edit(trainer.optimizer.steps, name, index, before, after)
    trainer.notes = {**trainer.notes, "edits": [*map(asdict, done), asdict(made)]}


def told(trainer: Trainer) -> str:
    """Return comments on what was edited, for a file that cannot say it."""
    edits = edits_of(trainer)
    if not edits:
        return ""
    lines = [
        "Weights were edited by hand, which this file does not do: it trains a network",
        "without these edits. The checkpoint has them.",
        *(
            f"after update {e.step}: {e.name}{e.index} = {e.value}, before {e.before}"
            for e in edits[:TOLD]
        ),
    ]
    if len(edits) > TOLD:
        lines.append(f"and {len(edits) - TOLD} more")
    return "".join(f"# {line}\n" for line in lines)


def rate_refused(session: Session) -> ArgumentError | None:
    """Return why the rate of a run cannot be changed; None: it can."""
    origin: Any = session.origin
    if not isinstance(origin, RunFile):
        return ArgumentError(
            _("The rate of {name} is set where the run is from.", name=origin.name),
            expected=_("a run of a run file, or one that was built here"),
            got=origin.name,
            fix=_("change it there"),
        )
    schedule = origin.settings.schedule
    stepwise = schedule.name == "PiecewiseConstantLR" and (
        schedule.options.get("unit") == "step"
    )
    if schedule.warmup is not None or not (schedule.name == "Schedule" or stepwise):
        return ArgumentError(
            _("The rate follows a schedule."),
            expected=_("a constant rate"),
            got=str(schedule.name),
            fix=_("build the network with a constant rate, or with another schedule"),
        )
    own = [
        group for group in session.trainer.optimizer.param_groups if "lr" in group.own
    ]
    if own and not session.trainer.optimizer.flat:
        return ArgumentError(
            _("Groups of parameters have rates of their own."),
            expected=_("one rate for all parameters"),
            got=", ".join(f"{group['lr']:g}" for group in own),
            fix=_("change them in the run file, and build"),
        )
    return None


def change_rate(session: Session, rate: float) -> None:
    """Change the rate of a run, from its next update on.

    Raises:
        ArgumentError: a run with a schedule, or one that is not of a run file; a rate
            that is none.
    """
    refused = rate_refused(session)
    if refused is not None:
        raise refused
    origin, optimizer = session.origin, session.trainer.optimizer
    assert isinstance(origin, RunFile)
    present, step = optimizer.schedule, optimizer.steps
    options = dict(origin.options)
    if step == 0:
        options.pop("lr", None)
        changed: dict[str, dict[str, Any]] = {"optimizer": {"lr": rate}, "schedule": {}}
        new: Any = rate
    else:
        marks = {}
        if isinstance(present, PiecewiseConstantLR):
            marks = dict(zip(present.milestones, present.rates, strict=True))
        marks[step] = rate
        given = {"milestones": [*marks], "rates": [*marks.values()], "unit": "step"}
        new = PiecewiseConstantLR(present.lr, **given)
        changed = {"schedule": {"class": "PiecewiseConstantLR", **given}}
    text = origin.text
    try:
        for section, values in changed.items():
            text = with_settings(text, section, values)
    except NotSaid:
        raise ArgumentError(
            _("The run file is written in a way in which the rate cannot be changed."),
            expected=_("sections with a line for each key"),
            got=origin.name,
            fix=_("change it in the file, and open it again"),
        ) from None
    made = parse(text, name=origin.name, folder=origin.folder, options=options)
    optimizer.lr = new
    session.origin = replace(made, within=origin.within)
    session.trainer.notes = {**session.trainer.notes, **session.origin.note()}


# -- what a page asks ------------------------------------------------------------------


def rate(worker: Any, message: Mapping[str, Any]) -> None:
    """Change the rate, from the next step on."""
    change_rate(worker.begun().session, message["lr"])
    worker.changed()


def weight(worker: Any, message: Mapping[str, Any]) -> None:
    """Set one number of a parameter, between two steps."""
    view = worker.begun()
    if worker.stage is Stage.FAILED or view.looking is not None:
        past = view.looking is not None
        raise ArgumentError(
            _("Weights of the past, or of a run that has failed, stay."),
            expected=_("a run as it is now"),
            got=_("a step of the past") if past else _("a failed run"),
            fix=_("choose 'Now', or build the network anew"),
        )
    edit(view.trainer, message["name"], message["index"], message["value"])
    view.show(all_of_it=True)
    worker.changed()
