"""The peers, a file each that builds a workload from what its framework has.

A file has a class for each kind of workload that it takes, made of a job, a variant and
a number of threads, which says how many ``parameters`` it has:

    Training    run(order) → losses of a step on each of these batches, or their mean;
                predict(x) → scores, where it takes part in ``process``
    Inference   called with a batch → scores

It loads its framework, so only the process that runs it imports it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from frameworks.workloads import Workload

DENSE = {"Linear", "ReLU"}
SEQUENTIAL = DENSE | {"Conv2d", "MaxPool2d", "Flatten"}


@dataclass(frozen=True)
class Peer:
    """One of those who are compared.

    Attributes:
        title: its name.
        packages: what it needs, by names of distributions; modules are called alike.
        variants: the ways in which it may do a workload; none where it cannot.
    """

    title: str
    packages: tuple[str, ...]
    variants: Callable[[Workload], tuple[str, ...]]

    @property
    def missing(self) -> list[str]:
        """What is not installed."""
        modules = {"scikit-learn": "sklearn"}
        return [
            package
            for package in self.packages
            if importlib.util.find_spec(modules.get(package, package)) is None
        ]


def _torch(work: Workload) -> tuple[str, ...]:
    return ("eager",) if work.kind == "process" else ("eager", "compile")


def _jax(work: Workload) -> tuple[str, ...]:
    if work.kind == "process":
        return ("out-in",)
    if "Conv2d" in work.kinds:
        return ("nhwc step", "nchw step")
    both = "out-in", "in-out"
    return both if work.kind == "inference" else (*both, "out-in step")


def _keras(work: Workload) -> tuple[str, ...]:
    simple = work.kinds <= SEQUENTIAL and work.kind != "inference"
    return ("1 step", "16 steps") if simple else ()


def _sklearn(work: Workload) -> tuple[str, ...]:
    simple = work.kinds <= DENSE and work.optimizer == "Adam"
    return ("",) if simple and work.kind == "training" else ()


def _onnxruntime(work: Workload) -> tuple[str, ...]:
    return ("",) if work.kind == "inference" else ()


OURS = "chainrule"
PEERS = {
    OURS: Peer("Chainrule", ("llvmlite",), lambda work: ("",)),
    "jax": Peer("JAX", ("jax",), _jax),
    "torch": Peer("PyTorch", ("torch",), _torch),
    "keras": Peer("Keras", ("keras", "jax"), _keras),
    "sklearn": Peer("scikit-learn", ("scikit-learn",), _sklearn),
    "onnxruntime": Peer("ONNX Runtime", ("onnxruntime", "onnx"), _onnxruntime),
}
