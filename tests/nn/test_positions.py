"""Positions, causal attention and its cache by their formulas; engines, mistakes."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.compilation import promotion
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from tests.mistakes import explained
from tests.ways import ENGINES, WAYS

RNG = np.random.default_rng(0)
D = {"dtype": "float64"}
X = RNG.normal(size=(2, 5, 6))


def angles(start, base=10000.0):
    """One row a position, one column a pair, a number at a time."""
    return np.array(
        [[(p + start) / base ** (2 * i / 6) for i in range(3)] for p in range(5)]
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("start", [0, 7])
def test_positions_are_their_formulas(way, start):
    table = nn.LearnedPositions(12, 6, **D)

    def run(x, start):
        sines, turned = nn.SinusoidalPositions(100.0), nn.RotaryPositions()
        return sines(x, start), turned(x, start), table(x, start)

    function = run if way == "eager" else cr.compile(run, engine=way)
    sines, turned, learned = function(cr.tensor(X), cr.tensor(start))
    waves = angles(start, 100.0)
    pairs = np.stack([np.sin(waves), np.cos(waves)], -1).reshape(5, 6)
    np.testing.assert_allclose(sines.numpy(), X + pairs, rtol=0, atol=1e-14)
    numbers = (X[..., ::2] + 1j * X[..., 1::2]) * np.exp(1j * angles(start))
    wanted = np.stack([numbers.real, numbers.imag], -1).reshape(X.shape)
    np.testing.assert_allclose(turned.numpy(), wanted, rtol=0, atol=1e-14)
    rows = table.weight.numpy()[start : start + 5]
    np.testing.assert_array_equal(learned.numpy(), X + rows)


def test_products_of_turned_vectors_depend_on_their_distance():
    """Of positions far out too: angles are computed in float64."""
    rotary = nn.RotaryPositions()
    q, k = (cr.tensor(X[i].astype(np.float32)) for i in (0, 1))
    near = (rotary(q, 3) * rotary(k, 1)).sum(-1).numpy()
    far = (rotary(q, 100_003) * rotary(k, 100_001)).sum(-1).numpy()
    np.testing.assert_allclose(far, near, rtol=0, atol=2e-6)
    assert abs((rotary(q, 3) * rotary(k, 2)).sum(-1).numpy() - near).max() > 0.1


@pytest.mark.parametrize("bias", [True, False])
def test_looking_back_is_attention_with_a_causal_mask(bias):
    plain = nn.MultiheadAttention(6, 2, bias=bias, batch_first=True, **D)
    layer = nn.CausalSelfAttention(6, 2, bias=bias, **D)
    layer.load_state_dict(plain.state_dict())
    x = cr.tensor(X)
    wanted = plain(x, x, x, is_causal=True)[0].numpy()
    np.testing.assert_array_equal(layer(x).numpy(), wanted)
    np.testing.assert_allclose(layer(X[1]).numpy(), wanted[1], rtol=0, atol=1e-15)


class Writer(nn.Module):
    """A small GPT: scores of the next token at each position."""

    def __init__(self, rotary, most=16):
        self.tokens = nn.Embedding(11, 8, **D)
        self.positions = nn.LearnedPositions(most, 8, **D)
        options = {"rotary": rotary, **D}
        self.looks = nn.ModuleList(
            nn.CausalSelfAttention(8, 2, **options) for _ in range(2)
        )
        self.scores = nn.Linear(8, 11, **D)

    def forward(self, tokens, caches=(None, None)):
        start = 0 if caches[0] is None else caches[0].length
        x = self.positions(self.tokens(tokens), start)
        for look, cache in zip(self.looks, caches):
            x = x + look(x.tanh(), cache)
        return self.scores(x)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rotary", [False, True])
def test_a_token_at_a_time_is_the_whole(rotary, way, monkeypatch):
    """A beginning of four, then one by one, traced for these two lengths alone."""
    cr.manual_seed(0)
    model, traces = Writer(rotary), []
    tokens = RNG.integers(0, 11, (3, 16))
    wanted = model(cr.tensor(tokens)).numpy()
    caches = [nn.KVCache(3, 2, 16, 4, **D) for _ in range(2)]
    trace = promotion.trace_entry

    def noted(*args, **kwargs):
        traces.append(args[0])
        return trace(*args, **kwargs)

    monkeypatch.setattr(promotion, "trace_entry", noted)

    def step(tokens):
        return model(tokens, caches)

    run = step if way == "eager" else cr.compile(step, engine=way)
    for _ in range(2):
        made = [run(cr.tensor(tokens[:, :4])), run(cr.tensor(tokens[:, 4:5]))]
        before = len(traces)
        made += [run(cr.tensor(tokens[:, i : i + 1])) for i in range(5, 16)]
        assert len(traces) == before
        got = np.concatenate([m.numpy() for m in made], axis=1)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10)
        assert not any(cache.keys.requires_grad for cache in caches)
        for cache in caches:
            assert cache.length.item() == 16
            cache.reset()


def test_what_follows_has_derivatives_and_the_cache_none():
    layer, cache = nn.CausalSelfAttention(6, 2, **D), nn.KVCache(2, 2, 5, 3, **D)
    layer(cr.tensor(X[:, :3]), cache)

    def last(x, cached):
        if cached is None:
            return (layer(cr.cat([X[:, :3], x], 1))[:, 3:] ** 2).sum()
        return (layer(x, cached) ** 2).sum()

    wanted = cr.grad(lambda x: last(x, None))(cr.tensor(X[:, 3:]))
    got = cr.grad(lambda x: last(x, cache))(cr.tensor(X[:, 3:]))
    np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("way", WAYS)
def test_a_full_cache_takes_nothing(way):
    layer, cache = nn.CausalSelfAttention(6, 2, **D), nn.KVCache(2, 2, 6, 3, **D)
    step = lambda x: layer(x, cache)  # noqa: E731
    run = step if way == "eager" else cr.compile(step, engine=way)
    made = run(cr.tensor(X))
    with pytest.raises(ArgumentError, match=r"(?s)no room.*at most 6.*cache.reset\(\)"):
        run(cr.tensor(X))
    cache.reset()
    np.testing.assert_array_equal(run(cr.tensor(X)).numpy(), made.numpy())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_table_that_is_too_short(engine):
    run = cr.compile(nn.LearnedPositions(4, 6, **D), engine=engine)
    with pytest.raises(ArgumentError, match=r"(?s)no room.*at most 4"):
        run(cr.tensor(X))


def test_a_summary_and_what_is_kept():
    model = nn.Sequential(
        nn.SinusoidalPositions(),
        nn.CausalSelfAttention(6, 3, rotary=True),
        nn.Flatten(),
        nn.Linear(30, 2),
    )
    rows = {row.path: row for row in cr.summary(model, (5, 6)).layers}
    assert rows["0"].output == rows["1"].output == "(N, 5, 6)"
    assert rows["1"].parameters == 3 * 6 * 7
    model.cache = nn.KVCache(1, 2, 3, 4)
    assert not [name for name in model.state_dict() if "cache" in name]


def test_explained_as_other_layers_are():
    model = nn.Sequential(
        nn.SinusoidalPositions(), nn.CausalSelfAttention(6, 2, **D), nn.Flatten()
    )
    model.append(nn.Linear(30, 2, **D))
    y = RNG.normal(size=(2, 2))
    e = cr.explain(model, X, y, nn.MSELoss())
    assert "3.weight" in [layer.weight_name for layer in e.layers]


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "nn.SinusoidalPositions(1.0)": "base",
        "nn.LearnedPositions(0, 4)": "num_positions",
        "nn.LearnedPositions(4, 6)(cr.zeros(5, 6))": "no room.*at most 4.*got: *5",
        "nn.LearnedPositions(9, 6)(cr.zeros(5, 6), 5)": "no room.*at most 9.*got: *10",
        "nn.RotaryPositions()(cr.zeros(5, 6), -1)": "start",
        "nn.LearnedPositions(9, 6)(cr.zeros(5, 6), -1)": "start must be.*start=-1",
        "nn.CausalSelfAttention(6, 4)": "CausalSelfAttention divides embed_dim",
        "nn.CausalSelfAttention(6, 2, rotary=1)": "rotary=True",
        "nn.CausalSelfAttention(6, 2, rotary=True)": "even.*embed_dim=6, num_heads=2",
        "nn.KVCache(1, 2, 0, 4)": "max_seq_len",
    },
    DTypeError: {
        "nn.SinusoidalPositions()(cr.zeros(5, 6).astype('int32'))": "floats.*int32",
        "nn.RotaryPositions()(cr.zeros(5, 6), cr.tensor(1.0))": "start as an integer",
        "nn.LearnedPositions(9, 6)(cr.tensor(X))": "float32",
        "C(cr.tensor(X[:1]), nn.KVCache(1, 2, 9, 3, dtype='float64'))": "float32",
    },
    ShapeError: {
        "nn.SinusoidalPositions()(cr.zeros(6))": r"\(…, L, d\).*\(6,\)",
        "nn.SinusoidalPositions()(cr.zeros(5, 3))": r"pairs.*even d.*\(5, 3\)",
        "nn.LearnedPositions(9, 4)(cr.zeros(5, 6))": r"\(…, L, 4\).*\(5, 6\)",
        "C(cr.zeros(2, 5, 4))": r"CausalSelfAttention.*\(2, 5, 4\)",
        "C(cr.zeros(2, 5, 6), nn.KVCache(1, 2, 9, 3))": r"\(1, 2, L, 3\).*\(2, 2, 5, 3",
        "nn.KVCache(1, 2, 9, 3)(cr.zeros(3), cr.zeros(3))": r"\(3,\) and \(3,\)",
    },
}
C = nn.CausalSelfAttention(6, 2)


test_mistakes_are_explained = explained(MISTAKES, globals())
