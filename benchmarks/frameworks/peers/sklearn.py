"""scikit-learn: ``MLPClassifier``, for dense networks with ReLU and Adam."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from frameworks.workloads import Job


class Training:
    def __init__(self, job: Job, variant: str, threads: int) -> None:
        self.x, self.y = job.features, job.y.astype(np.int64)
        names = [name for name in job.weights if name.endswith("weight")]
        self.model = MLPClassifier(
            hidden_layer_sizes=[len(job.weights[name]) for name in names[:-1]],
            alpha=0.0,
            batch_size=job.work.batch,
            shuffle=False,
        )
        labels = np.arange(max(job.work.classes, 2))
        rows = np.resize(np.arange(len(labels)), job.work.batch)
        self.model.partial_fit(self.x[rows], labels[rows], classes=labels)
        for layer, name in enumerate(names):
            bias = job.weights[name.replace("weight", "bias")]
            self.model.coefs_[layer][...] = job.weights[name].T
            self.model.intercepts_[layer][...] = bias
        del self.model._optimizer  # its next step is its first one
        self.parameters = sum(
            a.size for a in (*self.model.coefs_, *self.model.intercepts_)
        )

    def run(self, order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A step on each batch; their mean loss."""
        rows = order.ravel()
        self.model.partial_fit(self.x[rows], self.y[rows])
        return np.array([self.model.loss_])
