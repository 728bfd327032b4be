"""RunState: the position of a run and all its state, which can be saved and restored.

Numbers that a program works on are its tensors; all else that must agree with them
after an interruption is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, SaveError
from chainrule.graph.node import Array
from chainrule.text import _, ngettext
from chainrule.training.checkpoint import Place, strange
from chainrule.training.history import History
from chainrule.training.lock import Files

Tree = dict[str, Any]
#: Parts of a state that a document has as they are, and parts that may hold arrays.
_PLAIN = ("epoch", "step", "updates", "seconds", "starts", "notes")
_TREES = ("tables", "source", "callbacks")
#: What stands for an array in a document.
_ARRAY = "__array__"


@dataclass(frozen=True)
class Plan:
    """The settings of a training run, such as its epochs and batch size.

    Attributes:
        first: the epoch that it starts with, counted from 0 over a Trainer's life.
        epochs: how many epochs.
        batch_size: rows a step; the last step of an epoch takes what is left.
        rows: rows of the training data; None for a stream before its first end.
        checksum: CRC-32 of the training data, as stored (of a stream: of its types).
        drop_last: whether what is left at the end of an epoch is left out.
        block: rows of a stream that are held, and shuffled, at a time; None for data
            in memory.
        class_names: what the classes of the data are called, or None.
        feature_names: what the columns of the data are called, or None.
        target_names: what those of their targets are called, or None.
        format: how the data were read from their file, or None.
        scales: the factors from stored numbers to features, of inputs that have one, by
            name (``"x"``, of several ``"x.image"``).
        accumulate: how many batches make up an update; the last one of an epoch takes
            what is left.
    """

    first: int
    epochs: int
    batch_size: int
    rows: int | None
    checksum: int
    drop_last: bool = False
    block: int | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None
    format: dict[str, Any] | None = None
    scales: dict[str, float] = field(default_factory=dict[str, float])
    accumulate: int = 1

    @property
    def steps_per_epoch(self) -> int | None:
        """The number of training steps per epoch; None if unknown."""
        return None if self.rows is None else self.steps(self.rows)

    @property
    def total_steps(self) -> int | None:
        """The number of training steps of the whole run; None if unknown."""
        each = self.steps_per_epoch
        return None if each is None else self.epochs * each

    @property
    def updates_per_epoch(self) -> int | None:
        """The number of the optimiser's updates per epoch; None if unknown."""
        each = self.steps_per_epoch
        return None if each is None else -(-each // self.accumulate)

    @property
    def total_updates(self) -> int | None:
        """The number of the optimiser's updates of the whole run; None if unknown."""
        each = self.updates_per_epoch
        return None if each is None else self.epochs * each

    def updates(self, step: int) -> int:
        """Return how many updates the first steps of an epoch have made."""
        over = step == self.steps_per_epoch
        return -(-step // self.accumulate) if over else step // self.accumulate

    @property
    def end(self) -> int:
        """The number of the first epoch after the end of a run."""
        return self.first + self.epochs

    def steps(self, rows: int) -> int:
        """Return the number of batches (steps) in an epoch of ``rows`` rows.

        ``drop_last`` leaves out the last update where it is smaller.
        """
        whole = rows // (self.batch_size * self.accumulate) * self.accumulate
        return whole if self.drop_last else -(-rows // self.batch_size)

    def sizes(self, rows: int) -> Array:
        """Return the number of rows in each batch of an epoch, float64."""
        sizes = np.full(self.steps(rows), float(self.batch_size))
        if not self.drop_last and rows % self.batch_size:
            sizes[-1] = rows % self.batch_size
        return sizes


@dataclass
class RunState:
    """The state of a training run: position, history, callbacks; set by a loop.

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
        callbacks: what each callback remembers, by its class.
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
    callbacks: dict[str, Tree] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def snapshot(self) -> Tree:
        """Return a snapshot of a training run's state, for ``restore``."""
        plain = {k: copied(v) for k, v in vars(self).items() if k != "history"}
        return plain | {"history": self.history.snapshot()}

    def restore(self, mark: Mapping[str, Any]) -> None:
        """Restore a training run's state from a snapshot; safe to repeat."""
        self.history.restore(mark["history"])
        for key, value in mark.items():
            if key != "history":
                setattr(self, key, copied(value))

    def save_callbacks(self, callbacks: Iterable[Any]) -> None:
        """Store the states of all callbacks in the state of a run."""
        states = {name: _remembered(name, item) for name, item in named(callbacks)}
        self.callbacks = {name: state for name, state in states.items() if state}

    def load_callbacks(self, callbacks: Iterable[Any]) -> None:
        """Restore each callback's state from the state of a run; empty if new."""
        for name, item in named(callbacks):
            item.load_state(copied(self.callbacks.get(name, {})))

    # -- as a file -------------------------------------------------------------------

    def pack(self) -> tuple[Tree, dict[str, Array]]:
        """Return a run's state as a JSON document and its arrays, for a checkpoint."""
        history = self.history
        arrays = {
            f"history/{entry}/{name}": column
            for entry in history.entries
            for name, column in history.steps_of(entry).items()
        }
        document: Tree = {key: getattr(self, key) for key in _PLAIN}
        document["plan"] = None if self.plan is None else asdict(self.plan)
        document["epochs"] = history.epochs
        document["validation_name"] = history.validation_name
        for key in _TREES:
            document[key] = without_arrays(getattr(self, key), key, arrays)
        return document, arrays

    @classmethod
    def unpack(
        cls, path: Place, document: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> RunState:
        """Rebuild a run's state from the document and arrays of a checkpoint.

        Raises:
            CheckpointError: what no run has written, naming what is wrong.
        """
        from chainrule.training.document import StateDocument, check

        check(path, document, StateDocument)
        left = dict(arrays)
        history = _history(path, document, left)
        fields = {key: with_arrays(path, document[key], key, left) for key in _TREES}
        if left:
            raise strange(path, _("arrays that the document names"), repr(min(left)))
        fields |= {key: document[key] for key in _PLAIN}
        if (plan := document["plan"]) is not None:
            names = ("class_names", "feature_names", "target_names")
            plan = Plan(**plan | {k: plan[k] and tuple(plan[k]) for k in names})
        state = cls(plan=plan, history=history, **fields)
        _check_position(path, state)
        return state


class RunMixin:
    """Base class of Loop and Trainer, with the position in a run and checkpoints.

    Attributes:
        state: the :class:`RunState`.
        files: its checkpoints.
    """

    state: RunState
    files: Files

    @property
    def epoch(self) -> int:
        """The number of finished epochs of the run."""
        return self.state.epoch

    @property
    def step(self) -> int:
        """The number of training steps done in the current epoch."""
        return self.state.step

    @property
    def history(self) -> History:
        """The history of the run so far: its epochs and steps."""
        return self.state.history

    @property
    def last_checkpoint(self) -> str | None:
        """The path of the run's last checkpoint written or read, or None."""
        return self.files.last


def copied(value: Any) -> Any:
    """Copy nested dictionaries, lists and arrays; read-only arrays are shared."""
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, list):
        return [copied(v) for v in value]
    if isinstance(value, np.ndarray) and value.flags.writeable:
        return value.copy()
    return value


def without_arrays(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Replace each array of a checkpoint's value by a reference; collect the arrays."""
    if isinstance(value, np.ndarray):
        while name in arrays:
            name += "'"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, dict):
        if _ARRAY in value:
            raise SaveError(
                _("A checkpoint cannot hold what it shall remember."),
                expected=_("dictionaries without the key {ARRAY!r}", ARRAY=_ARRAY),
                got=_("{name} with that key", name=name),
                fix=_("give it another name"),
            )
        return {k: without_arrays(v, f"{name}/{k}", arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        parts = enumerate(value)
        return [without_arrays(v, f"{name}/{i}", arrays) for i, v in parts]
    return value


def with_arrays(path: Place, value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Replace each reference in a checkpoint's value by its array."""
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            reference = str(value[_ARRAY])
            if reference.rstrip("'") != name.rstrip("'") or reference not in arrays:
                raise strange(path, _("an array for each reference"), repr(value))
            return arrays.pop(reference)
        return {
            k: with_arrays(path, v, f"{name}/{k}", arrays) for k, v in value.items()
        }
    if isinstance(value, list):
        parts = enumerate(value)
        return [with_arrays(path, v, f"{name}/{i}", arrays) for i, v in parts]
    return value


def _history(
    path: Place, document: Mapping[str, Any], arrays: dict[str, Array]
) -> History:
    """Build a run's history from a checkpoint's document and arrays."""
    columns: dict[str, dict[str, Array]] = {}
    for name, array in taken(arrays, "history/").items():
        entry, __, key = name.removeprefix("history/").partition("/")
        columns.setdefault(entry, {})[key] = array
    history = History()
    history.epochs = document["epochs"]
    history.validation_name = document["validation_name"]
    for entry, table in columns.items():
        shapes = {array.shape for array in table.values()}
        floats = all(array.dtype.kind == "f" for array in table.values())
        if not entry or len(shapes) != 1 or len(min(shapes)) != 1 or not floats:
            expected = _("'history': one column of floats a probe, by the entry's name")
            raise strange(path, expected, f"{entry!r}: {sorted(shapes)}")
        history.extend(table, entry)
    return history


def taken(arrays: dict[str, Array], *prefixes: str) -> dict[str, Array]:
    """Remove and return a checkpoint's arrays whose names have one of the prefixes."""
    return {n: arrays.pop(n) for n in list(arrays) if n.startswith(prefixes)}


def _check_position(path: Place, state: RunState) -> None:
    """Refuse a checkpoint whose epoch or step is outside of its run."""
    plan, step = state.plan, state.step
    if plan is None:
        return
    last = plan.steps_per_epoch if plan.block is None else None  # streams may vary
    if not plan.first <= state.epoch <= plan.end or (last is not None and step > last):
        run = _("epochs {first} … {end}", first=plan.first, end=plan.end)
        steps = (
            "" if last is None else ngettext(" of {n} step", " of {n} steps", n=last)
        )
        raise strange(
            path,
            run + steps,
            _("epoch {epoch}, step {step}", epoch=state.epoch, step=step),
        )
    if step > len(state.history):
        raise strange(
            path,
            ngettext("the losses of {n} step", "the losses of {n} steps", n=step),
            f"{len(state.history)}",
        )


# -- who remembers -------------------------------------------------------------------


def named(items: Iterable[Any]) -> list[tuple[str, Any]]:
    """Return callbacks or other objects by unique names: class and number."""
    counts: dict[str, int] = {}
    pairs: list[tuple[str, Any]] = []
    for item in items:
        kind = type(item).__name__
        ordinal = counts[kind] = counts.get(kind, -1) + 1
        pairs.append((f"{kind}#{ordinal}" if ordinal else kind, item))
    return pairs


def _remembered(name: str, item: Any) -> Tree:
    state = item.state()
    if not isinstance(state, Mapping):
        raise ArgumentError(
            _("{name}.state() must give a dictionary.", name=name),
            expected=_("JSON values and NumPy arrays by name"),
            got=repr(state)[:80],
        )
    return dict(state)
