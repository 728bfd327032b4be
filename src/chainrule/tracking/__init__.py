"""Trackers: callbacks that give a run's numbers to TensorBoard, MLflow and others.

    tracker         what a tracker gets, and when: the base of all others
    configuration   what is known of a run: settings, versions, the data's fingerprint
    jsonlines       a record a line, without any package
    tensorboard     event files; graph_def: a graph as TensorBoard draws it
    mlflow          MLflow's store; pyfunc: how MLflow loads a model that was logged
    wandb           Weights & Biases, and Trackio, which has the same interface
    optuna          no tracker: ends the trials of a search that are behind

A further tracker is one file: a class on :class:`Tracker` with ``begin``, ``scalars``
and ``finish``, and with ``histogram``, ``image`` and ``graph`` where it shows such
things; its name in ``__all__`` here makes it a callback of run files too. What a
package needs is imported in the methods of its file, and nowhere else. How numbers
come about (probes, histories, metrics) is no business of this folder.
"""

from chainrule.tracking.jsonlines import JSONLines
from chainrule.tracking.mlflow import MLflow
from chainrule.tracking.optuna import OptunaPruning
from chainrule.tracking.tensorboard import TensorBoard
from chainrule.tracking.tracker import Tracker
from chainrule.tracking.wandb import Trackio, WandB

__all__ = [
    "JSONLines",
    "MLflow",
    "OptunaPruning",
    "TensorBoard",
    "Tracker",
    "Trackio",
    "WandB",
]
