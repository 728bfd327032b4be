"""Loops of one's own that outlive a kill: their state on the disk, between two steps.

A loop that is started again begins behind its last checkpoint, bit for bit: it is
written between two steps, never within one, and holds all that the steps change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import random
from chainrule.errors import CheckpointError, NonFiniteError
from chainrule.nn import Module
from chainrule.optim import RuleOptimizer
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.training import checkpoint
from chainrule.training.interrupt import Interrupt
from chainrule.training.lock import Files, RunDirectory
from chainrule.training.nonfinite import all_finite
from chainrule.training.state import copied, with_arrays, without_arrays
from chainrule.util.processes import is_there, most

#: The name of the default generator of random numbers in a checkpoint.
_RANDOM = "random"


def steps(
    directory: Path | None,
    count: int,
    state: Mapping[str, Any],
    *,
    every: float = 60.0,
    printed: Callable[[], str] = str,
) -> Generator[int, None, None]:
    """Iterate over a loop's steps 0 … count − 1, with checkpoints.

    Args:
        directory: of the checkpoint, from which the loop goes on; None keeps none.
        count: the number of steps.
        state: everything that the steps change, by name: modules, optimisers, NumPy
            generators, tensors, lists, dictionaries and arrays, objects with
            ``state()`` and ``load_state()``. The generator of
            :func:`chainrule.manual_seed` is saved always.
        every: seconds between two checkpoints.
        printed: gives the text that the steps have printed, which is printed again.

    Raises:
        NonFiniteError: NaN or infinity in the state, when it is saved or at the end.
        CheckpointError: a checkpoint that is damaged, or of another loop.
        KeyboardInterrupt: Ctrl-C or SIGTERM, once the step under way is saved.
    """
    if directory is None:
        yield from range(count)
        check_finite(count, {name: state_of(item) for name, item in state.items()})
        return
    first, files, place = 0, Files(), directory / checkpoint.FILE
    if is_there(place.exists()):
        document = restore(place, {**state, _RANDOM: random.default_generator})
        first = int(document["step"])
        print(document["printed"], end="")
        files.note(place)
    with RunDirectory(directory, files) as run, Interrupt() as signals:
        saved = time.monotonic()
        for step in range(first, count):
            yield step
            done = step + 1
            due = done == count or time.monotonic() - saved >= every
            due, pending = most(due, signals.pending)
            if due or pending:
                items = {**state, _RANDOM: random.default_generator}
                document = {"step": done, "printed": printed()}
                save(run.mine(), items, document, files)
                saved = time.monotonic()
            if pending:
                raise KeyboardInterrupt


def state_of(item: Any) -> Any:
    """Return an object's state as JSON values and arrays, for a checkpoint."""
    if isinstance(item, Module | RuleOptimizer):
        return item.state_dict()
    if isinstance(item, np.random.Generator):
        return item.bit_generator.state
    if isinstance(item, Tensor):
        return item.numpy()
    return item if isinstance(item, list | dict | np.ndarray) else item.state()


def set_state(item: Any, state: Any) -> None:
    """Restore an object's state from a checkpoint, in place."""
    if isinstance(item, Module | RuleOptimizer):
        item.load_state_dict(state)
    elif isinstance(item, np.random.Generator):
        item.bit_generator.state = state
    elif isinstance(item, Tensor):
        item.copy_(state)
    elif isinstance(item, list | dict | np.ndarray):
        shapes = [getattr(x, "shape", type(x).__name__) for x in (item, state)]
        if shapes[0] != shapes[1]:
            raise ValueError("{} ≠ {}".format(*shapes))
        if isinstance(item, dict):  # in the order of the keys that it has already
            restored = {key: state[key] for key in (*item, *state) if key in state}
            item.clear()
            item.update(restored)
        else:
            item[:] = state
    else:
        item.load_state(state)


def save(
    place: checkpoint.Place,
    state: Mapping[str, Any],
    document: Mapping[str, Any],
    files: Files | None = None,
) -> None:
    """Write the state of objects by name, and a document, as a checkpoint."""
    states = {name: state_of(item) for name, item in state.items()}
    check_finite(document.get("step", 0), states)
    arrays: dict[str, np.ndarray] = {}
    whole = {**document, "state": without_arrays(states, "state", arrays)}
    checkpoint.write(place, whole, arrays, files and files.add)
    if files is not None and isinstance(place, Path):
        files.note(place)


def restore(
    place: checkpoint.Place,
    state: Mapping[str, Any],
    content: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None,
    *,
    partly: bool = False,
) -> dict[str, Any]:
    """Restore the state of objects by name from a checkpoint; return its document.

    Args:
        place: of the checkpoint.
        state: the objects, as for :func:`steps`.
        content: of the checkpoint, where it has been read: a stream is read once.
        partly: whether the checkpoint may have the states of other objects, too.

    Raises:
        CheckpointError: the checkpoint is damaged, or of another loop.
    """
    document, arrays = content or checkpoint.read(place)
    try:
        states = with_arrays(place, document["state"], "state", arrays)
        if (states.keys() ^ state.keys()) - (states.keys() if partly else set()):
            raise ValueError(", ".join(states))
        for name, item in state.items():
            set_state(item, copied(states[name]))
        return document
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            _("{where} does not fit this loop.", where=place),
            expected=_("a checkpoint of the same program, source and observers"),
            got=f"{type(error).__name__}: {error}"[:300],
            fix=_("build them as they were when it was written"),
        ) from error


def check_finite(step: int, states: Mapping[str, Any]) -> None:
    """Refuse to checkpoint a training state with numbers that are not finite.

    Raises:
        NonFiniteError: naming the first object that holds one.
    """
    for name, state in states.items():
        if not all_finite(*_floats(state)):
            raise NonFiniteError(
                _("A number stopped being finite before step {updates}.", updates=step),
                expected=_("finite numbers"),
                got=_("NaN or infinity in {name!r}", name=name),
                fix=_("a smaller learning rate, or clip_norm= of the optimiser"),
            )


def _floats(state: Any) -> list[np.ndarray]:
    """Return the arrays of a training state, and its lists of floats as arrays."""
    if isinstance(state, np.ndarray):
        return [state]
    if isinstance(state, Mapping):
        return [array for part in state.values() for array in _floats(part)]
    if isinstance(state, list):
        plain = [value for value in state if isinstance(value, float)]
        parts = [a for p in state if not isinstance(p, float | int) for a in _floats(p)]
        return [np.array(plain), *parts]
    return []
