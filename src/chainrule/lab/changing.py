"""Changes of a run between two of its steps, and how they stay true in what is shared.

A rate that is changed becomes a part of the run's file: a schedule with another
constant rate from that update on. So the run file, the link and the Python program
still give the run's own weights, and its checkpoint goes on with the rate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.optim import PiecewiseConstantLR
from chainrule.runs import RunFile, Session, parse
from chainrule.runs.fixing import edited
from chainrule.text import _


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
    text = edited(origin.text, changed, ["schedule"])
    if text is None:
        raise ArgumentError(
            _("The run file is written in a way in which the rate cannot be changed."),
            expected=_("sections with a line for each key"),
            got=origin.name,
            fix=_("change it in the file, and open it again"),
        )
    made = parse(text, name=origin.name, folder=origin.folder, options=options)
    optimizer.lr = new
    session.origin = replace(made, within=origin.within)
    session.trainer.notes = session.origin.note()
