"""``cr.vmap`` beside a loop over the samples: values, derivatives, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.nn import functional as F
from tests.rows import table
from tests.ways import WAYS

SAMPLES = 4


@dataclass(frozen=True)
class Row:
    """A function of one sample, and the shapes of its arguments: int for indices.

    Attributes:
        shapes: of each argument; a pair (shape, bound) is of indices below the bound.
        in_dims: which arguments differ from sample to sample.
    """

    name: str
    function: Callable[..., Any]
    shapes: tuple[Any, ...]
    in_dims: tuple[int | None, ...] = ()

    def draw(self, rng: np.random.Generator, dtype: str) -> list[Any]:
        arguments: list[Any] = []
        for shape, dim in zip(self.shapes, self.dims):
            of_indices = bool(shape) and isinstance(shape[0], tuple)
            size, bound = shape if of_indices else (shape, None)
            if dim is not None:
                size = (*size[:dim], SAMPLES, *size[dim:])
            if of_indices:
                arguments.append(cr.tensor(rng.integers(0, bound, size)))
            else:
                arguments.append(cr.tensor(rng.uniform(0.3, 1.5, size), dtype=dtype))
        return arguments

    @property
    def dims(self) -> tuple[int | None, ...]:
        return self.in_dims or (0,) * len(self.shapes)

    def loop(self, *arguments: Any) -> Any:
        results = [
            self.function(
                *(
                    a if dim is None else cr.movedim(a, dim, 0)[i]
                    for a, dim in zip(arguments, self.dims)
                )
            )
            for i in range(SAMPLES)
        ]
        return cr.stack(results)


def _lstm_cell(x, h, c, w, u, b):
    i, f, g, o = (w @ x + u @ h + b).chunk(4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return cr.cat([o.sigmoid() * c.tanh(), c])


def _attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def _scan(x):
    last, ys = cr.scan(lambda c, v: (c * v + 0.1, c.sin()), cr.ones_like(x[0]), x)
    return last + ys.sum(0)


def _while(x):
    return cr.while_loop(lambda v: v < 5.0, lambda v: v * v + 1.0, x, max_steps=6)


def _shared_loop(x, w):
    def step(c, __):
        return (w @ c).tanh(), None

    return cr.scan(step, x, length=3)[0]


ROWS = [
    Row("add", lambda x, y: x + y, ((3,), (3,))),
    Row("broadcast", lambda x, y: x * y - 1 / x, ((2, 1), (3,))),
    Row("shared operand", lambda x, y: x * y, ((3,), (3,)), (0, None)),
    Row("shared first", lambda x, y: x / y, ((2, 3), (3,)), (None, 0)),
    Row("second axis", lambda x: (x * x).cumsum(0), ((3, 2),), (1,)),
    Row("exp log", lambda x: x.exp().log1p().sqrt(), ((3, 2),)),
    Row("gelu", lambda x: F.gelu(x) + F.silu(x) + F.elu(x - 1), ((5,),)),
    Row("softplus", lambda x: F.softplus(x) * F.selu(x), ((5,),)),
    Row("pow", lambda x, y: x**y, ((3,), (3,))),
    Row("sum", lambda x: x.sum(), ((3, 4),)),
    Row("mean var", lambda x: x.mean(0) + x.var(0), ((4, 3),)),
    Row("max", lambda x: x.max() - x.min(), ((4, 3),)),
    Row("prod", lambda x: x.prod(1), ((4, 3),)),
    Row("norm", lambda x: x.norm(), ((4,),)),
    Row("logsumexp", lambda x: x.logsumexp(-1), ((4, 3),)),
    Row("softmax", lambda x: x.softmax(-1), ((4, 3),)),
    Row("log softmax", lambda x: x.log_softmax(0), ((4, 3),)),
    Row("dot", lambda x, y: x @ y, ((5,), (5,))),
    Row("matrix vector", lambda w, x: w @ x, ((3, 5), (5,)), (None, 0)),
    Row("matrices vector", lambda w, x: w @ x, ((3, 5), (5,)), (0, None)),
    Row("matmul", lambda x, y: x @ y, ((3, 5), (5, 2))),
    Row("matmul left", lambda x, y: x @ y, ((3, 5), (5, 2)), (0, None)),
    Row("matmul right", lambda x, y: x @ y, ((3, 5), (5, 2)), (None, 2)),
    Row("outer", lambda x, y: cr.outer(x, y), ((3,), (4,))),
    Row("einsum", lambda x, y: cr.einsum("bij,bjk->bik", x, y), ((2, 3, 4), (2, 4, 2))),
    Row("linear", F.linear, ((5,), (3, 5), (3,)), (0, None, None)),
    Row("linear each", F.linear, ((5,), (3, 5), (3,))),
    Row("conv1d", F.conv1d, ((2, 3, 7), (4, 3, 3), (4,)), (0, None, None)),
    Row("conv2d", F.conv2d, ((1, 2, 5, 6), (3, 2, 3, 2)), (0, None)),
    Row("conv2d each", F.conv2d, ((1, 2, 5, 6), (3, 2, 3, 2))),
    Row("conv2d kernels", F.conv2d, ((2, 2, 5, 6), (3, 2, 3, 2)), (None, 0)),
    Row("max pool", lambda x: F.max_pool2d(x, 2), ((1, 2, 4, 6),)),
    Row("avg pool", lambda x: F.avg_pool2d(x, 2), ((1, 2, 4, 6),)),
    Row("attention", _attention, ((2, 3, 4), (2, 5, 4), (2, 5, 4))),
    Row("attention keys", _attention, ((3, 4), (5, 4), (5, 4)), (0, None, None)),
    Row("layer norm", lambda x: F.layer_norm(x, (4,)), ((3, 4),)),
    Row(
        "layer norm shared",
        lambda x, g, b: F.layer_norm(x, (4,), g, b),
        ((3, 4), (4,), (4,)),
        (0, None, None),
    ),
    Row(
        "layer norm each",
        lambda x, g, b: F.layer_norm(x, (4,), g, b),
        ((3, 4), (4,), (4,)),
    ),
    Row("cross entropy", F.cross_entropy, ((3, 5), ((3,), 5))),
    Row("cross entropy of one", F.cross_entropy, ((5,), ((), 5))),
    Row("cross entropy shared", F.cross_entropy, ((3, 5), ((3,), 5)), (None, 0)),
    Row("mse", F.mse_loss, ((3, 2), (3, 2))),
    Row("huber", F.huber_loss, ((3, 2), (3, 2)), (0, None)),
    Row("gather", lambda x, i: x.gather(1, i), ((3, 5), ((3, 2), 5))),
    Row(
        "take along", lambda x, i: x.take_along_dim(i, 0), ((5,), ((3,), 5)), (None, 0)
    ),
    Row("index", lambda x, i: x[i], ((5, 2), ((3,), 5))),
    Row("index shared rows", lambda x, i: x[i], ((5, 2), ((3,), 5)), (None, 0)),
    Row("index shared indices", lambda x, i: x[i], ((5, 2), ((3,), 5)), (0, None)),
    Row("index of one", lambda x, i: x[i], ((5, 2), ((), 5))),
    Row("embedding", lambda i, w: F.embedding(i, w), (((3,), 5), (5, 2)), (0, None)),
    Row("slice", lambda x: x[1:, ::2] * 2, ((3, 5),)),
    Row("sort", lambda x: x.sort(-1).values, ((3, 5),)),
    Row("top k", lambda x: x.topk(2).values, ((5,),)),
    Row("cumsum", lambda x: x.cumsum(0), ((4, 2),)),
    Row("cumprod", lambda x: x.cumprod(-1), ((4, 2),)),
    Row("where", lambda x, y: cr.where(x > y, x.log(), y * y), ((4,), (4,))),
    Row("clamp", lambda x: x.clamp(0.5, 1.0), ((6,),)),
    Row("stack", lambda x, y: cr.stack([x, y], dim=1), ((3,), (3,)), (0, None)),
    Row("cat flip", lambda x: cr.cat([x, x.flip(0) * 2]), ((3, 2),)),
    Row("reshape", lambda x: x.reshape(2, -1).T, ((4, 3),)),
    Row("trace", lambda x: x.tril().diagonal().sum(), ((3, 3),)),
    Row(
        "lstm cell",
        _lstm_cell,
        ((3,), (2,), (2,), (8, 3), (8, 2), (8,)),
        (0, 0, 0, None, None, None),
    ),
    Row("scan", _scan, ((3, 2),)),
    Row("scan shared", _shared_loop, ((2,), (2, 2)), (0, None)),
    Row("scan shared state", _shared_loop, ((2,), (2, 2)), (None, 0)),
    Row("while", _while, ((),)),
    Row("cond", lambda x: cr.cond(x > 1, lambda x: x.log(), lambda x: -x, x), ((),)),
    Row("in place", lambda x: x.clone().mul_(2).add_(x), ((3,),)),
    Row("detach", lambda x: x * x.detach(), ((3,),)),
]

IDS = [row.name for row in ROWS]
TOLERANCES = {"float64": 1e-12, "float32": 2e-6}


def _close(got: Any, want: Any, dtype: str) -> None:
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    scale = max(1.0, float(np.abs(want.numpy()).max(initial=0.0)))
    tolerance = TOLERANCES[dtype]
    np.testing.assert_allclose(
        got.numpy(), want.numpy(), rtol=tolerance, atol=tolerance * scale
    )


def _floats(arguments: list[Any]) -> tuple[int, ...]:
    return tuple(i for i, a in enumerate(arguments) if a.dtype.is_float)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_values_and_gradients_are_those_of_a_loop(row, dtype, rng):
    arguments = row.draw(rng, dtype)
    batched = cr.vmap(row.function, in_dims=row.dims)
    want = row.loop(*arguments)
    _close(batched(*arguments), want, dtype)
    weights = cr.tensor(rng.normal(size=want.shape), dtype=dtype)
    floats = _floats(arguments)

    def slopes(function):
        return cr.grad(lambda *a: (function(*a) * weights).sum(), argnums=floats)

    for got, expected in zip(slopes(batched)(*arguments), slopes(row.loop)(*arguments)):
        _close(got, expected, dtype)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "engine", ["numpy", pytest.param("native", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_compiled_values_and_gradients_are_those_of_a_loop(row, engine, rng):
    arguments = row.draw(rng, "float64")
    batched = cr.vmap(row.function, in_dims=row.dims)
    want = row.loop(*arguments)
    weights = cr.tensor(rng.normal(size=want.shape), dtype="float64")
    floats = _floats(arguments)

    def both(function):
        def loss(*a):
            y = function(*a)
            return (y * weights).sum(), y

        return cr.grad(loss, argnums=floats, has_aux=True)

    expected, __ = both(row.loop)(*arguments)
    got, value = cr.compile(both(batched), engine=engine)(*arguments)
    _close(value, want, "float64")
    for g, e in zip(got, expected):
        _close(g, e, "float64")


# -- with other transforms -------------------------------------------------------------


def _model():  # no fixture: engines elsewhere take over these tests alone
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def _points(rng: np.random.Generator) -> tuple[Any, Any]:
    x = cr.tensor(rng.normal(size=(SAMPLES, 5)), dtype="float64")
    return x, cr.tensor(rng.integers(0, 3, SAMPLES))


@pytest.mark.parametrize("way", WAYS)
def test_gradients_for_each_sample_of_a_module_are_those_of_a_loop(way, rng):
    model = _model()
    x, y = _points(rng)
    parameters = {n: p.detach() for n, p in model.named_parameters()}

    def loss(parameters, x, y):
        return F.cross_entropy(cr.functional_call(model, parameters, x), y)

    each = cr.vmap(cr.grad(loss), in_dims=(None, 0, 0))
    if way != "eager":
        each = cr.compile(each, engine=way)
    for name, got in each(parameters, x, y).items():
        rows = [cr.grad(loss)(parameters, x[i], y[i])[name] for i in range(SAMPLES)]
        _close(got, cr.stack(rows), "float64")


def test_a_module_is_an_argument_that_all_samples_share(rng):
    model = _model()
    x, y = _points(rng)
    each = cr.vmap(
        cr.grad(lambda m, x, y: F.cross_entropy(m(x), y)), in_dims=(None, 0, 0)
    )(model, x, y)
    cr.vmap(lambda x, y: F.cross_entropy(model(x), y))(x, y).sum().backward()
    for name, parameter in model.named_parameters():
        _close(each[name].sum(0), parameter.grad, "float64")


def test_vmap_of_vmap(rng):
    a = cr.tensor(rng.normal(size=(3, 2)), dtype="float64")
    b = cr.tensor(rng.normal(size=(4, 2)), dtype="float64")

    def function(u, v):
        return (u * v).sum().sin()

    inner = cr.vmap(function, in_dims=(None, 0))
    want = (a @ b.T).sin()
    _close(cr.vmap(inner, in_dims=(0, None))(a, b), want, "float64")
    closed = cr.vmap(lambda u: cr.vmap(lambda v: function(u, v))(b))
    for way in (closed, cr.compile(closed), cr.compile(closed, engine="numpy")):
        _close(way(a), want, "float64")


def test_jacobians_and_hessians_by_vmap(rng):
    x = cr.tensor(rng.normal(size=4), dtype="float64")

    def function(x):
        return x.sin().cumsum(0) * x

    def cube(x):
        return (x**3).sum() * x[0]

    basis = cr.eye(4, dtype="float64")
    __, back = cr.vjp(function, x)
    jacobian = cr.jacobian(function)(x)
    _close(cr.vmap(lambda v: back(v)[0])(basis), jacobian, "float64")
    columns = cr.vmap(lambda v: cr.jvp(function, [x], [v])[1], out_dims=1)(basis)
    _close(columns, jacobian, "float64")
    points = cr.stack([x, x * 2])
    hessians = cr.stack([cr.hessian(cube)(p) for p in points])
    _close(cr.vmap(cr.hessian(cube))(points), hessians, "float64")


def test_second_derivatives_pass_to_tensors_from_outside(rng):
    w = cr.tensor(2.0, dtype="float64", requires_grad=True)
    x = cr.tensor(rng.normal(size=(3, 2)), dtype="float64")
    slopes = cr.vmap(cr.grad(lambda x: (w * x**3).sum()))(x)
    slopes.sum().backward()
    _close(w.grad, (3 * x * x).sum(), "float64")


def test_compiled_functions_within_and_sizes_that_change(rng):
    model = _model()
    inner = cr.compile(lambda x: model(x))
    outer = cr.compile(cr.vmap(lambda x: model(x).softmax(-1)))
    for count in (1, 3, 5):
        x = cr.tensor(rng.normal(size=(count, 5)), dtype="float64")
        _close(cr.vmap(inner)(x), model(x), "float64")
        _close(outer(x), model(x).softmax(-1), "float64")


def test_nothing_is_recorded_within_no_grad():
    w = cr.tensor(2.0, requires_grad=True)
    product = cr.vmap(lambda x: x * w)
    assert product(cr.ones(3)).requires_grad
    with cr.no_grad():
        assert not product(cr.ones(3)).requires_grad


# -- where the samples are -------------------------------------------------------------


def test_axes_of_nests_of_arguments_and_results(rng):
    a = cr.tensor(rng.normal(size=(3, 2)), dtype="float64")

    def function(d, scale):
        x, (y, number) = d["x"], d["y"]
        return {"sum": x + y * number, "rest": [x * scale, None]}

    d = {"x": a, "y": (a.T, 2.0)}
    dims = {"x": 0, "y": (-1, None)}
    out_dims = {"sum": 1, "rest": 0}
    made = cr.vmap(function, in_dims=(dims, None), out_dims=out_dims)(d, 3.0)
    _close(made["sum"], (a * 3).T, "float64")
    _close(made["rest"][0], a * 3, "float64")
    assert made["rest"][1] is None


def test_results_that_all_samples_share_are_repeated_or_given_as_they_are():
    x, shared = cr.ones(3, 2), cr.tensor([1.0, 2.0, 4.0])
    function = lambda x: (x, shared, 1.5)  # noqa: E731
    __, repeated, number = cr.vmap(function, out_dims=(0, -1, 0))(x)
    assert repeated.tolist() == [[1.0] * 3, [2.0] * 3, [4.0] * 3]
    assert number.tolist() == [1.5] * 3
    assert cr.vmap(function, out_dims=(0, None, None))(x)[1].shape == (3,)


def test_arguments_by_name_are_shared():
    product = cr.vmap(lambda x, scale: x * scale)
    made = product(cr.ones(2), scale=cr.tensor([1.0, 2.0]))
    assert made.tolist() == [[1.0, 2.0]] * 2


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7])
def test_chunks_give_what_all_samples_at_once_do(chunk_size, rng):
    x = cr.tensor(rng.normal(size=(3, 5)), dtype="float64")
    made = cr.vmap(lambda x: x.cumsum(0), out_dims=1, chunk_size=chunk_size)(x)
    _close(made, x.cumsum(1).T, "float64")


def test_no_samples():
    assert cr.vmap(lambda x: x.sum())(cr.zeros(0, 3)).shape == (0,)


# -- random draws ----------------------------------------------------------------------


@pytest.mark.parametrize("way", [lambda f: f, cr.compile], ids=["eager", "compiled"])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_draws_are_the_same_or_different(way, chunk_size):
    def drawn(randomness):
        function = cr.vmap(
            lambda x: x * 0 + cr.rand(3), randomness=randomness, chunk_size=chunk_size
        )
        return way(function)(cr.ones(4, 3)).numpy()

    assert len(np.unique(drawn("same"), axis=0)) == 1
    assert len(np.unique(drawn("different"), axis=0)) == 4


def test_draws_of_a_generator_and_of_nested_vmaps():
    generator = cr.Generator().manual_seed(3)
    inner = cr.vmap(
        lambda x: x * 0 + cr.rand((), generator=generator), randomness="same"
    )
    made = cr.vmap(inner, randomness="different")(cr.ones(3, 2)).numpy()
    assert (made[:, 0] == made[:, 1]).all()
    assert len(np.unique(made)) == 3


def test_dropout_of_each_sample():
    dropped = cr.vmap(nn.Dropout(0.5), randomness="different")(cr.ones(64, 8))
    assert len(np.unique(dropped.numpy(), axis=0)) > 32


# -- refusals --------------------------------------------------------------------------


def _writes(x):
    KEPT.copy_(x)
    return x


def _steps(x):
    cr.optim.SGD([PARAMETER], lr=0.1).step()
    return x


def _backward(x):
    (x * PARAMETER).sum().backward()
    return x


KEPT, PARAMETER = cr.zeros(2), nn.Parameter(cr.ones(2))
X = cr.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
REFUSED = {
    "draws": (lambda: cr.vmap(lambda x: x + cr.rand(2))(X), "random numbers"),
    "dropout": (lambda: cr.vmap(nn.Dropout(0.5))(X), "random numbers"),
    "argument": (lambda: cr.vmap(lambda x: x.add_(1))(X), "changes a tensor"),
    "view": (lambda: cr.vmap(lambda x: x[0].add_(1))(X), "changes a tensor"),
    "outside": (lambda: cr.vmap(_writes)(X), "changes a tensor"),
    "batch norm": (
        lambda: cr.vmap(nn.BatchNorm1d(2))(cr.ones(3, 4, 2)),
        "changes a tensor",
    ),
    "backward": (lambda: cr.vmap(_backward)(X), "calls backward"),
    "optimiser": (lambda: cr.vmap(_steps)(X), "."),
    "nonzero": (lambda: cr.vmap(lambda x: x.nonzero())(X), "only at the run"),
    "mask": (lambda: cr.vmap(lambda x: x[x > 0])(X), "only at the run"),
    "item": (lambda: cr.vmap(lambda x: x.sum().item())(X), "no numbers yet"),
    "if": (lambda: cr.vmap(lambda x: x if x.sum() > 0 else -x)(X), "no numbers yet"),
    "no samples": (lambda: cr.vmap(lambda x: x, in_dims=None)(X), "no argument"),
    "no argument": (lambda: cr.vmap(lambda: 1)(), "no argument"),
    "number": (lambda: cr.vmap(lambda x, y: x * y)(X, 2.0), "from tensors"),
    "text": (lambda: cr.vmap(lambda x, y: x)(X, "a"), "from tensors"),
    "sizes": (lambda: cr.vmap(lambda x, y: x)(X, X.T), "numbers of samples"),
    "axis": (lambda: cr.vmap(lambda x: x, in_dims=2)(X), "not there"),
    "scalar": (lambda: cr.vmap(lambda x: x)(cr.tensor(1.0)), "not there"),
    "out axis": (lambda: cr.vmap(lambda x: x, out_dims=-3)(X), "not there"),
    "in_dims": (lambda: cr.vmap(lambda x: x, in_dims=(0, 0))(X), "does not fit"),
    "out_dims": (lambda: cr.vmap(lambda x: (x, x), out_dims=(0,) * 3)(X), "not fit"),
    "true": (lambda: cr.vmap(lambda x: x, in_dims=True)(X), "does not fit"),
    "shared": (lambda: cr.vmap(lambda x: x, out_dims=None)(X), "from sample to"),
    "result": (lambda: cr.vmap(lambda x: "a")(X), "returns tensors"),
    "randomness": (lambda: cr.vmap(lambda x: x, randomness="some"), "randomness"),
    "chunk": (lambda: cr.vmap(lambda x: x, chunk_size=0), "chunk"),
}


@table("name", REFUSED)
def test_refusals_say_why(name):
    call, words = REFUSED[name]
    with pytest.raises(cr.ChainruleError, match=words):
        call()
    assert KEPT.tolist() == [0.0, 0.0]
    assert PARAMETER.grad is None


def test_values_that_leak_are_refused():
    kept = []
    cr.vmap(lambda x: (kept.append(x), x)[1])(X)
    with pytest.raises(cr.ChainruleError, match="already traced"):
        _ = kept[0] * 2


def test_a_primitive_without_a_rule_is_named():
    from chainrule.graph.batching import apply_to_samples
    from chainrule.graph.declare import Operation
    from chainrule.graph.node import Value

    strange = Operation(name="strange", rule=lambda x: x, internal=True)
    with pytest.raises(cr.ChainruleError, match="no rule for strange"):
        apply_to_samples(strange, [Value(np.zeros((3, 2)))], [True], 3, {})


def test_large_constants_within_loops_and_samples():
    numbers = np.arange(100.0)
    made = cr.vmap(lambda x: x.sum() * cr.tensor(numbers))(X)
    assert made.shape == (3, 100)
    total, __ = cr.scan(
        lambda c, x: (c + cr.tensor(numbers).float().sum() * x, c), 0.0, X[:, 0]
    )
    assert total.item() == 9 * 4950


def test_backward_within_a_loop_is_refused():
    def step(c, x):
        (x * PARAMETER).sum().backward()
        return c, x

    with pytest.raises(cr.ChainruleError, match="calls backward"):
        cr.scan(step, 0.0, X)


def test_derivatives_within_a_loop_pass_to_what_is_outside():
    w, x = cr.tensor([2.0, 3.0]), X[:, 0]
    layer = nn.Linear(1, 1, bias=False)

    def step(c, v):
        slope = cr.grad(lambda w: (w * w * v).sum())(w)
        own = cr.grad(lambda m: (m(v.reshape(1)) ** 2).sum())(layer)["weight"]
        return c, (slope, own)

    __, (slopes, own) = cr.scan(step, 0.0, x)
    assert slopes.tolist() == (2 * w * x.reshape(3, 1)).tolist()
    expected = 2 * layer.weight * (x * x).reshape(3, 1, 1)
    np.testing.assert_allclose(own.numpy(), expected.detach().numpy(), rtol=1e-6)


# -- torch.func's names ----------------------------------------------------------------


@pytest.mark.parametrize("way", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_an_ensemble_of_modules_is_the_modules_one_by_one(way, rng):
    models = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(3)]
    for model in models:
        model(cr.tensor(rng.normal(size=(8, 3)), dtype="float32"))
        model.eval()
    parameters, buffers = cr.func.stack_module_state(models)
    assert all(p.requires_grad and p.is_leaf for p in parameters.values())

    def call(parameters, buffers, x):
        return cr.func.functional_call(models[0], (parameters, buffers), (x,))

    x = cr.tensor(rng.normal(size=(5, 3)), dtype="float32")
    made = way(cr.vmap(call, in_dims=(0, 0, None)))(parameters, buffers, x)
    _close(made.detach(), cr.stack([m(x) for m in models]).detach(), "float32")


def test_gradient_and_value():
    made = cr.func.grad_and_value(lambda x: (x * x, x + 1), has_aux=True)
    slope, (value, more) = made(cr.tensor(3.0))
    assert (slope.item(), value.item(), more.item()) == (6.0, 9.0, 4.0)
    assert cr.func.jacrev is cr.jacobian
    assert cr.func.vmap is cr.vmap


# -- functions with a derivative of their own ------------------------------------------


class _Scaled(cr.autograd.Function):
    """x³, whose derivative looks at a whole sample: 3 x² max x, times a number."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        assert x.ndim == 1
        return g * ctx.scale * 3 * x * x * x.max(), None


@pytest.mark.parametrize("way", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_own_derivatives_are_those_of_one_sample(way, rng):
    x = cr.tensor(rng.uniform(0.5, 2.0, (4, 3)), dtype="float64")
    w = cr.tensor(rng.uniform(0.5, 2.0, 3), dtype="float64")

    def function(x, w):
        return (_Scaled.apply(x * w, 0.5) * w).sum()

    def loop(x, w):
        return cr.stack([function(row, w) for row in x])

    batched = cr.vmap(function, in_dims=(0, None))
    for many in (batched, loop):
        made = way(cr.grad(lambda x, w, f=many: (f(x, w) ** 2).sum(), (0, 1)))(x, w)
        if many is batched:
            got = made
    for a, b in zip(got, made):
        _close(a, b, "float64")
    each = way(cr.vmap(cr.grad(function), in_dims=(0, None)))(x, w)
    _close(each, cr.stack([cr.grad(function)(row, w) for row in x]), "float64")
    second = cr.grad(lambda x: cr.grad(lambda x: batched(x, w).sum())(x).sum())(x)
    want = cr.grad(lambda x: cr.grad(lambda x: loop(x, w).sum())(x).sum())(x)
    _close(second, want, "float64")
    nested = cr.vmap(cr.vmap(lambda x: function(x, w)))
    x3 = cr.stack([x, x + 1])
    slope = cr.grad(lambda x: nested(x).sum())(x3)
    _close(slope[1], cr.grad(lambda x: loop(x, w).sum())(x3[1]), "float64")
