"""Every layer, activation, loss and function of the rows of modules."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
import chainrule.nn.functional
from chainrule import nn
from tests.parity.layer_rows import ROWS
from tests.parity.module_rows import LABELS, OTHERS, SCORES, WEIGHT
from tests.parity.table import Row, compare_all, compare_compiled, grouped

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
]
TF = torch.nn.functional
F = chainrule.nn.functional


@pytest.mark.parametrize("rows", grouped(ROWS).values(), ids=grouped(ROWS))
def test_agrees_with_pytorch(rows: list[Row]) -> None:
    """Every row in float64; in float32 the first one of each name."""
    compare_all(rows[:1])
    compare_all(rows[1:], ["float64"])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_agrees_with_pytorch_in_float32(part: int) -> None:
    compare_all([row for row in ROWS[part::10] if row.narrow], ["float32"])


@pytest.mark.parametrize(
    ("engine", "every"), [("numpy", 1), ("native", 4)], indirect=["engine"]
)
def test_agrees_with_pytorch_while_compiled(engine: str, every: int) -> None:
    """One row of each name in one program; with derivatives where that is cheap.

    Machine code for all of them is slow: some are enough to see that it is that of
    tests/nn/test_engines.py and of the conformance tests.
    """
    firsts = [rows[0] for rows in grouped(ROWS).values()]
    compare_compiled(firsts[::every], engine, firsts=engine == "numpy")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_every_argument_agrees_while_compiled(part: int, engine: str) -> None:
    rows = ROWS[part::10]
    for i in range(0, len(rows), 50):
        compare_compiled(rows[i : i + 50], engine)


# -- losses as functions ---------------------------------------------------------------

LOSSES = [nn.__dict__[n] for n in nn.__all__ if n.endswith("Loss") and n != "Loss"]
#: The classes by the names of the functions.
OF_LOSSES = {
    name: function.layer.__name__
    for name, function in vars(F).items()
    if getattr(function, "layer", None) in LOSSES
}


@pytest.mark.parametrize("name", ["cross_entropy", "mse_loss", "nll_loss"])
def test_a_loss_as_a_function_is_the_loss(name: str) -> None:
    """All of them are made by one function; PyTorch's names of their arguments hold."""
    y = OTHERS if name == "mse_loss" else LABELS
    options = {} if name == "mse_loss" else {"weight": WEIGHT, "ignore_index": 1}
    their = {k: torch.tensor(v) if k == "weight" else v for k, v in options.items()}
    theirs = getattr(TF, name)(
        input=torch.tensor(SCORES),
        target=torch.tensor(y),
        reduction="sum",
        **{k: v.double() if k == "weight" else v for k, v in their.items()},
    )
    ours = F.__dict__[name](input=SCORES, target=y, reduction="sum", **options)
    assert abs(ours.item() - theirs.item()) < 1e-10


def test_every_loss_as_a_function_has_the_arguments_of_its_class() -> None:
    ours = {"HalfMSELoss", "HalfSquaredErrorLoss", "TransformedTargetLoss"}
    assert {kind.__name__ for kind in LOSSES} - ours == set(OF_LOSSES.values())
    for name, kind in OF_LOSSES.items():
        arguments = inspect.signature(F.__dict__[name]).parameters
        wanted = inspect.signature(nn.__dict__[kind]).parameters
        assert {*wanted, "sample_weight"} <= arguments.keys()


def test_every_row_of_a_loss_is_the_function_too() -> None:
    """The classes are compared with PyTorch's; the functions are the classes."""
    functions = {kind: getattr(F, name) for name, kind in OF_LOSSES.items()}
    tried = 0
    for row in ROWS:
        function = functions.get(type(row.ours).__name__)
        if function is None:
            continue
        tensors = [cr.tensor(a) for a in row.inputs]
        made = function(*tensors, **row.ours.settings())
        np.testing.assert_array_equal(made.numpy(), row.ours(*tensors).numpy())
        tried += 1
    assert tried > 300


# -- signatures ------------------------------------------------------------------------

#: Arguments of PyTorch's that are old names of ``reduction``.
OLD = {"size_average", "reduce"}
#: What stands for things of PyTorch that take anything, and pass it on to this.
PASSED_ON = {
    f"F.{name}": TF.__dict__[f"_{name}"]
    for name in (
        *("max_pool1d", "max_pool2d", "max_pool3d"),
        *("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
    )
} | {
    f"nn.{kind}": functools.partial(torch.nn.RNNBase, kind) for kind in ("LSTM", "GRU")
}


def rnn(  # as PyTorch documents it
    input_size,
    hidden_size,
    num_layers=1,
    nonlinearity="tanh",
    bias=True,
    batch_first=False,
    dropout=0.0,
    bidirectional=False,
): ...


PASSED_ON["nn.RNN"] = rnn
#: First arguments, which have names of their own in each library.
TENSORS = {"x", "indices"}
#: Other defaults and other places, with the reason.
OTHERWISE = {
    "ignore_index": "PyTorch ignores the label −100 unasked; here it is refused",
    "dim": "PyTorch guesses an axis, and warns; here it is the last one",
    "device": "the CPU; the signature of some recurrent layers in PyTorch hides it",
    "dtype": "parameters are float32 unless another dtype is asked for",
    "align_corners": "None means False in PyTorch",
    "activation": "by its name, as PyTorch's may be too",
    "modules": "PyTorch's Sequential and ModuleList call it otherwise",
    "include_last_offset": "PyTorch has a private argument before it",
    "padding_idx": "the same of EmbeddingBag",
    "delta": "before reduction=, which is a keyword here",
    "beta": "before reduction=, which is a keyword here",
}
#: Arguments of ours alone, with the reason.
OURS = {
    "device": "the CPU; the signature of some recurrent layers in PyTorch hides it",
    "dtype": "parameters are float32 unless another dtype is asked for",
    "init": "an initialiser by its name",
    "antialias": "nn.Upsample has it too, as F.interpolate",
    "from_logits": "probabilities instead of scores",
    "sample_weight": "a weight for each sample",
    "modules": "PyTorch's Sequential and ModuleList call it otherwise",
}


def offered() -> list[tuple[str, Any, Any]]:
    """What both have by one name, and whose arguments can be read."""
    pairs = [
        (f"nn.{n}", getattr(nn, n), getattr(torch.nn, n, None))
        for n in nn.__all__
        if isinstance(getattr(nn, n), type) and n not in ("Module", "Parameter")
    ]
    pairs += [(f"F.{n}", getattr(F, n), getattr(TF, n, None)) for n in F.__all__]
    pairs = [p for p in pairs if inspect.isclass(p[2]) or inspect.isfunction(p[2])]
    return [(name, ours, PASSED_ON.get(name, theirs)) for name, ours, theirs in pairs]


@pytest.mark.parametrize(("name", "ours", "theirs"), offered(), ids=lambda x: x)
def test_arguments_stand_where_pytorch_has_them(
    name: str, ours: Any, theirs: Any
) -> None:
    """What is given by place or left out means the same; what is not there, raises."""
    mine = inspect.signature(ours).parameters
    other = {
        k: p for k, p in inspect.signature(theirs).parameters.items() if k not in OLD
    }
    places = [k for k, p in mine.items() if p.kind is not p.KEYWORD_ONLY]
    for a, b in zip(places, other):
        assert a == b or a in TENSORS or a in OTHERWISE, (a, b)
    for key, parameter in mine.items():
        if key in other:
            same = parameter.default == other[key].default
            assert same or key in OTHERWISE, key
        else:
            assert key in TENSORS or key in OURS, key
