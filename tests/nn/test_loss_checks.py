"""Numbers that a loss is not defined for are refused in compiled functions too."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.errors import ArgumentError
from chainrule.graph.types import ArrayType, as_dtype
from chainrule.nn.losses import targets_checked
from chainrule.primitives.checks import require
from tests.nn.loss_helpers import close
from tests.ways import WAYS

Z = np.array([[0.5, -1.0, 2.0], [1.0, 0.25, 0.0]])
Q = np.array([[0.5, 0.25, 0.25], [0.125, 0.375, 0.5]])
HOT = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
IMAGES = np.stack([Z, Z + 1], -1)
WRONG = HOT.copy()
WRONG[1, 2] = 1.5

#: (loss, prediction, a right target, a wrong one)
TARGETS = [
    (nn.CrossEntropyLoss(), Z, [1, 2], [1, 3]),
    (nn.CrossEntropyLoss(), Z, [1, 2], [-1, 1]),
    (nn.CrossEntropyLoss(), Z, np.array([1, 2], np.uint8), np.array([1, 255], "u1")),
    (nn.CrossEntropyLoss(), Z, [1, 2], [1, 2**32 + 1]),
    (nn.CrossEntropyLoss(ignore_index=-1), Z, [-1, 2], [-2, 1]),
    (nn.CrossEntropyLoss(), IMAGES, [[0, 1], [2, 0]], [[0, 1], [3, 0]]),
    (nn.CrossEntropyLoss(label_smoothing=0.1), Z, HOT, WRONG),
    (nn.CrossEntropyLoss(), Z, HOT, HOT * 0.5),
    (nn.CrossEntropyLoss(from_logits=False), Q, [1, 2], [3, 0]),
    (nn.NLLLoss(), np.log(Q), [1, 2], [3, 0]),
    (nn.MultiMarginLoss(), Z, [1, 2], [3, 0]),
    (nn.BCEWithLogitsLoss(), Z, HOT, WRONG),
    (nn.BCELoss(), Q, HOT, -HOT),
    (nn.MultiLabelSoftMarginLoss(), Z, HOT, WRONG),
    (nn.HingeLoss(), Z, 2 * HOT - 1, HOT),
    (nn.SoftMarginLoss(), Z, 2 * HOT - 1, HOT),
    (nn.HingeEmbeddingLoss(), Z, 2 * HOT - 1, HOT),
    (nn.PerceptronLoss(), Z, HOT, 2 * HOT - 1),
    (nn.KLDivergence(), Q, HOT, WRONG),
    (nn.PoissonNLLLoss(), Z, HOT, -HOT),
]
#: (loss, a right prediction, a wrong one, target)
PREDICTIONS = [
    (nn.BCELoss(), Q, Z, HOT),
    (nn.KLDivergence(), Q, np.log(Q), HOT),
    (nn.KLDivergence(), Q, Q / 2, HOT),
    (nn.CrossEntropyLoss(from_logits=False), Q, Q / 2, [1, 2]),
    (nn.CrossEntropyLoss(from_logits=False), Q, Z, HOT),
    (nn.PoissonNLLLoss(log_input=False), Q, Z, HOT),
]


def tensors(*arrays):
    return [cr.tensor(np.asarray(a)) for a in arrays]


def refused(loss, right, wrong, engine):
    """Right numbers cost what they cost eagerly, wrong ones are refused."""
    wanted = loss(*tensors(*right)).item()
    with pytest.raises(ArgumentError) as eager:
        loss(*tensors(*wrong))
    run = loss if engine == "eager" else cr.compile(lambda *a: loss(*a), engine=engine)
    close(run(*tensors(*right)).item(), wanted)
    with pytest.raises(ArgumentError) as caught:
        run(*tensors(*wrong))
    assert caught.value.what == eager.value.what
    assert caught.value.expected == eager.value.expected
    close(run(*tensors(*right)).item(), wanted)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("loss", "p", "y", "wrong"), TARGETS)
def test_targets(loss, p, y, wrong, engine):
    refused(loss, (p, y), (p, wrong), engine)


@pytest.mark.parametrize(("loss", "p", "wrong", "y"), PREDICTIONS)
def test_predictions(loss, p, wrong, y, engine):
    refused(loss, (p, y), (wrong, y), engine)


@pytest.mark.parametrize("engine", WAYS)
@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(from_logits=False), nn.KLDivergence()]
)
def test_a_softmax_along_another_axis_is_looked_at(loss, engine):
    run = lambda z, y: loss(z.softmax(0), y)  # noqa: E731
    run = run if engine == "eager" else cr.compile(run, engine=engine)
    z = cr.tensor(Z, requires_grad=True)
    with pytest.raises(ArgumentError, match="rows that sum to 1"):
        run(z, cr.tensor(HOT))


def test_pairs_and_weights(engine):
    refused(nn.CosineEmbeddingLoss(), (Z, Q, [1, -1]), (Z, Q, [1, 0]), engine)
    refused(nn.GaussianNLLLoss(), (Z, HOT, Q), (Z, HOT, Z), engine)
    refused(nn.MSELoss(), (Z, HOT, [1.0, 0.0]), (Z, HOT, [1.0, -1.0]), engine)


@pytest.mark.parametrize(("loss", "p", "y", "wrong"), TARGETS)
def test_targets_that_are_known_to_be_right_cost_nothing(loss, p, y, wrong):
    def checks():
        arrays = [np.asarray(p), np.asarray(y)]
        inputs = [
            Input(name, ArrayType(a.shape, as_dtype(a.dtype)))
            for name, a in zip("py", arrays)
        ]
        graph = trace_entry("loss", loss, inputs).entry.graph
        return sum(node.primitive is require for node in graph.nodes)

    every = checks()
    with targets_checked():
        assert checks() < every
    assert checks() == every


def test_what_a_softmax_gives_is_not_looked_at():
    loss = nn.CrossEntropyLoss(from_logits=False)
    with targets_checked():
        graph = cr.compile(lambda z, y: loss(z.softmax(), y), engine="numpy").graph(
            *tensors(Z, [1, 2])
        )
    assert not [node for node in graph.nodes if node.primitive is require]


@pytest.mark.one_in(3, first=1)
@pytest.mark.parametrize(("loss", "p", "y", "wrong"), TARGETS)
def test_targets_from_outside(loss, p, y, wrong, engine):
    """They are state of the compiled function, and can be others at each call."""
    prediction, target = tensors(p, y)
    run = cr.compile(lambda a: loss(a, target), engine=engine)
    close(run(prediction).item(), loss(prediction, target).item())
    target.copy_(tensors(wrong)[0])
    with pytest.raises(ArgumentError):
        run(prediction)
    target.copy_(tensors(y)[0])
    close(run(prediction).item(), loss(prediction, target).item())
