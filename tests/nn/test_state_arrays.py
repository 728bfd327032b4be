"""The arrays of a ``state_dict``: changes in place are refused, copies are plain."""

from __future__ import annotations

import copy
import io
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError

Change = Callable[[Any], Any]


def _set(key: Any) -> Change:
    return lambda v: operator.setitem(v, key, 1.0)


OPERATORS = [
    "iadd",
    "isub",
    "imul",
    "itruediv",
    "ifloordiv",
    "imod",
    "ipow",
]  # those of floats
CHANGES: dict[str, Change] = {
    **{n: lambda v, n=n: getattr(operator, n)(v, 2.0) for n in OPERATORS},
    "a place": _set((0, 0)),
    "a row": _set(0),
    "everything": _set(...),
    "a mask": lambda v: operator.setitem(v, v > 0, 0.0),
    "of a row": lambda v: operator.imul(v[0], 2.0),
    "of a transpose": lambda v: operator.setitem(v.T, 0, 2.0),
    "of another shape": lambda v: v.reshape(-1).fill(0.0),
    "fill": lambda v: v.fill(0.0),
    "sort": lambda v: v.sort(),
    "partition": lambda v: v.partition(1),
    "put": lambda v: v.put([0], [1.0]),
    "resize": lambda v: v.resize((1, 1), refcheck=False),
    "setfield": lambda v: v.setfield(0.0, np.float32),
    "out=": lambda v: np.multiply(v, 2.0, out=v),
    "another's out=": lambda v: np.exp(np.ones(v.shape, np.float32), v),
    "a sum's out=": lambda v: np.add.reduce(np.ones((2, 3, 2), np.float32), out=v),
    "at": lambda v: np.add.at(v, ([0], [0]), 1.0),
    "clip": lambda v: np.clip(v, 0, 1, out=v),
    "matmul": lambda v: np.matmul(np.ones((3, 3), np.float32), v, out=v),
    "copyto": lambda v: np.copyto(v, 0.0),
    "np.put": lambda v: np.put(v, [0], [1.0]),
    "place": lambda v: np.place(v, v > 0, [1.0]),
    "putmask": lambda v: np.putmask(v, v > 0, 1.0),
    "fill_diagonal": lambda v: np.fill_diagonal(v, 0.0),
    "shuffled rows": lambda v: operator.setitem(v, slice(None), v[::-1]),
    "setflags": lambda v: v.setflags(write=True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_in_place_is_refused_in_our_words(change: Change) -> None:
    module = nn.Linear(2, 3)
    before = module.weight.tolist()
    state = module.state_dict()
    with pytest.raises(ArgumentError, match="not changed in place") as error:
        change(state["weight"])
    assert "load_state_dict" in str(error.value)
    assert module.weight.tolist() == before == state["weight"].tolist()
    plain = np.array(state["weight"])
    change(plain)  # it is a change


def test_an_array_is_not_made_writeable() -> None:
    array = nn.Linear(2, 3).state_dict()["weight"]
    with pytest.raises(ArgumentError, match="not changed in place"):
        array.flags.writeable = True
    with pytest.raises(ValueError, match="WRITEABLE"):
        np.asarray(array).flags.writeable = True


def _safe(array: Any) -> Any:
    return load(save({"a": array}))["a"]


def _saved(array: Any) -> Any:
    file = io.BytesIO()
    np.savez(file, a=array)
    file.seek(0)
    return np.load(file)["a"]


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": lambda v: v.copy(),
    "np.array": np.array,
    "np.copy": np.copy,
    "astype": lambda v: v.astype(v.dtype),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "of a state_dict": lambda v: copy.deepcopy({"v": v})["v"],
    "pickle": lambda v: pickle.loads(pickle.dumps(v)),
    "old pickle": lambda v: pickle.loads(pickle.dumps(v, 0)),
    "safetensors": _safe,
    "savez": _saved,
    "times 1": lambda v: v * 1,
    "reversed": lambda v: 1 * v,
    "where": lambda v: np.where(v == v, v, v),
    "concatenate": lambda v: np.concatenate([v]),
    "stack": lambda v: np.stack([v])[0],
    "flatten": lambda v: v.flatten().reshape(v.shape),
    "take": lambda v: v[np.arange(len(v))].copy(),
}


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_copy_is_a_plain_array_that_can_be_changed(made: Any, dtype: str) -> None:
    array = nn.Linear(2, 3).to(dtype).state_dict()["weight"]
    found = made(array)
    assert type(found) is np.ndarray
    assert found.dtype == dtype
    assert found.tolist() == array.tolist()
    found *= 2
    found[0] = 1
    assert found.tolist() != array.tolist()


def test_reading_is_as_of_any_array() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = module.state_dict()
    for name, array in state.items():
        plain = np.array(array)
        assert isinstance(array, np.ndarray)
        assert repr(array) == repr(plain), name
        assert str(array) == str(plain)
        assert np.array_equal(array, plain)
        assert (array == plain).all()
        assert array.sum() == plain.sum()
        assert np.asarray(array).tolist() == cr.tensor(array).tolist()
        assert array.tobytes() == plain.tobytes()
        np.testing.assert_array_equal(array, plain)
    assert not module.load_state_dict(state).missing_keys
    halved = {name: 0.5 * array for name, array in state.items()}
    module.load_state_dict(halved)
    assert np.array_equal(module.state_dict()["0.weight"], halved["0.weight"])
    assert np.array_equal(state["0.weight"], 2 * halved["0.weight"])  # as it was


def test_an_empty_array_and_a_number() -> None:
    module = nn.Module()
    module.empty = nn.Parameter(np.zeros((0, 3), np.float32))
    module.number = nn.Parameter(np.float32(2.0))
    state = module.state_dict()
    assert state["empty"].shape == (0, 3)
    assert state["number"] == 2.0
    with pytest.raises(ArgumentError, match="not changed in place"):
        state["number"][...] = 1.0


def test_in_a_compiled_function_that_changes_the_module(engine: str) -> None:
    module = nn.Linear(2, 3)
    opt = cr.optim.SGD(module.parameters(), lr=0.1)

    def step(x: cr.Tensor) -> cr.Tensor:
        loss = module(x).square().mean()
        loss.backward()
        opt.step()
        opt.zero_grad()
        return loss

    run = cr.compile(step, engine=engine)
    x = np.ones((4, 2), np.float32)
    run(x)
    state = module.state_dict()
    kept = {name: array.copy() for name, array in state.items()}
    run(x)
    assert all(np.array_equal(state[name], kept[name]) for name in kept)
    assert not np.array_equal(module.state_dict()["weight"], kept["weight"])


def test_pytorchs_ways_to_keep_and_to_average_weights():
    module = nn.Linear(2, 3)
    start = {name: v.detach().cpu().clone() for name, v in module.state_dict().items()}
    mean = {name: v.clone() for name, v in module.state_dict().items()}
    with cr.no_grad():
        module.weight.add_(1.0)
    for name, value in module.state_dict().items():
        assert value.numel() == start[name].numel()
        mean[name].mul_(0.75).add_(value, alpha=0.25)
    assert mean["weight"].tolist() == pytest.approx(start["weight"] + 0.25)
    module.load_state_dict(start)
    assert module.weight.tolist() == start["weight"].tolist()
    assert not start["weight"].requires_grad
