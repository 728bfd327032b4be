"""Trainer(precision="bf16-mixed") and autocast: what is rounded, and what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, DTypeError
from chainrule.graph.types import DType
from chainrule.primitives.conv import conv
from chainrule.primitives.elementwise import convert
from chainrule.primitives.matmul import dot_general
from tests.ways import ENGINES

X = np.random.default_rng(0).normal(size=(256, 1, 6, 6)).astype(np.float32)
Y = (X.mean((1, 2, 3)) > 0).astype(int)


def network() -> nn.Module:
    cr.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 2),
    )


def trainer_of(engine: str = "numpy", **options: Any) -> cr.Trainer:
    parts = {"loss": nn.CrossEntropyLoss(), "optimizer": optim.Adam(lr=1e-2)}
    return cr.Trainer(network(), **parts, engine=engine, **options)


def fitted(trainer: cr.Trainer, epochs: int = 3) -> np.ndarray:
    trainer.fit((X, Y), epochs=epochs, batch_size=32, progress=False)
    return trainer.history.steps["loss"]


def test_engines_train_alike_and_near_float32() -> None:
    losses = {e: fitted(trainer_of(e, precision="bf16-mixed")) for e in ENGINES}
    plain = fitted(trainer_of())
    for engine, mine in losses.items():
        assert mine.dtype == np.float32
        # A rounding that turns the other way moves what follows by that much.
        np.testing.assert_allclose(mine, losses["numpy"], rtol=0.01, err_msg=engine)
        assert 0 < np.max(np.abs(mine - plain)) < 0.05


def test_weights_gradients_and_moments_are_float32() -> None:
    trainer = trainer_of(precision="bf16-mixed")
    fitted(trainer, 1)
    for p in trainer.model.parameters():
        assert p.tolist() != p.bfloat16().float().tolist()
    moments = [t for m in trainer.optimizer.state.values() for t in m.values()]
    assert {t.dtype for t in moments} == {cr.float32}


def products(graph: Any) -> list[Any]:
    return [n for n in graph.nodes if n.primitive in (dot_general, conv)]


def is_rounded(value: Any) -> bool:
    """Whether a float32 was a bfloat16 just before; views move it."""
    node = value.node
    while node is not None and node.primitive.moves and node.primitive is not convert:
        node = node.inputs[0].node
    return (
        node is not None
        and node.primitive is convert
        and node.inputs[0].dtype is DType.bfloat16
    )


def test_every_product_reads_bfloat16_forwards_and_back() -> None:
    """And one that is not within autocast reads float32 as it is."""
    for precision in ("bf16-mixed", None):
        trainer = trainer_of(precision=precision)
        fitted(trainer, 1)
        graph = trainer._programs.training.program.program.entries["train"].graph
        found = [is_rounded(v) for n in products(graph) for v in n.inputs]
        assert len(found) >= 8
        assert set(found) == {precision is not None}


def test_evaluation_and_prediction_are_mixed_too() -> None:
    trainer = trainer_of(precision="bf16-mixed")
    fitted(trainer, 1)
    model = trainer.model.eval()
    with cr.autocast():
        wanted = model(cr.tensor(X[:8])).detach().numpy()
    np.testing.assert_allclose(trainer.predict(X[:8]), wanted, rtol=1e-6)
    assert np.abs(model(cr.tensor(X[:8])).detach().numpy() - wanted).max() > 1e-5


def test_a_run_goes_on_as_if_it_had_not_stopped(tmp_path) -> None:
    whole = trainer_of(precision="bf16-mixed")
    losses = fitted(whole, 4)
    half = trainer_of(precision="bf16-mixed")
    half.fit((X, Y), epochs=2, batch_size=32, progress=False)
    half.save(tmp_path / "run.ckpt")
    again = cr.Trainer.load(tmp_path / "run.ckpt")
    assert again.precision == "bf16-mixed"
    again.fit((X, Y), epochs=2, batch_size=32, progress=False)
    np.testing.assert_array_equal(again.history.steps["loss"], losses)


@pytest.mark.parametrize("precision", ["16-mixed", "bf16", "bf16-true", 16, True])
def test_another_precision_is_refused(precision: Any) -> None:
    with pytest.raises(ArgumentError, match="mixed precision"):
        trainer_of(precision=precision)


def test_mixed_precision_of_other_weights_is_refused() -> None:
    parts = {"loss": nn.CrossEntropyLoss(), "optimizer": optim.SGD(lr=0.1)}
    for dtype in (cr.float64, cr.bfloat16):
        with pytest.raises(DTypeError, match="float32") as error:
            cr.Trainer(network().to(dtype), **parts, precision="bf16-mixed")
        assert "0.weight" in str(error.value)


# -- autocast --------------------------------------------------------------------------

A = cr.tensor([[1.0, 0.001], [0.3, 1.1]])


def test_it_rounds_products_and_nothing_else() -> None:
    plain = A @ A
    with cr.autocast(dtype=cr.bfloat16):
        assert cr.is_autocast_enabled()
        mixed, summed = A @ A, (A * A).sum()
        with cr.autocast(enabled=False):
            assert (A @ A).tolist() == plain.tolist()
        wide = A.double() @ A.double()
    assert not cr.is_autocast_enabled()
    assert mixed.dtype is cr.float32
    assert mixed.tolist() != plain.tolist()
    assert mixed.tolist() == (A.bfloat16() @ A.bfloat16()).float().tolist()
    assert summed.item() == (A * A).sum().item()
    assert wide.tolist() == (A.double() @ A.double()).tolist()


def test_it_decorates() -> None:
    product = cr.autocast()(lambda: A @ A)
    assert product().tolist() != (A @ A).tolist()
    assert not cr.is_autocast_enabled()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_compiled_function_follows_its_caller(engine: str) -> None:
    compiled = cr.compile(lambda x: x @ x, engine=engine)
    plain = compiled(A)
    inner = cr.compile(cr.autocast()(lambda x: x @ x), engine=engine)
    with cr.autocast():
        mixed = compiled(A)
        assert mixed.tolist() == (A @ A).tolist()
    assert compiled(A).tolist() == plain.tolist() != mixed.tolist()
    assert inner(A).tolist() == mixed.tolist()
    with cr.autocast():
        assert inner(A).tolist() == mixed.tolist()
    assert len(inner.programs) == 1


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU], ids=lambda k: k.__name__)
def test_a_loop_within_it_is_another_than_without(kind: Any) -> None:
    cr.manual_seed(0)
    layer, x = kind(3, 4), cr.randn(5, 2, 3)
    plain = layer(x)[0].tolist()
    with cr.autocast():
        mixed = layer(x)[0].tolist()
    assert layer(x)[0].tolist() == plain != mixed
    np.testing.assert_allclose(mixed, plain, atol=0.02)


def test_what_it_does_not_take() -> None:
    for dtype in ("float32", "int32"):
        with pytest.raises(DTypeError, match="shorter"):
            cr.autocast(dtype=dtype)
    with pytest.raises(DTypeError, match="float16"):
        cr.autocast(dtype="float16")
    with pytest.raises(ArgumentError, match="device"):
        cr.autocast("cuda")
