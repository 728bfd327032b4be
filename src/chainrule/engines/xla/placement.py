"""The placement of a program's arrays: on one device, or over a mesh of them.

A program means the same on any number of devices: its sizes, batch statistics, norms
and random bits are those of the whole. What is decided here is the layout alone. State
is on every device; of inputs an axis of the batch's size is divided over the mesh's
axis ``data``. XLA derives the rest, and adds what has to be exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from chainrule.engines.contract import Parts
from chainrule.engines.spread import DATA, Axes, Spread
from chainrule.engines.xla.backend import Array, default_device, jax
from chainrule.errors import ArgumentError, EngineError
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, Dim, SymbolicDim, resolve
from chainrule.text import _
from chainrule.util import processes

Shape = tuple[int, ...]
#: JAX's: where an array lies, and along which axes of a mesh.
Sharding = Any
NamedSharding: Any = jax.sharding.NamedSharding
PartitionSpec: Any = jax.sharding.PartitionSpec


def _devices(asked: int | str) -> list[Any]:
    """Return as many devices as asked for.

    Raises:
        EngineError: there are fewer; or several processes, and not all are asked for.
    """
    there = jax.devices()
    count = len(there) if asked == "all" else int(asked)
    if count > len(there):
        raise EngineError(
            _("There are fewer devices than asked for."),
            expected=_("devices of at most {there}", there=len(there)),
            got=_("devices={count}", count=count),
            fix=_(
                "on a CPU, set XLA_FLAGS=--xla_force_host_platform_device_count={count}"
                " before JAX starts; or devices={there}",
                count=count,
                there=len(there),
            )
            if there[0].platform == "cpu"
            else _('devices="all", or more processes: chainrule launch'),
        )
    if jax.process_count() > 1 and count != len(there):
        raise EngineError(
            _("All devices of all processes take part in a run."),
            expected=_(
                "devices={there}, of {n} processes",
                there=len(there),
                n=jax.process_count(),
            ),
            got=_("devices={count}", count=count),
            fix=_("leave devices out, or start another number of processes"),
        )
    return there[:count]


class Placement:
    """The placement of a program's arrays on devices.

    Args:
        program: the entry points and their state.
        spread: the request for devices; None: one, or all of several processes.

    Attributes:
        single: where everything is on one device of one process.
        device: the device, or one of this process' devices in the mesh.
        whole: the sharding of what every device has.
        mesh: the devices, with names of axes; None where ``single``.

    Raises:
        EngineError: more devices than there are; all of them, and a mesh of fewer.
        ArgumentError: a pattern of names that nothing has; axes that do not divide.
    """

    def __init__(self, program: Program, spread: Spread | None) -> None:
        if spread is None and jax.process_count() > 1:
            spread = Spread("all")
        self.single = spread is None
        self.mesh: Any = None
        self.device = default_device()
        self.whole: Sharding = jax.sharding.SingleDeviceSharding(default_device())
        self._state: dict[str, Sharding] = {}
        self._inputs: dict[str, Axes] = {}
        if spread is None:
            return
        devices = _devices(spread.devices)
        sizes = dict(spread.mesh or {DATA: len(devices)})
        if math.prod(sizes.values()) != len(devices):
            raise EngineError(
                _("The mesh has another number of devices than there are."),
                expected=_("sizes whose product is {devices}", devices=len(devices)),
                got=f"mesh={sizes!r}, devices={spread.devices!r}",
                fix=_("leave devices out: the mesh says how many"),
            )
        self.mesh = jax.make_mesh(
            tuple(sizes.values()),
            tuple(sizes),
            axis_types=(jax.sharding.AxisType.Auto,) * len(sizes),
            devices=devices,
        )
        self.whole = NamedSharding(self.mesh, PartitionSpec())
        self.device = next(iter(self.whole.addressable_devices))
        self._data = sizes.get(DATA, 1)
        self._divide(program, spread.sharding)

    # -- what lies where ---------------------------------------------------------------

    def _divide(self, program: Program, sharding: Mapping[str, Axes]) -> None:
        """Find the state and the inputs that a sharding names."""
        used = set[str]()
        inputs = {n: None for entry in program.entries.values() for n in entry.inputs}
        for name in inputs:
            pattern = _first(sharding, [name])
            if pattern is not None:
                used.add(pattern)
                self._inputs[name] = sharding[pattern]
        for name, kind in program.state.items():
            pattern = _first(sharding, _owners(name, kind, program.state))
            if pattern is not None:
                used.add(pattern)
                spec = self._spec(name, sharding[pattern], _numbers(kind.shape))
                self._state[name] = NamedSharding(self.mesh, spec)
        if unused := [pattern for pattern in sharding if pattern not in used]:
            raise ArgumentError(
                _("Nothing is called {pattern!r}.", pattern=unused[0]),
                expected=_(
                    "a pattern of names of inputs, or of parameters and buffers"
                ),
                got=", ".join([*inputs, *program.state]),
            )

    def _spec(self, name: str, axes: Axes, shape: Shape) -> Any:
        """Return the division of an array of a shape.

        Raises:
            ArgumentError: more axes than it has, or one that does not divide.
        """
        while len(axes) > len(shape) and axes[-1] is None:
            axes = axes[:-1]
        sizes = dict(self.mesh.shape)
        for i, axis in enumerate(axes):
            if axis is None:
                continue
            if i >= len(shape) or shape[i] % sizes[axis]:
                raise ArgumentError(
                    _("{name!r} does not divide over the mesh.", name=name),
                    expected=_(
                        "an axis {i} whose size is a multiple of {n}",
                        i=i,
                        n=sizes[axis],
                    ),
                    got=_("the shape {shape}", shape=shape),
                    fix=_(
                        "name it before the pattern with no division: "
                        "sharding={{{name!r}: (), …}}",
                        name=name,
                    ),
                )
        return PartitionSpec(*axes)

    def state(self, name: str) -> Sharding:
        """Return where a program's state lies."""
        return self._state.get(name, self.whole)

    def input(self, entry: Entry, name: str, shape: Shape) -> Sharding:
        """Return where an input of an entry point lies.

        An axis of the batch's size is divided over ``data``. Where a named size does
        not divide, every device has all of the input. A leading axis of steps is not
        divided.
        """
        if self.mesh is None:
            return self.whole
        value = entry.graph.inputs[entry.inputs.index(name)]
        lead = len(shape) - len(value.shape)
        own = shape[lead:]
        axes = self._inputs.get(name)
        if axes is None:
            batch = batch_name(entry)
            axes = tuple(
                DATA if batch is not None and dim == batch else None
                for dim in value.shape
            )
            axes = _once(axes) if self._data > 1 else ()
        sizes = dict(self.mesh.shape)
        for axis, dim, n in zip(axes, value.shape, own):
            if axis is not None and isinstance(dim, SymbolicDim) and n % sizes[axis]:
                return self.whole
        spec = self._spec(name, axes, own)
        return NamedSharding(self.mesh, PartitionSpec(*(None,) * lead, *spec))

    # -- arrays ------------------------------------------------------------------------

    def put(self, array: Any, sharding: Sharding) -> Array:
        """Place an array of the host; each process sends the rows of its devices."""
        if self.mesh is None or jax.process_count() == 1:
            return jax.device_put(array, sharding)
        return jax.make_array_from_callback(array.shape, sharding, array.__getitem__)

    def share(self, entry: Entry, rows: int, names: Container[str]) -> np.ndarray:
        """Return the rows of a batch that this process' devices get of some input.

        ``names``: of inputs that every device gets whole.
        """
        batch, own = batch_name(entry), np.zeros(rows, bool)
        if batch is None:
            return np.arange(rows)
        for name, value in zip(entry.inputs, entry.graph.inputs):
            if batch not in value.shape:
                continue
            if name in names:
                return np.arange(rows)
            shape = resolve(value.shape, dict.fromkeys(batch.names, rows))
            axis = value.shape.index(batch)
            where = self.input(entry, name, shape)
            for place in where.addressable_devices_indices_map(shape).values():
                own[place[axis]] = True
        return np.flatnonzero(own)

    def placed(self, array: Any, sharding: Sharding) -> Array:
        """Return an array in a sharding, of the host or of devices."""
        if isinstance(array, jax.Array):
            return self.moved(array, sharding)
        if isinstance(array, Parts):
            return jax.make_array_from_callback(
                array.shape, sharding, array.__getitem__, dtype=array.dtype
            )
        return self.put(np.asarray(array), sharding)

    def moved(self, array: Array, sharding: Sharding) -> Array:
        """Return an array of devices in another sharding; itself where it has that."""
        if self.mesh is None or array.sharding.is_equivalent_to(sharding, array.ndim):
            return array
        if array.sharding.device_set != sharding.device_set:
            return self.put(np.asarray(array), sharding)
        return jax.jit(_same, out_shardings=sharding)(array)


class Kept:
    """A copy of an array of devices in this process' own memory.

    Args:
        array: the array; of several processes the parts that this one has.
    """

    def __init__(self, array: Array) -> None:
        self._shape, self._sharding = array.shape, array.sharding
        self._parts: dict[str, np.ndarray] = {}
        self._places: list[tuple[str, Any]] = []
        for shard in array.addressable_shards:
            place = str(shard.index)  # equal on devices that have the same part
            if place not in self._parts:
                self._parts[place] = np.array(shard.data)
            self._places.append((place, shard.device))

    def again(self) -> Array:
        """Return the array on the devices that it was on."""
        parts = [jax.device_put(self._parts[place], d) for place, d in self._places]
        return jax.make_array_from_single_device_arrays(
            self._shape, self._sharding, parts
        )


def is_divided(array: Array) -> bool:
    """Return whether other processes have parts of an array that this one lacks."""
    return not (array.is_fully_replicated or array.is_fully_addressable)


def whole(array: Array) -> Array:
    """Return an array that this process can read: whole, where others have parts.

    All processes have to ask for it: that is what they find out first.

    Raises:
        EngineError: another process does something else.
    """
    if not is_divided(array):
        return array
    meet(array)
    where = NamedSharding(array.sharding.mesh, PartitionSpec())
    return jax.jit(_same, out_shardings=where)(array)


def meet(array: Array) -> None:
    """Wait until all processes read an array that is divided over them.

    Raises:
        EngineError: another process does something else.
    """
    kind = f"{array.dtype}{[*array.shape]}"
    processes.meet(_("reading {kind}, which is divided over processes", kind=kind))


def _same(array: Array) -> Array:
    return array


def batch_name(entry: Entry) -> SymbolicDim | None:
    """Return the size of an entry point's batch: the first named size of its inputs."""
    for value in entry.graph.inputs[: len(entry.inputs)]:
        for dim in value.shape:
            if isinstance(dim, SymbolicDim):
                return SymbolicDim(dim.names[0])
    return None


def _once(axes: Axes) -> Axes:
    """Return the axes with ``data`` at the first of its places: one array, one axis."""
    first = axes.index(DATA) if DATA in axes else 0
    return tuple(axis if i == first else None for i, axis in enumerate(axes))


def _first(sharding: Mapping[str, Axes], names: Sequence[str]) -> str | None:
    """Return the first pattern that one of an array's names fits."""
    for name in names:
        for pattern in sharding:
            if fnmatchcase(name, pattern):
                return pattern
    return None


def _owners(name: str, kind: ArrayType, state: Mapping[str, ArrayType]) -> list[str]:
    """Return a state's name, and those of parameters of its shape that it belongs to.

    An optimiser's moment is called after its parameter, as ``0.weight.m``; a running
    mean of weights and a sum of gradients with the parameter behind a stroke.
    """
    names, own = [name], name.rpartition("/")[2]
    while own:
        if own in state and own not in names and state[own].shape == kind.shape:
            names.append(own)
        own = own.rpartition(".")[0]
    return names


def _numbers(shape: Sequence[Dim]) -> Shape:
    return tuple(int(dim) for dim in shape if not isinstance(dim, SymbolicDim))
