"""Attention and transformer blocks by their formulas; masks, engines, mistakes."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.nn.architecture import build_module, module_spec
from tests.mistakes import explained
from tests.ways import WAYS

RNG = np.random.default_rng(0)
D = {"dtype": "float64"}
Q, K, V = (RNG.normal(size=(2, n, 6)) for n in (3, 5, 5))


def softmax(x):
    shares = np.exp(x - x.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def filled(module, seed=1):
    """The module with random numbers everywhere."""
    rng = np.random.default_rng(seed)
    state = {k: rng.normal(size=a.shape) for k, a in module.state_dict().items()}
    module.load_state_dict(state)
    return module


def by_hand(layer, q, k, v, added):
    """Y and the weights of each head, a sample and a head at a time."""
    w = layer.state_dict()
    wq, wk, wv = np.split(w["in_proj_weight"], 3)
    bq, bk, bv = np.split(w["in_proj_bias"], 3)
    heads, size = layer.num_heads, layer.embed_dim // layer.num_heads
    outputs, weights = [], []
    for n in range(len(q)):
        made, seen = [], []
        for h in range(heads):
            mine = slice(h * size, (h + 1) * size)
            queries = q[n] @ wq[mine].T + bq[mine]
            keys, values = k[n] @ wk[mine].T + bk[mine], v[n] @ wv[mine].T + bv[mine]
            seen.append(softmax(queries @ keys.T / np.sqrt(size) + added[n]))
            made.append(seen[-1] @ values)
        out = np.concatenate(made, axis=1)
        outputs.append(out @ w["out_proj.weight"].T + w["out_proj.bias"])
        weights.append(seen)
    return np.array(outputs), np.array(weights)


LOOK = RNG.random((3, 5)) < 0.4
LOOK[:, 0] = False
FILLER = np.arange(5) >= np.array([[4], [2]])
BIAS = RNG.normal(size=(3, 5))


@pytest.mark.parametrize("engine", WAYS)
@pytest.mark.parametrize(
    ("masks", "added"),
    [
        ({}, np.zeros((2, 3, 5))),
        ({"attn_mask": LOOK}, np.where(LOOK, -1e30, 0) + np.zeros((2, 1, 1))),
        ({"attn_mask": BIAS}, BIAS + np.zeros((2, 1, 1))),
        (
            {"attn_mask": BIAS, "key_padding_mask": FILLER},
            BIAS + np.where(FILLER, -1e30, 0)[:, None],
        ),
        ({"is_causal": True}, np.where(np.tri(3, 5), 0, -1e30) + np.zeros((2, 1, 1))),
    ],
)
def test_attention_of_heads_is_the_formula(masks, added, engine):
    layer = filled(nn.MultiheadAttention(6, 2, batch_first=True, **D))
    wanted, weights = by_hand(layer, Q, K, V, added)
    given = {k: cr.tensor(m) if k != "is_causal" else m for k, m in masks.items()}

    def run(q, k, v):
        each = layer(q, k, v, average_attn_weights=False, **given)
        return (*each, layer(q, k, v, **given)[1])

    function = run if engine == "eager" else cr.compile(run, engine=engine)
    y, each, mean = function(*map(cr.tensor, (Q, K, V)))
    np.testing.assert_allclose(y.numpy(), wanted, rtol=0, atol=1e-13)
    np.testing.assert_allclose(each.numpy(), weights, rtol=0, atol=1e-14)
    np.testing.assert_allclose(mean.numpy(), weights.mean(1), rtol=0, atol=1e-14)
    assert layer(Q, K, V, need_weights=False, **given)[1] is None


def test_the_same_sequence_three_times_is_one_product():
    layer = filled(nn.MultiheadAttention(6, 3, batch_first=True, **D))
    x = cr.tensor(Q)
    y, weights = layer(x, x, x)
    others = layer(cr.tensor(Q), cr.tensor(Q), cr.tensor(Q))
    np.testing.assert_allclose(y.numpy(), others[0].numpy(), rtol=0, atol=1e-13)
    np.testing.assert_allclose(weights.numpy(), others[1].numpy(), rtol=0, atol=1e-14)


def test_layouts_and_sizes_of_their_own():
    layer = filled(nn.MultiheadAttention(6, 2, kdim=3, vdim=4, **D))
    assert [*layer.state_dict()] == [
        *("q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias"),
        *("out_proj.weight", "out_proj.bias"),
    ]
    k, v = K[..., :3], V[..., :4]
    y, weights = layer(*(a.transpose(1, 0, 2) for a in (Q, k, v)))
    assert (y.shape, weights.shape) == ((3, 2, 6), (2, 3, 5))
    alone, seen = layer(Q[1], k[1], v[1], FILLER[1])
    among, all_seen = layer(*(a.transpose(1, 0, 2) for a in (Q, k, v)), FILLER)
    np.testing.assert_allclose(alone.numpy(), among.numpy()[:, 1], atol=1e-13)
    np.testing.assert_allclose(seen.numpy(), all_seen.numpy()[1], atol=1e-14)


@pytest.mark.parametrize("mask", [np.tri(3, 5, -1) > 0, np.tri(3, 5, -1) - 1])
def test_a_query_that_may_look_nowhere_gets_nothing(mask):
    """Numbers of −∞ do the same as truth values; derivatives are 0, not NaN."""
    floats = mask.dtype.kind == "f"
    given = np.where(mask < 0, -np.inf, 0.0) if floats else mask

    def total(q, k, v):
        return (F.scaled_dot_product_attention(q, k, v, cr.tensor(given)) ** 2).sum()

    made = F.scaled_dot_product_attention(Q, K, V, given).numpy()
    assert (made[:, 0] == 0).all()
    np.testing.assert_allclose(made[:, 1], V[:, 0])
    slopes = cr.grad(total, (0, 1, 2))(*map(cr.tensor, (Q, K, V)))
    assert all(np.isfinite(g.numpy()).all() for g in slopes)
    assert not slopes[0].numpy()[:, 0].any()
    layer = filled(nn.MultiheadAttention(6, 2, batch_first=True, **D))
    y, weights = layer(Q, K, V, attn_mask=given if floats else ~given)
    np.testing.assert_allclose(y.numpy()[:, 0], [layer.out_proj.bias.numpy()] * 2)
    assert not weights.numpy()[:, 0].any()


def test_weights_are_dropped_in_training_alone():
    cr.manual_seed(0)
    layer = filled(nn.MultiheadAttention(6, 2, dropout=0.5, batch_first=True, **D))
    y, weights = layer(Q, K, V, average_attn_weights=False)
    assert 0 < (weights.numpy() == 0).mean() < 1
    layer.eval()
    whole, all_of_them = layer(Q, K, V, average_attn_weights=False)
    assert not np.allclose(y.numpy(), whole.numpy())
    kept = weights.numpy() != 0
    np.testing.assert_allclose(weights.numpy()[kept], 2 * all_of_them.numpy()[kept])


def test_initial_weights_are_pytorchs():
    """Xavier's rule over (3E, E), 0 for the biases, U(−1/√E, 1/√E) behind the heads."""
    cr.manual_seed(0)
    state = nn.MultiheadAttention(32, 4).state_dict()
    assert state["in_proj_weight"].shape == (96, 32)
    for name, bound in (
        ("in_proj_weight", np.sqrt(6 / 128)),
        ("out_proj.weight", 32**-0.5),
    ):
        assert 0.98 * bound < abs(state[name]).max() <= bound * (1 + 1e-6)
    assert not state["in_proj_bias"].any()
    assert not state["out_proj.bias"].any()


def normed(x):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


@pytest.mark.parametrize("engine", WAYS)
@pytest.mark.parametrize("norm_first", [False, True])
def test_a_block_is_its_formula(norm_first, engine):
    cr.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        6, 2, 7, 0.0, "gelu", batch_first=True, norm_first=norm_first, **D
    )
    w = layer.state_dict()

    def attended(x):
        return by_hand(layer.self_attn, x, x, x, np.zeros((2, 1, 1)))[0]

    def changed(x):
        hidden = F.gelu(x @ w["linear1.weight"].T + w["linear1.bias"]).numpy()
        return hidden @ w["linear2.weight"].T + w["linear2.bias"]

    if norm_first:
        x = K + attended(normed(K))
        wanted = x + changed(normed(x))
    else:
        x = normed(K + attended(K))
        wanted = normed(x + changed(x))
    run = layer if engine == "eager" else cr.compile(layer, engine=engine)
    np.testing.assert_allclose(run(cr.tensor(K)).numpy(), wanted, rtol=0, atol=1e-12)


def test_a_block_that_looks_back_alone():
    """What comes later changes nothing; a causal mask and is_causal are the same."""
    layer = filled(nn.TransformerEncoderLayer(6, 2, 7, batch_first=True, **D)).eval()
    later = np.array(K)
    later[:, 3:] += 1.0
    a, b = layer(K, is_causal=True).numpy(), layer(later, is_causal=True).numpy()
    np.testing.assert_array_equal(a[:, :3], b[:, :3])
    assert not np.allclose(a[:, 3:], b[:, 3:])
    masked = layer(K, np.tri(5) == 0)
    np.testing.assert_allclose(masked.numpy(), a, rtol=0, atol=1e-12)


def test_a_stack_is_its_copies_one_behind_the_other():
    layer = nn.TransformerDecoderLayer(6, 2, 7, 0.0, batch_first=True, **D)
    stack = nn.TransformerDecoder(layer, 3, nn.LayerNorm(6, **D))
    start = stack.state_dict()
    assert len(start) == 3 * len(layer.state_dict()) + 2
    for key, array in layer.state_dict().items():
        np.testing.assert_array_equal(start[f"layers.2.{key}"], array)
    filled(stack)
    assert not (stack.layers[0].linear1.weight == layer.linear1.weight).any()
    x = Q
    for part in (*stack.layers, lambda x, _: stack.norm(x)):
        x = part(x, K)
    np.testing.assert_array_equal(stack(Q, K).numpy(), x.numpy())


def test_nobody_looks_ahead_in_a_transformer():
    """By is_causal as by the mask, whose upper half is −∞; matrices start anew."""
    cr.manual_seed(0)
    model = nn.Transformer(6, 2, 2, 2, 7, 0.0, batch_first=True, **D)
    mask = nn.Transformer.generate_square_subsequent_mask(3, dtype="float64")
    wanted = np.triu(np.full((3, 3), -np.inf), 1)
    np.testing.assert_array_equal(mask.numpy(), wanted)
    masked = model(K, Q, tgt_mask=mask).numpy()
    flagged = model(K, Q, tgt_is_causal=True).numpy()
    np.testing.assert_allclose(masked, flagged, rtol=0, atol=1e-12)
    later = np.array(Q)
    later[:, 2] += 1.0
    changed = model(K, later, tgt_is_causal=True).numpy()
    np.testing.assert_array_equal(changed[:, :2], flagged[:, :2])
    one, other = (model.encoder.layers[i].linear1.weight.numpy() for i in (0, 1))
    assert not np.array_equal(one, other)
    assert np.sqrt(1 / 6) < abs(one).max() <= np.sqrt(6 / 13)


def test_a_block_of_a_function_and_its_description():
    layer = nn.TransformerEncoderLayer(4, 2, 3, activation="gelu", norm_first=True)
    again = build_module(module_spec(layer))
    assert repr(again) == repr(layer)
    assert again.activation == "gelu"
    own = nn.TransformerEncoderLayer(4, 2, 3, activation=F.tanh).eval()
    named = nn.TransformerEncoderLayer(4, 2, 3).eval()
    named.load_state_dict(own.state_dict())
    x = cr.tensor(Q[..., :4].astype(np.float32))
    assert not np.allclose(own(x).numpy(), named(x).numpy())


def test_a_network_learns_to_look(tmp_path):
    """The class is the position parity of the one mark in a sequence of six."""
    rng = np.random.default_rng(1)
    at, x = rng.integers(0, 6, 300), rng.normal(scale=0.1, size=(300, 6, 8))
    x += np.eye(8)[:6]
    x[np.arange(300), at, 7] += 2.0
    data = cr.data.Dataset(x.astype(np.float32), (at % 2).astype(np.int32))
    cr.manual_seed(0)
    model = nn.Sequential(
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
        nn.Flatten(),
        nn.Linear(48, 2),
    )
    trainer = cr.Trainer(
        model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=1e-2)
    )
    trainer.fit(data, epochs=8, batch_size=32)
    assert trainer.evaluate(data)["accuracy"] > 0.95
    trainer.save(tmp_path / "run.ckpt")
    again = cr.Trainer.load(tmp_path / "run.ckpt").model.eval()
    np.testing.assert_array_equal(
        again(data.x[:5]).numpy(), model.eval()(data.x[:5]).numpy()
    )
    rows = {row.path: row for row in cr.summary(model, (6, 8)).layers}
    assert rows["0.self_attn"].output == "(N, 6, 8)"
    assert rows["0.linear1"].output == "(N, 6, 16)"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_a_mask_of_integers_is_refused(dtype, way):
    """0 and 1 mean to look in one place and not to in the other, or are added."""
    mask = cr.tensor(LOOK.astype(dtype))
    layer = nn.MultiheadAttention(6, 2, batch_first=True, **D)
    for run in (
        lambda m: F.scaled_dot_product_attention(Q, K, V, m),
        lambda m: layer(Q, K, V, attn_mask=m)[0],
        lambda m: layer(Q, K, V, cr.tensor(FILLER).astype(dtype) + 0 * m[0])[0],
    ):
        run = run if way == "eager" else cr.compile(run, engine=way)
        with pytest.raises(DTypeError, match=f"(?s)truth values, or floats.*{dtype}"):
            run(mask)


@pytest.mark.parametrize("way", WAYS)
def test_a_sequence_without_steps_is_refused(way):
    layer = nn.CausalSelfAttention(6, 2, **D)
    block = nn.TransformerEncoderLayer(6, 2, 7, batch_first=True, **D)
    for run in (layer, block, lambda x: F.scaled_dot_product_attention(Q, x, x)):
        run = run if way == "eager" else cr.compile(run, engine=way)
        with pytest.raises(ShapeError, match=r"(?s)without steps.*\(2, 0, 6\)"):
            run(cr.zeros(2, 0, 6, **D))
    # No query is no mistake: there is nothing to compute.
    none = cr.zeros(2, 0, 6, **D)
    run = F.scaled_dot_product_attention
    run = run if way == "eager" else cr.compile(run, engine=way)
    assert run(none, cr.tensor(K), cr.tensor(V)).shape == (2, 0, 6)


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "nn.MultiheadAttention(6, 4)": "embed_dim a multiple of num_heads.*embed_dim=6",
        "nn.MultiheadAttention(6, 0)": "num_heads",
        "nn.MultiheadAttention(6, 2, dropout=1)": "0 ≤ dropout < 1",
        "nn.MultiheadAttention(6, 2, kdim=0)": "kdim",
        "nn.TransformerEncoderLayer(6, 4)": "d_model a multiple of nhead.*nhead=4",
        "nn.TransformerEncoderLayer(6, 2, activation='tanh')": "'gelu'.*'tanh'",
        "nn.TransformerDecoderLayer(6, 2, activation=nn.GELU)": r"nn\.GELU\(\)",
        "nn.Transformer(6, 2, activation=['relu'])": r"\['relu'\]",
        "nn.TransformerEncoderLayer(6, 2, norm_first=1)": "norm_first",
        "nn.TransformerDecoderLayer(6, 4)": "TransformerDecoderLayer divides d_model",
        "nn.TransformerEncoder(nn.TransformerEncoderLayer, 2)": "encoder_layer.*Layer",
        "nn.TransformerDecoder(L, 0)": "num_layers",
        "nn.TransformerDecoder(L, 1, 1e-5)": "norm.*nn.LayerNorm",
        "nn.Transformer(6, 2, num_decoder_layers=0)": "num_layers",
        "M(X, X, X, need_weights='no')": "need_weights='no'",
        "M(X, X, X, average_attn_weights=0)": "average_attn_weights=0",
        "nn.TransformerEncoderLayer(6, 2)(X, is_causal='no')": "is_causal='no'",
        "nn.TransformerDecoder(L, 1)(X, X, tgt_is_causal='')": "is_causal=''",
    },
    DTypeError: {
        "M(X, X, X, attn_mask=np.ones((4, 4), int))": r"attn_mask.*astype\('bool'\)",
        "M(X, X, X, np.ones((3, 4), int))": "key_padding_mask",
        "L(X, X, np.ones((4, 4), int))": "attn_mask says where not",
        "F.scaled_dot_product_attention(X, X, X, np.tri(4, dtype=int))": (
            r"where to look.*floats.*int64.*attn_mask.astype\('bool'\)"
        ),
        "M(X, np.ones((3, 4, 6)), X)": r"its key have.*key.astype\('float32'\)",
        "M(np.ones((3, 4, 6)), X, X)": "float32",
    },
    ShapeError: {
        "M(X[..., :5], X, X)": r"query \(N, L, 6\).*\(3, 4, 5\), \(3, 4, 6\)",
        "M(X[:, :0], X[:, :0], X[:, :0])": r"Mu\w+ has no mean.*steps.*\(3, 0, 6\)",
        "nn.MultiheadAttention(6, 2)(X, X[:0], X[:0])": r"steps.*\(0, 4, 6\)",
        "M(X[0], X[0, :0], X[0, :0])": r"without steps.*\(0, 6\)",
        "nn.CausalSelfAttention(6, 2)(X[:, :0])": r"Causal\w+ has no mean.*\(3, 0, 6\)",
        "L(X[:, :0], X)": r"'self_attn' has no mean.*steps.*\(3, 0, 6\)",
        "L(X, X[:, :0])": r"'multihead_attn' has no mean.*steps.*\(3, 0, 6\)",
        "nn.TransformerEncoderLayer(6, 2)(X[:0])": r"'self_attn'.*\(0, 4, 6\)",
        "F.scaled_dot_product_attention(X, X[:, :0], X[:, :0])": r"steps.*\(3, 0, 6\)",
        "F.scaled_dot_product_attention(X, X, X[:, :3])": r"value \(…, S.*\(3, 3, 6\)",
        "F.scaled_dot_product_attention(X[..., :0], X[..., :0], X)": "E at least 1",
        "M(X, X, X[:, :3])": r"\(3, 4, 6\), \(3, 3, 6\)",
        "M(X, X[:2], X[:2])": r"\(N, S, 6\).*\(2, 4, 6\)",
        "M(X[0], X, X)": r"\(4, 6\), \(3, 4, 6\)",
        "nn.MultiheadAttention(6, 2)(X, X[:, :3], X[:, :3])": r"\(L, N, 6\)",
        "M(X, X, X, attn_mask=cr.zeros(4, 3))": r"\(4, 4\) or \(6, 4, 4\).*\(4, 3\)",
        "L(X, X, cr.zeros(4, 3))": r"attn_mask.*\(4, 4\) or \(6, 4, 4\).*\(4, 3\)",
        "L(X, X[..., :5])": r"multihead_attn.*key \(N, S, 6\).*\(3, 4, 5\)",
        "M(X, X, X, cr.zeros(4, 3))": r"key_padding_mask.*\(3, 4\).*\(4, 3\)",
        "F.scaled_dot_product_attention(X, X, X, cr.zeros(3, 3))": r"4, 4\).*\(3, 3\)",
        "F.scaled_dot_product_attention(X, X, X, cr.zeros(2, 1, 4, 4))": r"\(3, 4, 4\)",
    },
}
M, X = nn.MultiheadAttention(6, 2, batch_first=True), cr.zeros(3, 4, 6)
L = nn.TransformerDecoderLayer(6, 2, 7, batch_first=True)


test_mistakes_are_explained = explained(MISTAKES, globals())
