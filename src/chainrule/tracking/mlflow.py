"""A run in MLflow: parameters, metrics, and the trained model as an artifact."""

from __future__ import annotations

import io
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from chainrule.errors import ArgumentError, CheckpointError, warn
from chainrule.text import _
from chainrule.tracking.configuration import Plain
from chainrule.tracking.tracker import Tracker
from chainrule.training import Loop, Trainer
from chainrule.util import validation
from chainrule.util.keywords import strict
from chainrule.version import __version__

#: Parameters that MLflow takes at a time, and characters of one; the artifact
#: ``configuration.json`` has them whole.
PARAMETERS, CHARACTERS = 100, 500
#: Metrics that tell whether a run goes on as it did: each is of a whole epoch.
LOSSES = ("train_loss", "validation_loss")
#: Seconds that a server may take to answer at all.
PATIENCE = 5


@strict
class MLflow(Tracker):
    """Give a run's parameters, metrics and model to MLflow.

    The configuration is the run's parameters and the artifact ``configuration.json``;
    a run file is the artifact ``run.toml``. At its end the run gets the artifact
    ``model``: ``mlflow.pyfunc.load_model(f"runs:/{run_id}/model").predict(x)`` gives
    what ``trainer.predict(x)`` does. It is a checkpoint and holds no code, so it needs
    a network of ``chainrule.nn``; of others the checkpoint alone is kept.

    A server is looked for before it is called: one that is gone costs seconds, where
    MLflow itself would try for minutes.

    Args:
        experiment: its name.
        run_name: of the run; by default MLflow's choice.
        tracking_uri: the store, such as ``"sqlite:///mlflow.db"`` or a server; by
            default MLflow's, which ``MLFLOW_TRACKING_URI`` sets.
        log_every_n_steps: see :class:`Tracker`; each point is a request.
        log_model: whether to keep the model.

    Needs the extra ``mlflow``.

    >>> from chainrule.tracking import MLflow
    >>> store = MLflow("houses", tracking_uri="sqlite:///mlflow.db")
    """

    package = "mlflow"

    def __init__(
        self,
        experiment: str = "chainrule",
        *,
        run_name: str | None = None,
        tracking_uri: str | None = None,
        log_every_n_steps: int = 0,
        log_model: bool = True,
    ) -> None:
        super().__init__(log_every_n_steps=log_every_n_steps)
        text = validation.maybe(validation.text)
        self.experiment = validation.text("experiment", experiment)
        self.run_name = text("run_name", run_name)
        self.tracking_uri = text("tracking_uri", tracking_uri)
        self.log_model = validation.truth("log_model", log_model)

    def begin(self, run_id: str | None, config: Mapping[str, Plain], step: int) -> str:
        """Begin a run of MLflow's, or go on with one behind what it has."""
        import mlflow
        from mlflow.entities import Param

        self._uri = self.tracking_uri or mlflow.get_tracking_uri()
        self._look_for_server()
        self._client = client = mlflow.MlflowClient(tracking_uri=self._uri)
        self._has: dict[str, dict[int, float]] = {}
        if run_id is not None:
            for key in client.get_run(run_id).data.metrics:
                history = client.get_metric_history(run_id, key)
                self._has[key] = {m.step: m.value for m in history if m.step > step}
            client.update_run(run_id, status="RUNNING")
            return run_id
        known = client.get_experiment_by_name(self.experiment)
        experiment = (
            client.create_experiment(self.experiment)
            if known is None
            else known.experiment_id
        )
        run = client.create_run(experiment, run_name=self.run_name).info.run_id
        params = [Param(_key(k), str(v)[:CHARACTERS]) for k, v in config.items()]
        for i in range(0, len(params), PARAMETERS):
            client.log_batch(run, params=params[i : i + PARAMETERS])
        client.log_dict(run, dict(config), "configuration.json")
        if (text := config.get("notes.run.text")) is not None:
            client.log_text(run, str(text), "run.toml")
        return run

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Give MLflow metrics, but for those that it has from before a kill.

        Raises:
            ArgumentError: it has another loss there, of a run that went another way:
                MLflow takes nothing back.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics: list[Metric] = []
        for name, value in values.items():
            key = _key(name)
            while any(metric.key == key for metric in metrics):
                key += "_"  # of another name that MLflow does not allow
            had = self._has.get(key, {}).get(step)
            if had is None:
                metrics.append(Metric(key, float(value), now, step))
            elif key in LOSSES and not _same(had, value):
                raise ArgumentError(
                    _(
                        "MLflow's run has another {key} at step {step}.",
                        key=key,
                        step=step,
                    ),
                    expected=f"{had:.6g}",
                    got=f"{value:.6g}",
                    fix=_("begin a run of its own with fit()"),
                )
        if metrics:
            assert self.run_id is not None
            self._look_for_server()
            self._client.log_batch(self.run_id, metrics=metrics)

    def finish(self, run: Any, completed: bool) -> None:
        """End the run of MLflow's; a completed one gets its model."""
        assert self.run_id is not None
        self._look_for_server()
        if completed and self.log_model and not isinstance(run, Loop):
            self._log_model(run, self.run_id)
        status = "FINISHED" if completed else "KILLED"
        self._client.set_terminated(self.run_id, status)

    def _log_model(self, trainer: Any, run_id: str) -> None:
        from mlflow import pyfunc

        file = io.BytesIO()
        trainer.save(file)
        with TemporaryDirectory() as folder:
            checkpoint, model = Path(folder, "model.ckpt"), Path(folder, "model")
            checkpoint.write_bytes(file.getvalue())
            try:
                Trainer.load(checkpoint)
            except CheckpointError as error:
                self._client.log_artifact(run_id, str(checkpoint))
                warn(
                    _("MLflow gets the checkpoint, and no model that it could load."),
                    expected=error.expected,
                    got=error.got,
                    fix=_("Trainer.load of the artifact, with what only you can make"),
                )
                return
            pyfunc.save_model(
                model,
                loader_module="chainrule.tracking.pyfunc",
                data_path=str(checkpoint),
                # Else MLflow loads the model in a further process to see what it needs.
                pip_requirements=[f"chainrule=={__version__}"],
            )
            self._client.log_artifacts(run_id, str(model), "model")

    def _look_for_server(self) -> None:
        """Raise an OSError where MLflow's server does not answer at all."""
        place = urlsplit(self._uri)
        if place.scheme in ("http", "https") and place.hostname:
            port = place.port or (443 if place.scheme == "https" else 80)
            socket.create_connection((place.hostname, port), PATIENCE).close()


def _key(name: str) -> str:
    """Return a name with the characters that MLflow allows."""
    return re.sub(r"[^\w\-. /:]", "_", name)


def _same(had: float, value: float) -> bool:
    """Return whether MLflow has a value, but for rounding and other engines."""
    return bool(np.isclose(had, np.nan_to_num(value, nan=np.nan), 1e-4, 0, True))
