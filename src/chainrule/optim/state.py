"""What an optimiser has gathered, as data, and how another one goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.optim.checks import whole
from chainrule.optim.groups import as_json
from chainrule.optim.schedules import as_schedule
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor

if TYPE_CHECKING:
    from chainrule.optim.optimizer import Optimizer

LIMITS = ("clip_norm", "clip_value")


def state_dict(optimizer: Optimizer) -> dict[str, Any]:
    """See :meth:`Optimizer.state_dict`."""
    names = {id(p): name for name, p in optimizer.params.items()}
    return {
        "optimizer": type(optimizer).__name__,
        "steps": optimizer.steps,
        "lr": optimizer.schedule.settings(),
        **{limit: getattr(optimizer, limit) for limit in LIMITS},
        "param_groups": [
            {
                "params": [names[id(t)] for t in group.tensors],
                "lr": group.own_schedule and group.own_schedule.settings(),
                **as_json(group.options),
            }
            for group in optimizer.param_groups
        ],
        "state": {
            name: {moment: np.array(t.numpy()) for moment, t in moments.items()}
            for name, moments in optimizer.state.items()
        },
    }


def load_state_dict(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """See :meth:`Optimizer.load_state_dict`; all is checked before anything changes."""
    own = state_dict(optimizer)
    _same("The state_dict's keys", sorted(own), sorted(state))
    for key in ("optimizer", "param_groups"):
        _same(f"The state_dict's {key}", _outline(own[key]), _outline(state[key]))
    steps = whole("steps", state["steps"], least=0)
    schedule = as_schedule(state["lr"])
    rates = (saved["lr"] for saved in state["param_groups"])
    schedules = [lr if lr is None else as_schedule(lr) for lr in rates]
    groups = optimizer.param_groups
    checked = [
        group.checked({k: v for k, v in saved.items() if k not in ("params", "lr")})
        for group, saved in zip(groups, state["param_groups"], strict=True)
    ]
    moments = _moments(optimizer, checked, state["state"])
    limits = {limit: optimizer.checked_limit(limit, state[limit]) for limit in LIMITS}
    for limit, number in limits.items():
        setattr(optimizer, limit, number)
    optimizer.steps, optimizer.schedule = steps, schedule
    for group, options, own_schedule in zip(groups, checked, schedules, strict=True):
        group.adopt(options)
        group.own_schedule = own_schedule
    for name, arrays in moments.items():
        for moment, array in arrays.items():
            optimizer.state[name][moment].copy_(Tensor(array))


def _outline(item: Any) -> Any:
    """What of an entry must be the same: names of classes, parameters and options."""
    if isinstance(item, str):
        return item
    return [(group["params"], sorted(group)) for group in item]


def _same(what: str, expected: Any, got: Any) -> None:
    if expected != got:
        raise ArgumentError(
            f"{what} belong to another optimiser.",
            expected=str(expected),
            got=str(got),
            fix="make the optimiser as the one was that gave the state_dict",
        )


def _moments(
    optimizer: Optimizer,
    checked: list[dict[str, Any]],
    state: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The moments of all parameters, as arrays that fit."""
    names = {id(p): name for name, p in optimizer.params.items()}
    _same("The parameters in the state_dict", sorted(names.values()), sorted(state))
    made: dict[str, dict[str, Any]] = {}
    for group, options in zip(optimizer.param_groups, checked, strict=True):
        wanted = sorted(optimizer.moments(options))
        for name in (names[id(t)] for t in group.tensors):
            _same(f"The moments of {name}", wanted, sorted(state[name]))
            made[name] = {k: np.asarray(v) for k, v in state[name].items()}
            for moment, array in made[name].items():
                if array.shape != optimizer.params[name].shape:
                    raise ShapeError(
                        f"{moment} of {name} has another shape in the state_dict.",
                        expected=show(optimizer.params[name].shape),
                        got=show(array.shape),
                    )
    return made
