"""Small programs that users of PyTorch write, in the words that both have.

Each is run with PyTorch, and here eagerly and compiled on every engine, in float64 and
float32, over the same numbers: results, states and gradients agree. ``lab`` has what
the two call differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import nn, optim
from tests.ways import ENGINES

pytestmark = pytest.mark.parity

CALLED_BY = [None, *ENGINES]
rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.normal(size=shape)


class Ours:
    """This package; ``compiled`` leaves a function eager where the engine is None."""

    X, F, optim, clip = cr, nn.functional, optim, staticmethod(optim.clip_grad_norm_)
    scan = staticmethod(cr.scan)

    def __init__(self, engine: str | None) -> None:
        self.engine = engine

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return cr.compile(function, engine=self.engine) if self.engine else function

    def tensor(self, array: np.ndarray, train: bool = False) -> Any:
        return cr.tensor(array, requires_grad=train)

    def slope(self, function: Callable[..., Any], x: Any) -> Any:
        return cr.grad(function)(x)

    def gradient(self, loss: Any, x: Any) -> Any:
        return cr.gradients(loss, [x], create_graph=True)[0]


class Theirs:
    """PyTorch, eagerly."""

    X, F, optim = torch, torch.nn.functional, torch.optim
    clip = staticmethod(torch.nn.utils.clip_grad_norm_)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def tensor(self, array: np.ndarray, train: bool = False) -> Any:
        return torch.tensor(array, requires_grad=train)

    def scan(self, function: Any, carry: Any, xs: Any) -> Any:
        ys: list[Any] = []
        for x in xs:
            carry, y = function(carry, x)
            ys.append(y)
        return carry, None if ys[0] is None else torch.stack(ys)

    def slope(self, function: Callable[..., Any], x: Any) -> Any:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(function(x), x, create_graph=True)[0]

    def gradient(self, loss: Any, x: Any) -> Any:
        return torch.autograd.grad(loss, [x], create_graph=True)[0]


Program = Callable[..., Any]
PROGRAMS: dict[str, tuple[Program, Sequence[np.ndarray]]] = {}


def program(*arrays: np.ndarray) -> Callable[[Program], Program]:
    def note(function: Program) -> Program:
        PROGRAMS[function.__name__] = function, arrays
        return function

    return note


# -- loops -----------------------------------------------------------------------------


@program(normal(8, 1))
def kalman_filter(lab: Any, zs: Any) -> Any:
    like = zs.dtype
    move = lab.tensor(np.array([[1.0, 0.1], [0.0, 1.0]])).to(like)
    seen = lab.tensor(np.array([[1.0, 0.0]])).to(like)
    noise, one = lab.X.eye(2, dtype=like) * 0.01, lab.X.eye(2, dtype=like)

    @lab.compiled
    def run(zs: Any) -> Any:
        def step(state: Any, z: Any) -> Any:
            mean, spread = state
            mean, spread = move @ mean, move @ spread @ move.T + noise
            gain = spread @ seen.T / (seen @ spread @ seen.T + 0.1)
            mean = mean + gain @ (z - seen @ mean)
            return (mean, (one - gain @ seen) @ spread), mean

        return lab.scan(step, (lab.X.zeros(2, dtype=like), one), zs)

    return run(zs)


@program(normal(3, 8), normal(2, 8), normal(5, 2, 3))
def lstm_of_several_lengths(lab: Any, wi: Any, wh: Any, xs: Any) -> Any:
    wi, wh = wi.requires_grad_(), wh.requires_grad_()

    @lab.compiled
    def run(xs: Any) -> Any:
        def cell(state: Any, x: Any) -> Any:
            h, c = state
            i, g, f, o = (x @ wi + h @ wh).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            return (h, c), h

        zero = lab.X.zeros(xs.shape[1], 2, dtype=xs.dtype)
        (h, _), hs = lab.scan(cell, (zero, zero), xs)
        return hs.mean() + h.sum()

    losses = [run(xs[:k]) for k in (5, 3, 4, 3)]
    for loss in losses:
        loss.backward()
    return losses, wi.grad, wh.grad


@program(normal(3, 2), normal(2, 2), normal(9, 3))
def truncated_backpropagation(lab: Any, wx: Any, wh: Any, xs: Any) -> Any:
    wx, wh = wx.requires_grad_(), wh.requires_grad_()
    optimizer = lab.optim.RMSprop([wx, wh], lr=0.01)

    @lab.compiled
    def chunk(h: Any, xs: Any) -> Any:
        optimizer.zero_grad()
        h, sums = h.detach(), []
        for t in range(3):
            h = lab.X.tanh(xs[t] @ wx + h @ wh)
            sums.append(h.sum())
        loss = lab.X.stack(sums).pow(2).mean()
        loss.backward()
        optimizer.step()
        return loss.detach(), h

    h, losses = lab.X.zeros(2, dtype=xs.dtype), []
    for k in range(0, 9, 3):
        loss, h = chunk(h.detach(), xs[k : k + 3])
        losses.append(loss)
    return losses, h, wx, wh


@program(normal(7, 4), np.array([1, 2, 2]))
def connectionist_temporal_classification(lab: Any, scores: Any, labels: Any) -> Any:
    X, scores, width = lab.X, scores.requires_grad_(), 7

    @lab.compiled
    def loss() -> Any:
        rows = scores.log_softmax(-1)
        text = X.zeros(width, dtype=X.int64)
        text[1::2] = labels
        never = X.full((2,), -1e30, dtype=rows.dtype)
        alike = X.cat([X.ones(2, dtype=X.bool), text[2:] == text[:-2]]) | (text == 0)
        first = X.cat([rows[0][text[:2]], never[:1].expand(width - 2)])

        def step(a: Any, row: Any) -> Any:
            one, two = X.cat([never[:1], a[:-1]]), X.cat([never, a[:-2]])
            ways = X.stack([a, one, X.where(alike, -1e30, two)])
            return X.logsumexp(ways, 0) + row[text], None

        last, _ = lab.scan(step, first, rows[1:])
        return -X.logsumexp(last[-2:], 0)

    made = loss()
    made.backward()
    return made, scores.grad


# -- reinforcement ---------------------------------------------------------------------


@program(normal(4, 3), normal(4, 1), normal(5, 4), rng.integers(0, 3, 5), normal(5))
def actor_and_critic(lab: Any, w: Any, v: Any, s: Any, a: Any, r: Any) -> Any:
    w, v = w.requires_grad_(), v.requires_grad_()
    actor, critic = lab.optim.SGD([w], lr=0.1), lab.optim.Adam([v], lr=0.2)

    @lab.compiled
    def step(s: Any, a: Any, r: Any) -> Any:
        gain = r - (s @ v).squeeze(-1)
        chosen = (s @ w).log_softmax(-1).gather(1, a[:, None]).squeeze(1)
        losses = -(chosen * gain.detach()).mean(), gain.pow(2).mean()
        actor.zero_grad()
        critic.zero_grad()
        (losses[0] + 0.5 * losses[1]).backward()
        actor.step()
        critic.step()
        return losses

    return [step(s, a, r) for _ in range(3)], w, v


@program(
    normal(4, 3), normal(6, 4), rng.integers(0, 3, 6), normal(6), rng.random(6) < 0.3
)
def target_network(lab: Any, q: Any, s: Any, a: Any, r: Any, done: Any) -> Any:
    slow, q = q.clone(), q.requires_grad_()
    optimizer = lab.optim.Adam([q], lr=0.01)

    @lab.compiled
    def step() -> Any:
        with lab.X.no_grad():
            wanted = r + 0.9 * (s.flip(0) @ slow).max(1).values * (~done)
        found = (s @ q).gather(1, a.unsqueeze(1)).squeeze(1)
        loss = lab.F.smooth_l1_loss(found, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    @lab.compiled
    def follow(rate: float) -> None:
        with lab.X.no_grad():
            slow.mul_(1 - rate).add_(rate * q)

    losses = []
    for rate in (0.1, 1 / 3, 0.5):
        losses.append(step())
        follow(rate)
    return losses, q, slow


# -- training --------------------------------------------------------------------------


@program(normal(3, 2), normal(5, 3), normal(5, 3), rng.random((5, 1)))
def gradient_penalty(lab: Any, d: Any, x: Any, fake: Any, part: Any) -> Any:
    d = d.requires_grad_()

    @lab.compiled
    def step(x: Any, fake: Any, part: Any) -> Any:
        def critic(z: Any) -> Any:
            return lab.X.tanh(z @ d).sum(-1)

        between = part * x + (1 - part) * fake
        slope = lab.slope(lambda z: critic(z).sum(), between)
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        d.grad = None
        (critic(fake).mean() - critic(x).mean() + 10 * penalty).backward()
        return penalty

    return [step(x, fake, part) for _ in range(2)], d.grad


@program(normal(4, 3), normal(6, 4), rng.integers(0, 3, 6), rng.permutation(6))
def mixup_and_moving_averages(lab: Any, w: Any, x: Any, y: Any, order: Any) -> Any:
    mean, w = w.clone(), w.requires_grad_()
    optimizer = lab.optim.AdamW([w], lr=0.05, weight_decay=0.1)

    @lab.compiled
    def step(x: Any, y: Any, part: float, keep: float) -> Any:
        z = (part * x + (1 - part) * x[order]) @ w
        loss = part * lab.F.cross_entropy(z, y, label_smoothing=0.1)
        loss = loss + (1 - part) * lab.F.cross_entropy(z, y[order])
        optimizer.zero_grad()
        loss.backward()
        norm = lab.clip([w], 0.4)
        optimizer.step()
        with lab.X.no_grad():
            mean.mul_(keep).add_((1 - keep) * w)
        return loss, norm

    made = [step(x, y, part, keep) for part, keep in ((0.3, 0.9), (0.71, 0.99))]
    return made, w, mean, w.grad


@program(normal(4, 3), normal(3, 2), normal(5, 4))
def freezing_and_an_optimiser_of_ones_own(lab: Any, u: Any, v: Any, x: Any) -> Any:
    class Lion:
        def __init__(self, tensors: list[Any]) -> None:
            self.rate, self.tensors = 0.01, tensors
            self.moments = [lab.X.zeros_like(t) for t in tensors]

        def step(self) -> None:
            with lab.X.no_grad():
                for t, m in zip(self.tensors, self.moments):
                    if t.grad is not None:
                        way = (m * 0.9 + t.grad * 0.1).sign()
                        t.add_(way, alpha=-self.rate)
                        m.mul_(0.99).add_(t.grad, alpha=0.01)
                        t.grad = None

    u, v = u.requires_grad_(), v.requires_grad_()
    optimizer = Lion([u, v])

    @lab.compiled
    def step(x: Any) -> Any:
        loss = ((x @ u).tanh() @ v).pow(2).mean()
        loss.backward()
        optimizer.step()
        return loss

    losses = []
    for trains, rate in ((True, 0.01), (False, 0.01), (False, 0.1), (True, 0.1)):
        u.requires_grad_(trains)
        optimizer.rate = rate
        losses.append(step(x))
    return losses, u, v, optimizer.moments


@program(normal(3))
def derivatives_of_derivatives(lab: Any, x: Any) -> Any:
    x = x.requires_grad_()

    @lab.compiled
    def run() -> Any:
        y = (x**3).sum() * x.prod()
        slope = lab.gradient(y, x)
        curve = lab.gradient((slope * lab.X.arange(3)).sum(), x)
        ((slope**2).sum() + curve.sum()).backward()
        return y, slope, curve

    return run(), x.grad


@program(normal(4, 2), normal(4, 3), normal(4, 3), normal(5, 4))
def straight_through(lab: Any, w: Any, scores: Any, noise: Any, x: Any) -> Any:
    w, scores = w.requires_grad_(), scores.requires_grad_()

    @lab.compiled
    def run(heat: float) -> Any:
        hard_w = w + (w.sign() - w).detach()
        rounded = x + (x.round() - x).detach()
        soft = ((scores + noise) / heat).softmax(-1)
        hard = lab.X.zeros_like(soft).scatter(-1, soft.argmax(-1, keepdim=True), 1.0)
        picked = ((hard - soft).detach() + soft) * lab.X.arange(3)
        w.grad = scores.grad = None
        (((rounded @ hard_w) ** 2).mean() + picked.sum()).backward()
        return hard

    return [run(0.5), run(1.3)], w.grad, scores.grad


# -- attention and the like ------------------------------------------------------------

SEEN = np.array([[True] * 5, [True, True, True, False, False]])


@program(normal(2, 5, 4), normal(4, 4), normal(4, 4), normal(4, 4), SEEN)
def masked_attention(lab: Any, x: Any, wq: Any, wk: Any, wv: Any, seen: Any) -> Any:
    weights = [w.requires_grad_() for w in (wq, wk, wv)]

    @lab.compiled
    def run(x: Any, seen: Any) -> Any:
        rows, length, width = x.shape
        split = rows, length, 2, width // 2
        q, k, v = [(x @ w).view(*split).transpose(1, 2) for w in weights]
        causal = lab.X.tril(lab.X.ones(length, length, dtype=lab.X.bool))
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // 2)
        scores = scores.masked_fill(~causal, float("-inf"))
        scores = scores.masked_fill(~seen[:, None, None, :], -1e9)
        by_hand = (scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, length, width)
        mask = causal & seen[:, None, None, :]
        whole = lab.F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return by_hand, whole.transpose(1, 2).contiguous().view(rows, length, -1)

    made = run(x, seen)
    (made[0].sum() + (made[1] ** 2).sum()).backward()
    return made, [w.grad for w in weights]


@program(normal(6, 3), normal(3, 4), normal(4, 3, 2))
def mixture_of_experts(lab: Any, x: Any, gates: Any, experts: Any) -> Any:
    gates, experts = gates.requires_grad_(), experts.requires_grad_()

    @lab.compiled
    def run(x: Any) -> Any:
        scores = x @ gates
        best, which = scores.topk(2, -1)
        weights = lab.X.zeros_like(scores).scatter(-1, which, best.softmax(-1))
        made = lab.X.einsum("bd,edo->beo", x, experts)
        y = (weights[..., None] * made).sum(1)
        share = lab.F.one_hot(which[:, 0], 4).float().mean(0)
        loss = (y**2).mean() + (weights.mean(0) * share).sum() * 4
        loss.backward()
        return loss, y

    return run(x), gates.grad, experts.grad


WORDS = rng.integers(0, 5, (2, 4))
WORDS[0, 1] = WORDS[1, 2:] = -100


@program(normal(2, 4, 5), WORDS, np.array([4, 2]))
def losses_of_masked_sequences(lab: Any, z: Any, y: Any, lengths: Any) -> Any:
    z = z.requires_grad_()

    @lab.compiled
    def run(y: Any, lengths: Any) -> Any:
        flat = lab.F.cross_entropy(
            z.view(-1, z.size(-1)), y.view(-1), ignore_index=-100
        )
        rows = lab.F.cross_entropy(
            z.transpose(1, 2), y, ignore_index=-100, reduction="sum"
        )
        counts = y != -100
        right = ((z.argmax(-1) == y) & counts).sum().float() / counts.sum()
        inside = lab.X.arange(z.shape[1])[None] < lengths[:, None]
        last = z.amax(-1).gather(1, (lengths - 1)[:, None]).squeeze(1)
        mean = (z.logsumexp(-1) * inside).sum(1) / lengths
        (flat + 0.1 * rows + last.sum() + mean.sum()).backward()
        return flat, rows, right, last, mean

    return run(y, lengths), z.grad


@program(normal(4, 5), normal(5, 5))
def beam_search(lab: Any, steps: Any, moves: Any) -> Any:
    @lab.compiled
    def run() -> Any:
        score, last = steps[0].topk(2)
        path = [last]
        for row in steps[1:]:
            total = score[:, None] + moves[last] + row[None]
            score, at = total.flatten().topk(2)
            path = [p[at // 5] for p in path] + [at % 5]
            last = path[-1]
        return score, lab.X.stack(path, 1)

    return run()


# -- the same everywhere ---------------------------------------------------------------


def numbers(item: Any) -> Any:
    if isinstance(item, tuple | list):
        return [numbers(part) for part in item]
    return np.array(item.detach().numpy())


def compare(got: Any, wanted: Any, tolerance: float) -> None:
    if isinstance(wanted, list):
        assert len(got) == len(wanted)
        for mine, theirs in zip(got, wanted):
            compare(mine, theirs, tolerance)
        return
    assert got.dtype == wanted.dtype
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


#: In float32 every third one; the others with the slow tests.
NARROW = [
    pytest.param("f4", 2e-4, name, marks=[pytest.mark.slow] * (i % 3 != 0))
    for i, name in enumerate(PROGRAMS)
]


@pytest.mark.parametrize(
    ("dtype", "tolerance", "name"),
    [*(("f8", 1e-10, name) for name in PROGRAMS), *NARROW],
)
def test_a_program_computes_what_it_does_there(
    dtype: str, tolerance: float, name: str
) -> None:
    function, arrays = PROGRAMS[name]
    given = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]

    def run(lab: Any) -> Any:
        return numbers(function(lab, *[lab.tensor(a.copy()) for a in given]))

    wanted = run(Theirs())
    for engine in CALLED_BY:
        compare(run(Ours(engine)), wanted, tolerance)
