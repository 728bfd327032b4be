"""A call of a compiled function looks up what the last one has found: never too much.

Whatever is changed between two calls, the second one gives what eager code gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, DTypeError, ShapeError


class Net(nn.Module):
    """A network with a plain number, a mode and a branch."""

    def __init__(self) -> None:
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(5)
        self.factor, self.loud = 2.0, False

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """(N, 3)."""
        made = self.last(self.drop(self.norm(self.first(x))).tanh()) * self.factor
        return made + 1 if self.loud else made


def rows(n: int, kind: Any = np.float32) -> np.ndarray:
    return (np.arange(n * 6).reshape(n, 6) % 7 - 3).astype(kind)


def assign(path: str, value: Any) -> Callable[[Net], None]:
    def change(net: Net) -> None:
        *owners, name = path.split(".")
        target: Any = net
        for owner in owners:
            target = getattr(target, owner)
        setattr(target, name, value())

    return change


CHANGES: dict[str, Callable[[Net], Any]] = {
    "nothing": lambda net: None,
    "weights in place": lambda net: net.first.weight.copy_(cr.ones(5, 6)),
    "weights by an item": lambda net: net.last.bias.data.__setitem__(1, 9.0),
    "a weight replaced": assign(
        "first.weight", lambda: nn.Parameter(np.full((5, 6), 0.3, np.float32))
    ),
    "a layer replaced": assign("last", lambda: nn.Linear(5, 3)),
    "running statistics": lambda net: net.norm.running_mean.copy_(cr.ones(5)),
    "a number": assign("factor", lambda: -0.5),
    "a truth value": assign("loud", lambda: True),
    "frozen": lambda net: net.first.weight.requires_grad_(False),
    "loaded": lambda net: net.load_state_dict(
        {k: v * 0 + 0.1 if v.dtype.kind == "f" else v for k, v in held(net).items()}
    ),
}


def held(net: Net) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in net.state_dict().items()}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("graded", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_the_model_are_seen(engine: str, change: str, graded: bool) -> None:
    cr.manual_seed(0)
    net = Net().eval()
    run = cr.compile(net, engine=engine)
    x = rows(4)
    with nullcontext() if graded else cr.no_grad():
        for _ in range(3):
            before = run(x).numpy().copy()
        CHANGES[change](net)
        wanted = net(cr.tensor(x))
        for _ in range(2):
            made = run(x)
            np.testing.assert_allclose(made.numpy(), wanted.numpy(), rtol=1e-5)
            assert made.requires_grad == wanted.requires_grad
    same = change in ("nothing", "frozen")
    assert np.allclose(before, made.numpy()) == same, "the change is one"


def test_a_switched_mode_is_seen(engine: str) -> None:
    net = Net().eval()
    run = cr.compile(net, engine=engine)
    calm = run(rows(4)).numpy().copy()
    net.train()
    assert not np.array_equal(run(rows(4)).numpy(), run(rows(4)).numpy()), "dropout"
    net.eval()
    assert run(rows(4)).numpy().shape == calm.shape


ARGUMENTS: dict[str, Callable[[], Any]] = {
    "the same": lambda: rows(4),
    "one row": lambda: rows(1),
    "many rows": lambda: rows(700),
    "no rows": lambda: rows(0),
    "other numbers": lambda: rows(4) + 1,
    "float64": lambda: rows(4, np.float64) + 1 / 3,
    "bytes": lambda: rows(4, np.int8),
    "backwards": lambda: rows(4)[::-1, ::-1],
    "every other row": lambda: rows(8)[::2],
    "columns": lambda: np.asfortranarray(rows(4)),
    "repeated": lambda: np.broadcast_to(rows(1), (4, 6)),
    "read only": lambda: _read_only(rows(4)),
    "not on a boundary": lambda: _shifted(rows(4)),
    "the other order of bytes": lambda: rows(4).astype(">f4"),
    "a tensor": lambda: cr.tensor(rows(4)),
    "a tensor with a derivative": lambda: cr.tensor(rows(4), requires_grad=True),
}


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _shifted(array: np.ndarray) -> np.ndarray:
    memory = np.zeros(array.nbytes + 1, np.uint8)
    memory[1:] = np.frombuffer(array.tobytes(), np.uint8)
    return memory[1:].view(np.float32).reshape(array.shape)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("other", ARGUMENTS)
def test_every_kind_of_argument_after_another(engine: str, other: str) -> None:
    def function(x: Any) -> cr.Tensor:
        return (x * x + x).sum(1)

    run = cr.compile(function, engine=engine)
    usual = rows(4)
    for _ in range(2):
        run(usual)
    for given in (ARGUMENTS[other](), usual, ARGUMENTS[other]()):
        try:
            wanted = function(
                given if isinstance(given, cr.Tensor) else cr.tensor(given)
            )
        except DTypeError:
            with pytest.raises(DTypeError):
                run(given)
            continue
        made = run(given)
        np.testing.assert_allclose(made.numpy(), wanted.numpy(), rtol=1e-5)
        assert (made.shape, made.dtype) == (wanted.shape, wanted.dtype)
        assert made.requires_grad == wanted.requires_grad


def test_results_are_the_callers_own(engine: str) -> None:
    """The next call writes nothing into what the last one returned, nor into x."""
    run = cr.compile(lambda x: (x + 1, x * 2), engine=engine)
    x = rows(4)
    first, kept = run(x), x.copy()
    held = [t.numpy() for t in first]
    again = run(x * 0)
    np.testing.assert_array_equal(held[0], kept + 1)
    np.testing.assert_array_equal(held[1], kept * 2)
    assert not any(np.shares_memory(a, b.numpy()) for a in held for b in again)
    np.testing.assert_array_equal(x, kept)


def test_a_program_remembers_what_fits_and_refuses_the_rest(engine: str) -> None:
    run = cr.compile(lambda x, y: x @ y, engine=engine, shapes={"x": ("N", 6)})
    y = np.ones((6, 2), np.float32)
    run(rows(3), y)
    (program,) = run.programs
    (name,) = program.traced
    for _ in range(2):
        for n in (3, 5, 1):
            made = program.run(name, {"x": rows(n), "y": y})
            np.testing.assert_allclose(made, rows(n) @ y)
        cast = program.run(name, {"x": rows(3, np.float64), "y": y})
        assert cast.dtype == np.float32
        with pytest.raises(ShapeError):
            program.run(name, {"x": rows(3)[:, :5], "y": y})
        with pytest.raises(ShapeError):
            program.run(name, {"x": rows(3)[0], "y": y})
        with pytest.raises(ArgumentError):
            program.run(name, {"x": rows(3)})


@pytest.mark.parametrize("inside", [True, False])
def test_what_becomes_of_an_argument_changes_no_derivative(
    engine: str, inside: bool
) -> None:
    """A batch's memory may be used again before the derivative is asked for."""
    w = cr.tensor(np.ones((6, 2), np.float32), requires_grad=True)

    def function(x: Any, holder: dict[str, Any]) -> cr.Tensor:
        return ((x @ w) * holder["y"]).sum()

    run = cr.compile(function, engine=engine)
    x, y, given = rows(4), np.full((4, 2), 3, np.float32), cr.tensor(rows(4))
    made = run(given if inside else x, {"y": y})
    x[:], y[:] = 0, 0
    given.copy_(given * 0)
    made.backward()
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.numpy(), rows(4).T @ np.full((4, 2), 3))


def test_named_arguments_in_another_order_keep_their_names() -> None:
    def f(x: cr.Tensor, y: cr.Tensor, **more: cr.Tensor) -> cr.Tensor:
        return x.sum() * y + more["z"].sum()

    step = cr.compile(f, engine="numpy", shapes={"x": ("N",), "z": ("M",)})
    assert step(z=cr.ones(2), y=cr.ones(1), x=cr.ones(3)).item() == 5
    assert step(z=cr.ones(4), y=cr.ones(1), x=cr.ones(5)).item() == 9
    (program,) = step.programs
    types = {v.name: str(v.type) for v in program.traced["f"].entry.graph.inputs}
    assert types == {"z": "f32[M]", "y": "f32[1]", "x": "f32[N]"}


def test_a_loss_over_a_named_number_of_classes_says_so() -> None:
    loss = cr.nn.CrossEntropyLoss(label_smoothing=0.1)

    def f(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
        return loss(scores, labels)

    step = cr.compile(f, engine="numpy", shapes={"scores": (3, "C")})
    with pytest.raises(ShapeError, match="size C is not known"):
        step(cr.zeros(3, 4), cr.tensor([0, 1, 2]))


def test_two_sizes_that_vary_are_equal_now_and_then(engine: str) -> None:
    """They have names of their own while they differ; the code asks for both."""

    @cr.compile(engine=engine)
    def total(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        return x.sum() * 2 if x.shape[0] == y.shape[0] else x.sum() * y.sum()

    for n, m in ((3, 4), (5, 6), (7, 8), (5, 5), (2, 9), (6, 6)):
        wanted = 2 * n if n == m else n * m
        assert total(cr.ones(n), cr.ones(m)).item() == wanted, (n, m)


def test_sizes_with_two_names_may_be_equal_at_first(engine: str) -> None:
    """Shapes that are compared on the way, such as a mask's, decide nothing."""

    def attend(x: cr.Tensor) -> cr.Tensor:
        seen = cr.tril(cr.ones(x.shape[1], x.shape[1])) > 0
        return cr.nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=seen)

    run = cr.compile(attend, engine=engine, shapes={"x": ("N", "T", 4)})
    for shape in ((5, 5, 4), (5, 3, 4), (2, 5, 4)):
        x = cr.tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))
        np.testing.assert_allclose(run(x).numpy(), attend(x).numpy(), atol=1e-6)


def test_a_size_that_is_looked_up_in_a_table(engine: str) -> None:
    @cr.compile(engine=engine)
    def scaled(x: cr.Tensor) -> cr.Tensor:
        return x.sum() * {5: 2.0}.get(x.shape[0], 1.0)

    assert [scaled(cr.ones(n)).item() for n in (3, 4, 5, 6, 5)] == [3, 4, 10, 6, 10]


@pytest.mark.parametrize(
    "number",
    [
        lambda n: -n,
        lambda n: abs(~n),
        lambda n: round(n) + math.ceil(n),
        lambda n: (n >> 1) + (n << 1) + (1 << n),
        lambda n: (n & 3) + (n | 3) + (n ^ 3) + (3 & n),
        lambda n: sum(divmod(n, 3)) + sum(divmod(30, n)),
        lambda n: 2**n + n**2,
        lambda n: n * 0.5 + 0.5 * n,
        lambda n: n // 2.0,
        lambda n: int(n * np.int64(3) + n // np.int64(2)),
        lambda n: n.bit_length() + n.numerator,
        lambda n: 2 if n == 5.0 else 1,
        lambda n: 2 if n == np.int64(5) else 1,
        lambda n: 2 if n == float("nan") else 1,
        lambda n: (n == cr.tensor(5)) + 1,
        lambda n: n - cr.tensor(2.0),
    ],
)
def test_a_size_that_varies_is_an_integer(number: Callable[[Any], Any]) -> None:
    def scaled(x: cr.Tensor) -> cr.Tensor:
        return x * number(x.shape[0])

    compiled = cr.compile(scaled, engine="numpy")
    for n in (3, 4, 5, 6):
        x = cr.ones(n)
        np.testing.assert_array_equal(compiled(x).numpy(), scaled(x).numpy())


def test_python_that_takes_a_size_for_something_else(engine: str) -> None:
    @cr.compile(engine=engine)
    def summed(x: cr.Tensor) -> cr.Tensor:
        sizes: Any = x.shape[0]
        sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
        return x.sum() * len(sizes)

    assert [summed(cr.ones(n)).item() for n in (3, 4, 5)] == [3, 4, 5]


def test_names_of_sizes_are_those_of_arguments() -> None:
    def scaled(x: cr.Tensor, mask: cr.Tensor | None = None, n: int = 1) -> cr.Tensor:
        return x * n if mask is None else x * mask

    x = cr.ones(3)
    shapes = {"x": ("N",), "mask": ("N",)}
    assert cr.compile(scaled, shapes=shapes)(x).shape == (3,)
    for name in ("y", "x.0", "n"):
        step = cr.compile(scaled, shapes={name: ("N",)})
        for call in (step, step.graph):
            with pytest.raises(ArgumentError, match=f"no argument '{name}'") as raised:
                call(x, n=2)
            assert raised.value.expected == "x, mask"


@pytest.mark.parametrize(
    "shapes", ["N", {"x": "N"}, {"x": 3}, {"x": (1.5,)}, {"x": (-1,)}, {1: ("N",)}]
)
def test_shapes_with_names(shapes: Any) -> None:
    with pytest.raises(ArgumentError, match="gives sizes names"):
        cr.compile(lambda x: x, shapes=shapes)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.softmax(-1) - x.mean(0, keepdim=True),
        lambda x: x @ cr.ones(4, 3) + cr.ones(1, 3),
        lambda x: x * 2 if x.shape[0] == 3 else x,
    ],
)
@pytest.mark.parametrize("first", [1, 3])
def test_a_size_with_a_name_may_be_one_that_it_is_compared_with(
    function: Callable[[Any], Any], first: int
) -> None:
    step = cr.compile(function, engine="numpy", shapes={"x": ("N", 4)})
    draw = np.random.default_rng(0)
    for n in (first, 2, 1, 5, 3, 7):
        x = cr.tensor(draw.normal(size=(n, 4)))
        np.testing.assert_allclose(step(x).numpy(), function(x).numpy(), rtol=1e-12)
    assert len(step.programs) <= 3
    with pytest.raises(ShapeError, match="is not known"):
        cr.compile(lambda x: x * int(x.shape[0]), shapes={"x": ("N",)})(cr.ones(3))


def test_only_the_size_that_is_compared_loses_its_name() -> None:
    """Texts one at a time are no program for each length."""
    step = cr.compile(
        lambda x: x.softmax(-1) + x.mean((0, 1), keepdim=True),
        engine="numpy",
        shapes={"x": ("N", "T", 4)},
    )
    for t in (5, 6, 7, 8):
        step(cr.ones(1, t, 4))
    assert len(step.programs) == 1


def test_a_program_says_what_it_is() -> None:
    assert repr(cr.compile(nn.Linear(2, 1))) == "<compiled Linear: engine='auto'>"
    named = cr.compile(held, engine="numpy")
    assert repr(named) == "<compiled held: engine='numpy'>"


#: Code that asks for the number of a size, and what the Trainer says of it.
ASKING: dict[str, Callable[[Any], Any]] = {
    "an integer": lambda x: int(x.shape[0]),
    "a loop": lambda x: sum(range(x.shape[0])),
    "a length": len,
    "a comparison": lambda x: 1.0 if x.shape[0] > 3 else 2.0,
    "a sum": lambda x: x.shape[0] + 1,
    "a table": lambda x: {4: 2.0}.get(x.shape[0], 1.0),
    "a text": lambda x: float(f"{x.shape[0]}"),
    "pieces": lambda x: x.chunk(2)[0].mean(),
    "rows twice": lambda x: cr.concat([x, x]).mean(),
    "chunks of samples": lambda x: cr.vmap(lambda r: r.sum(), chunk_size=2)(x).mean(),
}


class Asking(nn.Module):
    def __init__(self, kind: str) -> None:
        self.kind, self.layer = kind, nn.Linear(3, 1)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.layer(x) * ASKING[self.kind](x)


@pytest.mark.parametrize("kind", ASKING)
def test_the_fix_for_a_size_with_a_name_is_one_where_it_is_said(kind: str) -> None:
    """A Trainer has no fixed shapes to trace with; a program with names has."""
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    trainer = cr.Trainer(
        Asking(kind), loss=nn.MSELoss(), optimizer=cr.optim.SGD(lr=0.1), engine="numpy"
    )
    with pytest.raises(ShapeError, match="batches have any size") as error:
        trainer.fit((x, x[:, :1]), epochs=1, batch_size=4, progress=False)
    assert "shapes=" not in str(error.value)
    named = cr.compile(Asking(kind).eval(), shapes={"x": ("N", 3)}, engine="numpy")
    if kind == "a comparison":  # guarded by the answer
        named(x)
        return
    with pytest.raises(ShapeError, match="leave N out of shapes="):
        named(x)


def test_a_size_is_an_integer_to_isinstance(engine: str) -> None:
    """A branch on it is taken in a trace as it is without one."""

    class Branching(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(3, 1)

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            match x.shape[0]:
                case int():
                    factor = 2.0
                case _:
                    factor = 3.0
            known = isinstance(x.shape[0], int) and isinstance(x.shape[0], int | str)
            return self.layer(x).detach() * 0 + factor + self.layer(x) * 0 + 10 * known

    model, x = Branching(), cr.ones(4, 3)
    wanted = model(x).numpy()
    for run in (
        cr.compile(model, engine=engine),
        cr.compile(model, shapes={"x": ("N", 3)}, engine=engine),
    ):
        np.testing.assert_array_equal(run(x).numpy(), wanted)
    trainer = cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=cr.optim.SGD(lr=0.1), engine=engine
    )
    trainer.fit((x, x[:, :1]), epochs=1, batch_size=3, progress=False)
    np.testing.assert_array_equal(trainer.predict(x), wanted)
