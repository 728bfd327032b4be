"""Containers; what modules register, freeze, load and convert; functional calls."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DTypeError,
    GradientError,
    ShapeError,
)

X = np.ones((2, 2), np.float32)


def names(module):
    return [name for name, _ in module.named_parameters()]


def linear(n=2):
    return nn.Linear(2, n, bias=False)


def test_sequential_grows_and_shrinks():
    a, b, c, d = (linear() for _ in range(4))
    net = nn.Sequential(a).append(c).extend([d]).insert(1, b)
    assert list(net) == [a, b, c, d]
    assert names(net) == [f"{i}.weight" for i in range(4)]
    net.insert(-1, a)
    assert list(net) == [a, b, c, a, d]
    del net[1:3]
    net[1] = b
    assert list(net) == [a, b, d]
    assert names(net) == ["0.weight", "1.weight", "2.weight"]
    assert net.settings()["1"]["class"] == "Linear"


def test_sequential_with_names():
    net = nn.Sequential({"first": linear(), "act": nn.Tanh()})
    assert names(net) == ["first.weight"]
    assert net.first is net[0]
    assert names(net.append(linear())) == ["first.weight", "2.weight"]
    with pytest.raises(ArgumentError, match="names of their own"):
        net.insert(0, linear())
    assert names(net) == ["first.weight", "2.weight"]
    with pytest.raises(ArgumentError, match="no method has"):
        nn.Sequential({"forward": linear()})
    with pytest.raises(ArgumentError, match="without dots"):
        nn.Sequential({"a.b": linear()})


class Deep(nn.Module):
    def __init__(self):
        self.blocks = nn.ModuleList([nn.ModuleList([linear()]), linear()])
        self.heads = nn.ModuleDict({"a": linear(1)})
        self.heads["b"] = linear(3)

    def forward(self, x, head="a"):
        for block in (*self.blocks[0], self.blocks[1]):
            x = block(x)
        return self.heads[head](x)


def test_lists_and_dictionaries_of_modules_are_found():
    net = Deep()
    wanted = ["blocks.0.0", "blocks.1", "heads.a", "heads.b"]
    assert names(net) == [f"{name}.weight" for name in wanted]
    assert net(X).shape == (2, 1)
    assert net(X, "b").shape == (2, 3)
    graph = cr.compile(net, engine="numpy").graph(X)
    scopes = [n.scope for n in graph.nodes if n.primitive.name == "dot_general"]
    assert scopes == wanted[:3]
    assert [v.name for v in graph.inputs[1:]] == [f"{n}.weight" for n in wanted[:3]]
    net.blocks.append(nn.Tanh())
    assert len(net.blocks) == 3
    assert net.blocks[1:][0] is net.blocks[1]
    assert list(net.heads) == ["a", "b"]
    assert "a" in net.heads
    assert "c" not in net.heads
    del net.heads["a"]
    assert list(net.heads.keys()) == ["b"]
    with pytest.raises(KeyError):
        net.heads["a"]
    with pytest.raises(ArgumentError, match="parentheses"):
        net.blocks.append(nn.Tanh)
    with pytest.raises(ArgumentError, match=r"no forward\(\)"):
        net.blocks(X)


def test_what_is_registered():
    net = nn.Module()
    net.register_buffer("seen", np.zeros(2))
    net.register_buffer("mask", cr.tensor([1.0]), persistent=False)
    net.register_parameter("w", nn.Parameter([1.0]))
    net.register_parameter("b", None)
    net.add_module("inner", linear())
    assert [n for n, _ in net.named_buffers()] == ["seen", "mask"]
    assert list(net.state_dict()) == ["seen", "w", "inner.weight"]
    net.load_state_dict(net.state_dict())
    assert net.get_submodule("inner") is net.inner
    assert net.get_submodule("") is net
    del net.inner, net.seen
    assert names(net) == ["w"]
    for wrong in ("a.b", "", "forward", 3):
        with pytest.raises(ArgumentError, match="a name of its own"):
            net.register_buffer(wrong, [1.0])
    with pytest.raises(ArgumentError, match="shall be a parameter"):
        net.register_parameter("x", cr.tensor([1.0]))
    with pytest.raises(ArgumentError, match="no module 'nothing'"):
        net.get_submodule("nothing")
    with pytest.raises(AttributeError, match="gone"):
        del net.gone


def test_freezing():
    net = nn.Sequential(linear(), linear()).requires_grad_(False)
    net[1].requires_grad_()
    net(X).sum().backward()
    assert net[0].weight.grad is None
    assert net[1].weight.grad is not None


def test_named_parameters_rename_nothing():
    inner = nn.Sequential(linear())
    outer = nn.Sequential(inner)
    assert names(outer) == ["0.0.weight"]
    assert names(inner) == ["0.weight"]
    assert inner[0].weight.name is None
    assert [n for n, _ in outer.named_parameters("net")] == ["net.0.0.weight"]
    assert list(outer.parameters(recurse=False)) == []
    assert [n for n, _ in inner[0].named_parameters(recurse=False)] == ["weight"]


class Tied(nn.Module):
    def __init__(self):
        self.a, self.b = linear(), linear()
        self.b.weight = self.a.weight


def test_a_shared_parameter_has_each_of_its_names():
    net = Tied()
    assert names(net) == ["a.weight"]
    both = [n for n, _ in net.named_parameters(remove_duplicate=False)]
    assert both == list(net.state_dict()) == ["a.weight", "b.weight"]
    for name in both:
        net.load_state_dict({name: X})
        assert net.b.weight.tolist() == X.tolist()
    with pytest.raises(ArgumentError, match="other numbers"):
        net.load_state_dict({"a.weight": X, "b.weight": 2 * X})


def test_loading_what_fits():
    net = nn.Sequential(linear(), linear())
    state = {"0.weight": 7 * X, "2.weight": X}
    with pytest.raises(ArgumentError, match=r"missing_keys: 1.w.*unexpected_keys: 2.w"):
        net.load_state_dict(state)
    made = net.load_state_dict(state, strict=False)
    assert made.missing_keys == ["1.weight"]
    assert made.unexpected_keys == ["2.weight"]
    assert net[0].weight.tolist() == (7 * X).tolist()
    with pytest.raises(ShapeError):
        net.load_state_dict({"0.weight": np.ones(3)}, strict=False)
    assert net.load_state_dict(net.state_dict()) == ([], [])


class OfAnother:
    """An array of another library that NumPy cannot have, like PyTorch's bfloat16."""

    shape = (1, 3)

    def __array__(self, *args, **kwargs):
        raise TypeError("Got unsupported ScalarType BFloat16")


@pytest.mark.parametrize(
    "state", [None, [X], {"0.weight": [[1.0], [2.0, 3.0]]}, {"0.weight": OfAnother()}]
)
def test_what_is_no_state_dict(state):
    net = nn.Sequential(linear(), linear())
    before = net.state_dict()
    if isinstance(state, dict):
        state = {"1.weight": 7 * X, **state}
    with pytest.raises(ArgumentError, match=r"(?s)arrays by name.*load_torch"):
        net.load_state_dict(state)
    assert all(np.array_equal(v, before[k]) for k, v in net.state_dict().items())


def test_a_state_of_parameters_without_numbers():
    with nn.no_init():
        empty = nn.Linear(3, 1)
    with pytest.raises(ArgumentError, match="no numbers yet"):
        nn.Linear(3, 1).load_state_dict({"weight": empty.weight, "bias": empty.bias})


def test_the_state_may_be_parameters():
    one, other = nn.Linear(3, 1), nn.Linear(3, 1)
    one.load_state_dict(dict(other.named_parameters()))
    assert one.weight.tolist() == other.weight.tolist()
    state = {"weight": 2 * other.weight, "bias": other.bias}
    with pytest.raises(GradientError):  # that would be forgotten
        one.load_state_dict(state)
    assert one.bias.requires_grad


def test_names_that_are_no_texts():
    with pytest.raises(ArgumentError, match="unexpected_keys: 3"):
        linear().load_state_dict({"weight": X, 3: X})


def test_another_dtype():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Embedding(3, 2))
    weight = net[0].weight
    before = weight.numpy()
    x = X.astype(np.float64)
    assert net.double() is net
    assert weight is net[0].weight
    np.testing.assert_array_equal(weight.numpy(), before.astype(np.float64))
    assert {t.dtype.name for t in net.buffers()} == {"float64", "int64"}
    assert net[:2](x).dtype is cr.float64
    assert [m.settings()["dtype"] for m in net] == ["float64"] * 3
    assert net.float()[:2](X).dtype is cr.float32
    assert net.to("cpu").to(cr.float64)[:2](x).dtype is cr.float64
    weight.requires_grad_(False)
    assert net.float()[0].weight.requires_grad is False
    for wrong, error in (("int32", DTypeError), ("cuda", ChainruleError)):
        with pytest.raises(error):
            net.to(wrong)


# -- functional calls ------------------------------------------------------------------


def test_functional_call_puts_others_in_their_place():
    net = nn.Sequential(linear(), nn.BatchNorm1d(2)).eval()
    w = cr.tensor(2 * X)
    made = nn.functional_call(net, {"0.weight": w, "1.running_mean": [4.0, 4.0]}, (X,))
    np.testing.assert_allclose(made.numpy(), 0.0)
    assert net[0].weight is not w
    assert isinstance(net[0].weight, nn.Parameter)
    own = {name: t * 1 for name, t in net.named_parameters()}
    made = nn.functional_call(net, own, X)
    np.testing.assert_array_equal(made.numpy(), net(X).numpy())
    assert nn.functional_call(Deep(), {}, (X,), {"head": "b"}).shape == (2, 3)


@pytest.mark.parametrize("engine", ["eager", "numpy"])
def test_derivatives_with_respect_to_what_is_put_in(engine):

    class Twice(Tied):
        def forward(self, x):
            return self.b(self.a(x))

    net = Twice()

    def loss(w):
        return (nn.functional_call(net, {"a.weight": w}, (X,)) ** 2).sum()

    w = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    gradient = cr.grad(loss)
    if engine != "eager":
        gradient = cr.compile(gradient, engine=engine)
    got = gradient(cr.tensor(w)).numpy()
    # ∂/∂W ‖X WᵀWᵀ‖² with A = W: both places count
    y = X @ w.T @ w.T
    wanted = 2 * ((y.T @ (X @ w.T)) + (w.T @ y.T @ X))
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    assert net.a.weight.grad is None
    assert net.a.weight is net.b.weight


def test_parameters_are_back_whatever_happens():
    class Fails(Tied):
        def forward(self, x):
            raise RuntimeError("no")

    net = Fails()
    weight = net.a.weight
    with pytest.raises(RuntimeError):
        nn.functional_call(net, {"b.weight": X}, (X,))
    assert net.a.weight is net.b.weight is weight
    with pytest.raises(ArgumentError, match=r"did you mean 'a\.weight'"):
        nn.functional_call(net, {"a.wieght": X}, (X,))
    with pytest.raises(ShapeError, match=r"b\.weight has another shape"):
        nn.functional_call(net, {"b.weight": [1.0]}, (X,))
