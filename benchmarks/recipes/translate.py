"""The recipe ``translate`` beside PyTorch: the same pairs, sizes and rates.

python benchmarks/recipes/translate.py --seeds 3
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from turns import Run, Trial, arguments, compare

import chainrule as cr
from chainrule import optim
from chainrule.recipes import translate as recipe
from chainrule.recipes.datasets import dates_and_numbers as language
from chainrule.recipes.evaluation import exact_match

PIECE = 50  # steps in a row
WIDTH, HEADS, WORDS = recipe.WIDTH, recipe.HEADS, len(language.WORDS)
TRAIN, TEST = language.split()


def budget(trial: Trial) -> tuple[int, int]:
    """Steps, and unseen sources of each form."""
    steps, __, each = recipe.QUICK if trial.quick else recipe.FULL
    return steps, each


def schedule(steps: int) -> optim.OneCycleLR:
    """The recipe's learning rates."""
    return optim.OneCycleLR(recipe.LR, total_steps=steps, pct_start=0.1)


def batch(step: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The recipe's sources and targets of a step."""
    return language.batch(TRAIN, recipe.BATCH, np.random.default_rng([seed, step]))


def exact(translate: Any, each: int, seed: int) -> float:
    """The mean share of exact translations of all forms."""
    pairs = {form: language.pairs(TEST, form, each, seed) for form in language.ALL}
    shares = exact_match.by_form(translate, pairs)["accuracy"]
    return float(np.mean([*shares.values()]))


def ours(trial: Trial) -> Run:
    """The recipe without what it shows."""
    steps, each = budget(trial)
    cr.manual_seed(trial.seed)
    model = recipe.Translator()
    adam = optim.AdamW(model.parameters(), lr=schedule(steps), **recipe.ADAMW)
    step = recipe.training_step(trial, model, adam)
    yield
    for done in range(steps):
        step(*batch(done, trial.seed))
        if (done + 1) % PIECE == 0 or done + 1 == steps:
            yield
    greedy = trial.compile(cr.no_grad()(model.translate))

    def translate(sources: Sequence[str]) -> list[str]:
        tokens, __ = greedy(language.encode(sources, recipe.READ))
        return [language.decode(row) for row in tokens.numpy()]

    return {"exact": exact(translate, each, trial.seed)}


class Translator(nn.Module):
    """The same network of PyTorch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Embedding(recipe.READ + recipe.WRITTEN, WIDTH)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.1)
        how: dict[str, Any] = {"batch_first": True, "norm_first": True}
        sizes = (WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu")
        self.readers = nn.ModuleList(
            nn.TransformerEncoderLayer(*sizes, **how) for _ in range(recipe.LAYERS)
        )
        self.writers = nn.ModuleList(
            nn.TransformerDecoderLayer(*sizes, **how) for _ in range(recipe.LAYERS)
        )
        self.read_norm, self.norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.scores = nn.Linear(WIDTH, WORDS)

    def read(self, source: torch.Tensor) -> torch.Tensor:
        """(N, S, WIDTH)."""
        x = self.words(source) + self.places.weight[: recipe.READ]
        for block in self.readers:
            x = block(x, src_key_padding_mask=source == recipe.PAD)
        return self.read_norm(x)

    def write(
        self, written: torch.Tensor, read: torch.Tensor, source: torch.Tensor
    ) -> torch.Tensor:
        """Scores (N, T, words)."""
        t = written.shape[1]
        x = self.words(written) + self.places.weight[recipe.READ : recipe.READ + t]
        mask = torch.ones(t, t, dtype=torch.bool).triu(1)
        for block in self.writers:
            x = block(
                x,
                read,
                tgt_mask=mask,
                memory_key_padding_mask=source == recipe.PAD,
                tgt_is_causal=True,
            )
        return self.scores(self.norm(x))


def theirs(trial: Trial) -> Run:
    """PyTorch's side."""
    steps, each = budget(trial)
    torch.set_num_threads(trial.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(trial.seed)
    model = Translator()
    adam = torch.optim.AdamW(
        model.parameters(), lr=1.0, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    rate = schedule(steps)
    cost = nn.CrossEntropyLoss(ignore_index=recipe.PAD)
    for i in range(steps):
        if i % PIECE == 0:
            yield
        source, target = (torch.from_numpy(a).long() for a in batch(i, trial.seed))
        scores = model.write(target[:, :-1], model.read(source), source)
        loss = cost(scores.flatten(0, 1), target[:, 1:].flatten())
        adam.param_groups[0]["lr"] = rate(i)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
    yield
    model.eval()

    def translate(sources: Sequence[str]) -> list[str]:
        rows = torch.from_numpy(language.encode(sources, recipe.READ)).long()
        written = torch.full((len(rows), 1), language.START)
        with torch.no_grad():
            read = model.read(rows)
            for _ in range(recipe.WRITTEN):
                best = model.write(written, read, rows)[:, -1].argmax(1)
                written = torch.cat([written, best[:, None]], 1)
        return [language.decode(row) for row in written[:, 1:].tolist()]

    return {"exact": exact(translate, each, trial.seed)}


if __name__ == "__main__":
    sides = {"Chainrule": ours, "PyTorch": theirs}
    what = "translate: unseen sources exactly right"
    compare(arguments(__doc__), "translate", what, sides)
