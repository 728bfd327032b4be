"""Snapshots of a training program's state: taken, stored and restored."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.compilation.program import CompiledProgram
from chainrule.engines import Buffer
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array, StoredValue
from chainrule.optim import RuleOptimizer, Schedule
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.training.checkpoint import Place, misfit, strange
from chainrule.training.state import copied, named, taken

#: What the names of tensors in a checkpoint begin with.
_TENSOR = "tensor/"


@dataclass(frozen=True)
class Snapshot:
    """A saved state of a training program and its run, to return to after an error.

    Attributes:
        tensors: the numbers of what changes, by name.
        tables: objects, each with the attributes that it had.
        run: of the :class:`RunState`.
        seconds: what it took.
    """

    tensors: Mapping[str, Array | Buffer]
    tables: list[tuple[Any, dict[str, Any]]]
    run: Mapping[str, Any]
    seconds: float


class MutableState:
    """The state that training steps change: tensors, gradients, optimisers.

    Tables are what gives it scalars step by step, optimisers and counters.
    """

    def __init__(self, program: CompiledProgram) -> None:
        self.program = program
        traced = program.traced.values()
        self._names = list(dict.fromkeys(k for t in traced for k in t.entry.replaces))
        tables = [table for t in traced for table, __ in t.steps]
        self.tables = list({id(t): t for t in tables}.values())

    def tensors(self) -> dict[str, Array | Buffer]:
        """Return the values of all tensors that a program's steps change, by name.

        They stay in the engine's memory, if that is not NumPy's.
        """
        tensors, engine = self.program.tensors, self.program.engine
        return {
            key: tensors[key]._stored_or_array(engine)
            for key in self._names
            if key in tensors
        }

    def attributes(self) -> list[tuple[Any, dict[str, Any]]]:
        """Return copies of the attributes of a program's optimisers and counters."""
        return [(item, _attributes(item, vars(item))) for item in self._parts()]

    def restore(self, to: Snapshot) -> None:
        """Restore a snapshot of a program; safe to repeat after an interruption."""
        self.put({key: to.tensors.get(key) for key in self._names})
        for item, attributes in to.tables:
            _restore(vars(item), _attributes(item, attributes))

    def put(self, arrays: Mapping[str, Array | Buffer | None]) -> None:
        """Set the values of a program's tensors and gradients; None: no gradient."""
        for key, array in arrays.items():
            slot = self.program.slots[key]
            tensor = slot.current()
            new = None if array is None else _tensor(array)
            if new is None or tensor is None:
                slot.tensor.grad = new
            else:
                tensor.copy_(new)

    def _parts(self) -> Iterable[Any]:
        for table in self.tables:
            yield table
            if isinstance(table, RuleOptimizer):
                yield from table.param_groups
                yield from table.schedules()

    # -- as a file -------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """Return a program's tensors by their names in a checkpoint."""
        return {_TENSOR + k: t.numpy() for k, t in self.program.tensors.items()}

    def read(self, path: Place, arrays: dict[str, Array]) -> dict[str, Array | None]:
        """Return the values of a program's tensors from a checkpoint's arrays.

        Raises:
            CheckpointError: naming the first that does not fit. A gradient may be
                missing.
        """
        stored, slots = taken(arrays, _TENSOR), self.program.slots
        wanted = {
            _TENSOR + key: slot.tensor
            for key, slot in slots.items()
            if not slot.gradient or _TENSOR + key in stored
        }
        problem = misfit(stored, wanted)
        if problem is not None:
            raise strange(path, *problem)
        return {key: stored.get(_TENSOR + key) for key in slots}

    def table_states(self) -> dict[str, dict[str, Any]]:
        """Return the states of a program's optimisers and counters to save."""
        states: dict[str, dict[str, Any]] = {}
        for name, table in named(self.tables):
            if not hasattr(table, "state_dict"):
                raise ArgumentError(
                    _(
                        "{kind} cannot be part of a checkpoint.",
                        kind=type(table).__name__,
                    ),
                    expected=_(
                        "an optimiser, or an object with state_dict and load_state_dict"
                    ),
                    got=_("neither"),
                )
            state = table.state_dict()
            states[name] = {key: state[key] for key in state if key != "state"}
        return states

    def load_tables(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore the saved states of a program's optimisers and counters."""
        for name, table in named(self.tables):
            saved = states.get(name, {})
            if isinstance(table, RuleOptimizer):
                saved = {**saved, "state": table.state_dict()["state"]}
            table.load_state_dict(saved)


def _tensor(array: Array | Buffer) -> Tensor:
    """Return a tensor of a snapshot's array, wherever that lies."""
    return wrap(StoredValue(array)) if isinstance(array, Buffer) else as_tensor(array)


def _attributes(item: Any, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Copy an optimiser's or counter's attributes for a snapshot.

    Objects within a schedule are copied too.
    """
    return (copy.deepcopy if isinstance(item, Schedule) else copied)(dict(attributes))


def _restore(now: dict[str, Any], then: Mapping[str, Any]) -> None:
    """Reset an optimiser's attributes to a snapshot; dictionaries stay the same."""
    for key, value in then.items():
        if isinstance(value, dict) and isinstance(now.get(key), dict):
            now[key].clear()
            now[key].update(value)
        else:
            now[key] = value
