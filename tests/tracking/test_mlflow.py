"""MLflow's own client gives back what was logged, and its pyfunc predicts the same."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.tracking import MLflow
from chainrule.training import LambdaCallback

from .conftest import EPOCHS, KILLS, STEPS, KillAt, Killed, dataset, fit, killed

# It takes seconds to import, and to make a data base.
pytestmark = [
    pytest.mark.parity,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("error::chainrule.errors.ChainruleWarning"),
]
pytest.importorskip("mlflow", reason="needs mlflow: pip install it")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'store.db'}"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where MLflow puts artifacts


def client(uri: str) -> Any:
    import mlflow

    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient()


def metric(uri: str, store: MLflow, key: str) -> list[tuple[int, float]]:
    history = client(uri).get_metric_history(store.run_id, key)
    return sorted((m.step, m.value) for m in history)


@pytest.mark.usefixtures("single_steps")
def test_what_mlflow_has(uri: str) -> None:
    import mlflow

    store = MLflow("houses", run_name="one", tracking_uri=uri, log_every_n_steps=5)
    made = fit(store)
    run = client(uri).get_run(store.run_id)
    assert run.info.run_name == "one"
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer.name"] == "Adam"
    rows = made.history.epochs
    for key in ("train_loss", "validation_accuracy", "epoch"):
        wanted = [(STEPS * row["epoch"], row[key]) for row in rows]
        assert metric(uri, store, key) == wanted
    every = [*range(5, STEPS * EPOCHS + 1, 5)]
    assert [step for step, __ in metric(uri, store, "step/loss")] == every
    config = mlflow.artifacts.load_dict(f"runs:/{store.run_id}/configuration.json")
    assert {str(v)[:500] for v in config.values()} == {*run.data.params.values()}

    model = mlflow.pyfunc.load_model(f"runs:/{store.run_id}/model")
    x = dataset().x[:]
    assert np.array_equal(model.predict(x), made.predict(x))


def test_a_frame_by_its_columns(uri: str) -> None:
    import mlflow
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(64, 3)).astype("f4"), columns=[*"abc"])
    trainer = cr.Trainer(
        nn.Linear(3, 1), loss=nn.MSELoss(), optimizer=optim.SGD(), engine="numpy"
    )
    store = MLflow(tracking_uri=uri)
    trainer.fit(
        (frame, frame[["a"]]), epochs=1, batch_size=16, callbacks=store, progress=False
    )
    mlflow.set_tracking_uri(uri)
    model = mlflow.pyfunc.load_model(f"runs:/{store.run_id}/model")
    turned = frame[[*"cab"]]
    assert np.array_equal(model.predict(turned), trainer.predict(frame))


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_run_goes_on_under_its_id(uri: str, tmp_path: Path, kill: str) -> None:
    stores: list[MLflow] = []

    def make() -> MLflow:
        stores.append(MLflow(tracking_uri=uri, log_every_n_steps=5, log_model=False))
        return stores[-1]

    killed(make, tmp_path / "run", kill)
    assert stores[0].run_id == stores[1].run_id
    keys = ("step/loss", "train_loss", "epoch")
    steps = [step for key in keys[:2] for step, __ in metric(uri, stores[1], key)]
    assert len(steps) == 4 + EPOCHS
    whole = make()
    fit(whole)
    for key in keys:
        assert metric(uri, stores[1], key) == metric(uri, whole, key)
    assert client(uri).get_run(whole.run_id).info.status == "FINISHED"


def test_a_run_that_goes_another_way_is_not_given_old_numbers(
    uri: str, tmp_path: Path
) -> None:
    def store() -> MLflow:
        return MLflow(tracking_uri=uri, log_model=False)

    fit(store(), checkpoint=tmp_path)
    first = cr.Trainer.load(tmp_path)
    data = dataset()
    options = {"validation": data, "epochs": EPOCHS + 2, "progress": False}
    first.resume(data, callbacks=store(), **options)
    other, log = cr.Trainer.load(tmp_path), store()
    other.optimizer.lr = 1.0
    with pytest.warns(errors.ChainruleWarning, match=r"has another .*_loss at step 28"):
        other.resume(data, callbacks=log, **options)
    losses = [row["train_loss"] for row in first.history.epochs]
    assert [loss for __, loss in metric(uri, log, "train_loss")] == losses


@pytest.mark.usefixtures("single_steps")
def test_means_of_more_steps_are_no_other_way(uri: str, tmp_path: Path) -> None:
    """Points that became sparser at another moment do not end the tracking."""

    def store() -> MLflow:
        return MLflow(tracking_uri=uri, log_model=False, log_every_n_steps=5)

    fit(store(), checkpoint=tmp_path)
    data = dataset()
    options = {"validation": data, "epochs": EPOCHS + 2, "progress": False}
    for doubled in range(2):
        made, log = cr.Trainer.load(tmp_path), store()
        made.state.callbacks["MLflow"]["doubled"] = doubled
        made.resume(data, callbacks=log, **options)
    assert [step for step, __ in metric(uri, log, "step/loss")] == [*range(5, 36, 5)]


def test_names_that_mlflow_cannot_tell_apart(uri: str) -> None:
    def add(made: cr.Trainer) -> None:
        made.history.epochs[-1] |= {"a?": 1.0, "a!": 2.0}

    store = MLflow(tracking_uri=uri, log_model=False)
    fit([LambdaCallback(on_epoch=add), store], epochs=1)
    assert metric(uri, store, "a_") == [(STEPS, 1.0)]
    assert metric(uri, store, "a__") == [(STEPS, 2.0)]


def test_a_run_that_was_interrupted_is_no_finished_one(uri: str) -> None:
    store = MLflow(tracking_uri=uri)
    with pytest.raises(Killed):
        fit([store, KillAt(epoch=2)])
    assert client(uri).get_run(store.run_id).info.status == "KILLED"


class Own(nn.Module):
    """A network that only its author can make."""

    def __init__(self) -> None:
        self.inner = nn.Linear(6, 3)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x)


def test_a_network_of_ones_own_leaves_its_checkpoint(uri: str) -> None:
    store = MLflow(tracking_uri=uri)
    own = cr.Trainer(
        Own(), loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(), engine="numpy"
    )
    with pytest.warns(errors.ChainruleWarning, match="no model that it could load"):
        fit(store, own, epochs=1)
    artifacts = client(uri).list_artifacts(store.run_id)
    assert sorted(a.path for a in artifacts) == ["configuration.json", "model.ckpt"]


def test_a_server_that_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    store = MLflow(tracking_uri=f"http://127.0.0.1:{port}")
    with pytest.warns(errors.ChainruleWarning) as caught:
        assert fit(store).finished
    (warning,) = caught
    assert "MLflow could not go on" in str(warning.message)
    assert "refused" in str(warning.message)
