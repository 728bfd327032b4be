"""Random numbers: the same bits everywhere, distributions, seeds that reach."""

from __future__ import annotations

import hashlib
import itertools
import threading
import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import random
from chainrule.errors import ArgumentError, ChainruleError, DTypeError, ShapeError
from chainrule.graph.primitive import REFERENCES
from chainrule.primitives.random import (
    AT_ONCE,
    random_bits,
    seed_key,
    stream_words,
    threefry,
)
from chainrule.random.distributions import BLOCK
from tests.ways import ENGINES, WAYS

DRAWS: dict[str, Any] = {
    "uniform": lambda: cr.uniform(5, 3, low=-1.0, high=2.0),
    "normal": lambda: cr.randn(7, mean=1.0, std=2.0, dtype="float64"),
    "randint": lambda: cr.randint(-3, 9, (40,)),
    "bernoulli": lambda: cr.bernoulli(cr.tensor([0.1, 0.5, 0.9]), (20, 3)),
    "categorical": lambda: cr.categorical(cr.tensor([[0.0, 1.0], [2.0, -1.0]])),
    "multinomial": lambda: cr.multinomial(cr.tensor([1.0, 2.0, 3.0]), 2),
    "randperm": lambda: cr.randperm(11),
    "rand_like": lambda: cr.rand_like(cr.zeros(3, 2)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_compiled_function_draws_what_eager_code_draws(name: str) -> None:
    """Twice in a call, and in a second call: the counter moves on as it does eager."""
    draw = DRAWS[name]
    cr.manual_seed(3)
    eager = [draw().numpy() for _ in range(4)]
    assert any((a != b).any() for a, b in itertools.pairwise(eager))
    for engine in ENGINES:
        run = cr.compile(lambda: (draw(), draw()), engine=engine)
        cr.manual_seed(3)
        made = [*run(), *run()]
        for a, b in zip(made, eager, strict=True):
            assert a.dtype.name == b.dtype.name
            if name == "normal":  # an engine's logarithm may differ in the last place
                np.testing.assert_allclose(a.numpy(), b, rtol=1e-13)
            else:
                np.testing.assert_array_equal(a.numpy(), b)


def test_draws_of_named_sizes(engine: str) -> None:
    run = cr.compile(
        lambda x: (x + cr.randn(x.shape[0], 2), cr.randperm(x.shape[0])),
        engine=engine,
        shapes={"x": ("N", 2)},
    )
    for n in (3, 6):
        cr.manual_seed(1)
        wanted = (cr.randn(n, 2).numpy(), cr.randperm(n).numpy())
        cr.manual_seed(1)
        noise, order = run(np.zeros((n, 2), np.float32))
        np.testing.assert_allclose(noise.numpy(), wanted[0], rtol=1e-6)
        np.testing.assert_array_equal(order.numpy(), wanted[1])
    assert len(run.programs) == 1


def test_distributions() -> None:
    """Within five standard deviations of a mean of 40,000 draws."""
    cr.manual_seed(0)
    n = 40_000
    z = cr.randn(n).numpy()
    assert abs(z.mean()) < 5 / n**0.5
    assert abs(z.std() - 1) < 5 / (2 * n) ** 0.5
    assert abs((z**3).mean()) < 5 * (15 / n) ** 0.5
    u = cr.uniform(n).numpy()
    counts, _ = np.histogram(u, 10, (0, 1))
    assert np.abs(counts - n / 10).max() < 5 * (n * 0.09) ** 0.5
    k = cr.randint(0, 7, (n,)).numpy()
    assert np.abs(np.bincount(k) - n / 7).max() < 5 * (n * 6 / 49) ** 0.5
    b = cr.bernoulli(cr.full((n,), 0.3)).numpy()
    assert abs(b.mean() - 0.3) < 5 * (0.21 / n) ** 0.5
    p = np.array([0.1, 0.2, 0.7])
    c = cr.categorical(cr.tensor(np.log(p)).broadcast_to(n, 3)).numpy()
    assert np.abs(np.bincount(c) / n - p).max() < 5 * (0.25 / n) ** 0.5
    m = cr.multinomial(cr.tensor(p), n, replacement=True).numpy()
    assert np.abs(np.bincount(m) / n - p).max() < 5 * (0.25 / n) ** 0.5


def test_an_order_has_every_number_once() -> None:
    assert sorted(cr.randperm(100).tolist()) == list(range(100))
    without = cr.multinomial(cr.ones(6), 6).tolist()
    assert sorted(without) == list(range(6))


def test_ends_and_extremes() -> None:
    assert cr.randint(5, (3,)).shape == (3,)
    assert cr.randint(2**62, 2**63 - 1, (2,)).numpy().min() >= 2**62
    assert cr.bernoulli(cr.tensor([0.0, 1.0])).tolist() == [0.0, 1.0]
    assert cr.uniform(0, 3).shape == (0, 3)
    assert cr.randn(2, requires_grad=True).requires_grad
    with pytest.raises(ArgumentError, match="low < high"):
        cr.randint(3, 3, (1,))
    with pytest.raises(ShapeError, match="integers ≥ 0"):
        cr.uniform(-1)


def test_a_stream_belongs_to_its_thread() -> None:
    seen: list[Any] = []
    with random.stream(random.Generator(5)):
        thread = threading.Thread(
            target=lambda: seen.append(cr.graph.context.context.stream)
        )
        thread.start()
        thread.join()
        mine = cr.uniform(3).tolist()
    assert seen == [None]
    with random.stream(random.Generator(5)):
        assert cr.uniform(3).tolist() == mine


# -- numbers that are no distribution -------------------------------------------------

NAN, INF = float("nan"), float("inf")
#: Draws, each with rows of numbers from which nothing can be drawn.
REFUSED: dict[str, tuple[Any, list[list[float]]]] = {
    "multinomial": (
        lambda p: cr.multinomial(p, 1),
        [[NAN, 1.0], [1.0, -1e-6], [INF, 1.0], [0.0, 0.0], [-INF, 1.0]],
    ),
    "multinomial, twice": (
        lambda p: cr.multinomial(p, 2),
        [[NAN, 1.0], [1.0, 0.0], [1.0, -1.0]],
    ),
    "multinomial, with replacement": (
        lambda p: cr.multinomial(p, 3, replacement=True),
        [[NAN, 1.0], [0.0, 0.0], [1.0, -1.0], [INF, 1.0]],
    ),
    "categorical": (cr.categorical, [[NAN, 0.0], [INF, 0.0], [-INF, -INF]]),
    "categorical, along 0": (
        lambda z: cr.categorical(z.T, 0),
        [[NAN, 0.0], [INF, 0.0], [-INF, -INF]],
    ),
    "bernoulli": (cr.bernoulli, [[NAN, 0.0], [-1e-6, 0.0], [1.1, 0.0], [INF, 0.0]]),
}
RIGHT = {"multinomial, twice": [0.5, 0.5]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_distribution_is_refused(name: str, way: str) -> None:
    """By every engine, wherever the row stands; and what is one is drawn from."""
    draw, rows = REFUSED[name]
    run = draw if way == "eager" else cr.compile(draw, engine=way)
    right = RIGHT.get(name, [1.0, 0.0])
    for row in rows:
        for bad in ([row, right], [right, row]):
            with pytest.raises(ArgumentError, match="draws"):
                run(cr.tensor(bad))
    assert run(cr.tensor([right, right])).shape[0] == 2


def test_a_refused_draw_takes_no_bits() -> None:
    cr.manual_seed(4)
    wanted = cr.uniform(3).tolist()
    cr.manual_seed(4)
    for draw, rows in REFUSED.values():
        with pytest.raises(ArgumentError):
            draw(cr.tensor([rows[0]]))
    assert cr.uniform(3).tolist() == wanted


# -- many numbers: the same ones, by blocks --------------------------------------------


def by_hand(key: tuple[int, int], x0: int, x1: int) -> tuple[int, int]:
    """Threefry-2x32 in Python's integers (Salmon et al. 2011, 20 rounds)."""
    mask = 2**32 - 1
    schedule = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    x0, x1 = (x0 + key[0]) & mask, (x1 + key[1]) & mask
    for i, turn in enumerate((13, 15, 26, 6, 17, 29, 16, 24) * 2 + (13, 15, 26, 6)):
        x0 = (x0 + x1) & mask
        x1 = (x1 << turn | x1 >> 32 - turn) & mask ^ x0
        if i % 4 == 3:
            n = i // 4 + 1
            x0 = (x0 + schedule[n % 3]) & mask
            x1 = (x1 + schedule[(n + 1) % 3] + n) & mask
    return x0, x1


#: Known answers that the authors of Random123 publish: counter, key, result.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((2**32 - 1,) * 2, (2**32 - 1,) * 2, (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter: Any, key: Any, result: Any) -> None:
    assert by_hand(key, *counter) == result
    x0, x1 = (np.full(1, c, np.uint32) for c in counter)
    threefry(tuple(np.full(1, k, np.uint32) for k in key), x0, x1)
    assert (int(x0[0]), int(x1[0])) == result


SIZES = [1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 5]


@pytest.mark.parametrize("size", SIZES)
def test_bits_by_blocks(size: int) -> None:
    seed, step = 2**40 + 3, 2**32 - 2
    named = by_hand((3, 2**8), *stream_words("s"))
    made = REFERENCES[random_bits](
        seed_key(seed), np.uint32(step), shape=(size,), stream="s"
    )
    ends = (i for n in range(0, size, AT_ONCE) for i in (n - 1, n, n + 1))
    for i in {*ends, size // 2, size - 1} & {*range(size)}:
        assert made[i] == by_hand(named, i, step)[0]
    again = REFERENCES[random_bits](
        seed_key(seed), np.uint32(step), shape=(size,), stream="s"
    )
    assert made.tobytes() == again.tobytes()


MANY: dict[str, Any] = {
    "uniform": lambda n, kind: cr.uniform(n, low=-1.0, high=2.5, dtype=kind),
    "normal": lambda n, kind: cr.randn(n, mean=0.3, std=1.7, dtype=kind),
    "standard normal": lambda n, kind: cr.randn(1, n, dtype=kind),
    "randint": lambda n, kind: cr.randint(-5, 1000, (n,), dtype=kind),
    "categorical": lambda n, kind: cr.categorical(cr.zeros(n // 3, 3, dtype=kind)),
}


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("name", MANY)
def test_many_numbers_are_those_of_the_whole(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7]

    def drawn() -> list[Any]:
        cr.manual_seed(7)
        return [MANY[name](n, kind).numpy() for n in sizes for _ in range(2)]

    made = drawn()
    monkeypatch.setattr(random.distributions, "BLOCK", 1 << 30)
    for a, b in zip(made, drawn(), strict=True):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


GOLDEN = ["e4dbda4d", "68a1d17e", "c9e84ee5"]
NORMAL = [-1.20442533493042, -0.9408890604972839, -0.1176353245973587]


def test_numbers_stay_what_they_were() -> None:
    """What every version has drawn; integers, which no library rounds."""
    cr.manual_seed(0)
    drawn = [cr.randint(0, 10**9, (20_000,)), cr.uniform(20_000), cr.randperm(9_000)]
    marks = [hashlib.blake2b(t.numpy().tobytes(), digest_size=4) for t in drawn]
    assert [mark.hexdigest() for mark in marks] == GOLDEN
    z = cr.randn(20_000).numpy()
    np.testing.assert_allclose(z[[0, 9_999, 19_999]], NORMAL, rtol=1e-6)


def test_a_scale_that_is_learnt_has_a_derivative_for_many_numbers_too() -> None:
    std = cr.tensor(2.0, requires_grad=True)
    cr.manual_seed(1)
    z = cr.randn(BLOCK + 1, std=std, dtype="float64")
    z.sum().backward()
    assert std.grad.item() == pytest.approx(z.detach().sum().item() / 2)


# -- what is refused has drawn nothing -------------------------------------------------

MISTAKES: dict[str, Any] = {
    "a dtype": lambda: cr.rand(2, dtype="int64", requires_grad=True),
    "an end": lambda: cr.uniform(2, low=cr.ones(3)),
    "a mean": lambda: cr.randn(2, mean=cr.ones(3)),
    "a dtype of randint": lambda: cr.randint(0, 3, (2,), dtype="number"),
    "a size": lambda: cr.bernoulli(cr.tensor([0.5, 0.5]), size=(3,)),
    "an axis": lambda: cr.categorical(cr.ones(3, 4), dim=5),
    "too many": lambda: cr.multinomial(cr.tensor([0.5, 0.5]), 5),
    "a padding row": lambda: cr.nn.Embedding(3, 4, padding_idx=9),
    "like": lambda: cr.rand_like(cr.ones(3), dtype="int32", requires_grad=True),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_refused_has_drawn_nothing(name: str) -> None:
    cr.manual_seed(4)
    expected = cr.rand(3).tolist()
    cr.manual_seed(4)
    with pytest.raises((ArgumentError, DTypeError, ShapeError)):
        MISTAKES[name]()
    assert cr.rand(3).tolist() == expected


@pytest.mark.parametrize("way", WAYS)
def test_a_module_that_is_refused_has_drawn_nothing(way: str) -> None:
    """And so goes on with the same numbers, eagerly and compiled."""

    class Words(cr.nn.Module):
        def __init__(self) -> None:
            self.table, self.dropout = cr.nn.Embedding(5, 4), cr.nn.Dropout(0.5)

        def forward(self, x: cr.Tensor, words: cr.Tensor) -> cr.Tensor:
            return self.dropout(x) + self.table(words)

    cr.manual_seed(1)
    module = Words()
    run = module if way == "eager" else cr.compile(module, engine=way)
    x, words = cr.ones(2, 4), cr.tensor([1, 2])
    cr.manual_seed(4)
    expected = run(x, words).tolist()
    cr.manual_seed(4)
    for _ in range(2):
        with pytest.raises(ChainruleError):
            run(x, words + 4)
    assert run(x, words).tolist() == expected


def test_what_another_thread_has_drawn_stays_drawn() -> None:
    cr.manual_seed(4)
    both = cr.rand(2).tolist(), cr.rand(2).tolist(), cr.rand(2).tolist()
    cr.manual_seed(4)
    seen: list[Any] = []

    class Late(cr.nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            seen.append(cr.rand(2).tolist())
            thread = threading.Thread(target=lambda: seen.append(cr.rand(2).tolist()))
            thread.start()
            thread.join()
            return x @ cr.ones(7)

    with pytest.raises(ShapeError):
        Late()(cr.ones(2))
    assert (*seen, cr.rand(2).tolist()) == both


# -- generators, devices and PyTorch's normal ------------------------------------------

DRAWN = {
    "rand": lambda **more: cr.rand(5, **more),
    "randn": lambda **more: cr.randn(5, **more),
    "uniform": lambda **more: cr.uniform(5, high=2.0, **more),
    "rand_like": lambda **more: cr.rand_like(cr.ones(5), **more),
    "randn_like": lambda **more: cr.randn_like(cr.ones(5), **more),
    "randint": lambda **more: cr.randint(0, 1000, (5,), **more),
    "randperm": lambda **more: cr.randperm(50, **more),
    "normal": lambda **more: cr.normal(1.0, 2.0, (5,), **more),
    "bernoulli": lambda **more: cr.bernoulli(cr.full((50,), 0.5), **more),
    "multinomial": lambda **more: cr.multinomial(cr.ones(50), 20, **more),
}
ON_THE_CPU = DRAWN.keys() - {"bernoulli", "multinomial"}


@pytest.mark.parametrize("name", DRAWN)
def test_a_generator_draws_by_itself(name: str) -> None:
    draw, g = DRAWN[name], cr.Generator().manual_seed(3)
    cr.manual_seed(5)
    plain = draw().tolist()
    cr.manual_seed(5)
    first, second = (draw(generator=g).tolist() for __ in range(2))
    assert draw().tolist() == plain  # the process's own has not moved
    again = cr.Generator("cpu").manual_seed(3)
    assert draw(generator=again).tolist() == first != second
    assert again.initial_seed() == 3
    with pytest.raises(cr.ChainruleError, match=r"cr\.Generator\(\)"):
        draw(generator=3)
    if name in ON_THE_CPU:
        assert draw(device="cpu").device == "cpu"
        with pytest.raises(cr.ChainruleError, match="There is no device 'cuda'"):
            draw(device="cuda")


def test_the_state_of_a_generator_is_bytes_that_go_on() -> None:
    seed = 2**63 + 5
    cr.manual_seed(seed)
    cr.rand(3)
    state = cr.get_rng_state()
    assert (state.dtype, state.shape) == (cr.uint8, (20,))
    drawn = cr.randn(4)
    other = cr.Generator().manual_seed(1)
    other.set_state(state)
    assert other.initial_seed() == seed
    assert (cr.randn(4, generator=other) == drawn).all()
    cr.set_rng_state(state)
    assert (cr.randn(4) == drawn).all()
    assert (cr.get_rng_state() == other.get_state()).all()
    for wrong in (state[:5], cr.zeros(20)):
        with pytest.raises(ArgumentError, match="what get_state gave"):
            cr.set_rng_state(wrong)
    with pytest.raises(ArgumentError, match="outside"):
        cr.compile(lambda x: x + cr.get_rng_state().sum())(cr.ones(2))


@pytest.mark.parametrize("draw", [cr.rand, cr.randn])
def test_sizes_are_given_by_position_or_by_name(draw: Any) -> None:
    cr.manual_seed(2)
    by_name = draw(size=(2, 3))
    cr.manual_seed(2)
    assert (draw(2, 3) == by_name).all()
    assert draw(size=4).shape == (4,)
    with pytest.raises(ChainruleError, match="by position and by name"):
        draw(2, size=(2,))


def test_normal_draws_around_tensors_as_pytorch_does() -> None:
    n = 20_000
    x = cr.normal(cr.full((n,), 3.0), cr.full((n,), 0.5))
    assert abs(x.mean().item() - 3) < 0.02
    assert abs(x.std().item() - 0.5) < 0.02
    assert cr.normal(0, 1, (2, 3)).shape == cr.normal(size=(2, 3)).shape == (2, 3)
    assert cr.normal(cr.zeros(2, 1), cr.ones(3)).shape == (2, 3)
    assert cr.normal(cr.zeros(2, dtype="float64")).dtype is cr.float64
    assert cr.normal(5.0, 0.0).item() == 5.0
    assert cr.normal(0.0, 1.0, (2,), requires_grad=True).requires_grad
    for wrong in (-1.0, cr.tensor([1.0, -1.0])):
        with pytest.raises(cr.ChainruleError, match="std ≥ 0"):
            cr.normal(0.0, wrong, (2,))
    with pytest.raises(cr.ChainruleError, match="do not fit the size"):
        cr.normal(cr.zeros(4), 1.0, (2, 1))


@pytest.mark.parametrize("draw", [cr.rand, cr.randn, cr.uniform])
def test_real_numbers_are_no_integers(draw: Any) -> None:
    with pytest.raises(cr.errors.DTypeError, match="Real numbers"):
        draw(3, dtype="int64")


@pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)]
)
def test_large_draws_are_those_of_small_ones(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Block by block in one pass, by machine code where it is: the same numbers."""
    draws: list[Any] = [
        lambda: cr.randn(3, 70_001, mean=2.0, std=0.5, dtype=dtype),
        lambda: cr.rand(210_003, dtype=dtype),
        lambda: cr.uniform(210_003, low=-0.3, high=0.1, dtype=dtype),
    ]

    def drawn() -> list[np.ndarray]:
        cr.manual_seed(5)
        return [draw().numpy() for draw in draws] + [cr.rand(3).numpy()]

    small = drawn()
    monkeypatch.setattr("chainrule.random.large_draws.LARGE", 1000)
    monkeypatch.setattr("chainrule.random.large_draws.NATIVE_BLOCK", 1 << 16)
    for enabled in (False, True):
        with cr.backends.native.flags(enabled=enabled):
            large = drawn()
        for a, b in zip(small, large):
            close = 0 if dtype == "float32" or not enabled else 1e-15
            np.testing.assert_allclose(b, a, rtol=close, atol=close)


# -- what is given wrongly -------------------------------------------------------------

#: What is no shape, no seed, no dtype …, in any place of any call.
STRANGE: list[Any] = [
    *(3, -1, 2.5, "a", None, True, 1j, 2**70, b"x", print, slice(3), object()),
    *([1, 2], (2, 3), (-1,), (2, "a"), (2.5,), {}, [[1], [2, 3]], float("nan")),
    *(np.array([1.0, 2.0]), np.array("a"), cr.ones(2, 2), cr.zeros(0)),
]
KEYWORDS = (
    *("dtype", "generator", "device", "requires_grad", "low", "high", "mean", "std"),
    *("size", "dim", "axis", "num_samples", "replacement", "nonsense"),
)


def called(function: Any, *args: Any, **kwargs: Any) -> None:
    """Call a function, which does it or says why not."""
    said = ""
    try:
        with warnings.catch_warnings(action="ignore"):
            made = function(*args, **kwargs)
            if function is cr.random.stream:
                with made:
                    cr.rand(1)
    except ChainruleError as error:
        said = str(error)
    assert not said or "expected:" in said


PUBLIC = [n for n in cr.random.__all__ if callable(getattr(cr.random, n))]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_function_says_what_is_wrong(name: str) -> None:
    function = getattr(cr.random, name)
    called(function)
    for item in STRANGE:
        called(function, item)
        for other in STRANGE:
            called(function, item, other)
        for keyword in KEYWORDS:
            called(function, (2,), **{keyword: item})


@pytest.mark.parametrize("name", ["manual_seed", "load_state", "bits"])
def test_every_method_of_a_generator_says_what_is_wrong(name: str) -> None:
    method = getattr(cr.Generator(0), name)
    called(method)
    for item in STRANGE:
        called(method, item)


def test_gumbel_numbers() -> None:
    """Their mean is Euler's constant, their variance π²/6; classes come by softmax."""
    generator = cr.Generator(0)
    drawn = cr.random.gumbel(20_000, generator=generator, dtype="float64").numpy()
    assert abs(drawn.mean() - np.euler_gamma) < 4 * np.sqrt(np.pi**2 / 6 / 20_000)
    assert abs(drawn.var() - np.pi**2 / 6) < 0.08
    logits = np.log([0.2, 0.5, 0.3])
    noise = cr.random.gumbel((20_000, 3), generator=generator).numpy()
    share = np.bincount((logits + noise).argmax(1)) / 20_000
    np.testing.assert_allclose(share, [0.2, 0.5, 0.3], atol=4 * 0.5 / 20_000**0.5)
    assert cr.random.gumbel().shape == ()
    assert cr.random.gumbel(2, requires_grad=True).requires_grad
    with pytest.raises(cr.errors.DTypeError):
        cr.random.gumbel(2, dtype="int32")


def test_noise_is_not_cut_where_scores_are_whole() -> None:
    cr.manual_seed(0)
    whole = cr.nn.functional.gumbel_softmax([[0, 1, 2]])
    cr.manual_seed(0)
    assert (whole == cr.nn.functional.gumbel_softmax([[0.0, 1.0, 2.0]])).all()


def test_a_permutation_is_of_whole_numbers() -> None:
    for wrong in ((-1, 0, 0), (3, 0, -1), (3, 0, 2**32), (2.5, 0, 0), (3, 0, 0, -1)):
        with pytest.raises(ArgumentError):
            cr.random.permutation(*wrong)
