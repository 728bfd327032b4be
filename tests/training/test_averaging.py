"""A running mean of the weights, beside PyTorch's; what is evaluated and saved."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.training import EarlyStopping

from .conftest import CtrlC, Make, pixels, raising, same, small_network

OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 16, "progress": False}


def trained(make: Make, engine: str, decay: float) -> tuple[cr.Trainer, Any]:
    """A Trainer, and its weights after each update."""
    seen = list[dict[str, np.ndarray]]()
    note = cr.training.LambdaCallback(
        on_chunk=lambda t: seen.append(t.model.state_dict())
    )
    trainer = make(engine=engine, ema_decay=decay, optimizer=optim.SGD(lr=0.5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.training.loop.CHUNK", 0.0)
        trainer.fit(pixels(), callbacks=note, **OPTIONS)
    assert len(seen) == 12
    return trainer, seen


def test_by_its_definition(make: Make, engine: str) -> None:
    """The weights after the first update, then a mean with those after each other."""
    trainer, seen = trained(make, engine, decay=0.9)
    mean = {name: array.astype(np.float64) for name, array in seen[0].items()}
    for weights in seen[1:]:
        mean = {name: 0.9 * m + 0.1 * weights[name] for name, m in mean.items()}
    for name, p in trainer.averaged_model.named_parameters():
        np.testing.assert_allclose(p.numpy(), mean[name], rtol=1e-5, atol=1e-7)
    assert not same(trainer.averaged_model, trainer.model)


@pytest.mark.slow  # PyTorch is loaded
def test_beside_pytorch(make: Make) -> None:
    torch = pytest.importorskip("torch")
    swa_utils = pytest.importorskip("torch.optim.swa_utils")
    decay = 0.9
    trainer, seen = trained(make, "numpy", decay)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
    )
    averaged = swa_utils.AveragedModel(
        theirs, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(decay)
    )
    for weights in seen:
        theirs.load_state_dict({k: torch.tensor(a) for k, a in weights.items()})
        averaged.update_parameters(theirs)
    for name, p in trainer.averaged_model.named_parameters():
        wanted = averaged.module.get_parameter(name).detach().numpy()
        np.testing.assert_allclose(p.numpy(), wanted, rtol=1e-5, atol=1e-7)


def test_the_average_is_what_is_evaluated(make: Make, engine: str) -> None:
    data = pixels()
    trainer, plain = (make(engine=engine, ema_decay=d) for d in (0.8, None))
    history = trainer.fit(data, validation=data, **OPTIONS)
    plain.fit(data, validation=data, **OPTIONS)
    assert same(trainer.model, plain.model), "training is not changed"
    mean = make(model=trainer.averaged_model)
    measured = mean.evaluate(data)
    for key in ("loss", "accuracy"):
        assert trainer.evaluate(data)[key] == pytest.approx(measured[key], rel=1e-6)
    last = history.epochs[-1]
    assert last["validation_loss"] == pytest.approx(measured["loss"], rel=1e-6)
    assert last["validation_loss"] != plain.history.epochs[-1]["validation_loss"]
    np.testing.assert_allclose(
        trainer.predict(data), mean.predict(data), rtol=1e-5, atol=1e-6
    )
    compiled = trainer.seconds_compile
    trainer.evaluate(data)
    assert trainer.seconds_compile == compiled, "nothing is traced anew"


def test_before_any_update_it_is_the_model(make: Make) -> None:
    data = pixels()
    trainer, other = make(ema_decay=0.9), make()
    trainer.model.load_state_dict(small_network(seed=5).state_dict())
    other.model.load_state_dict(small_network(seed=5).state_dict())
    assert trainer.evaluate(data) == other.evaluate(data)
    assert same(trainer.averaged_model, other.model)


@pytest.mark.usefixtures("single_steps")
def test_interrupted_and_saved(make: Make, tmp_path: Path) -> None:
    data = pixels()
    whole = make(dropout=0.2, ema_decay=0.7)
    whole.fit(data, validation=data, **OPTIONS)
    cut = make(dropout=0.2, ema_decay=0.7)
    with pytest.raises(KeyboardInterrupt):
        cut.fit(data, callbacks=CtrlC(6), checkpoint=tmp_path, **OPTIONS)
    loaded = cr.Trainer.load(tmp_path)
    assert loaded.evaluate(data) == cut.evaluate(data)
    for t in (cut, loaded):
        t.resume(data, progress=False)
        assert same(t.averaged_model, whole.averaged_model)
        assert t.evaluate(data) == whole.evaluate(data)
    assert copy.deepcopy(loaded).evaluate(data) == whole.evaluate(data)


def test_statistics_are_the_models_own(make: Make) -> None:
    """As PyTorch's: parameters are averaged, buffers are those of the model."""
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    trainer = make(model=model, ema_decay=0.9)
    trainer.fit(pixels(), **OPTIONS)
    mean = trainer.averaged_model
    for name, buffer in model.named_buffers():
        assert np.array_equal(buffer.numpy(), dict(mean.named_buffers())[name].numpy())
    made = make(model=mean).predict(pixels())
    np.testing.assert_allclose(trainer.predict(pixels()), made, rtol=1e-5, atol=1e-6)


def test_the_best_epoch_has_its_average(make: Make) -> None:
    """Early stopping gives back what was evaluated."""
    data = pixels()
    stop = EarlyStopping("validation_loss", patience=1)
    trainer = make(ema_decay=0.5, optimizer=optim.SGD(lr=40.0))
    trainer.fit(
        data, validation=data, callbacks=stop, epochs=8, batch_size=16, progress=False
    )
    assert stop.stopped
    assert trainer.evaluate(data)["loss"] == pytest.approx(stop.best)


@pytest.mark.parametrize("decay", [1.0, -0.1, "0.9", float("nan"), True])
def test_decays_that_are_none(make: Make, decay: Any) -> None:
    with raising(errors.ArgumentError, "ema_decay", fix=False):
        make(ema_decay=decay)
    with raising(errors.ArgumentError, "no mean", "ema_decay=0.999"):
        _ = make().averaged_model
