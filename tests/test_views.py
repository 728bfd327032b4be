"""Views: parts, shapes and orders of a tensor through which it is changed, eagerly and
in compiled functions. Random programs beside PyTorch are in ``parity``.
"""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, DTypeError, GradientError
from tests.ways import WAYS

#: Changes in place of a matrix of 4 × 3 through a view, and the same of an array.
CHANGES: dict[str, Callable[[Any], Any]] = {
    "a part": lambda x: x[1:2].fill_(1.0),
    "a row": lambda x: x[0].zero_(),
    "a column": lambda x: x[:, 1].add_(2.0),
    "a line": lambda x: x.view(-1).__setitem__(0, 1.0),
    "a transpose": lambda x: x.t().__setitem__(0, 1.0),
    "an order": lambda x: x.permute(1, 0)[2].mul_(3.0),
    "pieces": lambda x: [c.add_(k) for k, c in enumerate(x.chunk(4))],
    "rows": lambda x: [r.mul_(k) for k, r in enumerate(x)],
    "a part of a part": lambda x: x[1:][:, 1:].unsqueeze(0)[0, 0].copy_(7.0),
    "a diagonal": lambda x: x.diagonal(1).fill_(5.0),
    "a narrow part": lambda x: x.narrow(0, 1, 2).sub_(1.0),
    "axes apart": lambda x: x.unflatten(0, (2, 2))[1].mul_(-1.0),
    "three axes": lambda x: x.unflatten(0, (2, 2)).permute(2, 0, 1)[0, 1].add_(4.0),
    "every other": lambda x: x[::2].mul_(2.0),
    "by an integer tensor": lambda x: x[cr.tensor(2)].add_(1.0),
    "initialised": lambda x: nn.init.constant_(x[2:4], 1.0),
}


def wanted(name: str, array: np.ndarray) -> np.ndarray:
    """What the change makes, worked out by NumPy."""
    a = array.copy()
    match name:
        case "a part":
            a[1:2] = 1
        case "a row":
            a[0] = 0
        case "a column":
            a[:, 1] += 2
        case "a line":
            a[0, 0] = 1
        case "a transpose":
            a[:, 0] = 1
        case "an order":
            a[:, 2] *= 3
        case "pieces":
            a += np.arange(4)[:, None]
        case "rows":
            a *= np.arange(4)[:, None]
        case "a part of a part":
            a[1, 1:] = 7
        case "a diagonal":
            a[0, 1] = a[1, 2] = 5
        case "a narrow part":
            a[1:3] -= 1
        case "axes apart":
            a[2:] *= -1
        case "three axes":
            a[2:, 0] += 4
        case "every other":
            a[::2] *= 2
        case "by an integer tensor":
            a[2] += 1
        case "initialised":
            a[2:4] = 1
    return a


START = np.arange(12, dtype=np.float32).reshape(4, 3) / 8 + 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("of", ["tensor", "data", "gradient", "detached"])
def test_a_change_of_a_view_reaches_the_tensor(way: str, of: str) -> None:
    for name, change in CHANGES.items():
        x = cr.tensor(START, requires_grad=of in ("data", "detached"))
        owner = cr.tensor(START, requires_grad=True)
        if of == "gradient":
            owner.grad = x
        take = {
            "tensor": lambda x=x: x,
            "data": lambda x=x: x.data,
            "detached": lambda x=x: x.detach(),
            "gradient": lambda owner=owner: owner.grad.data,
        }[of]

        def run(take: Any = take, change: Any = change) -> None:
            change(take())

        kept = x.detach()[1]
        (run if way == "eager" else cr.compile(run, engine=way))()
        made = x if of != "gradient" else owner.grad
        assert made is not None
        np.testing.assert_array_equal(
            made.detach().numpy(), wanted(name, START), err_msg=name
        )
        if of != "gradient" or way == "eager":
            np.testing.assert_array_equal(kept.numpy(), wanted(name, START)[1])


def test_views_follow_and_derivatives_with_them() -> None:
    w = cr.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    y = w * 2
    matrix = y.view(2, 2)
    row = matrix[1]
    y.mul_(w)  # 2w²
    row.add_(w[:2])
    (matrix * matrix).sum().backward()
    v = np.arange(1.0, 5)
    made = 2 * v * v + np.array([0, 0, 1, 2])
    slope = 2 * made * 4 * v
    slope[:2] += 2 * made[2:]
    np.testing.assert_allclose(y.detach().numpy(), made)
    np.testing.assert_allclose(row.detach().numpy(), made[2:])
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.numpy(), slope)


def test_what_is_saved_for_a_derivative_is_not_damaged() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    y = (w * w).sum()
    w.data[0] = 9.0
    y.backward()
    assert w.grad is not None
    assert w.grad.tolist() == [2.0, 4.0]


def test_a_copy_is_no_view() -> None:
    x = cr.tensor(START)
    for made in (
        x.t().reshape(-1),
        x.t().contiguous(),
        x.clone(),
        x[[0, 1]],
        x.flip(0),
    ):
        made += 1
    np.testing.assert_array_equal(x.numpy(), START)


def test_a_detached_tensor_is_not_changed_under_a_derivative() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    y = w * 2
    kept = y.detach()
    with pytest.raises(GradientError, match="while the one lives"):
        kept[0] = 0.0
    del y
    kept[0] = 0.0
    assert kept.tolist() == [0.0, 4.0]


def test_repeated_elements_are_not_changed() -> None:
    x = cr.zeros(2)
    with pytest.raises(ArgumentError, match="more than once"):
        x.expand(3, 2).add_(1.0)
    with pytest.raises(ArgumentError, match="more than once"):
        cr.zeros(2).expand(3, 2)[0, 0] = 1.0


def test_data_makes_one_tensor_of_two_or_is_refused() -> None:
    p, t = nn.Parameter([1.0, 2.0]), cr.tensor([3.0, 4.0])
    old = p.data
    p.data = t
    t[0] = 7.0
    p.data[1] = 8.0
    assert (p.tolist(), t.tolist(), old.tolist()) == ([7, 8], [7, 8], [1, 2])
    p.data = old  # what was set aside is put back
    assert (p.tolist(), t.tolist()) == ([1, 2], [7, 8])
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    for new in (a.weight.data, a.weight, a.weight.data[:], a.weight.detach().t()):
        with pytest.raises(ArgumentError, match=r"module\.weight = other\.weight"):
            b.weight.data = new
    b.weight.data = a.weight.data.clone()
    with pytest.raises(DTypeError, match="keeps the dtype"):
        b.weight.data = cr.zeros(2, 2, dtype="float64")


def test_a_view_in_a_module_is_one_in_a_compiled_function(engine: str) -> None:
    table = cr.zeros(3, 2)
    row = table[1]

    @cr.compile(engine=engine)
    def step() -> cr.Tensor:
        table.add_(1.0)
        row.mul_(2.0)
        return row * 1.0

    assert step().tolist() == [2.0, 2.0]
    table[1, 0] = 10.0
    assert step().tolist() == [22.0, 6.0]
    assert table.tolist() == [[2, 2], [22, 6], [2, 2]]


def test_what_may_be_a_copy_is_refused_while_traced(engine: str) -> None:
    x = cr.zeros(2, 3)

    def change() -> None:
        x.t().reshape(-1).add_(1.0)

    with pytest.raises(ArgumentError, match="a view or a copy"):
        cr.compile(change, engine=engine)()


def test_a_constant_as_new_state_is_written_at_each_call(engine: str) -> None:
    x = cr.zeros(3)

    @cr.compile(engine=engine)
    def fill() -> None:
        x.copy_(cr.tensor([1.0, 2.0, 3.0]))

    for _ in range(2):
        fill()
        assert x.tolist() == [1.0, 2.0, 3.0]
        x.zero_()


def test_a_gradient_is_added_to_in_place(engine: str) -> None:
    for compiled in (False, True):
        w = cr.tensor([1.0, 2.0], requires_grad=True)

        def step(w: cr.Tensor = w) -> None:
            (w * w).sum().backward()

        step()
        kept = w.grad
        run = cr.compile(step, engine=engine) if compiled else step
        run()
        run()
        assert kept is not None
        assert kept.tolist() == [6.0, 12.0]


def test_from_numpy_shows_the_array(engine: str) -> None:
    array = np.zeros(3, np.float32)
    x = cr.from_numpy(array)
    double = cr.compile(lambda: x * 2, engine=engine)
    for k in range(3):
        array[k] = k + 1
        assert x.tolist() == array.tolist()
        assert x[1:].tolist() == array[1:].tolist()
        assert double().tolist() == (2 * array).tolist()
    with pytest.raises(ArgumentError, match="from_numpy shows"):
        x += 1
    assert copy.deepcopy(x).add_(1).tolist() == (array + 1).tolist()


def test_views_let_go_of_the_history_that_they_have_no_part_in() -> None:
    w = cr.ones(1000, requires_grad=True)
    y = w * 2
    gone = weakref.ref(y)
    kept = y.detach(), y[:2].detach()
    del y
    assert gone() is None
    with cr.no_grad():
        y = w * 2
        part = y[:2]
    gone = weakref.ref(y)
    del y
    assert gone() is not None  # shares its memory
    del part
    assert gone() is None
    assert kept[1].tolist() == [2.0, 2.0]


def test_views_make_no_cycles() -> None:
    gc.collect()
    gc.disable()
    try:
        x = cr.ones(4, 4, requires_grad=True)
        y = x * 2
        y[0].detach()
        y.view(-1)[3].mul_(2)
        d = x.data
        d[0] = 1.0
        x.data = cr.zeros(4, 4)
        gone = [weakref.ref(t) for t in (x, y, d)]
        del x, y, d
        assert all(ref() is None for ref in gone)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_views_are_copied(way: Any) -> None:
    x = cr.tensor(START)
    made = way(x[1:].t())
    np.testing.assert_array_equal(made.numpy(), START[1:].T)
    made += 1
    np.testing.assert_array_equal(x.numpy(), START)


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_deep_copy_of_an_expanded_tensor_is_expanded(way: Any) -> None:
    x = cr.tensor(START[:1])
    for expanded in (x.expand(3, -1), x.expand(2, 4, 3)[:, 1:], x.expand(4, 3).t()):
        made = way(expanded)
        assert made.tolist() == expanded.tolist()
        with pytest.raises(ArgumentError, match="expanded"):
            made[0] = 1.0
        assert made.clone().mul_(2.0).tolist() == (expanded * 2.0).tolist()
    leaf = way(x.expand(3, -1).detach().requires_grad_())
    (leaf * leaf).sum().backward()
    assert leaf.grad.tolist() == (2 * leaf).tolist()
    row = way(x.expand(3, -1)[1])  # has each element once
    row += 1.0
    assert row.tolist() == (x[0] + 1.0).tolist()
    assert way(cr.zeros(2, 2)).add_(1.0).tolist() == [[1.0, 1.0]] * 2
