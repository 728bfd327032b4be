"""Saving and restoring of an optimiser's state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.apply import single
from chainrule.graph.node import Array
from chainrule.graph.types import has_floats
from chainrule.optim.groups import as_json
from chainrule.optim.schedule import Schedule
from chainrule.optim.schedules import as_schedule
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, tensor
from chainrule.text import _
from chainrule.util.validation import count


def state_dict(optimizer: Any) -> dict[str, Any]:
    """Return a copy of an optimiser's state; see :meth:`RuleOptimizer.state_dict`."""
    optimizer.refuse_in_trace("state_dict")
    moments = {
        name: {moment: np.array(t.numpy()) for moment, t in moments.items()}
        for name, moments in optimizer.state.items()
    }
    return {**_settings(optimizer), "state": moments}


def _settings(optimizer: Any) -> dict[str, Any]:
    """Return a copy of what a ``state_dict`` has besides the moments."""
    return {
        "optimizer": type(optimizer).__name__,
        "steps": optimizer.steps,
        **deepcopy(as_json(optimizer.defaults)),
        "param_groups": [
            {"params": list(group.names), **deepcopy(as_json(group.own))}
            for group in optimizer.param_groups
        ],
    }


def load_state_dict(optimizer: Any, state: Mapping[str, Any]) -> None:
    """Restore an optimiser's state from a ``state_dict``, after a check."""
    optimizer.refuse_in_trace("load_state_dict")
    own, groups = _settings(optimizer), optimizer.param_groups
    if not optimizer.params:
        raise ArgumentError(
            _(
                "This {optimizer} has no parameters to go on with.",
                optimizer=own["optimizer"],
            ),
            expected=_("an optimiser with the parameters of the model"),
            got=_("none"),
            fix=f"optim.{own['optimizer']}(model.parameters(), …)",
        )
    _keys(_("The state_dict"), state, [*own, "state"])
    kind = _("The kind of optimiser in the state_dict")
    _same(kind, own["optimizer"], state["optimizer"])
    steps = count("steps", state["steps"])
    _check_groups(optimizer, own["param_groups"], state["param_groups"])
    stores = [optimizer.defaults, *(group.own for group in groups)]
    saved = [{k: state[k] for k in optimizer.defaults}]
    saved += [
        {k: v for k, v in g.items() if k != "params"} for g in state["param_groups"]
    ]
    schedules = [
        _schedule(store.get("lr"), values.pop("lr")) if "lr" in values else None
        for store, values in zip(stores, saved, strict=True)
    ]
    with optimizer.changing():
        for store, values in zip(stores, saved, strict=True):
            for name in store.keys() - values.keys() - {"lr"}:
                del store[name]
            store.update({k: optimizer.checked(k, v) for k, v in values.items()})
        moments = _moments(optimizer, state["state"])
    optimizer.steps = steps
    moved: dict[int, Any] = {}
    for store, schedule in zip(stores, schedules, strict=True):
        if schedule is None:
            store.pop("lr", None)
        else:
            store["lr"] = _moved(store.get("lr"), schedule, moved)
    for (name, moment), new in moments.items():
        optimizer.state[name][moment].copy_(new)


# -- what must fit ---------------------------------------------------------------------


def _keys(what: str, saved: Any, expected: Iterable[str]) -> None:
    """Refuse an optimiser's saved state without exactly the expected keys."""
    if not isinstance(saved, Mapping):
        raise ArgumentError(
            _("{what} is a dictionary.", what=what),
            expected=_("the keys {keys}", keys=", ".join(expected)),
            got=f"{saved!r:.80}",
            fix=_("pass on what state_dict() gave"),
        )
    keys = sorted(expected), sorted(saved, key=str)
    _same(_("{what} (its set of keys)", what=what), *keys)


def _same(what: str, expected: Any, got: Any) -> None:
    if type(expected) is not type(got) or expected != got:
        raise ArgumentError(
            _("{what} does not fit this optimiser.", what=what),
            expected=str(expected),
            got=str(got),
            fix=_("make the optimiser as the one was that gave the state_dict"),
        )


def _check_groups(optimizer: Any, own: list[dict[str, Any]], saved: Any) -> None:
    """Refuse saved parameter groups that differ from the optimiser's groups."""
    length = len(saved) if isinstance(saved, list) else saved
    _same(_("The number of param_groups"), len(own), length)
    for i, (own_group, group) in enumerate(zip(own, saved, strict=True)):
        where = f"param_groups[{i}]"
        if not isinstance(group, Mapping) or optimizer.flat:
            _keys(where, group, ["params"])
        members = _("The list of params of {here}", here=where)
        _same(members, own_group["params"], group.get("params"))
        optimizer.param_groups[i].check_names(group.keys() - {"params"})


def _moments(optimizer: Any, saved: Any) -> dict[tuple[str, str], Tensor]:
    """Return an optimiser's saved moments by parameter and name, as tensors."""
    _keys(_("The state of all parameters"), saved, optimizer.params)
    loaded: dict[tuple[str, str], Tensor] = {}
    for group in optimizer.param_groups:
        for name in group.names:
            moments = optimizer.moments(group.options)
            _keys(_("The state of {name}", name=name), saved[name], moments)
            for moment, array in saved[name].items():
                p = optimizer.params[name]
                loaded[name, moment] = _moment(
                    _("{moment} of {name}", moment=moment, name=name), array, p
                )
    return loaded


def _moment(what: str, saved: Any, p: Tensor) -> Tensor:
    """Convert an optimiser's saved moment to a tensor like its parameter."""
    try:
        array: Array = np.asarray(saved)
    except ValueError:
        array = np.asarray(None)  # lists of unequal lengths
    if array.dtype.kind not in "iu" and not has_floats(array):
        raise DTypeError(
            _("{what} holds no numbers in the state_dict.", what=what),
            expected=_("an array of {name}", name=p.dtype.name),
            got=f"{saved!r:.80}",
        )
    if array.shape != p.shape:
        raise ShapeError(
            _("{what} has another shape in the state_dict.", what=what),
            expected=show(p.shape),
            got=show(array.shape),
        )
    try:
        with np.errstate(over="raise"):
            return tensor(array.astype(single(p.dtype).numpy))
    except FloatingPointError:
        raise DTypeError(
            _("{what} holds numbers in the state_dict that are too large.", what=what),
            expected=_("numbers that {name} can hold", name=p.dtype.name),
            got=_("{dtype} up to {max:g}", dtype=array.dtype, max=abs(array).max()),
        ) from None


# -- schedules -------------------------------------------------------------------------


def _schedule(own: Schedule | None, settings: Any) -> Schedule:
    """Build a learning-rate schedule from saved settings, of a user's class too."""
    known = {} if own is None else {type(own).__name__: type(own)}
    return as_schedule(deepcopy(settings), known)


def _moved(own: Schedule | None, wanted: Schedule, moved: dict[int, Any]) -> Schedule:
    """Restore a learning-rate schedule in place, so that references stay valid.

    Args:
        own: the schedule until now, which several groups may share.
        wanted: the schedule as it shall be.
        moved: the settings of the schedules that have been moved, by their ids.
    """
    settings = wanted.settings()
    if own is None or type(own) is not type(wanted):
        return wanted
    if moved.setdefault(id(own), settings) != settings:
        return wanted
    vars(own).update(vars(wanted))
    return own
