"""States of a training process, and the requests that each of them takes.

::

    ready ──train──▶ training ──pause──▶ paused ──train──▶ training
      │                 │  │                │
      └──step──▶ paused │  └─NaN──▶ failed  └──step──▶ paused
                        └─────────▶ finished ──again──▶ training
"""

from __future__ import annotations

from enum import StrEnum

from chainrule.errors import ArgumentError
from chainrule.text import _, joined


class Stage(StrEnum):
    """The state of a run."""

    READY = "ready"
    TRAINING = "training"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"


#: What a run is in each state, and what it may be asked, for messages.
_IS = {
    Stage.READY: _("not begun"),
    Stage.TRAINING: _("training"),
    Stage.PAUSED: _("paused"),
    Stage.FINISHED: _("finished"),
    Stage.FAILED: _("stopped by an error"),
}
_ASKED = {
    "train": _("train"),
    "pause": _("pause"),
    "step": _("make single steps"),
    "again": _("train further"),
}
_AFTER: dict[tuple[Stage, str], Stage] = {
    (Stage.READY, "train"): Stage.TRAINING,
    (Stage.READY, "step"): Stage.PAUSED,
    (Stage.READY, "pause"): Stage.READY,
    (Stage.TRAINING, "train"): Stage.TRAINING,
    (Stage.TRAINING, "pause"): Stage.PAUSED,
    (Stage.TRAINING, "step"): Stage.PAUSED,
    (Stage.PAUSED, "train"): Stage.TRAINING,
    (Stage.PAUSED, "pause"): Stage.PAUSED,
    (Stage.PAUSED, "step"): Stage.PAUSED,
    (Stage.FINISHED, "pause"): Stage.FINISHED,
    (Stage.FINISHED, "again"): Stage.TRAINING,
    (Stage.FAILED, "pause"): Stage.FAILED,
}


def after(stage: Stage, asked: str) -> Stage:
    """Return where a run stands after what it is asked.

    Raises:
        ArgumentError: it cannot be asked that now.
    """
    try:
        return _AFTER[stage, asked]
    except KeyError:
        can = [name for s, name in _AFTER if s is stage]
        raise ArgumentError(
            _(
                "A run that is {stage} cannot {asked}.",
                stage=_IS[stage],
                asked=_ASKED[asked],
            ),
            expected=joined(", ", [_ASKED[name] for name in can]),
            got=_ASKED[asked],
            fix=_("build the network anew to begin from the start"),
        ) from None
