"""A request for several devices: how many, in which mesh, and what is divided.

The request is checked here, without any engine: what devices there are is known to the
engine alone (:mod:`chainrule.engines.xla.placement`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

from chainrule.errors import ArgumentError, EngineError
from chainrule.text import _

#: The axis of a mesh over which batches are divided.
DATA = "data"

#: A request as users write it: a number of devices, or all that there are.
Devices = int | Literal["all"]
#: Of each axis of an array the axis of the mesh over which it is divided, or None.
Axes = tuple[str | None, ...]


class Spread(NamedTuple):
    """A request to spread a program over devices.

    Attributes:
        devices: how many, or ``"all"``.
        mesh: the sizes of the mesh's axes by name; None: all devices along ``data``.
        sharding: by patterns of names of inputs and state (``"*.weight"``), the mesh's
            axis for each of an array's axes. The first that fits counts.
    """

    devices: Devices
    mesh: Mapping[str, int] | None = None
    sharding: Mapping[str, Axes] = {}


def spread_over(
    engine: str,
    able: bool,
    devices: Any = None,
    mesh: Any = None,
    sharding: Any = None,
) -> Spread | None:
    """Return a checked request for devices; None where nothing was asked for.

    Args:
        engine: the engine's name.
        able: whether it can spread a program over devices.
        devices, mesh, sharding: as for :class:`~chainrule.training.Trainer`.

    Raises:
        EngineError: an engine of one device.
        ArgumentError: what is no number, no mesh or no sharding; a mesh of another
            number of devices; an axis that the mesh does not have.

    >>> spread_over("xla", True, mesh={"data": 2, "model": 2})
    Spread(devices=4, mesh={'data': 2, 'model': 2}, sharding={})
    """
    asked = {"devices": devices, "mesh": mesh, "sharding": sharding}
    asked = {name: value for name, value in asked.items() if value is not None}
    if not asked:
        return None
    if not able:
        raise EngineError(
            _("The {name} engine runs on one device.", name=engine),
            expected=_('engine="xla", which spreads a program over devices'),
            got=", ".join(f"{name}={value!r}" for name, value in asked.items()),
            fix=_('engine="xla", or leave {names} out', names=", ".join(asked)),
        )
    if devices is not None and not (isinstance(devices, str) and devices == "all"):
        devices = _whole("devices", devices)
    if mesh is not None:
        mesh = _checked_mesh(mesh)
        count = math.prod(mesh.values())
        if devices not in (None, "all", count):
            raise ArgumentError(
                _("The mesh has another number of devices than asked for."),
                expected=_("sizes whose product is {devices}", devices=devices),
                got=f"mesh={mesh!r}",
                fix=_("leave devices out: the mesh says how many"),
            )
        devices = devices or count
    axes = mesh or {DATA: 1}
    rows = {} if sharding is None else _checked_sharding(sharding, axes)
    return Spread("all" if devices is None else devices, mesh, rows)


def _whole(name: str, value: Any) -> int:
    try:
        count = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = 0
    if count < 1:
        raise ArgumentError(
            _("{name} is a number of devices.", name=name),
            expected=_('a whole number of at least 1, or "all"')
            if name == "devices"
            else _("a whole number of at least 1"),
            got=repr(value),
        )
    return count


def _checked_mesh(mesh: Any) -> dict[str, int]:
    if not isinstance(mesh, Mapping) or not len(cast("Any", mesh)):
        raise ArgumentError(
            _("A mesh is a dictionary of the sizes of its axes."),
            expected='{"data": 2, "model": 2}',
            got=f"{cast('Any', mesh)!r}",
        )
    sizes = cast("Mapping[Any, Any]", mesh)
    for name in sizes:
        if not isinstance(name, str) or not name.isidentifier():
            raise ArgumentError(
                _("An axis of a mesh has a name."),
                expected=_("an identifier, such as 'data' or 'model'"),
                got=repr(name),
            )
    return {name: _whole(f"mesh[{name!r}]", size) for name, size in sizes.items()}


def _checked_sharding(sharding: Any, mesh: Mapping[str, int]) -> dict[str, Axes]:
    if not isinstance(sharding, Mapping):
        raise ArgumentError(
            _("A sharding is a dictionary by names of inputs, parameters or patterns."),
            expected='{"*.weight": ("model", None)}',
            got=f"{sharding!r}",
        )
    rows: dict[str, Axes] = {}
    for pattern, given in cast("Mapping[Any, Any]", sharding).items():
        axes = _axes(given)
        if axes is None or not isinstance(pattern, str):
            raise ArgumentError(
                _("A sharding has, of each axis of an array, one of the mesh."),
                expected=_("a tuple of names and None, such as ('model', None)"),
                got=f"{pattern!r}: {given!r}",
            )
        named = [axis for axis in axes if axis is not None]
        for axis in named:
            if axis not in mesh or named.count(axis) > 1:
                raise ArgumentError(
                    _(
                        "{pattern!r} is divided along {axis!r}.",
                        pattern=pattern,
                        axis=axis,
                    ),
                    expected=_(
                        "each at most once of the axes of the mesh: {mesh}",
                        mesh=", ".join(mesh),
                    ),
                    got=repr(axes),
                    fix=_('mesh={{"data": …, {axis!r}: …}}', axis=axis),
                )
        rows[pattern] = axes
    return rows


def _axes(given: Any) -> Axes | None:
    """Return a tuple of names and None; None where something else is given."""
    if not isinstance(given, tuple | list):
        return None
    names = cast("Sequence[Any]", given)
    if any(name is not None and not isinstance(name, str) for name in names):
        return None
    return tuple(names)
