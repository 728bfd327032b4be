"""What a change of another shape of a result reaches: as in PyTorch, or refused.

``flatten``, ``reshape`` and ``contiguous`` are views or copies, by how the elements of
a result lie in memory, and that depends on how those of the operands lie.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.nn import functional

pytestmark = pytest.mark.parity

#: Tensors of three axes, or two, by how their elements lie.
LAYOUTS = {
    "rows": "t.tensor(A)",
    "transposed": "t.tensor(A).transpose(0, 1)",
    "turned": "t.tensor(A).permute(1, 2, 0)",
    "expanded": "t.tensor(A[:1]).expand(3, 3, 3)",
    "sliced": "t.tensor(B)[:, ::2]",
    "matrix": "t.tensor(A[0])",
    "turned matrix": "t.tensor(A[0]).T",
    "computed": "t.tensor(A).permute(2, 0, 1) * 1.5",
    "long": "t.tensor(A)[:, :1].transpose(0, 1)",
}
FEW = ("transposed", "turned", "expanded", "turned matrix")

OF_ONE = """
x * 2.0; 2.0 - x; x.sin(); t.sigmoid(x); t.relu(x); F.gelu(x); F.silu(x); F.softplus(x);
F.elu(x); x.abs(); x.clamp(-1, 1); x.clone(); x.float(); x.sum(0, keepdim=True);
x.sum(-1); x.sum(1); x.mean(0); x.amax(0); x.max(1)[0]; x.cumsum(0); x.softmax(-1);
x.softmax(0); t.cat([x, x]); t.stack([x, x], 1); x.flip(0); x.roll(1, 0); x.tile(1);
x.repeat(2, 1, 1); x.index_select(0, t.tensor([1, 0])); x[[1, 0]]; x[:, [1, 0]];
x.gather(0, (x * 0).long()); x.sort(0)[0]; x.argsort(0); x.topk(2, 0)[0]; x.triu();
x.diagonal(); t.zeros_like(x) + x; t.ones_like(x); t.full_like(x, 2.0); x.mT * 1.0;
x.sum(1, keepdim=True) * x; x.sum((0, 1), keepdim=True) + x; x.square();
t.zeros(3, 3, 3) + x; x[0] + x[:, 0]; x.logsumexp(0); F.normalize(x); x.contiguous()
"""
OF_TWO = """
x + y; x - y; y * x; x / y; x.abs() ** y; t.clamp(x, y, y + 1); t.maximum(x, y);
t.where(x > 0, x, y); t.where(y > 0, x, 0.0); x.masked_fill(y > 0, 1.0); x @ y;
t.cat([x, y], 1); t.stack([x, y]); t.stack([x, y], -1); t.atan2(x, y); t.hypot(x, y);
x.lerp(y, 0.5); (x > y).double(); x.unsqueeze(0) + y; F.linear(x, y[0]); x[0] + y[0];
x.split(1, 1)[0] * y.split(1, 1)[0]; x[:, 0] * y[:, 0]; x[..., 0] - y[..., 0]; x.mT + y;
x + y.sum(0); x.sum(1, keepdim=True) * y; x + y + x; (x + y) * x; x.mT @ y;
x.expand_as(y) * y; t.add(x, y, alpha=2); t.einsum("abc,abd->acd", x, y)
"""
ANOTHER = ("flatten()", "reshape(3, -1)", "contiguous()")


def _shown(t: Any, functions: Any, made: str, x: str, y: str, how: str) -> np.ndarray:
    """What a result shows after another shape of it was filled with 7."""
    env: dict[str, Any] = {"t": t, "F": functions}
    env["A"] = np.random.default_rng(0).uniform(-1, 1, (3, 3, 3))
    env["B"] = np.random.default_rng(1).uniform(-1, 1, (3, 6, 3))
    env["x"], env["y"] = eval(LAYOUTS[x], env), eval(LAYOUTS[y], env)
    result = eval(made, env)
    env["x"] = env["y"] = None  # a change of these is another matter
    eval(f"r.{how}", {"r": result}).fill_(7)
    return np.array(result.numpy())


def _differences(expressions: str, layouts: list[tuple[str, str]]) -> tuple[int, list]:
    same, wrong = 0, []
    for made in map(str.strip, expressions.replace("\n", " ").split(";")):
        for (x, y), how in itertools.product(layouts, ANOTHER):
            try:
                wanted = _shown(torch, torch.nn.functional, made, x, y, how)
            except (RuntimeError, IndexError):
                continue  # refused by PyTorch, or no such shape
            try:
                got = _shown(cr, functional, made, x, y, how)
            except cr.ChainruleError:
                continue
            same += 1
            if got.shape != wanted.shape or ((got == 7) != (wanted == 7)).any():
                wrong.append((made, x, y, how))
    return same, wrong


def test_of_one_tensor() -> None:
    same, wrong = _differences(OF_ONE, [(x, "rows") for x in FEW])
    assert not wrong
    assert same > 100


def test_of_two_tensors_that_lie_differently() -> None:
    layouts = [("transposed", "rows"), ("rows", "turned"), ("turned", "long")]
    same, wrong = _differences(OF_TWO, [*layouts, ("sliced", "expanded")])
    assert not wrong
    assert same > 100


@pytest.mark.slow
def test_of_one_tensor_however_it_lies() -> None:
    same, wrong = _differences(OF_ONE, [(x, "rows") for x in LAYOUTS])
    assert not wrong
    assert same > 600


@pytest.mark.slow
def test_of_any_two_tensors() -> None:
    same, wrong = _differences(OF_TWO, list(itertools.product(LAYOUTS, LAYOUTS)))
    assert not wrong
    assert same > 2000
