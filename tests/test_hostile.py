"""Arguments that make no sense are refused by an error of ours, and take no memory.

Every argument of every function that makes, moves, joins or draws is given what it
should not be: by signature. Whatever the outcome, it is a result or a ChainruleError.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.operations import declared
from tests.rows import failures
from tests.test_lost_derivatives import BEFORE, DRAWN, FREE, JOINED, WITH

NAN, INF = float("nan"), float("inf")
HOSTILE: list[Any] = [
    *(-1, -2, 0, 7, 1.5, NAN, INF, -INF, 2**45, 2**62, 2**64, 10**400, True, 1j),
    *("a", "", b"x", None, object(), int, [], (), {}, {"a": 1}, slice(0, 2)),
    *([[1], [2, 3]], (0, 0), (-1, 1), ((0, 0), (1, 0)), [None], ["a"], (1.5,)),
    *(np.array(["a"]), np.array([1.5]), np.array([9, -9]), np.zeros((0, 3))),
    *(cr.tensor(2), cr.tensor([1.5]), cr.tensor([], dtype="int64")),
]
#: Keywords of PyTorch's functions of these names.
WORDS = """size steps end input other dim keepdim out layout device dtype generator
    pin_memory memory_format non_blocking requires_grad tensors dims repeats indices
    n m start step sorted stable mode value values as_tuple names"""

_rows = np.linspace(0.1, 0.9, 12).reshape(3, 4)
RANDOM = ("bernoulli", "categorical", "multinomial", "normal", "rand_like", "rand")
RANDOM += ("randint", "randn", "randn_like", "randperm", "uniform", "manual_seed")
#: Functions of one element at a time are tested at special points.
ELEMENTWISE = ("arithmetic", "elementwise", "dtypes")
NAMES = [
    *(op.name for op in declared() if op.public and op.family not in ELEMENTWISE),
    *RANDOM,
]
METHODS = """expand repeat tile reshape view flatten unflatten squeeze unsqueeze permute
    transpose movedim flip roll repeat_interleave split chunk unbind narrow tril triu
    diagonal diag take index_select take_along_dim gather scatter scatter_add index_add
    select masked_select sum mean var std norm max argmax sort topk median cumsum diff
    new_full new_zeros astype to fill_ clamp pow round softmax __getitem__
    requires_grad_ copy_ backward"""
FLAGGED = """flip sum mean var std norm max argmax sort median requires_grad_ topk"""
FIRST: dict[str, tuple[Any, ...]] = {
    **BEFORE,
    **dict.fromkeys(
        ("zeros", "ones", "empty", "randperm", "manual_seed", "meshgrid"), ()
    ),
    **dict.fromkeys(
        (
            "hstack",
            "vstack",
            "dstack",
            "column_stack",
            "broadcast_arrays",
            "block_diag",
            "broadcast_tensors",
        ),
        (_rows,),
    ),
    "einsum": ("ij->i",),
}


def before_it(name: str) -> tuple[Any, ...]:
    """What a function cannot do without."""
    alone = {*FIRST} - {*BEFORE} | {*FREE, *DRAWN, *JOINED, "full", "where"}
    given = FIRST.get(name, ())
    return given if name in alone else (cr.tensor(_rows), *given)


def attempt(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    quiet = warnings.catch_warnings(action="ignore")
    with quiet, np.errstate(all="ignore"), suppress(cr.ChainruleError):
        function(*args, **kwargs)


def tried(
    name: str, function: Callable[..., Any], before: tuple[Any, ...], values: list[Any]
) -> None:
    """Each argument by name, the one behind those that must be by place, and words."""
    fixed = dict(WITH.get(name, {}))
    for value in values:
        for place in range(len(before) + 1):
            attempt(function, *before[:place], value, *before[place + 1 :], **fixed)
        attempt(function, *before, value, value)
        attempt(function, value)
        for p in inspect.signature(function).parameters.values():
            if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD):
                attempt(function, *before, **{**fixed, p.name: value})
    for word in WORDS.split():
        attempt(function, *before, **{**fixed, word: 1})


def test_functions_refuse_by_errors_of_ours() -> None:
    def check(name: str) -> None:
        tried(name, getattr(cr, name), before_it(name), HOSTILE[len(name) % 4 :: 4])

    assert not failures(check, ((n, (n,)) for n in NAMES if n in cr.__all__))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in NAMES if n in cr.__all__])
def test_functions_refuse_everything_by_errors_of_ours(name: str) -> None:
    tried(name, getattr(cr, name), before_it(name), HOSTILE)


def takes(function: Callable[..., Any], *args: Any) -> bool:
    """Whether so many arguments are taken; Python refuses others."""
    try:
        inspect.signature(function).bind(*args)
    except TypeError:
        return False
    return True


def test_methods_refuse_by_errors_of_ours() -> None:
    assert not failures(refused_by_a_method, ((n, (n,)) for n in METHODS.split()))


def refused_by_a_method(name: str) -> None:
    for value in HOSTILE[len(name) % 2 :: 2]:
        if isinstance(value, np.ndarray) and name in FLAGGED.split():
            continue  # as a flag, an array is NumPy's to refuse
        for args in ((value,), (value, value), (value, 1), (1, value), (0, value, 1)):
            method = getattr(cr.tensor(_rows.astype(np.float32)), name)
            if takes(method, *args):
                attempt(method, *args)


@pytest.mark.parametrize(
    "call",
    {
        "linspace": lambda: cr.linspace(0, 3, -1),
        "arange": lambda: cr.arange(0, INF),
        "a narrow arange": lambda: cr.arange(2**33, dtype="int32"),
        "a negative size": lambda: cr.ones(3).expand(-1, 1),
        "a negative count": lambda: cr.ones(3).repeat(-1),
        "NumPy's pad": lambda: cr.pad(cr.ones(2, 2), ((0, 0), (1, 0))),
        "memory of its own": lambda: cr.ones(3).__dlpack__(copy=False),
        "an element too many": lambda: cr.zeros(2**45),
        "a matrix too many": lambda: nn.Upsample(2**45)(cr.ones(1, 1, 2)),
    }.values(),
)
def test_what_no_memory_or_shape_holds(call: Callable[[], Any]) -> None:
    with pytest.raises(cr.ChainruleError):
        call()


def test_words_of_pytorch_that_are_understood() -> None:
    assert cr.empty(size=(2, 3)).shape == cr.zeros(size=(2, 3)).shape == (2, 3)
    assert cr.ones(size=2).tolist() == [1.0, 1.0]
    frozen = nn.Parameter([1.0], requires_grad=False)
    assert not frozen.requires_grad
    layer = nn.Linear(1, 1)
    sgd = cr.optim.SGD(layer.parameters(), lr=0.1)
    for forget in (layer.zero_grad, sgd.zero_grad, layer.weight.zero_grad):
        (layer(cr.ones(1, 1)) * float("nan")).sum().backward()
        forget(set_to_none=False)
        assert layer.weight.grad is not None
        assert layer.weight.grad.tolist() == [[0.0]]
        forget(set_to_none=True)
        assert layer.weight.grad is None
    x = cr.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert cr.einsum(x, [0, 1], x, [1, 0]).item() == cr.einsum("ij,ji->", x, x).item()
    assert cr.einsum(x, [0, 0]).item() == 5.0
    assert cr.einsum(x, [0, 1], [1, 0]).tolist() == x.T.tolist()
