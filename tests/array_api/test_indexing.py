"""``x[key]`` and ``x[key] = y`` against NumPy: eager, recorded, traced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, GradientError, ShapeError

A = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
I, J = np.array([0, -1, 1]), np.array([[2], [-3]])  # noqa: E741

#: Keys of a (2, 3, 4) array.
KEYS: list[Any] = [
    0,
    -1,
    (1, 2, 3),
    (Ellipsis, -1),
    slice(None),
    slice(1, None),
    (slice(None), slice(None, None, -1), slice(0, 4, 2)),
    (slice(None), slice(2, 0, -1)),
    (None, 1, None, slice(1, 3)),
    (slice(5, 9), 0),
    [1, 0, 1],
    I,
    (slice(None), I),
    (Ellipsis, I),
    (I, J),
    (I, slice(None), J),
    (slice(None), I, J),
    (0, I),
    (0, slice(None), J),
    (I, J, 3),
    (slice(1, None), I, None, J),
    (Ellipsis, J, 1),
    np.array([], np.int64),
    (),
    Ellipsis,
]
MASKS: list[Any] = [A > 11, (slice(None), np.array([True, False, True])), A[..., 0] > 5]


def with_tensors(key: Any) -> Any:
    """Arrays within a key as tensors."""
    if isinstance(key, tuple):
        return tuple(map(with_tensors, key))
    return cr.tensor(key) if isinstance(key, np.ndarray) else key


def told(key: Any) -> str:
    return repr(key).replace("\n", "")[:50]


@pytest.mark.parametrize("key", [*KEYS, *MASKS], ids=told)
def test_reading_and_its_derivative(key: Any) -> None:
    for k in (key, with_tensors(key)):
        x = cr.tensor(A, requires_grad=True)
        y = x[k]
        np.testing.assert_array_equal(y.detach().numpy(), A[key])
        weights = np.arange(1.0, 1 + A[key].size).reshape(A[key].shape)
        (y * weights).sum().backward()
        wanted = np.zeros_like(A)
        np.add.at(wanted, key, weights)
        got = np.zeros_like(A) if x.grad is None else x.grad.numpy()
        np.testing.assert_array_equal(got, wanted)


def test_reading_while_traced(engine: str) -> None:
    """By constants, by tensors from outside, and by traced integers."""
    held = [k for k in KEYS if isinstance(k, np.ndarray) and k.size]
    outside = [cr.tensor(k) for k in held]

    def f(x: Any, i: Any, j: Any, n: Any) -> Any:
        constants = [x[k] for k in KEYS]
        states = [x[k] for k in outside]
        return constants, states, x[i], x[i, j], x[:, i, n], x[n], x[n - 1, 1:]

    constants, states, *traced = cr.compile(f, engine=engine)(A, I, J, np.int64(1))
    for k, got in zip(KEYS, constants, strict=True):
        np.testing.assert_array_equal(got.numpy(), A[k])
    for k, got in zip(held, states, strict=True):
        np.testing.assert_array_equal(got.numpy(), A[k])
    wanted = [A[I], A[I, J], A[:, I, 1], A[1], A[0, 1:]]
    for got, w in zip(traced, wanted, strict=True):
        np.testing.assert_array_equal(got.numpy(), w)


def test_an_index_out_of_range_is_refused_at_the_run(engine: str) -> None:
    f = cr.compile(lambda x, i: (x[i], x[i, i])[0], engine=engine)
    x = cr.tensor([[5.0, 6.0], [7.0, 8.0]])
    assert f(x, np.array([-2])).tolist() == [[5.0, 6.0]]
    for wrong in (2, -3):
        with pytest.raises(ChainruleError):
            f(x, np.array([wrong]))
        with pytest.raises(ShapeError, match="out of range"):
            x[np.array([wrong])]


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_advanced_keys_are_numpys(data: Any) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    broadcast = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    key: list[Any] = []
    for size in shape[: data.draw(st.integers(0, len(shape)))]:
        kind = data.draw(st.sampled_from(["slice", "int", "array", "new"]))
        if kind == "array":
            key.append(
                data.draw(
                    hnp.arrays(
                        np.int64, broadcast, elements=st.integers(-size, size - 1)
                    )
                )
            )
        elif kind == "int":
            key.append(data.draw(st.integers(-size, size - 1)))
        else:
            key.append(data.draw(st.slices(size)))
            key += [None] * (kind == "new")
    wanted = array[tuple(key)]
    x = cr.tensor(array)
    np.testing.assert_array_equal(x[tuple(key)].numpy(), wanted)
    changed, new = array.copy(), np.arange(wanted.size).reshape(wanted.shape) + 100
    changed[tuple(key)] = new
    x[tuple(key)] = new
    np.testing.assert_array_equal(x.numpy(), changed)


# -- writing --------------------------------------------------------------------------


@pytest.mark.parametrize("key", [*KEYS, *MASKS], ids=told)
def test_writing_and_its_derivatives(key: Any) -> None:
    new = np.arange(1.0, 1 + A[key].size, dtype=np.float32).reshape(A[key].shape)
    wanted = A.copy()
    wanted[key] = new
    x = cr.tensor(A)
    x[with_tensors(key)] = new
    np.testing.assert_array_equal(x.numpy(), wanted)

    w, v = cr.tensor(A, requires_grad=True), cr.tensor(new, requires_grad=True)
    y = w * 1.0
    y[key] = v * 2.0
    np.testing.assert_array_equal(
        y.detach().numpy(),
        np.where(wanted == A, wanted, wanted)
        if not new.size
        else _assigned(A, key, 2 * new),
    )
    y.sum().backward()
    kept = np.ones_like(A)
    kept[key] = 0
    got = np.zeros_like(A) if w.grad is None else w.grad.numpy()
    np.testing.assert_array_equal(got, kept)
    if new.size:
        places = np.zeros(A.shape, int)
        places[key] = np.arange(new.size).reshape(new.shape) + 1
        last = np.isin(np.arange(new.size) + 1, places).reshape(new.shape)
        np.testing.assert_array_equal(v.grad.numpy(), 2.0 * last)


def _assigned(array: Any, key: Any, new: Any) -> Any:
    made = array.copy()
    made[key] = new
    return made


def test_writing_while_traced(engine: str) -> None:
    def f(x: Any, i: Any, n: Any) -> Any:
        made = []
        for key in KEYS:
            y = x * 1.0
            y[key] = 100.0
            made.append(y)
        y = x * 1.0
        y[i] = cr.arange(36).reshape(3, 3, 4) + 100.0
        y[n, 1:] += 1000.0
        y[y > 1100] = -1.0
        return made, y

    made, last = cr.compile(f, engine=engine)(A, I, np.int64(1))
    for key, got in zip(KEYS, made, strict=True):
        np.testing.assert_array_equal(got.numpy(), _assigned(A, key, 100.0))
    wanted = _assigned(A, I, np.arange(36).reshape(3, 3, 4) + 100.0)
    wanted[1, 1:] += 1000
    wanted[wanted > 1100] = -1
    np.testing.assert_array_equal(last.numpy(), wanted)


def test_writing_into_a_tensor_from_outside_is_a_change_of_state(engine: str) -> None:
    memory = cr.zeros(4)

    @cr.compile(engine=engine)
    def put(i: Any, value: Any) -> Any:
        memory[i] = value
        return memory.sum()

    assert put(np.int64(1), 5.0).item() == 5.0
    assert put(np.int64(-1), 2.0).item() == 7.0
    assert memory.tolist() == [0.0, 5.0, 0.0, 2.0]


def test_named_sizes(engine: str) -> None:
    def f(x: Any, i: Any) -> Any:
        y = x * 1.0
        y[:, 1] = 9.0
        z = x * 1.0
        z[0] = 7.0
        return x[0], x[-1], x[:, 1], x[i], x[i, 1], x[::-1], y, z

    run = cr.compile(f, engine=engine, shapes={"x": ("N", 3)})
    for n in (4, 2):
        x, i = np.arange(3.0 * n, dtype=np.float32).reshape(n, 3), np.array([1, -1])
        wanted = [x[0], x[-1], x[:, 1], x[i], x[i, 1], x[::-1]]
        wanted += [_assigned(x, (slice(None), 1), 9.0), _assigned(x, 0, 7.0)]
        for got, w in zip(run(x, i), wanted, strict=True):
            np.testing.assert_array_equal(got.numpy(), w)
    assert len(run.programs) == 1


def test_what_cannot_be_changed_in_place() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match="no_grad"):
        w[0] = 3.0
    with cr.no_grad():
        w[0] = 3.0
    assert w.tolist() == [3.0, 2.0]
    assert w.is_leaf
    x = cr.tensor([[0.0, 1.0]])
    row = x[0]
    x += 1.0
    row += 1.0
    x -= 1.0
    assert row.tolist() == [1.0, 2.0]
    alone = x[0].clone()
    alone[0] = 5.0
    free = cr.zeros(4).reshape(2, 2)  # nothing else holds the zeros
    free[0] = 1.0
    assert (x.tolist(), alone.tolist()) == ([[1.0, 2.0]], [5.0, 2.0])
    assert free.tolist() == [[1.0, 1.0], [0.0, 0.0]]
    with pytest.raises(ShapeError, match="does not fit"):
        x[0] = cr.zeros(3)


def test_a_part_that_is_changed_changes_the_whole() -> None:
    w = cr.tensor(A, requires_grad=True)
    x, wanted = w * 1.0, A.copy()
    x[1, :, 0] += 5.0
    x[0][1][2] = 7.0
    row = x[1]
    row *= 2.0
    row[0] = 0.0
    wanted[1, :, 0] += 5.0
    wanted[0][1][2] = 7.0
    other = wanted[1]
    other *= 2.0
    other[0] = 0.0
    np.testing.assert_array_equal(x.detach().numpy(), wanted)
    x.sum().backward()
    slopes = np.ones_like(A)
    slopes[0, 1, 2] = 0
    slopes[1] = 2
    slopes[1, 0] = 0
    assert w.grad is not None
    np.testing.assert_array_equal(w.grad.numpy(), slopes)


def test_writing_in_place_is_seen_by_nothing_else() -> None:
    """An array that nothing else holds is written into; any other one is replaced."""
    x = cr.zeros(3, 2)
    before = x.value.array
    assert before is not None
    address = before.ctypes.data
    del before
    x[0] = 1.0
    assert x.value.array.ctypes.data == address
    for hold in (
        lambda: x.numpy(),
        lambda: x.value,
        lambda: x.value.array,
        lambda: x * cr.tensor(1.0, requires_grad=True),
        lambda: np.asarray(x.numpy()),
    ):
        held = hold()
        old = (
            np.array(getattr(held, "array", held), copy=True)
            if not isinstance(held, cr.Tensor)
            else held.detach().numpy().copy()
        )
        x[1:, 0] += 5.0
        now = held.detach().numpy() if isinstance(held, cr.Tensor) else held
        np.testing.assert_array_equal(getattr(now, "array", now), old)
        del held, now
    w = cr.tensor([1.0], requires_grad=True)
    y = (w * x[0, 0]).sum()
    x[0] = 9.0
    y.backward()
    assert w.grad.tolist() == [1.0]


def test_what_was_saved_for_a_derivative_is_not_damaged() -> None:
    w = cr.tensor([2.0, 3.0], requires_grad=True)
    h = w * 1.0
    y = (h * h).sum()
    h[0] = 100.0
    h += 1.0
    y.backward()
    assert w.grad.tolist() == [4.0, 6.0]
    assert h.tolist() == [101.0, 4.0]


def test_masks_and_changing_shapes_are_refused_while_tracing() -> None:
    with pytest.raises(ShapeError, match=r"known only at the run(.|\n)*where"):
        cr.compile(lambda x: x[x > 0], engine="numpy")(A)
    with pytest.raises(ArgumentError, match="narrow"):
        cr.compile(lambda x, i: x[i:], engine="numpy")(A, np.int64(1))


def test_a_block_whose_beginning_is_computed(engine: str) -> None:
    f = cr.compile(lambda x, i: x.narrow(1, i, 2), engine=engine)
    np.testing.assert_array_equal(f(A, np.int64(1)).numpy(), A[:, 1:3])
    np.testing.assert_array_equal(cr.tensor(A).narrow(1, 0, 2).numpy(), A[:, :2])
    with pytest.raises(ChainruleError):
        f(A, np.int64(2))


@pytest.mark.parametrize("shape", [(0, 1), (3,), (2, 3), (2, 0)])
def test_a_mask_has_the_lengths_of_the_axes_or_none(shape: tuple[int, ...]) -> None:
    """Any other is an IndexError: read, written to, and written to when compiled."""

    def changed(t: cr.Tensor, mask: cr.Tensor) -> cr.Tensor:
        made = t * 1
        made[mask] = 7
        return made

    a = np.arange(float(np.prod(shape))).reshape(shape)
    for lengths in ((0,), (2,), (3,), (0, 0), (2, 0), (0, 3), (2, 3)):
        mask = np.ones(lengths, bool)
        if mask.ndim > a.ndim:
            continue
        b = a.copy()
        try:
            b[mask] = 7
        except IndexError:
            for wrong in (changed, cr.compile(changed), lambda t, m: t[m]):
                with pytest.raises(IndexError):
                    wrong(cr.tensor(a), cr.tensor(mask))
            continue
        read = cr.tensor(a)[cr.tensor(mask)]
        np.testing.assert_array_equal(read.numpy(), a[mask])
        for way in (changed, cr.compile(changed)):
            made = way(cr.tensor(a), cr.tensor(mask))
            np.testing.assert_array_equal(made.numpy(), b)
