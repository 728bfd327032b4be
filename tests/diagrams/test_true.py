"""Pictures of networks that look like others: what is drawn is what they compute."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError
from tests.diagrams.networks import Function

F = nn.functional


# -- blocks ----------------------------------------------------------------------------

Compute = Callable[[Any, cr.Tensor], cr.Tensor]


def plain(m: Any, x: cr.Tensor) -> cr.Tensor:
    return F.relu(m.f(x))


def turned(m: Any, x: cr.Tensor) -> cr.Tensor:
    return F.relu(m.f(x.transpose(1, 2)).transpose(1, 2))


def minus(m: Any, x: cr.Tensor) -> cr.Tensor:
    y = m.f(x)
    return y - y.tanh()


def minus_turned(m: Any, x: cr.Tensor) -> cr.Tensor:
    y = m.f(x)
    return y.tanh() - y


def squashed(m: Any, x: cr.Tensor) -> cr.Tensor:
    return F.relu(x @ m.f.weight.tanh())


def doubled(m: Any, x: cr.Tensor) -> cr.Tensor:
    return F.relu(x @ (m.f.weight * 2))


@pytest.mark.parametrize(
    ("usual", "other"),
    [(plain, turned), (minus, minus_turned), (squashed, doubled)],
)
def test_blocks_of_other_wiring_are_not_folded(usual: Compute, other: Compute) -> None:
    """Their boxes, arrows and shapes are the same."""

    def folded(*computed: Compute) -> list[int]:
        blocks = [Function(each, f=nn.Linear(4, 4)) for each in computed]
        picture = nn.Sequential(*blocks).picture((4, 4))
        return [f.times for f in picture.frames if f.times > 1]

    assert folded(usual, usual, usual) == [3]
    assert folded(other, other, other) == [3]
    assert folded(usual, other, usual) == []
    assert folded(usual, usual, usual, other) == [3]


def test_blocks_that_read_what_all_read_in_another_place_are_not_folded() -> None:
    def network(signs: str) -> nn.Module:
        def block(sign: str) -> nn.Module:
            def forward(m: Any, h: cr.Tensor, x: cr.Tensor) -> cr.Tensor:
                y = m.f(h).tanh()
                return y - x if sign == "+" else x - y

            return Function(forward, f=nn.Linear(4, 4))

        def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
            h = m.f(x)
            for each in m.blocks:
                h = each(h, x)
            return h

        blocks = nn.ModuleList([block(sign) for sign in signs])
        return Function(forward, f=nn.Linear(4, 4), blocks=blocks)

    def folded(signs: str) -> list[int]:
        frames = network(signs).picture((4,)).frames
        return [f.times for f in frames if f.times > 1]

    assert folded("+++") == [3]
    assert folded("+-+") == []


def test_blocks_between_which_numbers_are_moved_otherwise_are_not_folded() -> None:
    def network(turns: str) -> nn.Module:
        def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
            for each, turn in zip(m.blocks, turns):
                x = each(x)
                x = x.transpose(1, 2) if turn == "t" else x
            return x

        blocks = [Function(plain, f=nn.Linear(4, 4)) for __ in turns]
        return Function(forward, blocks=nn.ModuleList(blocks))

    def folded(turns: str) -> list[int]:
        frames = network(turns).picture((4, 4)).frames
        return [f.times for f in frames if f.times > 1]

    assert folded("ttt") == folded("---") == [3]
    assert folded("t--") == folded("-t-") == []


# -- attention -------------------------------------------------------------------------


def attention(
    q: Callable[[cr.Tensor], cr.Tensor] = lambda q: q,
    scores: Callable[[cr.Tensor], cr.Tensor] = lambda s: s,
) -> nn.Module:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        products = q(m.q(x)) @ m.k(x).transpose(-1, -2)
        return scores(products).softmax(-1) @ m.v(x)

    return Function(forward, **{name: nn.Linear(8, 8) for name in "qkv"})


def arrows(picture: Any) -> set[tuple[str, str]]:
    ends = [(a.source.title_line(), a.target.title_line()) for a in picture.arrows]
    return {*ends}


def test_a_scale_is_in_the_box_of_the_scores_where_it_follows_them() -> None:
    scaled = attention(lambda q: 0.3 * q, lambda s: s * 0.5).picture((5, 8))
    assert "Q Kᵀ · 0.3 · 0.5" in [b.title for b in scaled.boxes]
    capped = attention(scores=lambda s: (s * 0.1).tanh() * 30.0).picture((5, 8))
    chain = ["Q Kᵀ", "x ⊙ 0.1", "tanh x", "x ⊙ 30", "A = softmax", "A V", "ŷ"]
    assert {*pairwise(chain)} <= arrows(capped)
    mask = cr.ones(5, 5).triu(1) * -1e9
    masked = arrows(attention(scores=lambda s: (s + mask) * 0.5).picture((5, 8)))
    assert ("Q Kᵀ", "x + c") in masked
    assert not {(b, a) for a, b in masked} & masked  # nothing goes back


def test_a_scaled_factor_that_something_else_reads_has_a_box() -> None:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        q = m.q(x) * 0.5
        return (q @ m.k(x).transpose(1, 2)).softmax(-1) @ m.v(x) + q.tanh()

    model = Function(forward, **{name: nn.Linear(8, 8) for name in "qkv"})
    shown = arrows(model.picture((5, 8)))
    assert {("x ⊙ ½", "Q Kᵀ"), ("x ⊙ ½", "tanh x")} <= shown
    assert ("Q Kᵀ", "tanh x") not in shown


@pytest.mark.parametrize(
    "gate", [lambda q: q.sigmoid() * q, lambda q: q * q.sigmoid(), lambda q: q * q]
)
def test_q_is_what_the_scores_are_of(gate: Any) -> None:
    picture = attention(gate).picture((5, 8))
    (q,) = [b for b in picture.boxes if b.symbol == "Q"]
    assert "⊙" in q.title or "²" in q.title
    assert (q.title_line(), "Q Kᵀ") in arrows(picture)


def heads(model: nn.Module, shape: tuple[int, ...]) -> str:
    titles = [b.title for b in model.picture(shape).boxes]
    return next(t for t in titles if t.startswith("A = softmax"))


def test_heads_are_not_rows_or_windows() -> None:
    def cut(kind: str) -> nn.Module:
        def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
            n, t, d = x.shape
            q, k, v = (
                {
                    "windows": lambda p: p.reshape(n, 3, t // 3, d),
                    "heads": lambda p: p.reshape(n, t, 2, d // 2).transpose(1, 2),
                    "heads last": lambda p: p.reshape(n, t, d // 2, 2).permute(
                        0, 3, 1, 2
                    ),
                }[kind](part)
                for part in m.qkv(x).chunk(3, -1)
            )
            return (q @ k.transpose(-1, -2)).softmax(-1) @ v

        return Function(forward, qkv=nn.Linear(8, 24))

    def packed(m: Any, x: cr.Tensor) -> cr.Tensor:
        n, t, d = x.shape
        qkv = m.qkv(x).reshape(n, t, 3, 4, d // 4).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])

    assert heads(attention(), (3, 5, 8)) == "A = softmax"  # rows of a picture
    assert heads(cut("windows"), (12, 8)) == "A = softmax"
    assert heads(cut("heads"), (12, 8)) == "A = softmax, 2 heads"
    assert heads(cut("heads last"), (12, 8)) == "A = softmax, 2 heads"
    four = Function(packed, qkv=nn.Linear(8, 24))
    assert heads(four, (12, 8)) == "A = softmax, 4 heads"


def test_titles_say_what_is_computed() -> None:
    chosen = cr.tensor([True, False])

    def titles(function: Any, shape: Any) -> list[str]:
        return [b.title for b in Function(function).picture(shape).boxes]

    assert "mask" in titles(lambda m, x: cr.where(chosen, x, 0.0), (2,))
    both = titles(lambda m, x: cr.where(chosen, x, -x), (2,))
    assert "mask" not in both
    given = {"x": (1, 4, 4), "w": (4, 4)}
    product = titles(lambda m, x, w: x @ w.reshape(-1, 1, 4, 4), given)
    assert "matrix product" in product
    filters = titles(lambda m, x: F.conv2d(x, x[:, :, :2, :2].sum(0, True)), (1, 4, 4))
    assert "x ∗ y" in filters
    assert "matrix product" not in filters


# -- recurrence ------------------------------------------------------------------------


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_states_are_called_by_what_they_are(swapped: bool, known: bool) -> None:
    """h and c of an LSTM in either order; of another loop nothing says which is h."""

    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        def step(states: Any, xt: cr.Tensor) -> Any:
            h, c = states[::-1] if swapped else states
            i, f, g, o = m.f(xt + h).chunk(4, -1)
            i = i.sigmoid() if known else i.relu()
            c = f.sigmoid() * c + i * g.tanh()
            h = o.sigmoid() * c.tanh()
            return ((c, h) if swapped else (h, c)), h

        start = cr.zeros(x.shape[0], 4)
        return cr.scan(step, (start, start), x.transpose(0, 1))[1]

    picture = Function(forward, f=nn.Linear(4, 16)).picture((5, 4))
    states = [b.title for b in picture.boxes if b.kind == "state"]
    called = ["hₜ₋₁", "cₜ₋₁"][:: -1 if swapped else 1]
    assert states == [*(called if known else ["sₜ₋₁, 1", "sₜ₋₁, 2"]), "xₜ"]
    symbols = {b.symbol for b in picture.boxes if b.symbol}
    assert symbols == ({f"{letter}ₜ" for letter in "ifgoch"} if known else set())
    if known:
        h = "hₜ = x ⊙ y", "hₜ₋₁"
        assert h in arrows(picture)


# -- parameters and numbers ------------------------------------------------------------


def test_trained_first_states_are_counted() -> None:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        return m.f(x, m.start.expand(1, x.shape[0], 4))[0]

    model: Any = Function(forward, f=nn.GRU(3, 4, batch_first=True))
    model.start = nn.Parameter(cr.zeros(1, 1, 4))
    boxes = model.picture((6, 3)).boxes
    assert sum(b.parameters for b in boxes) == sum(p.size for p in model.parameters())
    (state,) = [b for b in boxes if b.title == "hₜ₋₁"]
    assert state.parameters == 4


@pytest.mark.parametrize("cut", [lambda x: x.int().float(), lambda x: x.bool().float()])
def test_a_conversion_that_changes_numbers_is_a_box(cut: Any) -> None:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        return m.f(cut(x * 1.5))

    model = Function(forward, f=nn.Linear(2, 2))
    picture = model.picture([[0.5, 1.7]])
    assert any(b.title.endswith("(x)") for b in picture.boxes)
    kept = Function(lambda m, x: m.f(x.double().float()), f=nn.Linear(2, 2))
    assert [b.kind for b in kept.picture((2,)).boxes] == ["input", "layer", "output"]


@pytest.mark.parametrize("many", [3, 30])
def test_inputs_of_float64_are_those_given(many: int) -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, many), nn.ReLU(), nn.Linear(many, 2))
    model.to(cr.float64)
    rows = np.array([[0.5, 1.7]])
    picture = model.picture(rows)
    if picture.units:
        np.testing.assert_array_equal(picture.units.columns[0].numbers, rows[0])
    else:
        assert picture.boxes[0].details == ["0.5, 1.7"]
        shown = [float(t) for t in picture.boxes[-1].details[-1].split(", ")]
        np.testing.assert_allclose(shown, model(rows).numpy()[0], rtol=5e-3)


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (nn.Embedding(5, 20), np.array([[1.7, 2.2]]), "whole numbers"),
        (nn.Linear(2, 20), [[1.0, 2.0], [1.0]], "no numbers"),
        (nn.Linear(2, 20), np.array([["a", "b"]]), "no numbers"),
    ],
)
def test_rows_that_are_none(model: nn.Module, data: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        nn.Sequential(model).picture(data)


def test_outputs_in_tuples_are_counted_alike() -> None:
    titles = [b.title for b in nn.LSTM(3, 4).picture((5, 3)).boxes[-3:]]
    assert titles == ["output 1", "output 2.1", "output 2.2"]


def test_outputs_in_lists_are_counted_too() -> None:
    def forward(m: Any, x: cr.Tensor) -> Any:
        return {"early": [m.f(x), None, (x * 2,)], "late": x.tanh()}

    picture = Function(forward, f=nn.Linear(2, 30)).picture((2,))
    titles = [b.title for b in picture.boxes if b.kind == "output"]
    assert titles == ["early.0", "early.2.0", "late"]


# -- bounds ----------------------------------------------------------------------------


def test_names_at_units_are_escaped_and_cut() -> None:
    evil = "<script>\x1b[31m]]>\"'&" + "漢字" * 500
    kind = type(
        evil,
        (nn.Module,),
        {
            "__init__": lambda m: setattr(m, "f", nn.Linear(2, 2)),
            "forward": lambda m, x: m.f(x),
        },
    )
    for picture in (
        nn.Sequential(kind()).picture((2,), depth=0),
        Function(
            lambda m, **given: m.f(next(iter(given.values()))), f=nn.Linear(2, 2)
        ).picture({evil: (2,)}),
    ):
        assert picture.units
        text = picture.to_svg()
        assert "\x1b" not in text
        assert "<script" not in text
        width = ElementTree.fromstring(text).get("width")
        assert width
        assert int(width) < 2500


def test_long_names_do_not_make_large_files() -> None:
    """Each stands in boxes, arrows, frames, and in words for who does not see them."""

    def forward(m: Any, x: cr.Tensor) -> dict[str, cr.Tensor]:
        return {"y" * 20_000: F.relu(m.f(x)), "other": m.f(x)}

    inner = type("A" * 20_000, (Function,), {})(forward, f=nn.Linear(2, 30))
    for model in (inner, Function(lambda m, x: m.f(x), f=inner)):
        picture = model.picture((2,))
        assert len(picture.to_svg()) < 10_000
        assert len(picture.to_mermaid()) < 3_000
        assert len(picture._repr_html_()) < 10_000


def test_many_long_arrows_are_refused() -> None:
    """Their layout takes minutes."""

    def dense(m: Any, x: cr.Tensor) -> cr.Tensor:
        known = [x]
        for layer in m.layers:
            known.append(layer(cr.cat(known, 1)))
        return cr.cat(known, 1)

    def picture(many: int) -> Any:
        layers = [nn.Linear(2 * (i + 1), 2) for i in range(many)]
        return Function(dense, layers=nn.ModuleList(layers)).picture((2,))

    assert "<polyline" in picture(8).to_svg()
    large = picture(40)
    assert len(large.arrows) > 800
    with pytest.raises(ArgumentError, match="too many long arrows"):
        large.to_svg()
    page = large._repr_html_()
    assert "too many long arrows" in page
    assert "-->" in large.to_mermaid()
