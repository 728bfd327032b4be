"""Rows of a batch that are mixed: a reshape or a loop over the wrong axis."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import TELLS, step_seconds
from chainrule.doctor.network import cost
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.setup import Setup
from chainrule.graph.node import Array
from chainrule.random import Generator
from chainrule.random.generator import stream
from chainrule.tensor import Tensor, tensor
from chainrule.text import _

#: Rows that the network is asked: few sizes of layers are a 7, so that an axis of that
#: length is the one of the rows.
ROWS = 7
#: How often the network is asked at most: seven times, of two sets of weights.
ASKED = 14
#: Outputs that change by less, as a share of their deviation over the rows, are the
#: same. Ours.
SAME = 1e-3
#: Nor is it more than rounding, which deep networks may multiply: so many times what
#: weights do that are another by this share of themselves.
TIMES, SHAKEN = 10.0, 1e-6
#: What smaller batches, more epochs or less training make better as well.
_CONSEQUENCES = ("does-not-learn", "labels-without-signal", "overfitting")
_CONSEQUENCES += ("too-few-epochs", "batch-too-large", "too-few-rows")


@symptom(
    "rows-mixed",
    "architecture",
    stage=7,
    looks=_("the loss hardly falls, and the answers are those of other rows"),
    why=_(
        "the output for a row depends on the other rows of its batch, or on its place "
        "among them: a reshape where two axes were to be swapped, a recurrent layer or "
        "an attention along the axis of the rows, or a mean over that axis. What "
        "belongs to a row is lost among others, and a prediction depends on who else "
        "is asked"
    ),
    fix=_(
        "keep the rows on one axis: x.transpose(0, 1) and not x.reshape, "
        "batch_first=True for rows × steps × features, means over the other axes"
    ),
    reference=_("book 2.5: the loss is a mean over rows, each by itself"),
    explains=_CONSEQUENCES,
)
def rows_mixed(case: Case) -> Found | None:
    """A few rows are asked beside others, and in another order, in evaluation mode.

    Sick where the run is far behind its references or no better than a constant answer,
    and nothing else is sick; else a risk. Silent where the network is random or cannot
    be called by itself.
    """
    if case.refused is not None or not case.runs or not case.single:
        return None
    if not _within_budget(case):
        case.not_examined["rows"] = _("whether rows are mixed: the budget is spent")
        return None
    setups = [case.setup]
    if case.trial.error is None:
        setups.append(case.trial.setup)  # what starts at 0 may mix rows at the end
    apart = next((a for s in setups if (a := _apart(case, s)) is not None), None)
    if apart is None:
        return None
    first, others, order = apart
    evidence: dict[str, float | str | None] = {
        "change_by_other_rows": others,
        "change_by_order": order,
        # What stands in front of it may have mixed them, in no module of its own.
        "first_seen_in": first or _("the network"),
    }
    if not _is_poor(case):
        advice = _(
            "where that is not meant, keep the rows on one axis; batch norm predicts "
            "with running statistics (track_running_stats=True)"
        )
        return Found("risk", "", evidence, confidence=0.6, advice=advice)
    evidence |= {
        f"{case.metric}_of_run": case.score,
        f"{case.metric}_of_best_reference": case.signal,
    }
    return Found("sick", "", evidence, confidence=0.9)


def _within_budget(case: Case) -> bool:
    """Spend the assumed seconds of asking the network, eagerly; return whether left."""
    if case.network is None:
        return False
    graph = case.network.graph
    work = cost(graph, dict.fromkeys(("N", *graph.size_names), ROWS))
    return case.budget.takes(ASKED * step_seconds("", work))


def _is_poor(case: Case) -> bool:
    """Return whether the run finds too little, and no other cause was found."""
    if case.sick - {*_CONSEQUENCES} or not case.can_be_sick:
        return False
    if case.stalls or case.far_behind:
        return True
    if case.score is None or case.share < TELLS:
        return False
    return case.score <= case.baseline + 2 * case.noise(case.score, case.baseline)


def _apart(case: Case, setup: Setup) -> tuple[str, float, float] | None:
    """Return where mixed rows are first seen, and how far apart outputs of rows are.

    Beside other rows, and in another order, as shares of the outputs' deviation. None:
    the rows stay apart, or nobody knows.
    """
    count = min(ROWS, len(setup.train))
    if count < 2:
        return None
    rows = np.linspace(0, len(setup.train) - 1, count).astype(int)
    x, kept, all_ = np.asarray(setup.train.x[rows]), count // 2, np.arange(count)
    # Copies of the first rows instead of the others, copies of the last ones, and the
    # other order: each with the rows to compare, in it and as first asked.
    asked = (
        (all_ % kept, slice(kept), slice(kept)),
        ((count - 1 - all_ % kept)[::-1], slice(-kept, None), slice(-kept, None)),
        (all_[::-1], slice(None), slice(None, None, -1)),
    )
    try:
        first, again = (_outputs(case, setup, x, seed) for seed in range(2))
        given = [_outputs(case, setup, x[order], 0) for order, _own, _there in asked]
        shaken = _outputs(case, _shaken(setup), x, 0)
    except Exception:  # noqa: BLE001 - of the user's model
        return None
    if not _is_known(first.get(""), count) or not _is_known(shaken.get(""), count):
        return None
    if _share([first[""], again[""]], shaken[""], first[""], again[""]):
        return None  # it is random, or remembers what it was asked before

    def changed(path: str) -> list[float]:
        """Return by how much a module's outputs differ from those first asked."""
        said = [first[path], *(outputs[path] for outputs in given)]
        pairs = zip(said[1:], asked, strict=True)
        return [
            _share(said, shaken[path], said[0][own], other[there])
            for other, (_order, own, there) in pairs
        ]

    *others, order = changed("")
    if not any((*others, order)):
        return None
    parts = [p for p, a in first.items() if p and "." not in p and _is_known(a, count)]
    return next((p for p in parts if any(changed(p))), ""), max(others), order


def _outputs(case: Case, setup: Setup, x: Array, seed: int) -> Mapping[str, Array]:
    with stream(Generator(seed)):
        return case.outputs_of(setup, x)


def _is_known(outputs: Array | None, count: int) -> bool:
    """Return whether there is a finite output for each row."""
    if outputs is None or outputs.shape[:1] != (count,):
        return False
    return bool(np.isfinite(outputs).all())


def _shaken(setup: Setup) -> Setup:
    """Return a copy whose weights are others by a little more than rounding."""
    made, draw = setup.copy(), np.random.default_rng(0)
    for weights in made.model.parameters():
        known = weights.numpy()
        by = SHAKEN * draw.choice((-1, 1), known.shape)
        weights.copy_(tensor((known * (1 + by)).astype(known.dtype)))
    return made


def _share(said: list[Array], shaken: Array, one: Array, other: Array) -> float:
    """Return how far apart outputs are, in deviations over the rows; 0: by rounding.

    Args:
        said: all outputs of all rows, beginning with those first asked.
        shaken: those with weights that are a little different.
        one, other: of the same rows, asked in two ways.
    """
    rounding = _size(shaken - said[0]) + SHAKEN * _size(said[0])
    all_ = np.concatenate(said)
    deviation = _size(all_ - all_.mean(0, dtype=np.float64))
    apart = _size(one.astype(np.float64) - other)
    return apart / deviation if apart > max(SAME * deviation, TIMES * rounding) else 0.0


def _size(numbers: Array) -> float:
    """Return the root of the mean of squares."""
    return float(np.sqrt(np.square(numbers, dtype=np.float64).mean()))


class _Read(nn.Module):
    """The last step of a recurrent layer, along the steps or along the rows."""

    def __init__(self, along_rows: bool) -> None:
        self.cell = nn.GRU(2, 16, batch_first=not along_rows)
        self.last = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _state = self.cell(x)
        return self.last(outputs[:, -1])


def _signs() -> Dataset:
    """Return sequences, and which of two columns begins with the larger number."""
    x = np.random.default_rng(0).normal(size=(300, 6, 2)).astype(np.float32)
    return Dataset(x, (x[:, 0, 0] > x[:, 0, 1]).astype(np.int32), classes=2)


@rows_mixed.sick
def sick_example() -> examples.Made:
    return examples.example(examples.drawn(lambda: _Read(True)), _signs(), epochs=20)


@rows_mixed.healthy
def healthy_example() -> examples.Made:
    return examples.example(examples.drawn(lambda: _Read(False)), _signs(), epochs=20)
