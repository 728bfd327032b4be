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
from tests.mistakes import explained

N = SymbolicDim("N")
HOT = np.array([[0.0, 1.0], [1.0, 0.0]])
ONE, TWO = cr.tensor([[0.5], [0.25]]), cr.tensor([[0.5, 0.5], [0.25, 0.75]])
STEPS = cr.zeros(4, 1, 3)
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


#: What is written, by the error, and words of its message.
MISTAKES = {
    ArgumentError: {
        "nn.MSELoss(reduction='avg')": "MSELoss.*'mean'",
        "nn.MSELoss(reduction='Sum')": "did you mean 'sum'",
        "nn.MSELoss()([], [])": "empty batch.*at least one",
        "nn.HuberLoss(0)": "positive delta.*got: *delta=0",
        "nn.HuberLoss(np.float32(0))": "positive delta",
        "nn.HuberLoss('1')": "positive delta.*'1'",
        "nn.HuberLoss(float('nan'))": "positive delta.*nan",
        "nn.Loss()(ONE, ONE)": r"no pointwise\(\)",
        "nn.CrossEntropyLoss()(TWO, [0, 2])": "0 … 1.*2 in row 1",
        "nn.CrossEntropyLoss()(TWO, [0, -1])": "-1 in row 1",
        "nn.CrossEntropyLoss()(TWO, np.array([2 ** 32, 0]))": "4294967296 in row 0",
        "nn.CrossEntropyLoss()(np.zeros((1, 3, 2)), [[0, 3]])": "3 in row 0, column 1",
        "nn.CrossEntropyLoss()(TWO, [0, -100])": "-100 in row 1.*ignore_index=-100",
        "nn.CrossEntropyLoss(ignore_index=-100)(TWO, [-100, -1])": "-1 in row 1",
        "nn.CrossEntropyLoss(ignore_index=0.5)": "whole ignore_index",
        "nn.MSELoss()(TWO, TWO, [1.0, -2.0])": "sample_weight has one.*≥ 0.*-2",
        "nn.GaussianNLLLoss()(ONE, ONE, -ONE)": "the variance has one.*Softplus",
        "nn.CosineEmbeddingLoss()(TWO, TWO, [0, 1])": r"labels 0 and 1.*2\*y - 1",
        "nn.PoissonNLLLoss()(ONE, -ONE)": "the target has one",
        "nn.Tanh(5)": "takes no arguments",
        "nn.MultiMarginLoss()(TWO, [0, 5])": "5 in row 1",
        "nn.MultiMarginLoss(p=3)": "p=1 or p=2.*p=3",
        "nn.MultiMarginLoss(margin=-1)": "positive margin",
        "nn.CrossEntropyLoss([1, -1])": "≥ 0.*-1",
        "nn.CrossEntropyLoss([0, 0])": "not all 0",
        "nn.CrossEntropyLoss(2.0)": "a weight for each class",
        "nn.CrossEntropyLoss('balanced')": "got: *'balanced'",
        "nn.CrossEntropyLoss([1, np.inf])": "finite numbers",
        "nn.BCEWithLogitsLoss(['a'])": "a weight for each loss",
        "nn.CrossEntropyLoss(label_smoothing=1.5)": "0 ≤ label_smoothing ≤ 1.*1.5",
        "nn.BCEWithLogitsLoss(pos_weight=-1)": "pos_weight.*≥ 0.*-1",
        "nn.CrossEntropyLoss()(TWO, [[0.5, 0.5], [1.0, 1.0]])": "BCEWithLogits",
        "nn.CrossEntropyLoss()(TWO, [[0.5, 0.5], [1.5, -0.5]])": "1.5 in row 1, col",
        "nn.CrossEntropyLoss(from_logits=False)([[2.0, 1.0]], [0])": r"nn.Softmax\(\)",
        "nn.CrossEntropyLoss(from_logits=False)([[0.5, 0.25]], [0])": r"nn.Softmax\(\)",
        "nn.BCELoss()(TWO * 2, HOT)": "prediction.*1.5 in row 1",
        "nn.BCELoss()(cr.tensor([1.0000001]), [1.0])": r"got: *1\.0000001 in row 0",
        "nn.BCELoss()(TWO, 2 * HOT)": "target.*2 in row 0",
        "nn.BCEWithLogitsLoss()(TWO, 2 * HOT - 1)": "y = 1 for yes",
        "nn.KLDivergence()(TWO, [[1.0, 1.0], [0.5, 0.5]])": "y / y.sum",
        "nn.KLDivergence()(TWO.log(), TWO)": "-0.69.* in row 0.*not their log",
        "nn.KLDivLoss()(TWO, TWO)": r"no negative number.*q\.log\(\)",
        "nn.KLDivLoss()(TWO.log(), TWO.log())": "negative.*log_target=True",
        "nn.KLDivLoss(reduction='batch')": "batchmean",
        "nn.HingeLoss()(ONE, [[0], [1]])": r"the labels 0 and 1.*y = 2\*y - 1",
        "nn.HingeLoss()(ONE, [[1], [3]])": "3 in row 1, column 0.*relabel",
        "nn.PerceptronLoss()(ONE, [[-1], [1]])": r"y = \(y \+ 1\) / 2",
        "nn.PerceptronLoss()(ONE, [[2], [1]])": "2 in row 0",
        "nn.CTCLoss(-1)": "blank",
        "nn.CTCLoss()(STEPS, [[1, 0]], [4], [2])": "0 … 2, other than 0.*column 1",
        "nn.CTCLoss()(STEPS, [[1, 3]], [4], [2])": "0 … 2.*3 in row 0, column 1",
        "nn.CTCLoss()(STEPS, [[1, 2]], [5], [2])": "lengths.*0 … 4.*5 in row 0",
        "nn.CTCLoss()(STEPS, [[1, 2]], [4], [3])": "lengths.*0 … 2.*3 in row 0",
        "nn.CTCLoss()(STEPS, [1, 2], [4], [3])": "lengths.*0 … 2.*3 in row 0",
    },
    DTypeError: {
        "nn.CTCLoss()(STEPS, [[1.0]], [4], [1])": "labels.*float32",
        "nn.CTCLoss()(STEPS, [[1]], [4.0], [1])": "input_lengths.*float32",
        "nn.CrossEntropyLoss()(TWO, [0.0, 1.0])": "class indices",
        "nn.NLLLoss()(TWO, [0.0, 1.0])": "NLLLoss.*class indices",
        "nn.MultiMarginLoss()(TWO, [0.0, 1.0])": "Multi.*indices",
        "nn.HingeLoss()(ONE, np.array([[0], [1]], np.uint8))": r"2 \* y.astype",
        "nn.HingeLoss()(ONE, [[True], [True]])": "bool",
    },
    ShapeError: {
        "nn.CrossEntropyLoss()(TWO, [[0], [1]])": r"\(2,\).*\(2, 1\).*y.reshape\(-1\)",
        "nn.CrossEntropyLoss()(TWO, np.eye(3, dtype=int)[:2])": r"\(2, 3\).*argmax",
        "nn.CrossEntropyLoss()(cr.tensor(0.5), cr.tensor(0))": r"\(C,\)",
        "nn.CrossEntropyLoss()(np.zeros((2, 3, 4)), np.zeros((2, 3), int))": "labels",
        "nn.MSELoss()(TWO, TWO, [1.0, 2.0, 3.0])": r"sample_weight of shape \(2,\)",
        "nn.TripletMarginLoss()(TWO, TWO, ONE)": "negative of shape",
        "nn.MultiMarginLoss()(ONE.reshape(1, 2, 1), [[0]])": "one row",
        "nn.CrossEntropyLoss([1.0, 2.0, 3.0])(TWO, [0, 1])": r"one weight a class",
        "nn.CrossEntropyLoss([1.0, 2.0, 3.0])(TWO, HOT)": "weights",
        "nn.MultiMarginLoss(weight=[1.0])(TWO, [0, 1])": "weights",
        "nn.BCELoss(np.ones((2, 2, 2)))(TWO, HOT)": "sample_weight",
        "nn.BCEWithLogitsLoss(pos_weight=[1.0, 2.0, 3.0])(TWO, TWO)": r"\(3,\)",
        "nn.KLDivergence()(cr.tensor(1.0), cr.tensor(1.0))": "rows",
        "nn.KLDivergence()(TWO, [0.5, 0.5])": "one row of probab",
        "nn.GaussianKLDivLoss()(TWO, ONE)": r"logvar of shape \(2, 2\).*\(2, 1\)",
        "nn.GaussianKLDivLoss()(TWO, TWO, TWO, ONE)": "q_logvar of shape",
        "nn.GaussianKLDivLoss()(1.0, 0.0)": r"\(…, d\).*single.*reshape\(1\)",
        "nn.CTCLoss()(STEPS[0, 0], [1], 1, 1)": r"\(T, N, C\).*float32 \(3,\)",
        "nn.CTCLoss(3)(STEPS, [[1]], [4], [1])": r"more than 3 classes.*\(4, 1, 3\)",
        "nn.CTCLoss()(STEPS, [[1], [1]], [4], [1])": r"\(1, S\).*\(2, 1\)",
        "nn.CTCLoss()(STEPS, [[1]], [4, 4], [1])": r"input_lengths of shape \(1,\)",
    },
}


test_mistakes_are_explained = explained(MISTAKES, globals())


@pytest.mark.parametrize(
    ("loss", "y", "shape", "words"),
    [
        (nn.CrossEntropyLoss(), np.array([0, 3]), (N, 3), "3 in row 1"),
        (nn.CrossEntropyLoss(), np.ones((2, 3)), (N, 3), "the sum 3 in row 0"),
        (nn.MultiMarginLoss(), np.array([0, 3]), (N, 3), "3 in row 1"),
        (nn.HingeLoss(), np.array([[0], [1]]), (N, 1), "2\\*y - 1"),
        (nn.HingeLoss(), np.array([[False], [True]]), (N, 1), "2\\*y - 1"),
        (nn.PerceptronLoss(), np.array([[-1], [1]]), (N, 1), "y \\+ 1"),
        (nn.BCELoss(), np.array([[2.0]]), (N, 1), "2 in row 0"),
        (nn.BCEWithLogitsLoss(), np.array([[2]]), (N, 1), "2 in row 0"),
        (nn.KLDivergence(), np.array([[0.5, 0.75]]), (N, 2), "the sum 1.25"),
    ],
)
def test_a_whole_data_set_is_checked_before_training(loss, y, shape, words):
    """What the Trainer calls: raw targets, and the type of the predictions over N."""
    with pytest.raises(ArgumentError, match=words):
        loss.check_target(y, shape)


@pytest.mark.parametrize(
    ("loss", "y", "shape"),
    [
        (nn.MSELoss(), np.array([1e9, np.nan]), (N, 1)),
        (nn.CrossEntropyLoss(), np.array([2, 0], np.uint8), (N, 3)),
        (nn.CrossEntropyLoss(), np.eye(3, dtype=bool), (N, 3)),
        (nn.CrossEntropyLoss(), np.zeros((0, 3)), (N, 3)),
        (nn.CrossEntropyLoss(), np.array([9]), (N, 3, 3)),
        (nn.HingeLoss(), np.array([[-1.0], [1.0]]), (N, 1)),
        (nn.BCELoss(), np.array([[True]]), (N, 1)),
        (nn.KLDivergence(), np.array([[0.25, 0.75]]), (N, 2)),
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
