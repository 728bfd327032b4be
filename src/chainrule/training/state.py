"""RunState: where a run stands, as one object that can be written down and put back.

Numbers that a program works on are its tensors; all else that must agree with them
after an interruption is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, SaveError
from chainrule.graph.node import Array
from chainrule.training import document as doc
from chainrule.training.history import History, Mark
from chainrule.training.plan import Plan

Tree = dict[str, Any]
#: Parts of a state that may hold arrays.
_TREES = ("tables", "source", "observers")
#: What stands for an array in a document.
_ARRAY = "__array__"


@dataclass
class RunState:
    """Where a run stands. A :class:`Loop` moves it on; nobody else writes its fields.

    Attributes:
        epoch: epochs finished.
        step: steps done in the present epoch, of all entries together.
        updates: steps done altogether.
        seconds: spent in the loop in the present epoch, compiling left out.
        plan: what the run depends on, where a Trainer made it.
        history: what happened so far.
        tables: of each optimiser and counter of the program, by its class, the step
            that it stands at and its settings.
        source: what the source remembers.
        observers: what each observer remembers, by its class.
        starts: the steps of each entry point that lie before the present epoch.
        notes: of the caller's own: anything that JSON has.

    >>> state = RunState(notes={"who": "me"})
    >>> state.epoch, state.history
    (0, History(0 steps, no finished epoch))
    """

    epoch: int = 0
    step: int = 0
    updates: int = 0
    seconds: float = 0.0
    plan: Plan | None = None
    history: History = field(default_factory=History)
    tables: dict[str, Tree] = field(default_factory=dict)
    source: Tree = field(default_factory=dict)
    observers: dict[str, Tree] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def mark(self) -> StateMark:
        """What :meth:`go_back` needs to return to this point."""
        plain = {k: copied(v) for k, v in vars(self).items() if k != "history"}
        return StateMark(plain, self.history.mark())

    def go_back(self, mark: StateMark) -> None:
        """Stand where ``mark`` was taken; interrupted, it can be called again."""
        self.history.go_back(mark.history)
        for key, value in mark.fields.items():
            setattr(self, key, copied(value))

    # -- as a file -------------------------------------------------------------------

    def pack(self) -> tuple[Tree, dict[str, Array]]:
        """The state as a document that JSON has, and its arrays by name."""
        arrays = {
            f"history/{entry}/{name}": column
            for entry in self.history.entries
            for name, column in self.history.steps_of(entry).items()
        }
        document: Tree = {
            "epoch": self.epoch,
            "step": self.step,
            "updates": self.updates,
            "seconds": self.seconds,
            "plan": None if self.plan is None else asdict(self.plan),
            "epochs": self.history.epochs,
            "validation_name": self.history.validation_name,
            "starts": self.starts,
            "notes": self.notes,
        }
        for key in _TREES:
            document[key] = _without_arrays(getattr(self, key), key, arrays)
        return document, arrays

    @classmethod
    def unpack(
        cls, path: Path, document: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> RunState:
        """The state that :meth:`pack` gave; everything is checked.

        Raises:
            CheckpointError: what no run has written, naming what is wrong.
        """
        doc.check(path, document, _RULES)
        left = dict(arrays)
        history = _history(path, document, left)
        made = {key: _with_arrays(path, document[key], key, left) for key in _TREES}
        if left:
            raise doc.strange(path, "arrays that the document names", min(left))
        plan = doc.read_plan(path, document["plan"])
        if plan is not None:
            _check_position(path, document, history, plan)
        same = ("epoch", "step", "updates", "seconds", "starts", "notes")
        made |= {key: document[key] for key in same}
        return cls(plan=plan, history=history, **made)


@dataclass(frozen=True)
class StateMark:
    """A point that a state can go back to."""

    fields: Mapping[str, Any]
    history: Mark


def copied(value: Any) -> Any:
    """A copy of dictionaries, lists and arrays; read-only arrays are shared."""
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, list):
        return [copied(v) for v in value]
    if isinstance(value, np.ndarray) and value.flags.writeable:
        return value.copy()
    return value


def _without_arrays(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """``value`` with a reference for each array, which goes into ``arrays``."""
    if isinstance(value, np.ndarray):
        while name in arrays:
            name += "'"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, dict):
        if _ARRAY in value:
            raise SaveError(
                "A checkpoint cannot hold what it shall remember.",
                expected=f"dictionaries without the key {_ARRAY!r}",
                got=f"{name} with that key",
                fix="give it another name",
            )
        return {k: _without_arrays(v, f"{name}/{k}", arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        parts = enumerate(value)
        return [_without_arrays(v, f"{name}/{i}", arrays) for i, v in parts]
    return value


def _with_arrays(path: Path, value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """What :func:`_without_arrays` took apart; arrays that are used are taken out."""
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            reference = str(value[_ARRAY])
            if reference.rstrip("'") != name.rstrip("'") or reference not in arrays:
                raise doc.strange(path, "an array for each reference", repr(value))
            return arrays.pop(reference)
        return {
            k: _with_arrays(path, v, f"{name}/{k}", arrays) for k, v in value.items()
        }
    if isinstance(value, list):
        parts = enumerate(value)
        return [_with_arrays(path, v, f"{name}/{i}", arrays) for i, v in parts]
    return value


# -- what a document of a state holds ------------------------------------------------


def _row(value: Any) -> bool:
    if not isinstance(value, dict) or not doc.count(value.get("epoch")):
        return False
    numbers = all(map(doc.number, value.values()))
    return numbers and doc.seconds(value.get("seconds"))


def _states(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, dict) for v in value.values())


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(doc.count, value.values()))


_RULES: doc.Rules = {
    "epoch": (doc.count, "a whole number ≥ 0"),
    "step": (doc.count, "a whole number ≥ 0"),
    "updates": (doc.count, "a whole number ≥ 0"),
    "seconds": (doc.seconds, "a number ≥ 0"),
    "plan": (doc.maybe(doc.mapping), "a dictionary, or null"),
    "epochs": (doc.each(_row), "rows with epoch and seconds, of numbers"),
    "validation_name": (doc.text, "a text"),
    "tables": (_states, "a dictionary of dictionaries"),
    "source": (doc.mapping, "a dictionary"),
    "observers": (_states, "a dictionary of dictionaries"),
    "starts": (_counts, "a dictionary of whole numbers ≥ 0"),
    "notes": (doc.mapping, "a dictionary"),
}


def _history(
    path: Path, document: Mapping[str, Any], arrays: dict[str, Array]
) -> History:
    """The history; its arrays are taken out."""
    columns: dict[str, dict[str, Array]] = {}
    for name in [name for name in arrays if name.startswith("history/")]:
        _, _, column = name.partition("/")
        entry, _, key = column.partition("/")
        columns.setdefault(entry, {})[key] = arrays.pop(name)
    history = History()
    history.epochs = document["epochs"]
    history.validation_name = document["validation_name"]
    for entry, table in columns.items():
        shapes = {array.shape for array in table.values()}
        floats = all(array.dtype.kind == "f" for array in table.values())
        if len(shapes) != 1 or len(min(shapes)) != 1 or not floats:
            expected = "'history': one column of floats a probe"
            raise doc.strange(path, expected, f"{entry}: {sorted(shapes)}")
        history.extend(table, entry)
    return history


def _check_position(
    path: Path, document: Mapping[str, Any], history: History, plan: Plan
) -> None:
    """Refuse an epoch or a step outside of the run, and steps without a record."""
    epoch, step = document["epoch"], document["step"]
    last = plan.steps_per_epoch
    if not plan.first <= epoch <= plan.end or (last is not None and step > last):
        run = f"epochs {plan.first} … {plan.end}"
        steps = "" if last is None else f" of {last} steps"
        raise doc.strange(path, run + steps, f"epoch {epoch}, step {step}")
    if step > len(history):
        raise doc.strange(path, f"the losses of {step} steps", f"{len(history)}")


# -- who remembers -------------------------------------------------------------------


def named(items: Any) -> list[tuple[str, Any]]:
    """Objects by their class and, from the second of it on, an ordinal."""
    counts: dict[str, int] = {}
    made: list[tuple[str, Any]] = []
    for item in items:
        kind = type(item).__name__
        ordinal = counts[kind] = counts.get(kind, -1) + 1
        made.append((f"{kind}#{ordinal}" if ordinal else kind, item))
    return made


def states_of(items: Any) -> dict[str, Tree]:
    """What each of some objects remembers, where it does."""
    found = {name: _state(name, item.state()) for name, item in named(items)}
    return {name: state for name, state in found.items() if state}


def _state(name: str, state: Any) -> Tree:
    if not isinstance(state, Mapping):
        raise ArgumentError(
            f"{name}.state() must give a dictionary.",
            expected="JSON values and NumPy arrays by name",
            got=repr(state)[:80],
        )
    return dict(state)


def load_states(items: Any, states: Mapping[str, Mapping[str, Any]]) -> None:
    """Give each object what one of its class remembered, or an empty state."""
    for name, item in named(items):
        item.load_state(copied(states.get(name, {})))
