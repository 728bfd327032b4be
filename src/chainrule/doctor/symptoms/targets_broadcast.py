"""Targets that a loss of one's own stretches against the outputs: N × N differences."""

from __future__ import annotations

from chainrule import optim
from chainrule.data import Dataset
from chainrule.data.adapter import kinds
from chainrule.doctor import changes, examples, network
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.tensor import Tensor
from chainrule.text import _


@symptom(
    "targets-broadcast",
    "labels",
    stage=1,
    looks=_(
        "the loss falls to the variance of the targets, and the answer is their mean"
    ),
    why=_(
        "outputs (N, 1) minus targets (N,) are (N, N) differences: each output is "
        "compared with the targets of all rows, and their mean is the best answer"
    ),
    fix=_("targets of the shape of the outputs: y.reshape(-1, 1)"),
    reference=_("broadcasting, as NumPy defines it; book 3.5"),
    explains=(
        *("learning-rate-too-small", "learning-rate-too-large", "too-few-epochs"),
        *("does-not-learn", "unscaled-inputs", "unscaled-targets", "batch-too-large"),
        *("labels-without-signal", "dead-units", "batch-too-small"),
    ),
)
def targets_broadcast(case: Case) -> Found | None:
    """Read off the graph of the loss; sick where targets of that shape cure."""
    if case.refused is not None or case.network is None or case.evaluation is None:
        return None
    of = kinds(case.train)
    node = network.spread_out(*case.evaluation, of.types_of(of.y))
    output = case.network.output
    if node is None or output is None:
        return None
    shape = output.shape[1:]
    size = case.train.y[:1].size
    change = None
    if all(isinstance(n, int) for n in shape) and size == 1:
        change = changes.targets_shaped(case.setup, (1,) * len(shape))
    severity, best = (None, None) if change is None else case.judge(change)
    evidence = {
        "shape_of_outputs": str(output.shape).replace("'", ""),
        "shape_of_targets": str(("N", *case.train.y.shape[1:])).replace("'", ""),
    }
    return Found(
        *(severity or "risk", network.place(node), evidence, change, best),
        confidence=1.0,
    )


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs - targets) ** 2).mean()


def _column(flat: bool) -> examples.Made:
    made = examples.waves()
    rows = Dataset(made.x, made.y[:, 0] if flat else made.y)
    model = examples.mlp(2, 1)
    return examples.example(model, rows, loss=_squared, optimizer=optim.Adam(lr=0.01))


@targets_broadcast.sick
def sick_example() -> examples.Made:
    return _column(flat=True)


@targets_broadcast.healthy
def healthy_example() -> examples.Made:
    return _column(flat=False)
