"""``nn.no_init()``: parameters without numbers, refused until they have some."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.random import default_generator


def network() -> nn.Sequential:
    block = nn.TransformerEncoderLayer(4, 2, dropout=0.0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.PReLU(),
        nn.Linear(16, 3, init="orthogonal"),
        nn.TransformerEncoder(block, 2),
        nn.LSTM(3, 3),
        nn.Embedding(4, 5, padding_idx=1),
        nn.EmbeddingBag(4, 5),
        nn.Bilinear(2, 3, 2),
        nn.LearnedPositions(4, 5),
        nn.MultiheadAttention(4, 2, add_bias_kv=True),
    )


def test_nothing_is_drawn_and_all_is_loaded() -> None:
    whole = network()
    before = default_generator.counter.item()
    with nn.no_init():
        bare = network()
        nn.init.trunc_normal_(bare[3].weight)
        nn.init.orthogonal_(bare[3].weight)
        nn.init.zeros_(bare[3].bias)
    assert default_generator.counter.item() == before
    assert repr(bare) == repr(whole)
    shapes = [(n, p.shape, p.dtype) for n, p in whole.named_parameters()]
    assert [(n, p.shape, p.dtype) for n, p in bare.named_parameters()] == shapes
    for name, p in bare.named_parameters():
        with pytest.raises(ArgumentError, match="no numbers yet"):
            p.numpy()
        assert "without numbers" in repr(p), name
    assert bare[1].running_var.numpy().tolist() == [1] * 4  # buffers start as ever
    assert bare.load_state_dict(whole.state_dict()) == ([], [])
    for name, array in bare.state_dict().items():
        np.testing.assert_array_equal(array, whole.state_dict()[name])
    assert all(p.requires_grad for p in bare.parameters())


X: Any = np.ones((2, 16), np.float32)
DATA = cr.data.Dataset(X, np.ones((2, 3), np.float32))


def fit(layer: Any) -> None:
    optimizer = cr.optim.SGD(lr=0.1)
    trainer = cr.Trainer(layer, loss=nn.MSELoss(), optimizer=optimizer)
    trainer.fit(DATA, epochs=1, batch_size=2, progress=False)


USES: dict[str, Callable[[Any], Any]] = {
    "call": lambda layer: layer(X),
    "numpy": lambda layer: layer.weight.numpy(),
    "compiled": lambda layer: cr.compile(layer)(X),
    "compiled for NumPy": lambda layer: cr.compile(layer, engine="numpy")(X),
    "argument": lambda layer: cr.compile(lambda w: w + 1)(layer.weight),
    "view": lambda layer: layer.weight[0].numpy(),
    "data": lambda layer: layer.weight.data + 1,
    "in place": lambda layer: layer.weight.data.mul_(2),
    "detached": lambda layer: np.asarray(layer.weight.detach()),
    "item": lambda layer: layer.weight[0, 0].item(),
    "list": lambda layer: layer.weight.tolist(),
    "gradient": lambda layer: cr.grad(lambda w: (w * w).sum())(layer.weight),
    "state": lambda layer: layer.state_dict(),
    "copy": lambda layer: copy.deepcopy(layer).weight.numpy(),
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)).weight.numpy(),
    "another": lambda layer: nn.Parameter(layer.weight),
    "vmap": lambda layer: cr.vmap(layer)(X),
    "trainer": fit,
}


@pytest.mark.parametrize("use", USES)
def test_every_use_is_refused(use: str) -> None:
    with nn.no_init():
        layer = nn.Linear(16, 3)
    with pytest.raises(ArgumentError, match=r"shape \(3, 16\) has no numbers yet"):
        USES[use](layer)


def test_ways_to_numbers() -> None:
    with nn.no_init():
        layer = nn.Linear(2, 3)
    nn.init.ones_(layer.weight)
    with cr.no_grad():
        layer.bias.copy_(cr.zeros(3))
    np.testing.assert_array_equal(layer(cr.ones(1, 2)).numpy(), [[2] * 3])


def test_copies_and_conversion() -> None:
    with nn.no_init():
        layer = nn.Linear(2, 3)
    layer.bias.requires_grad_(False)
    for made in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer):
        made = made.double()
        made.load_state_dict({"weight": np.ones((3, 2)), "bias": np.zeros(3)})
        assert made.weight.dtype.name == "float64"
        assert (made.weight.requires_grad, made.bias.requires_grad) == (True, False)
        assert made(cr.ones(1, 2, dtype="float64")).numpy().tolist() == [[2.0] * 3]


def test_of_a_block_and_a_thread() -> None:
    with nn.no_init():
        with nn.no_init():
            pass
        inner = nn.Parameter([1.0])
    assert "without" in repr(inner)
    assert nn.Parameter([1.0]).item() == 1
    with pytest.raises(ZeroDivisionError), nn.no_init():
        raise ZeroDivisionError
    assert nn.Parameter([1.0]).item() == 1


def test_what_does_not_fit_is_said_at_once() -> None:
    with nn.no_init():
        model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)).state_dict()
    wrong = {**state, "1.weight": np.ones((1, 4)), "head.bias": np.ones(1)}
    del wrong["0.bias"]
    with pytest.raises(ArgumentError) as caught:
        model.load_state_dict(wrong)
    assert caught.value.got == (
        "missing_keys: 0.bias; unexpected_keys: head.bias; "
        "of another shape: 1.weight (1, 4), not (1, 3)"
    )
    with pytest.raises(ShapeError, match=r"1.weight \(1, 4\), not \(1, 3\)"):
        model.load_state_dict(wrong, strict=False)
    longer = {f"backbone.{name}": array for name, array in state.items()}
    with pytest.raises(ArgumentError) as caught:
        model.load_state_dict(longer)
    assert caught.value.fix == (
        "{k.removeprefix('backbone.'): v for k, v in state.items()}"
    )
    with pytest.raises(ArgumentError) as caught:
        nn.Sequential(model).load_state_dict(state)
    assert caught.value.fix == "{'0.' + k: v for k, v in state.items()}"
    many = nn.ModuleList(nn.Linear(1, 1) for __ in range(20))
    with pytest.raises(ArgumentError, match="and 32 more"):
        many.load_state_dict({})
