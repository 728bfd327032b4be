"""Keras 3 on JAX: ``fit`` with its steps compiled together; sequential networks."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from frameworks.workloads import Job

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
import keras


def _layer(kind: str, *sizes: Any) -> Any:
    layers = keras.layers
    if kind == "Conv2d":
        _, outputs, kernel, stride, pad = sizes
        how = "same" if pad else "valid"
        return layers.Conv2D(outputs, kernel, stride, how)
    return {
        "Linear": lambda inputs, outputs: layers.Dense(outputs),
        "ReLU": layers.ReLU,
        "MaxPool2d": layers.MaxPooling2D,
        "Flatten": layers.Flatten,
    }[kind](*sizes)


def build(job: Job) -> Any:
    """The network with its weights; after a Flatten their rows are channels last."""
    shape = job.work.shape
    inputs = (*shape[1:], shape[0]) if len(shape) == 3 else shape  # channels last
    model = keras.Sequential([keras.Input(inputs)])
    flat = None
    for number, layer in enumerate(job.work.layers):
        made = _layer(*layer)
        if layer[0] == "Flatten":
            flat = model.output_shape[1:]
        model.add(made)
        if f"{number}.weight" not in job.weights:
            continue
        w, b = (job.weights[f"{number}.{kind}"] for kind in ("weight", "bias"))
        if w.ndim == 4:
            w = w.transpose(2, 3, 1, 0)
        elif flat:
            height, width, depth = flat
            w = w.reshape(-1, depth, height, width).transpose(2, 3, 1, 0)
            w, flat = w.reshape(-1, w.shape[-1]), None
        else:
            w = w.T
        made.set_weights([w, b])
    return model


class Training:
    def __init__(self, job: Job, variant: str, threads: int) -> None:
        self.model = build(job)
        self.parameters = self.model.count_params()
        losses = keras.losses
        loss = (
            losses.BinaryCrossentropy(from_logits=True)
            if job.work.classes == 1
            else losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        optimizer = getattr(keras.optimizers, job.work.optimizer)
        decay = {"weight_decay": 0.01} if job.work.weight_decay else {}
        self.model.compile(
            optimizer(learning_rate=1e-3, epsilon=1e-8, **decay),
            loss,
            steps_per_execution=int(variant.split()[0]),
        )
        x = job.features
        self.x = x.transpose(0, 2, 3, 1).copy() if x.ndim == 4 else x
        self.y = job.y.reshape(-1, 1)

    def run(self, order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """One epoch over the batches; its mean loss."""
        rows = order.ravel()
        history = self.model.fit(
            *(self.x[rows], self.y[rows]),
            batch_size=order.shape[1],
            shuffle=False,
            verbose=0,
        )
        return np.array(history.history["loss"])

    def predict(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(self.model.predict(x, batch_size=1000, verbose=0))
