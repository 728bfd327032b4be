"""What holds for all numbers and for every loss."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import chainrule as cr
from chainrule import nn
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.graph.types import ArrayType, SymbolicDim, as_dtype
from tests.nn.loss_helpers import close, t64, value_and_slope
from tests.ways import ENGINES

WEIGHTS = [1.0, 0.5, 2.0]


def floats(*shape, low=-50.0, high=50.0):
    return arrays(np.float64, shape, elements=st.floats(low, high))


def distributions(*shape):
    """Rows that sum to 1, zeros among them."""

    def normalised(a):
        a = np.where(a.sum(-1, keepdims=True) == 0, 1.0, a)
        return a / a.sum(-1, keepdims=True)

    parts = st.one_of(st.just(0.0), st.floats(1e-6, 1.0))
    return arrays(np.float64, shape, elements=parts).map(normalised)


@given(distributions(3, 4), distributions(3, 4))
@settings(deadline=None, max_examples=30)
def test_divergence_is_never_negative(q, p):
    each = nn.KLDivergence(reduction="none")
    assert (each(q, p).numpy() >= -1e-15).all()
    assert (each(q, q).numpy() == 0).all()
    assert np.isinf(each(q, p).numpy()).tolist() == [
        bool(((a == 0) & (b > 0)).any()) for a, b in zip(q, p)
    ]


@given(floats(5, 3), st.lists(st.integers(0, 2), min_size=5, max_size=5))
@settings(deadline=None, max_examples=40)
def test_cross_entropy_of_one_hot_is_that_of_indices(z, labels):
    index, rows = np.array(labels), np.eye(3)[labels]
    for options in ({}, {"label_smoothing": 0.2}):
        loss = nn.CrossEntropyLoss(**options)
        a, da = value_and_slope(loss, z, index)
        b, db = value_and_slope(loss, z, rows)
        assert a == pytest.approx(b, rel=1e-12, abs=1e-14)
        np.testing.assert_allclose(da, db, rtol=1e-12, atol=1e-15)
    with_softmax = nn.CrossEntropyLoss(from_logits=False)
    tracked = t64(z, requires_grad=True)
    a = with_softmax(tracked.softmax(), index).item()
    assert a == nn.CrossEntropyLoss()(tracked, index).item()


class Cubed(nn.Loss):
    """A loss of one's own, with weights."""

    def pointwise(self, prediction, target):
        return self.weights(prediction, target) * abs(prediction - target) ** 3

    def weights(self, prediction, target):
        return target * target + 1.0


def samples(rng, kind, n=12):
    z, rows = rng.normal(size=(n, 3)), rng.dirichlet([1, 1, 1], n)
    labels = rng.integers(0, 3, n)
    return {
        "numbers": (z, rng.normal(size=(n, 3))),
        "labels": (z, labels),
        "images": (rng.normal(size=(n, 3, 2)), rng.integers(0, 3, (n, 2))),
        "rows": (z, rows),
        "probabilities": (rng.dirichlet([1, 1, 1], n), labels),
        "logarithms": (np.log(rng.dirichlet([1, 1, 1], n)), rows),
        "distributions": (rng.dirichlet([1, 1, 1], n), rows),
        "binary": (z, rng.integers(0, 2, (n, 3))),
        "unit": (rng.uniform(0.01, 0.99, (n, 3)), rng.uniform(size=(n, 3))),
        "signs": (z, 2 * rng.integers(0, 2, (n, 3)) - 1),
    }[kind]


TRANSFORMED = nn.TransformedTargetLoss(
    nn.MSELoss(), nn.QuantileTarget(3, 4, dtype="float64")
)
EVERY = [
    ("numbers", nn.MSELoss()),
    ("numbers", nn.HalfMSELoss()),
    ("numbers", nn.HalfSquaredErrorLoss()),
    ("numbers", nn.L1Loss()),
    ("numbers", nn.HuberLoss(0.5)),
    ("labels", nn.CrossEntropyLoss()),
    ("labels", nn.CrossEntropyLoss(WEIGHTS)),
    ("labels", nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.1)),
    ("rows", nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.1)),
    ("probabilities", nn.CrossEntropyLoss(WEIGHTS, from_logits=False)),
    ("distributions", nn.CrossEntropyLoss(from_logits=False)),
    ("unit", nn.BCELoss()),
    ("binary", nn.BCEWithLogitsLoss()),
    ("binary", nn.BCEWithLogitsLoss(pos_weight=[1.0, 2.0, 3.0])),
    ("signs", nn.HingeLoss()),
    ("binary", nn.PerceptronLoss()),
    ("labels", nn.CrossEntropyLoss(WEIGHTS, ignore_index=1)),
    ("labels", nn.NLLLoss(WEIGHTS, ignore_index=2)),
    ("images", nn.CrossEntropyLoss(WEIGHTS, ignore_index=2, label_smoothing=0.1)),
    ("images", nn.NLLLoss()),
    ("numbers", nn.SmoothL1Loss(beta=0.5)),
    ("unit", nn.PoissonNLLLoss(log_input=False, full=True)),
    ("unit", nn.BCELoss([0.5, 1.0, 2.0])),
    ("binary", nn.MultiLabelSoftMarginLoss(WEIGHTS)),
    ("signs", nn.SoftMarginLoss()),
    ("signs", nn.HingeEmbeddingLoss(0.5)),
    ("labels", nn.MultiMarginLoss()),
    ("labels", nn.MultiMarginLoss(p=2, margin=0.5, weight=WEIGHTS)),
    ("distributions", nn.KLDivergence()),
    ("logarithms", nn.KLDivLoss()),
    ("logarithms", nn.KLDivLoss(reduction="batchmean")),
    ("numbers", TRANSFORMED),
    ("numbers", Cubed()),
]
IDS = [f"{kind}-{loss!r}" for kind, loss in EVERY]


def test_every_loss_is_tried():
    named = {getattr(nn, name) for name in nn.__all__}
    losses = {c for c in named if isinstance(c, type) and issubclass(c, nn.Loss)}
    assert losses - {nn.Loss} <= {type(loss) for _, loss in EVERY}


@pytest.mark.one_in(3, first=1)
@pytest.mark.parametrize(("kind", "loss"), EVERY, ids=IDS)
@given(cuts=st.sets(st.integers(0, 12)), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=6)
def test_totals_of_batches_make_the_mean_of_the_whole(kind, loss, cuts, seed):
    p, y = samples(np.random.default_rng(seed), kind)
    ends = sorted({0, 12, *cuts})
    pairs = [loss.totals(t64(p[a:b]), y[a:b]) for a, b in pairwise(ends)]
    assert all(t.shape == () for pair in pairs for t in pair)
    total, weight = (sum(t.item() for t in column) for column in zip(*pairs))
    assert total / weight == pytest.approx(loss(t64(p), y).item(), rel=1e-12)


def again(loss, reduction):
    """The same loss with another reduction; one that it is made of stays."""
    arguments = {**loss.settings(), **dict(loss.named_children())}
    return type(loss)(**{**arguments, "reduction": reduction})


@pytest.mark.parametrize(("kind", "loss"), EVERY, ids=IDS)
def test_reductions_agree(kind, loss):
    p, y = samples(np.random.default_rng(3), kind)
    each = again(loss, "none")(t64(p), y)
    whole = again(loss, "sum")(t64(p), y)
    close(whole.item(), each.numpy().sum())
    total, weight = loss.totals(t64(p), y)
    close(total.item(), whole.item())
    close(loss(t64(p), y).item(), total.item() / weight.item())


@pytest.mark.parametrize(("kind", "loss"), EVERY, ids=IDS)
def test_a_sample_of_weight_3_is_three_samples(kind, loss):
    p, y = samples(np.random.default_rng(7), kind)
    times = np.array([0, 3, 1, 2, 0, 1, 1, 3, 2, 1, 0, 2])
    wanted = loss.totals(t64(np.repeat(p, times, 0)), np.repeat(y, times, 0))
    got = loss.totals(t64(p), y, sample_weight=times)
    for mine, right in zip(got, wanted):
        close(mine.item(), right.item(), rtol=1e-12)
    close(loss(t64(p), y, times).item(), wanted[0].item() / wanted[1].item(), 1e-12)
    each = again(loss, "none")
    made = each(t64(p), y, times).numpy().reshape(12, -1)
    plain = each(t64(p), y).numpy().reshape(12, -1)
    np.testing.assert_allclose(made, plain * times[:, None], rtol=1e-14)
    none = loss(t64(p, requires_grad=True), y, 0 * times)
    assert none.item() == 0


#: On the NumPy engine every loss, in machine code a third; the others are slow.
COMPILED = [
    pytest.param(
        *(kind, loss, engine),
        id=f"{label}-{engine}",
        marks=[pytest.mark.slow] * (engine == "native" and i % 3 != 0),
    )
    for i, ((kind, loss), label) in enumerate(zip(EVERY, IDS, strict=True))
    for engine in ENGINES
]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("kind", "loss", "engine"), COMPILED)
def test_compiled_is_eager_for_any_batch(kind, loss, engine):
    """One graph over N samples: the loss, its totals and its derivative."""

    def step(p, y):
        made, slope = cr.value_and_grad(lambda p: loss(p, y))(p)
        total, weight = loss.totals(p, y)
        samples = abs(p).reshape(p.shape[0], -1).sum(1).detach()
        mine = loss(p, y, samples)
        return {"loss": made, "slope": slope, "of": total, "by": weight, "mine": mine}

    def over_n(name, array):
        row = tuple(array.shape[1:])
        return Input(name, ArrayType((SymbolicDim("N"), *row), as_dtype(array.dtype)))

    p, y = samples(np.random.default_rng(0), kind)
    traced = trace_entry("step", step, [over_n("p", p), over_n("y", y)], {})
    program = CompiledProgram([traced], engine=engine)
    for n in (12, 5):
        p, y = samples(np.random.default_rng(n), kind, n)
        wanted = step(t64(p), cr.tensor(y))
        got = program.run("step", {"p": p, "y": y})
        for key, value in wanted.items():
            np.testing.assert_allclose(got[key], value.numpy(), 1e-12, 1e-15)
