"""Modules, layers and losses: names, shapes, numbers, mistakes."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ChainruleWarning, ShapeError


class Nested(nn.Module):
    def __init__(self):
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.head = nn.Linear(4, 2, bias=False)
        self.head2 = self.head  # shared: counted once

    def forward(self, x):
        return self.head(self.encoder(x))


def test_names_are_paths():
    names = [n for n, _ in Nested().named_parameters()]
    assert names == ["encoder.0.weight", "encoder.0.bias", "head.weight"]


def test_what_a_module_holds_has_pytorchs_names():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2)), nn.ReLU())
    linear, inner, relu = model
    assert list(model.children()) == [linear, inner, relu]
    assert list(model.named_children()) == [("0", linear), ("1", inner), ("2", relu)]
    assert list(model.modules()) == [model, linear, inner, inner[0], relu]
    names = ["1.0.running_mean", "1.0.running_var", "1.0.num_batches_tracked"]
    assert [name for name, _ in model.named_buffers()] == names
    assert [t.shape for t in model.buffers()] == [(2,), (2,), ()]
    called = []
    assert model.apply(called.append) is model
    assert called == [linear, inner[0], inner, relu, model], "the inner ones first"


def test_a_parameter_is_not_replaced_by_what_is_none():
    layer = nn.Linear(2, 2)
    for wrong in (cr.tensor(np.zeros((2, 2))), np.zeros((2, 2)), 3):
        with pytest.raises(
            ArgumentError, match=r"Linear.weight is a parameter(.|\n)*copy_"
        ):
            layer.weight = wrong
    layer.weight = nn.Parameter(np.ones((2, 2), np.float32))
    with cr.no_grad():
        layer.weight -= 0.5
    layer.bias = None
    assert [n for n, _ in layer.named_parameters()] == ["weight"]
    assert layer.weight.tolist() == [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("held", [list, tuple, lambda m: {"a": m[0]}])
def test_modules_in_a_list_are_warned_of(held):
    class Listed(nn.Module):
        def __init__(self):
            self.layers = held([nn.Linear(2, 2)])

    words = r"layers holds modules(.|\n)*nn.Module(List|Dict)\("
    with pytest.warns(ChainruleWarning, match=words):
        Listed()


def test_a_tensor_that_looks_like_a_parameter_is_warned_of():
    module = nn.Module()
    with pytest.warns(ChainruleWarning, match=r"scale is no Parameter(.|\n)*nn.Par"):
        module.scale = cr.tensor([1.0], requires_grad=True)
    module.register_buffer("seen", cr.tensor([1.0]))
    module.scale = nn.Parameter([1.0])
    assert [name for name, _ in module.named_buffers()] == ["seen"]


def test_nodes_carry_the_module_path():
    model = Nested()
    graph = cr.compile(model, engine="numpy").graph(np.ones((2, 3), np.float32))
    scopes = {
        node.scope for node in graph.nodes if node.primitive.name == "dot_general"
    }
    assert "encoder.0" in scopes


def test_dropout_keeps_the_expectation():
    cr.manual_seed(0)
    made = nn.Dropout(0.25)(cr.tensor(np.ones(40_000, np.float32))).numpy()
    assert made.mean() == pytest.approx(1, abs=0.02)
    assert set(np.unique(made)) == {np.float32(0), np.float32(1 / 0.75)}


def test_state_dicts_are_checked_before_anything_changes():
    model = Nested()
    before = model.state_dict()
    with pytest.raises(ArgumentError, match="another architecture"):
        model.load_state_dict({k: v for k, v in before.items() if "head" not in k})
    wrong = before | {"head.weight": np.ones((2, 5), np.float32)}
    wrong["encoder.0.bias"] = before["encoder.0.bias"] + 1
    with pytest.raises(ShapeError, match=r"head\.weight"):
        model.load_state_dict(wrong)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_slice_of_a_network_is_a_network():
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
    x = cr.tensor(np.ones((2, 3), np.float32))
    head, tail = model[:2], model[2:]
    assert isinstance(head, nn.Sequential)
    assert not head.training
    np.testing.assert_array_equal(tail(head(x)).numpy(), model(x).numpy())
    assert tail[0] is model[2] is model[-1]
    assert [n for n, _ in tail.named_parameters()] == ["0.weight", "0.bias"]
    # The network that it was cut from keeps its names, in graphs too.
    graph = cr.compile(model, engine="numpy").graph(x)
    scopes = [n.scope for n in graph.nodes if n.primitive.name == "dot_general"]
    assert scopes == ["0", "2"]


def test_modules_nested_deeper_than_python_goes() -> None:
    made: nn.Module = nn.Linear(2, 2)
    for _ in range(900):
        made = nn.Sequential(made)
    x = np.ones((1, 2), np.float32)
    for run in (made, cr.compile(made, engine="numpy")):
        with pytest.raises(ArgumentError, match="calls modules within modules"):
            run(cr.tensor(x))
