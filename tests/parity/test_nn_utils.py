"""``nn.utils`` and what takes packed sequences agree with PyTorch."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import utils as theirs

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.nn import utils

pytestmark = pytest.mark.parity
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def state_of(their: Any) -> dict[str, Any]:
    return {key: t.numpy() for key, t in their.state_dict().items()}


def same(mine: Any, their: Any) -> None:
    if their is None:
        assert mine is None
        return
    assert mine.dtype.name == str(their.dtype)[6:]
    np.testing.assert_allclose(mine.detach().numpy(), their.detach().numpy(), 1e-10)


def compare_steps(mine: Any, their: Any, x: np.ndarray, engine: str) -> None:
    """Outputs and derivatives, eager and compiled, in training and in prediction."""
    run = cr.compile(lambda x: mine(x), engine=engine)
    for call in (mine, run, mine):
        result, other = call(cr.tensor(x)), their(torch.tensor(x))
        same(result, other)
    (result**2).sum().backward()
    (other**2).sum().backward()
    own = dict(mine.named_parameters())
    assert [*own] == [name for name, __ in their.named_parameters()]
    for name, p in their.named_parameters():
        same(own[name].grad, p.grad)
    same(mine.eval()(cr.tensor(x)), their.eval()(torch.tensor(x)))


@pytest.mark.parametrize("dim", [0, 1, -1, None])
def test_weight_norm(dim: int | None, engine: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        their = theirs.weight_norm(torch.nn.Linear(4, 3).double(), dim=dim)
    mine = utils.weight_norm(nn.Linear(4, 3, dtype="float64"), dim=dim)
    mine.load_state_dict(state_of(their))
    compare_steps(mine, their, normal(5, 4), engine)
    again = pickle.loads(pickle.dumps(copy.deepcopy(mine)))
    x = cr.tensor(normal(2, 4))
    assert again(x).tolist() == mine(x).tolist()
    with pytest.raises(ArgumentError, match="computed from other"):
        mine.weight = nn.Parameter(np.zeros((3, 4)))
    before = mine(x).numpy()
    assert [*utils.remove_weight_norm(mine).state_dict()] == ["bias", "weight"]
    np.testing.assert_allclose(mine(x).numpy(), before, 1e-12)


@pytest.mark.parametrize(
    ("kind", "arguments", "shape"),
    [("Linear", (4, 3), (5, 4)), ("ConvTranspose1d", (4, 3, 2), (2, 4, 5))],
)
def test_spectral_norm(kind: str, arguments: Any, shape: Any, engine: str) -> None:
    their = getattr(torch.nn, kind)(*arguments).double()
    their = theirs.spectral_norm(their, n_power_iterations=2)
    mine = getattr(nn, kind)(*arguments, dtype="float64")
    mine = utils.spectral_norm(mine, n_power_iterations=2)
    mine.load_state_dict(state_of(their))
    compare_steps(mine, their, normal(*shape), engine)
    x = normal(*shape)
    utils.remove_spectral_norm(mine)
    theirs.remove_spectral_norm(their)
    same(mine(cr.tensor(x)), their(torch.tensor(x)))


def test_what_has_no_weight_is_refused() -> None:
    refused = [
        lambda: utils.weight_norm(nn.Tanh()),
        lambda: utils.spectral_norm(nn.Linear(2, 2), "other"),
        lambda: utils.remove_weight_norm(nn.Linear(2, 2)),
        lambda: utils.remove_spectral_norm(utils.weight_norm(nn.Linear(2, 2))),
        lambda: utils.spectral_norm(nn.Linear(2, 2), n_power_iterations=0),
    ]
    for call in refused:
        with pytest.raises(ArgumentError):
            call()


# -- sequences -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    ("lengths", "in_order"), [([4, 3, 3, 1], True), ([1, 4, 2, 4], False)]
)
@pytest.mark.parametrize("first", [False, True])
def test_packed_sequences(
    kind: str, lengths: list[int], in_order: bool, first: bool
) -> None:
    options = {"num_layers": 2, "bidirectional": True, "batch_first": first}
    their = getattr(torch.nn, kind)(2, 3, **options).double()
    mine = getattr(nn, kind)(2, 3, **options, dtype="float64")
    mine.load_state_dict(state_of(their))
    x = normal(4, 5, 2) if first else normal(5, 4, 2)
    t, m = torch.tensor(x, requires_grad=True), cr.tensor(x, requires_grad=True)
    theirs_in = theirs.rnn.pack_padded_sequence(t, lengths, first, in_order)
    mine_in = utils.rnn.pack_padded_sequence(m, lengths, first, in_order)
    for a, b in zip(mine_in, theirs_in, strict=True):
        same(a, b)
    (y, last), (other, their_last) = mine(mine_in), their(theirs_in)
    for a, b in zip(y, other, strict=True):
        same(a, b)
    pairs = (
        zip(last, their_last, strict=True) if kind == "LSTM" else [(last, their_last)]
    )
    for a, b in pairs:
        same(a, b)
    for options in ((), (True,), (False, -1.0, 6)):
        padded = utils.rnn.pad_packed_sequence(y, *options)
        for a, b in zip(padded, theirs.rnn.pad_packed_sequence(other, *options)):
            same(a, b)
    (y.data**2).sum().backward()
    (other.data**2).sum().backward()
    same(m.grad, t.grad)


@pytest.mark.parametrize(
    "options", [{}, {"batch_first": True}, {"padding_side": "left", "padding_value": 9}]
)
def test_sequences_of_several_lengths(options: Any) -> None:
    arrays = [normal(n, 2) for n in (3, 1, 2)]
    t, m = [torch.tensor(a) for a in arrays], [cr.tensor(a) for a in arrays]
    same(utils.rnn.pad_sequence(m, **options), theirs.rnn.pad_sequence(t, **options))
    packed = utils.rnn.pack_sequence(m, enforce_sorted=False)
    for a, b in zip(packed, theirs.rnn.pack_sequence(t, False), strict=True):
        same(a, b)
    for a, b in zip(utils.rnn.unpack_sequence(packed), t, strict=True):
        same(a, b)


def test_lengths_that_cannot_be_are_refused() -> None:
    x, pack = cr.zeros(3, 2, 1), utils.rnn.pack_padded_sequence
    packed = pack(x, [3, 1])
    refused = [
        lambda: pack(x, [3]),
        lambda: pack(x, [3, 0]),
        lambda: pack(x, [4, 1]),
        lambda: pack(x, [1, 3]),
        lambda: pack(x, [1.5, 1.0]),
        lambda: cr.compile(lambda n: pack(x, n).data)(cr.tensor([3, 1])),
        lambda: utils.rnn.pad_packed_sequence(packed, total_length=2),
        lambda: nn.RNN(1, 1)(packed, lengths=[3, 1]),
    ]
    for call in refused:
        with pytest.raises(ArgumentError):
            call()
    with pytest.raises(ShapeError):
        utils.rnn.pad_sequence([])


# -- gradients and parameters ----------------------------------------------------------


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
def test_gradients_are_clipped(norm_type: float) -> None:
    gradients = [normal(3, 4), normal(2)]
    t = [torch.zeros(g.shape, dtype=torch.float64) for g in gradients]
    m = [cr.zeros(*g.shape, dtype="float64", requires_grad=True) for g in gradients]
    for p, q, g in zip(t, m, gradients, strict=True):
        p.grad, q.grad = torch.tensor(g), cr.tensor(g)
    wanted = theirs.clip_grad_norm_(t, 1.0, norm_type)
    same(utils.clip_grad_norm_(m, 1.0, norm_type), wanted)
    for p, q in zip(t, m, strict=True):
        same(q.grad, p.grad)
    m[0].grad = m[0].grad * float("nan")
    with pytest.raises(ArgumentError, match="not finite"):
        utils.clip_grad_norm_(m, 1.0, norm_type, error_if_nonfinite=True)


def test_parameters_as_a_vector() -> None:
    layer = nn.Linear(2, 3, dtype="float64")
    vector = utils.parameters_to_vector(layer.parameters())
    utils.vector_to_parameters(vector * 2, layer.parameters())
    same(
        utils.parameters_to_vector(layer.parameters()), torch.tensor(vector.numpy() * 2)
    )
    with pytest.raises(ShapeError):
        utils.vector_to_parameters(vector[:-1], layer.parameters())
