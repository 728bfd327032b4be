"""Networks of PyTorch, as ONNX files and as weights, are examined like our own."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import Diagnosis, examples
from chainrule.doctor.weights import Fan

from ..interop.test_onnx_models import path_of

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
T = torch.nn
pytestmark = pytest.mark.parity


def mlp(act: Any = T.ReLU, depth: int = 2, outputs: int = 2, *end: Any) -> Any:
    """A network of PyTorch's with hidden layers of 16 units."""
    torch.manual_seed(0)
    layers: list[Any] = []
    for i in range(depth):
        layers += [T.Linear(16 if i else 2, 16), *([act()] if act else [])]
    return T.Sequential(*layers, T.Linear(16, outputs), *end)


def exported(model: Any, dynamo: bool = True) -> nn.Module:
    """The network as PyTorch writes it into an ONNX file, for any number of rows."""
    written = io.BytesIO()
    rows = {"dynamic_shapes": ({0: torch.export.Dim("N")},)}
    if not dynamo:
        rows = {"dynamic_axes": {"x": {0: "N"}, "y": {0: "N"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            (torch.zeros(3, 2),),
            written,
            dynamo=dynamo,
            input_names=["x"],
            output_names=["y"],
            verbose=False,
            **rows,
        )
    return cr.load_onnx(written.getvalue())


def zeros(model: Any) -> Any:
    for p in model.parameters():
        T.init.zeros_(p)
    return model


def dead(model: Any) -> Any:
    for layer in (model[0], model[2]):
        T.init.constant_(layer.bias, -6.0)
    return model


def waves() -> dict[str, Any]:
    return {"rows": examples.waves(), "loss": nn.MSELoss()}


def binary() -> dict[str, Any]:
    return {"rows": examples.binary(examples.moons()), "loss": nn.BCELoss()}


#: Sick networks: what makes them, what is found in them, and further arguments.
SICK: dict[str, tuple[Callable[[], Any], str, Callable[[], dict[str, Any]]]] = {
    "softmax twice": (
        lambda: mlp(T.ReLU, 2, 2, T.Softmax(-1)),
        "output-activation-twice",
        dict,
    ),
    "no nonlinearity": (
        lambda: mlp(None),
        "no-nonlinearity",
        lambda: {"rows": cr.data.circles(300, seed=0), "epochs": 40},
    ),
    "zero weights": (lambda: zeros(mlp()), "constant-weights", dict),
    "dead units": (lambda: dead(mlp()), "dead-units", dict),
    "deep sigmoids": (
        lambda: mlp(T.Sigmoid, 8),
        "vanishing-gradient",
        lambda: {"epochs": 20},
    ),
    "softmax of one": (
        lambda: mlp(T.ReLU, 2, 1, T.Softmax(-1)),
        "softmax-over-one-output",
        binary,
    ),
    "ReLU at the end": (lambda: mlp(T.ReLU, 2, 1, T.ReLU()), "relu-output", waves),
    "no sigmoid": (lambda: mlp(T.ReLU, 2, 1), "output-activation-missing", binary),
}


def examined(model: nn.Module, **given: Any) -> Diagnosis:
    trainer, data, more = examples.example(model, **given)
    return cr.diagnose(trainer, data, **more)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", SICK)
def test_a_sick_file_is_diagnosed_and_cured(name: str) -> None:
    make, code, given = SICK[name]
    found = examined(exported(make()), **given())
    first = found.findings[0]
    assert (first.code, first.severity) == (code, "sick"), str(found)
    assert first.comparison is not None, "the change was not tried"
    assert first.comparison.gain > 0.1


@pytest.mark.parametrize("dynamo", [True, False])
def test_a_healthy_file_gets_a_clean_bill(dynamo: bool) -> None:
    found = examined(exported(mlp(), dynamo))
    assert found.findings == [], str(found)


def test_files_of_the_older_exporter() -> None:
    found = examined(exported(mlp(T.ReLU, 2, 2, T.Softmax(-1)), dynamo=False))
    assert found.findings[0].change is not None
    assert found.findings[0].change.diff == (
        "- 5_Softmax: Softmax(axis=-1)\n+ 5_Softmax: nn.Identity()"
    )


def test_the_weights_of_a_state_dict() -> None:
    written = io.BytesIO()
    torch.save(zeros(mlp()).state_dict(), written)
    written.seek(0)
    model = examples.mlp()
    model.load_state_dict(cr.load_torch(written))
    assert examined(model).findings[0].code == "constant-weights"


def test_nothing_of_the_file_changes() -> None:
    model = exported(mlp(T.ReLU, 2, 2, T.Softmax(-1)))
    shown = repr(model)
    before = {n: p.numpy().copy() for n, p in model.named_parameters()}
    examined(model).fix()
    assert repr(model) == shown
    for name, p in model.named_parameters():
        assert np.array_equal(p.numpy(), before[name])


class Own(nn.Module):
    """A class of one's own whose weights are plain parameters, inputs first."""

    def __init__(self) -> None:
        self.first = nn.Parameter(cr.zeros(2, 16))
        self.last = nn.Parameter(cr.zeros(2, 16))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return (x @ self.first).relu() @ self.last.T


def test_the_graph_says_over_how_many_inputs_a_unit_sums() -> None:
    found = examined(Own(), epochs=2)
    assert found.case is not None
    assert found.case.setup.fans == {"first": Fan(2, 16), "last": Fan(16, 2)}
    found = examined(exported(mlp(outputs=3)), epochs=2)
    assert found.case is not None
    fans = {"0.weight": Fan(2, 16), "2.weight": Fan(16, 16), "4.weight": Fan(16, 3)}
    assert found.case.setup.fans == fans


def test_weights_of_ones_own_class_are_drawn_anew() -> None:
    found = examined(Own())
    first = found.findings[0]
    assert (first.code, first.severity) == ("constant-weights", "sick"), str(found)
    assert first.comparison is not None


def test_a_published_model() -> None:
    """The direction classifier of text ends in a softmax: not in front of this loss."""
    path = path_of("rapidocr_onnxruntime", "ch_ppocr_mobile_v2.0_cls_infer.onnx")
    model = cr.load_onnx(path)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (24, 3, 48, 64)).astype(np.float32)
    data = Dataset(x, np.arange(24) % 2, classes=2)
    trainer = cr.Trainer(
        model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=1e-3), engine="numpy"
    )
    found = cr.diagnose(trainer, data, epochs=1, batch_size=8, seconds=1)
    first = found.findings[0]
    assert (first.code, first.severity) == ("output-activation-twice", "sick")
    assert "'Softmax_0'" in first.where
    assert first.change is not None
    assert first.change.after == "Softmax_0: nn.Identity()"


# -- the nodes of a file that are modules ----------------------------------------------


def test_a_node_is_replaced_like_a_layer() -> None:
    network = mlp()
    model = exported(network)
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    assert repr(model.get_submodule("node_relu")) == "Relu()"
    model.node_relu = nn.Tanh()
    network[1] = T.Tanh()
    expected = network(torch.from_numpy(x)).detach().numpy()
    assert np.allclose(model(cr.tensor(x)).numpy(), expected, atol=1e-6)
    assert np.allclose(cr.compile(model)(cr.tensor(x)).numpy(), expected, atol=1e-6)


def test_a_layer_of_a_file_computes_with_the_weights_of_its_copy() -> None:
    model = exported(mlp())
    other = copy.deepcopy(model)
    x = cr.ones(1, 2)
    before = model(x).numpy()
    for p in other.parameters():
        nn.init.zeros_(p)
    assert np.array_equal(other(x).numpy(), np.zeros((1, 2)))
    layer = other.get_submodule("node_linear")
    assert np.array_equal(layer(x).numpy(), np.zeros((1, 16)))
    assert np.array_equal(model(x).numpy(), before)


def test_the_names_of_parameters_are_those_of_the_file() -> None:
    model = exported(mlp())
    assert [*model.state_dict()] == [*mlp().state_dict()]
