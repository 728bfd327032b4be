"""Published architectures: their references' names, shapes, counts and outputs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import models, nn
from chainrule.errors import ArgumentError, MissingAttributeError, ShapeError

from .table import FOLDER, ROWS, digest, numbers

#: Of the largest of the outputs that are compared.
TOLERANCE = 1e-4


def reference(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def made(name: str) -> Any:
    with nn.no_init():
        return ROWS[name].make().eval()


@pytest.mark.parametrize("name", ROWS)
def test_names_shapes_and_counts(name: str) -> None:
    said, model = reference(name), made(name)
    tensors = {key: list(t.shape) for key, t in model._persistent().items()}
    assert tensors == said["tensors"]
    assert list(tensors) == list(said["tensors"])
    assert sum(p.numel() for p in model.parameters()) == said["parameters"]


def weights(model: nn.Module) -> dict[str, np.ndarray]:
    state = {n: numbers(n, tuple(t.shape)) for n, t in model._persistent().items()}
    if "lm_head.weight" in state:
        state["lm_head.weight"] = state["transformer.wte.weight"]
    return state


def outputs(name: str) -> list[float]:
    model, row = made(name), ROWS[name]
    model.load_state_dict(weights(model))
    with cr.no_grad():
        y = model(*map(cr.tensor, row.inputs()))
    array = (y if isinstance(y, cr.Tensor) else getattr(y, row.of)).numpy()
    return digest(array)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if row.slow else [])
        for name, row in ROWS.items()
        if row.image or row.tokens
    ],
)
def test_outputs(name: str) -> None:
    expected = np.array(reference(name)["outputs"])
    found = np.array(outputs(name))
    assert np.abs(expected).max() > 0.1
    assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()


def test_a_change_is_seen() -> None:
    row = ROWS["gpt2-small"]
    model = row.make().eval()
    state = weights(model)
    state["transformer.h.0.mlp.c_fc.bias"] = -state["transformer.h.0.mlp.c_fc.bias"]
    model.load_state_dict(state)
    found = digest(model(*map(cr.tensor, row.inputs())).numpy())
    expected = np.array(reference("gpt2-small")["outputs"])
    assert np.abs(np.array(found) - expected).max() > 1e-3


TRAINS = {
    "mobilenet_v3_small": (2, 3, 32, 32),
    "vit-small": (2, 3, 32, 32),
    "gpt2-small": (2, 7),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * n.startswith("mob")) for n in TRAINS],
)
def test_it_starts_and_trains(name: str) -> None:
    """The loss of one batch falls, from initial weights that are drawn."""
    cr.manual_seed(0)
    model = ROWS[name].make()
    rng = np.random.default_rng(0)
    tokens = name.startswith("gpt2")
    size = TRAINS[name]
    x = cr.tensor(rng.integers(0, 50, size) if tokens else rng.random(size, np.float32))
    y = x[:, 1:].flatten() if tokens else cr.tensor(np.array([3, 1]))
    optimizer = cr.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for __ in range(4):
        scores = model(x)
        scores = scores[:, :-1].flatten(0, 1) if tokens else scores
        loss = nn.functional.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit-small"])
def test_compiled(name: str, engine: Any) -> None:
    model, row = made(name), ROWS[name]
    model.load_state_dict(weights(model))
    x: Any = cr.tensor(row.inputs()[0])
    with cr.no_grad():
        found = digest(cr.compile(model, engine=engine)(x).numpy())
    expected = np.array(reference(name)["outputs"])
    assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()


def test_other_classes() -> None:
    for make in (models.resnet18, models.efficientnet_lite0, models.vit_b_16):
        with nn.no_init():
            model = make(num_classes=7)
        *__, last = model.parameters()
        assert last.shape == (7,)


def test_features_and_an_odd_size() -> None:
    model = made("efficientnet_lite0")
    model.load_state_dict(weights(model))
    x = cr.zeros(1, 3, 33, 40)
    with cr.no_grad():
        features = model.features(x)
        assert features.shape == (1, 1280)
        np.testing.assert_array_equal(model._fc(features), model(x))


def test_bad_input() -> None:
    vit, gpt2, bert = map(made, ("vit-small", "gpt2-small", "bert-small"))
    with pytest.raises(ShapeError, match=r"\(N, 3, 32, 32\)"):
        vit(cr.zeros(1, 3, 31, 32))
    with pytest.raises(ArgumentError, match="multiple of patch_size"):
        models.vit_b_16(image_size=100)
    for model in (gpt2, bert):
        with pytest.raises(ShapeError, match="at most 16 tokens"):
            model(cr.zeros(1, 17, dtype="int64"))
        for shape in ((), (3,), (1, 2, 3)):
            with pytest.raises(ShapeError, match=r"shape \(N, L\)"):
                model(cr.zeros(shape, dtype="int64"))
    for heads in (0, 3):
        with pytest.raises(ArgumentError, match="multiple of n_head"):
            models.GPT2Model(models.GPT2Config(n_embd=8, n_head=heads))
        sizes = models.BertConfig(hidden_size=8, num_attention_heads=heads)
        with pytest.raises(ArgumentError, match="multiple of num_attention_heads"):
            models.BertModel(sizes)
    with pytest.raises(MissingAttributeError, match="resnet18"):
        getattr(models, "resnet19")  # noqa: B009
    with pytest.raises(ArgumentError, match="no numbers yet"):
        vit(cr.zeros(1, 3, 32, 32))
