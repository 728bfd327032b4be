"""Steps of rows alone, for tables with sparse gradients, against their formulas."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, GradientError, ShapeError
from tests.ways import ENGINES, WAYS

V, D = 9, 3


def by_hand(kind: str, table: np.ndarray, batches: Any, padding: int | None) -> Any:
    """The table after a step for each batch; other rows keep their moments."""
    w = table.astype(np.float64)
    first, second = np.zeros_like(w), np.zeros_like(w)
    for t, (rows, grads) in enumerate(batches, 1):
        for row in set(rows.tolist()) - {padding}:
            g = grads[rows == row].sum(0)
            if kind == "SGD":
                w[row] -= 0.1 * g
            elif kind == "Adagrad":
                second[row] += g**2
                w[row] -= 0.1 * g / (np.sqrt(second[row]) + 1e-10)
            else:
                first[row] = 0.9 * first[row] + 0.1 * g
                second[row] = 0.999 * second[row] + 0.001 * g**2
                rate = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
                w[row] -= rate * first[row] / (np.sqrt(second[row]) + 1e-8)
    return w


def stream(seed: int, padding: int | None) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    sizes = [5, 12, 0, 1, 7]
    rows = [rng.integers(0, V, size) for size in sizes]
    return [(r, rng.standard_normal((len(r), D))) for r in rows]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kind", "padding"), [("SparseAdam", 2), ("SGD", None), ("Adagrad", 2)]
)
def test_steps_by_hand(way: Any, kind: str, padding: int | None) -> None:
    """Equal indices add up, batches may be empty, the padding stays as it is."""
    start = np.random.default_rng(1).standard_normal((V, D))
    table = nn.Embedding.from_pretrained(
        start, freeze=False, sparse=True, padding_idx=padding
    )
    optimizer = getattr(optim, kind)(table.parameters(), lr=0.1)

    def step(rows: Any, grads: Any) -> Any:
        optimizer.zero_grad()
        loss = (table(rows) * grads).sum()
        loss.backward()
        optimizer.step()
        return loss

    run = step if way == "eager" else cr.compile(step, engine=way, threads=1)
    batches = stream(0, padding)
    for rows, grads in batches:
        run(cr.tensor(rows), cr.tensor(grads))
    found = table.weight.detach().numpy()
    wanted = by_hand(kind, start, batches, padding)
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    assert table.weight.grad is None  # the step has used it up


@pytest.mark.parametrize("way", WAYS)
def test_several_lookups_and_backwards_add_up(way: Any) -> None:
    start = np.random.default_rng(1).standard_normal((V, D))
    rng = np.random.default_rng(2)
    one, two = rng.integers(0, V, (2, 2, 4))
    sparse, dense = (
        nn.Embedding.from_pretrained(start, freeze=False, sparse=s)
        for s in (True, False)
    )
    for table in (sparse, dense):
        optimizer = optim.SGD(table.parameters(), lr=0.1)

        def step(a: Any, b: Any, t: Any = table, o: Any = optimizer) -> Any:
            (t(a) * t(b)).sum().backward()
            (t(a) ** 2).sum().backward()
            o.step()
            o.zero_grad()

        run = step if way == "eager" else cr.compile(step, engine=way, threads=1)
        for a, b in ((one, two), (two, one), (one[:1], two[:1]), (two[:1], one[:1])):
            run(cr.tensor(a), cr.tensor(b))
    weights = [t.weight.detach().numpy() for t in (sparse, dense)]
    assert weights[0] == pytest.approx(weights[1], rel=1e-12)


def test_the_gradient_has_zeros_where_someone_reads_it() -> None:
    sparse, dense = (nn.Embedding(V, D, sparse=s, padding_idx=1) for s in (True, False))
    dense.load_state_dict(sparse.state_dict())
    rows = cr.tensor([[1, 2, 2], [5, 1, 0]])
    for table in (sparse, dense):
        for __ in range(2):
            (table(rows) ** 2).sum().backward()
    grads: list[Any] = [t.weight.grad for t in (sparse, dense)]
    assert grads[0].tolist() == grads[1].tolist()
    clipped = nn.utils.clip_grad_norm_(sparse.parameters(), 1.0)
    assert clipped.item() > 1
    assert grads[0].shape == (V, D)


def test_a_gradient_that_was_changed_in_place_is_the_one_of_the_step() -> None:
    table = nn.Embedding.from_pretrained(cr.zeros(V, D), freeze=False, sparse=True)
    table(cr.tensor([1, 2])).sum().backward()
    gradient: Any = table.weight.grad
    gradient.numpy()
    gradient[3] = 7.0
    optim.SGD(table.parameters(), lr=1.0).step()
    assert table.weight.detach().numpy()[:, 0].tolist()[:4] == [0, -1, -1, -7]


def test_indices_may_be_overwritten_before_the_step() -> None:
    table = nn.Embedding.from_pretrained(cr.zeros(V, D), freeze=False, sparse=True)
    rows = np.array([1, 2])
    table(cr.from_numpy(rows)).sum().backward()
    rows[:] = 5
    optim.SGD(table.parameters(), lr=1.0).step()
    assert table.weight.detach().numpy()[:, 0].tolist()[:6] == [0, -1, -1, 0, 0, 0]


@pytest.mark.parametrize("sizes", [(2, 0, 3), (0, 2, 0)])
def test_a_batch_without_rows_is_the_second_size(sizes: Any) -> None:
    table = nn.Embedding.from_pretrained(cr.zeros(V, D), freeze=False, sparse=True)
    optimizer = optim.SGD(table.parameters(), lr=1.0)

    @cr.compile(engine="native", threads=1)
    def step(rows: Any) -> None:
        table(rows).sum().backward()
        optimizer.step()

    for size in sizes:
        step(cr.zeros(size, dtype="int64"))
    assert table.weight[0, 0].item() == -sum(sizes)


@pytest.mark.parametrize("way", ["eager", "numpy"])
def test_nothing_of_the_size_of_the_table_is_made(way: Any) -> None:
    rows, width = 50_000, 16  # 3.2 MB
    cr.manual_seed(0)
    table = nn.Embedding(rows, width, sparse=True)
    optimizer = optim.SparseAdam(table.parameters(), lr=0.1)

    def step(x: Any) -> Any:
        (table(x) ** 2).sum().backward()
        optimizer.step()

    run = step if way == "eager" else cr.compile(step, engine=way)
    x = cr.tensor(np.arange(100) % 60)
    for __ in range(2):
        run(x)
    tracemalloc.start()
    try:
        run(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < rows * width  # a quarter of one table
    assert (table.weight[60:].detach().numpy() != 0).all()


class Pairs(nn.Module):
    """A table for the first column, and another one for the second."""

    def __init__(self) -> None:
        self.one, self.two = (nn.Embedding(50_000, 4, sparse=True) for __ in range(2))

    def forward(self, x: Any) -> Any:
        return (self.one(x[:, 0]) * self.two(x[:, 1])).sum(1, keepdim=True)


def test_a_trainers_machine_code_writes_rows_in_place() -> None:
    """A copy of a table would lie in the arena."""
    trainer = cr.Trainer(
        Pairs(), optimizer=optim.SparseAdam(), loss=nn.MSELoss(), engine="native"
    )
    x = np.arange(80).reshape(40, 2)
    trainer.fit((x, np.ones((40, 1), np.float32)), epochs=1, batch_size=20)
    program: Any = trainer._programs.training
    emitted = program.program.executable.emitted("train", {"N": 20})
    assert emitted.arena_bytes < 50_000


@pytest.mark.parametrize("engine", ENGINES)
def test_a_trainers_batch_looks_up_rows_of_one_table_twice(engine: Any) -> None:
    """N rows and 3 N rows: an item, and those before it."""

    class Next(nn.Module):
        def __init__(self, sparse: bool) -> None:
            start = np.random.default_rng(0).standard_normal((V, D))
            self.table = nn.Embedding.from_pretrained(
                start.astype(np.float32), freeze=False, sparse=sparse
            )

        def forward(self, x: Any) -> Any:
            before = self.table(x[:, 1:]).mean(1)
            return (self.table(x[:, 0]) * before).sum(-1, keepdim=True)

    items = np.random.default_rng(1).integers(0, V, (21, 4))
    rating = items.sum(1, keepdims=True).astype(np.float32) / 30
    weights: list[np.ndarray] = []
    for sparse in (True, False):
        model = Next(sparse)
        trainer = cr.Trainer(
            model, optimizer=optim.SGD(lr=0.1), loss=nn.MSELoss(), engine=engine
        )
        trainer.fit((items, rating), epochs=1, batch_size=8, progress=False)
        weights.append(model.table.weight.numpy())
    assert weights[0] == pytest.approx(weights[1], rel=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_sizes_that_have_no_sum(engine: Any) -> None:
    """Named ones are refused; others are traced as they are."""
    table = nn.Embedding.from_pretrained(cr.zeros(V, D), freeze=False, sparse=True)
    optimizer = optim.SGD(table.parameters(), lr=1.0)

    def step(a: Any, b: Any) -> None:
        (table(a).sum() + table(b).sum()).backward()
        optimizer.step()

    run = cr.compile(step, engine=engine)
    for a, b in ((1, 2), (3, 1), (2, 4)):
        run(cr.zeros(a, dtype="int64"), cr.zeros(b, dtype="int64"))
    assert table.weight[0, 0].item() == -13
    named = cr.compile(step, engine=engine, shapes={"a": ("N",), "b": ("M",)})
    with pytest.raises(ShapeError, match="no number of rows together"):
        named(*[cr.zeros(2, dtype="int64")] * 2)


def test_numbers_that_something_else_shows_are_copied_first() -> None:
    table = nn.Embedding(V, D, sparse=True)
    optimizer = optim.SGD(table.parameters(), lr=0.1)
    before = table.weight.detach()
    kept = before.numpy().copy()
    remembered = table(cr.tensor([0, 1]))  # whose derivative needs no numbers
    table(cr.tensor([0, 0])).sum().backward()
    optimizer.step()
    assert (table.weight.detach().numpy()[0] != kept[0]).all()
    assert remembered.tolist() == kept[:2].tolist()


class Sums(nn.Module):
    def __init__(self) -> None:
        self.table = nn.Embedding(40, 4, sparse=True)

    def forward(self, x: Any) -> Any:
        return self.table(x).sum((1, 2))[:, None]


def test_a_trainer_takes_it_on_both_engines() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 40, (96, 2)), rng.standard_normal((96, 1)).astype("f4")

    def trained(engine: Any) -> np.ndarray:
        cr.manual_seed(0)
        model = Sums()
        trainer = cr.Trainer(
            model,
            optimizer=optim.SparseAdam(lr=0.05),
            loss=nn.MSELoss(),
            engine=engine,
            threads=1,
            seed=0,
        )
        history = trainer.fit((x, y), epochs=3, batch_size=20)
        losses = [row["train_loss"] for row in history.epochs]
        assert losses[-1] < losses[0]
        return model.table.weight.detach().numpy()

    assert trained("numpy") == pytest.approx(trained("native"), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda p: optim.Adam(p), "changes all rows"),
        (lambda p: optim.SGD(p, lr=0.1, momentum=0.9), "momentum"),
        (lambda p: optim.SGD(p, lr=0.1, weight_decay=0.1), "weight_decay"),
        (lambda p: optim.Adagrad(p, weight_decay=0.1), "weight_decay"),
        (lambda p: optim.Adagrad(p, l1_penalty=0.1), "l1_penalty"),
        (lambda p: optim.SparseAdam(p, clip_norm=1.0), "clip_norm"),
    ],
)
@pytest.mark.parametrize("way", ["eager", "numpy"])
def test_what_changes_all_rows_is_refused(make: Any, match: str, way: Any) -> None:
    table = nn.Embedding(V, D, sparse=True)
    optimizer, kept = make(table.parameters()), table.weight.detach().numpy().copy()

    def step(x: Any) -> None:
        table(x).sum().backward()
        optimizer.step()

    run = step if way == "eager" else cr.compile(step, engine=way)
    with pytest.raises(ArgumentError, match=match):
        run(cr.tensor([1, 2]))
    assert np.array_equal(table.weight.detach().numpy(), kept)


def test_a_gradient_of_all_elements_is_refused() -> None:
    table = nn.Embedding(V, D, sparse=True)
    optimizer = optim.SparseAdam(table.parameters())
    (table(cr.tensor([1])).sum() + table.weight.sum()).backward()
    with pytest.raises(GradientError, match="rows alone"):
        optimizer.step()
    with pytest.raises(ArgumentError, match="does not scale"):
        nn.Embedding(V, D, sparse=True, scale_grad_by_freq=True)
