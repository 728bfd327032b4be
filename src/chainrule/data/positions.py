"""Positions of the source of a stream, as a checkpoint holds them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.text import _

#: Where a block begins: ``rows`` before it, the ``state`` that the source's
#: ``state_dict`` gave (``{"index": i}`` of a sequence), and ``left``, rows that were
#: read and are part of it.
Position = dict[str, Any]

#: Marks of what JSON has not.
_TUPLE, _TENSOR = "(tuple)", "(tensor)"


def portable(state: Any, place: str = "state_dict()") -> Any:
    """Return a source's state as a checkpoint holds it: JSON values and arrays.

    Tensors of PyTorch become arrays, and tuples lists, each with a mark.

    Raises:
        ArgumentError: other objects, which only a pickle could hold.
    """
    if isinstance(state, Mapping) and all(isinstance(key, str) for key in state):
        return {k: portable(v, f"{place}[{k!r}]") for k, v in state.items()}
    if isinstance(state, list | tuple):
        items = [portable(v, f"{place}[{i}]") for i, v in enumerate(state)]
        return items if isinstance(state, list) else {_TUPLE: items}
    if type(state).__module__ == "torch":
        tensor: Any = state
        return {_TENSOR: tensor.detach().cpu().numpy().copy()}
    if isinstance(state, np.generic):
        return state.item()
    if state is None or isinstance(state, bool | int | float | str | np.ndarray):
        return state
    raise ArgumentError(
        _("A checkpoint cannot hold the position of the source of a stream."),
        expected=_("numbers, texts, arrays and tensors, in dictionaries and lists"),
        got=f"{place}: {type(state).__name__}",
        fix=_("give these from state_dict(), and take them in load_state_dict()"),
    )


def restored(state: Any) -> Any:
    """Return a source's state from what :func:`portable` made of it."""
    if isinstance(state, list):
        return [restored(v) for v in state]
    if not isinstance(state, dict):
        return state
    if state.keys() == {_TUPLE}:
        return tuple(restored(v) for v in state[_TUPLE])
    if state.keys() == {_TENSOR}:
        import torch  # whose tensor it was

        return torch.from_numpy(state[_TENSOR].copy())
    return {k: restored(v) for k, v in state.items()}
