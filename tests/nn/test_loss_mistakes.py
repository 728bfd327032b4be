"""Mistakes in using a loss, and what the messages say."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import (
    ArgumentError,
    DTypeError,
    ShapeError,
)
from chainrule.graph.types import SymbolicDim

HOT = np.array([[0.0, 1.0], [1.0, 0.0]])
ONE, TWO = cr.tensor([[0.5], [0.25]]), cr.tensor([[0.5, 0.5], [0.25, 0.75]])
BINARY = [nn.BCELoss(), nn.BCEWithLogitsLoss(), nn.PerceptronLoss(), nn.HingeLoss()]
REGRESSION = [
    nn.MSELoss(),
    nn.HalfMSELoss(),
    nn.HalfSquaredErrorLoss(),
    nn.L1Loss(),
    nn.HuberLoss(),
]


@pytest.mark.parametrize("loss", [*REGRESSION, *BINARY], ids=repr)
def test_the_broadcasting_trap(loss):
    name = type(loss).__name__
    with pytest.raises(ShapeError, match=rf"(?s){name}.*\(2, 1\).*\(2,\).*\(-1, 1\)"):
        loss(ONE, np.array([1, 1]))
    with pytest.raises(
        ShapeError, match=r"(?s)\(2,\).*\(2, 1\).*fix: *y.reshape\(-1\)"
    ):
        loss(ONE.reshape(2), np.array([[1], [1]]))
    with pytest.raises(ShapeError, match=r"(?s)\(1, 2, 1\).*y.unsqueeze\(-1\)"):
        loss(ONE.reshape(1, 2, 1), np.array([[1, 1]]))
    with pytest.raises(ShapeError, match=r"(?s)\(1, 2\).*y.squeeze\(-1\)"):
        loss(ONE.reshape(1, 2), np.array([[[1], [1]]]))
    with pytest.raises(ShapeError, match=r"(?s)element by element.*fix: *[a-z]"):
        loss(TWO, np.array([1, 1, 1]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.MSELoss(reduction="avg"), ArgumentError, r"(?s)MSELoss.*'mean'"),
        (lambda: nn.MSELoss(reduction="Sum"), ArgumentError, r"did you mean 'sum'"),
        (lambda: nn.MSELoss()([], []), ArgumentError, "empty batch.*at least one"),
        (lambda: nn.HuberLoss(0), ArgumentError, "positive delta.*got: *delta=0"),
        (lambda: nn.HuberLoss(np.float32(0)), ArgumentError, "positive delta"),
        (lambda: nn.HuberLoss("1"), ArgumentError, "positive delta.*'1'"),
        (lambda: nn.HuberLoss(float("nan")), ArgumentError, "positive delta.*nan"),
        (lambda: nn.Loss()(ONE, ONE), ArgumentError, r"no pointwise\(\)"),
        # labels
        (
            lambda: nn.CrossEntropyLoss()(TWO, [0, 2]),
            ArgumentError,
            "0 … 1.*2 in row 1",
        ),
        (lambda: nn.CrossEntropyLoss()(TWO, [0, -1]), ArgumentError, "-1 in row 1"),
        (lambda: nn.CrossEntropyLoss()(TWO, [0.0, 1.0]), DTypeError, "class indices"),
        (
            lambda: nn.CrossEntropyLoss()(TWO, np.array([2**32, 0])),
            ArgumentError,
            "4294967296 in row 0",
        ),
        (
            lambda: nn.CrossEntropyLoss()(TWO, [[0], [1]]),
            ShapeError,
            r"one label a row.*\(2,\).*\(2, 1\).*y.reshape\(-1\)",
        ),
        (
            lambda: nn.CrossEntropyLoss()(TWO, np.eye(3, dtype=int)[:2]),
            ShapeError,
            r"one label a row.*\(2, 3\).*argmax",
        ),
        (
            lambda: nn.CrossEntropyLoss()(cr.tensor(0.5), cr.tensor(0)),
            ShapeError,
            r"one row of scores a sample.*\(n, C\), \(n, C, …\) or \(C,\)",
        ),
        (
            lambda: nn.CrossEntropyLoss()(np.zeros((2, 3, 4)), np.zeros((2, 3), int)),
            ShapeError,
            r"labels of shape \(2, 4\).*\(2, 3\)",
        ),
        (
            lambda: nn.CrossEntropyLoss()(np.zeros((1, 3, 2)), [[0, 3]]),
            ArgumentError,
            "0 … 2.*3 in row 0, column 1",
        ),
        (
            lambda: nn.CrossEntropyLoss()(TWO, [0, -100]),
            ArgumentError,
            "-100 in row 1.*ignore_index=-100",
        ),
        (
            lambda: nn.CrossEntropyLoss(ignore_index=-100)(TWO, [-100, -1]),
            ArgumentError,
            "-1 in row 1",
        ),
        (
            lambda: nn.CrossEntropyLoss(ignore_index=0.5),
            ArgumentError,
            "whole ignore_index",
        ),
        (lambda: nn.NLLLoss()(TWO, [0.0, 1.0]), DTypeError, "NLLLoss.*class indices"),
        # sample weights
        (
            lambda: nn.MSELoss()(TWO, TWO, [1.0, 2.0, 3.0]),
            ShapeError,
            r"sample_weight of shape \(2,\)",
        ),
        (
            lambda: nn.MSELoss()(TWO, TWO, [1.0, -2.0]),
            ArgumentError,
            "sample_weight has one.*≥ 0.*-2",
        ),
        # pairs
        (
            lambda: nn.GaussianNLLLoss()(ONE, ONE, -ONE),
            ArgumentError,
            "the variance has one.*Softplus",
        ),
        (
            lambda: nn.CosineEmbeddingLoss()(TWO, TWO, [0, 1]),
            ArgumentError,
            r"labels 0 and 1.*2\*y - 1",
        ),
        (
            lambda: nn.TripletMarginLoss()(TWO, TWO, ONE),
            ShapeError,
            "negative of shape",
        ),
        (lambda: nn.PoissonNLLLoss()(ONE, -ONE), ArgumentError, "the target has one"),
        (lambda: nn.ReLU(5), ArgumentError, "takes no arguments"),
        (lambda: nn.MultiMarginLoss()(TWO, [0, 5]), ArgumentError, "5 in row 1"),
        (lambda: nn.MultiMarginLoss()(TWO, [0.0, 1.0]), DTypeError, "Multi.*indices"),
        (
            lambda: nn.MultiMarginLoss()(ONE.reshape(1, 2, 1), [[0]]),
            ShapeError,
            "one row",
        ),
        (lambda: nn.MultiMarginLoss(p=3), ArgumentError, "p=1 or p=2.*p=3"),
        (lambda: nn.MultiMarginLoss(margin=-1), ArgumentError, "positive margin"),
        # weights and smoothing
        (
            lambda: nn.CrossEntropyLoss([1.0, 2.0, 3.0])(TWO, [0, 1]),
            ShapeError,
            r"\(2,\).*\(3,\).*one weight a class",
        ),
        (lambda: nn.CrossEntropyLoss([1.0, 2.0, 3.0])(TWO, HOT), ShapeError, "weights"),
        (lambda: nn.MultiMarginLoss(weight=[1.0])(TWO, [0, 1]), ShapeError, "weights"),
        (lambda: nn.CrossEntropyLoss([1, -1]), ArgumentError, "≥ 0.*-1"),
        (lambda: nn.CrossEntropyLoss([0, 0]), ArgumentError, "not all 0"),
        (lambda: nn.CrossEntropyLoss(2.0), ArgumentError, "a weight for each class"),
        (lambda: nn.CrossEntropyLoss("balanced"), ArgumentError, "got: *'balanced'"),
        (lambda: nn.CrossEntropyLoss([1, np.inf]), ArgumentError, "finite numbers"),
        (lambda: nn.BCEWithLogitsLoss(["a"]), ArgumentError, "a weight for each loss"),
        (lambda: nn.BCELoss(np.ones((2, 2, 2)))(TWO, HOT), ShapeError, "sample_weight"),
        (
            lambda: nn.CrossEntropyLoss(label_smoothing=1.5),
            ArgumentError,
            "0 ≤ label_smoothing ≤ 1.*1.5",
        ),
        (
            lambda: nn.BCEWithLogitsLoss(pos_weight=-1),
            ArgumentError,
            "pos_weight.*≥ 0.*-1",
        ),
        (
            lambda: nn.BCEWithLogitsLoss(pos_weight=[1.0, 2.0, 3.0])(TWO, TWO),
            ShapeError,
            r"\(2,\) or a number.*\(3,\)",
        ),
        # numbers that are no probabilities
        (
            lambda: nn.CrossEntropyLoss()(TWO, [[0.5, 0.5], [1.0, 1.0]]),
            ArgumentError,
            "target has a row.*sum to 1.*the sum 2 in row 1.*BCEWithLogits",
        ),
        (
            lambda: nn.CrossEntropyLoss()(TWO, [[0.5, 0.5], [1.5, -0.5]]),
            ArgumentError,
            "0 to 1.*1.5 in row 1, column 0",
        ),
        (
            lambda: nn.CrossEntropyLoss(from_logits=False)([[2.0, 1.0]], [0]),
            ArgumentError,
            r"the prediction.*2 in row 0, column 0.*nn.Softmax\(\)",
        ),
        (
            lambda: nn.CrossEntropyLoss(from_logits=False)([[0.5, 0.25]], [0]),
            ArgumentError,
            r"the prediction.*the sum 0.75 in row 0.*nn.Softmax\(\)",
        ),
        (lambda: nn.BCELoss()(TWO * 2, HOT), ArgumentError, "prediction.*1.5 in row 1"),
        (
            lambda: nn.BCELoss()(cr.tensor([1.0000001]), [1.0]),
            ArgumentError,
            r"got: *1\.0000001 in row 0",
        ),
        (lambda: nn.BCELoss()(TWO, 2 * HOT), ArgumentError, "target.*2 in row 0"),
        (
            lambda: nn.BCEWithLogitsLoss()(TWO, 2 * HOT - 1),
            ArgumentError,
            "target.*-1 in row 0, column 0.*y = 1 for yes",
        ),
        (
            lambda: nn.KLDivLoss()(TWO, [[1.0, 1.0], [0.5, 0.5]]),
            ArgumentError,
            "target.*the sum 2 in row 0.*y / y.sum",
        ),
        (
            lambda: nn.KLDivLoss()(TWO.log(), TWO),
            ArgumentError,
            "prediction.*-0.6931472 in row 0.*not their logarithms",
        ),
        (lambda: nn.KLDivLoss()(cr.tensor(1.0), cr.tensor(1.0)), ShapeError, "rows"),
        (lambda: nn.KLDivLoss()(TWO, [0.5, 0.5]), ShapeError, "one row of probab"),
        # two labels
        (
            lambda: nn.HingeLoss()(ONE, [[0], [1]]),
            ArgumentError,
            r"y = -1 or y = 1.*the labels 0 and 1.*y = 2\*y - 1",
        ),
        (
            lambda: nn.HingeLoss()(ONE, np.array([[0], [1]], np.uint8)),
            DTypeError,
            r"can hold −1.*uint8.*2 \* y.astype\('int32'\) - 1",
        ),
        (lambda: nn.HingeLoss()(ONE, [[True], [True]]), DTypeError, "bool"),
        (
            lambda: nn.HingeLoss()(ONE, [[1], [3]]),
            ArgumentError,
            "3 in row 1, column 0.*relabel",
        ),
        (
            lambda: nn.PerceptronLoss()(ONE, [[-1], [1]]),
            ArgumentError,
            r"y = 0 or y = 1.*the labels -1 and 1.*y = \(y \+ 1\) / 2",
        ),
        (lambda: nn.PerceptronLoss()(ONE, [[2], [1]]), ArgumentError, "2 in row 0"),
    ],
)
def test_mistakes_are_explained(call, error, words):
    with pytest.raises(error, match=f"(?s){words}"):
        call()


@pytest.mark.parametrize(
    ("loss", "y", "shape", "words"),
    [
        (nn.CrossEntropyLoss(), np.array([0, 3]), (SymbolicDim("N"), 3), "3 in row 1"),
        (
            nn.CrossEntropyLoss(),
            np.ones((2, 3)),
            (SymbolicDim("N"), 3),
            "the sum 3 in row 0",
        ),
        (nn.MultiMarginLoss(), np.array([0, 3]), (SymbolicDim("N"), 3), "3 in row 1"),
        (nn.HingeLoss(), np.array([[0], [1]]), (SymbolicDim("N"), 1), "2\\*y - 1"),
        (
            nn.HingeLoss(),
            np.array([[False], [True]]),
            (SymbolicDim("N"), 1),
            "2\\*y - 1",
        ),
        (nn.PerceptronLoss(), np.array([[-1], [1]]), (SymbolicDim("N"), 1), "y \\+ 1"),
        (nn.BCELoss(), np.array([[2.0]]), (SymbolicDim("N"), 1), "2 in row 0"),
        (nn.BCEWithLogitsLoss(), np.array([[2]]), (SymbolicDim("N"), 1), "2 in row 0"),
        (
            nn.KLDivLoss(),
            np.array([[0.5, 0.75]]),
            (SymbolicDim("N"), 2),
            "the sum 1.25",
        ),
    ],
)
def test_a_whole_data_set_is_checked_before_training(loss, y, shape, words):
    """What the Trainer calls: raw targets, and the type of the predictions over N."""
    with pytest.raises(ArgumentError, match=words):
        loss.check_target(y, shape)


@pytest.mark.parametrize(
    ("loss", "y", "shape"),
    [
        (nn.MSELoss(), np.array([1e9, np.nan]), (SymbolicDim("N"), 1)),
        (nn.CrossEntropyLoss(), np.array([2, 0], np.uint8), (SymbolicDim("N"), 3)),
        (nn.CrossEntropyLoss(), np.eye(3, dtype=bool), (SymbolicDim("N"), 3)),
        (nn.CrossEntropyLoss(), np.zeros((0, 3)), (SymbolicDim("N"), 3)),
        (
            nn.CrossEntropyLoss(),
            np.array([9]),
            (SymbolicDim("N"), 3, 3),
        ),  # forward refuses it
        (nn.HingeLoss(), np.array([[-1.0], [1.0]]), (SymbolicDim("N"), 1)),
        (nn.BCELoss(), np.array([[True]]), (SymbolicDim("N"), 1)),
        (nn.KLDivLoss(), np.array([[0.25, 0.75]]), (SymbolicDim("N"), 2)),
    ],
)
def test_right_targets_pass(loss, y, shape):
    loss.check_target(y, shape)


def test_not_a_number_is_for_training_to_find():
    nan = float("nan")
    assert np.isnan(nn.CrossEntropyLoss()(cr.tensor([[nan, 0.0]]), [0]).item())
    made = nn.CrossEntropyLoss(from_logits=False)(cr.tensor([[nan, 0.5]]), [0])
    assert np.isnan(made.item())
    assert np.isnan(nn.BCELoss()(cr.tensor([nan]), [1.0]).item())
