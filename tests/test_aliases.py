"""What a result shares with its argument: every public function and method, called with
arguments that change nothing, returns a tensor of its own, or a view, or the tensor
itself, as PyTorch does, and never a second tensor with the gradient of the first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest

import chainrule as cr
from chainrule.errors import ArgumentError
from chainrule.nn import functional as F


def _names(text: str) -> set[str]:
    return set(text.replace("\n", " ").split())


#: What gives the argument itself where there is nothing to do.
ITSELF = _names("""
as_tensor asarray astype atleast_1d atleast_2d to type_as float double to_device cpu
contiguous checkpoint flatten dropout alpha_dropout from_dlpack pin_memory type __iter__
celu_ elu_ hardtanh_ leaky_relu_ relu_ rrelu_ selu_ threshold_
""")
#: What gives views.
VIEWS = _names("""
atleast_3d broadcast_arrays broadcast_tensors broadcast_to chunk data detach diagonal
expand expand_as expand_dims flatten hsplit matrix_transpose moveaxis movedim mT narrow
permute permute_dims ravel reshape reshape_as select split split_with_sizes squeeze
swapaxes swapdims t T tensor_split transpose unbind unflatten unsqueeze unstack view
view_as vsplit __getitem__ __iter__
""")
#: What is about something else than numbers.
ELSEWHERE = _names("""
backward numpy tolist item grad value zero_grad defer version name requires_grad is_leaf
dtype shape ndim device size itemsize nbytes
""")

ARGUMENTS: list[Callable[[cr.Tensor], tuple[Any, ...]]] = [
    lambda x: (x,),
    lambda x: ([x],),
    lambda x: (x, 0),
    lambda x: (x, 1),
    lambda x: (x, 1.0),
    lambda x: (x, x),
    lambda x: (x, (3,)),
    lambda x: (x, (0,)),
    lambda x: (x, (1, 0)),
    lambda x: (x, (3, 1)),
    lambda x: (x, ()),
    lambda x: (x, None, None),
    lambda x: (x, 0, 0),
    lambda x: (x, 0, 0, 3),
    lambda x: (x, 0, (3,)),
    lambda x: (x, (0, 0)),
    lambda x: (x, 3),
    lambda x: (x, [3]),
    lambda x: (x, ...),
    lambda x: (x, x.dtype),
    lambda x: (cr.tensor([True, True, True]), x, x),
    lambda x: (x, cr.tensor([True, True, True])),
    lambda x: (x, 0, cr.tensor([0, 1, 2])),
    lambda x: (x, cr.tensor([0, 1, 2])),
    lambda x: ("i->i", x),
    lambda x: (x, x, 0.0),
]


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions and methods by name."""
    for module in (cr, F):
        for name in dir(module):
            made = getattr(module, name)
            if name[0] != "_" and inspect.isfunction(made):
                yield name, made
    for name in dir(cr.Tensor):
        made = getattr(cr.Tensor, name)
        plain = not name.startswith("_") or name in (
            "__getitem__",
            "__iter__",
            "__pos__",
        )
        if (
            not plain
            or name in ELSEWHERE
            or (plain and name[0] != "_" and name[-1] == "_")
        ):
            continue
        if isinstance(made, property):
            yield name, made.fget  # type: ignore[misc]
        elif callable(made):
            yield name, made


def tensors(made: Any) -> list[cr.Tensor]:
    if isinstance(made, cr.Tensor):
        return [made]
    if isinstance(made, tuple | list) or inspect.isgenerator(made):
        return [t for part in made for t in tensors(part)]
    return []


def results(
    function: Callable[..., Any], make: Callable[[], cr.Tensor]
) -> Iterator[tuple[cr.Tensor, cr.Tensor]]:
    """An argument, and what came of it, for all arguments that are taken."""
    for arguments in ARGUMENTS:
        x = make()
        try:
            for made in tensors(function(*arguments(x))):
                yield x, made
        except Exception:  # it takes others
            continue


ALL = list(public())
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("recorded", [True, False])
def test_no_result_is_the_leaf_under_another_name(recorded: bool) -> None:
    found: list[str] = []
    for name, function in ALL:
        with nullcontext() if recorded else cr.no_grad():
            pairs = list(
                results(
                    function, lambda: cr.tensor([0.5, 1.0, 1.5], requires_grad=True)
                )
            )
        for w, made in pairs:
            if made is w:
                if name not in ITSELF:
                    found.append(f"{name} returns the tensor itself")
            elif made._value is w._value or made._value.owner is not None:
                found.append(f"{name} returns the leaf's own value")
    assert not sorted(set(found))


def test_a_change_of_a_result_reaches_the_argument_of_views_alone() -> None:
    met: set[str] = set()
    reached: set[str] = set()
    for name, function in ALL:
        for x, made in results(function, lambda: cr.tensor([[0.5], [1.0], [1.5]])):
            if made is x or made.dtype is not x.dtype or not made.numel():
                continue
            before = x.tolist()
            met.add(name)
            with suppress(ArgumentError):  # of repeated elements
                made.mul_(3.0).add_(17.0)
            if x.tolist() != before:
                reached.add(name)
    assert reached ^ VIEWS == set()
    assert len(met) > 150
