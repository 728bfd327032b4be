"""A small transformer learns to sort digits.

It reads six digits and writes them again in order, a token at a time: the sequence is
the digits and then their sorted copy, and each position predicts the next one from all
that come before it. A block is

    x ← x + W Attention(LayerNorm x),   x ← x + MLP(LayerNorm x),
    Attention = softmax(Q Kᵀ/√d) V,  each position looking at itself and back.

The loss counts the sorted half alone: the digits that are given get the label −100,
which cross-entropy leaves out.

Source: Vaswani et al. 2017, "Attention is all you need"; sorting as the task after
Andrej Karpathy, minGPT (2020).

    python examples/transformer.py
"""

from __future__ import annotations

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim

DIGITS, LENGTH = 4, 6  # as many kinds, as many in a sequence
WIDTH, HEADS, BLOCKS, BATCH = 32, 4, 2, 32
IGNORED = -100  # a label that does not count


class Block(nn.Module):
    """Attention and a network for each position, both added to what was there."""

    def __init__(self) -> None:
        self.before = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, 4 * WIDTH),
            nn.GELU(),
            nn.Linear(4 * WIDTH, WIDTH),
        )

    def forward(self, x):
        n, t, _ = x.shape
        heads = self.qkv(self.before(x)).reshape(n, t, 3, HEADS, WIDTH // HEADS)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.permute(0, 2, 1, 3).reshape(n, t, WIDTH))
        return x + self.mlp(x)


class Transformer(nn.Module):
    """Scores of the next token at each position, (N, T) → (N, T, DIGITS)."""

    def __init__(self) -> None:
        self.tokens = nn.Embedding(DIGITS, WIDTH)
        self.positions = nn.Embedding(2 * LENGTH, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(BLOCKS)])
        self.scores = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, DIGITS))

    def forward(self, tokens):
        places = cr.arange(tokens.shape[1])
        x = self.tokens(tokens) + self.positions(places)
        return self.scores(self.blocks(x))


def problem(count: int):
    """Tokens to read and the ones that follow them, (N, 2·LENGTH − 1) both."""
    given = cr.randint(0, DIGITS, (count, LENGTH))
    whole = cr.cat([given, given.sort(1).values], dim=1)
    ignored = cr.full((count, LENGTH - 1), IGNORED, dtype="int64")
    return whole[:, :-1], cr.cat([ignored, whole[:, LENGTH:]], dim=1)


def setup(engine=None, dtype="float32", seed=0):
    """The model, and a function that makes step i and returns its loss."""
    cr.manual_seed(seed)
    model = Transformer().to(dtype)
    optimizer = optim.AdamW(model.parameters(), lr=3e-3)

    def step():
        optimizer.zero_grad()
        tokens, following = problem(BATCH)
        scores = model(tokens)
        loss = F.cross_entropy(
            scores.flatten(0, 1), following.flatten(), ignore_index=IGNORED
        )
        loss.backward()
        optimizer.step()
        return loss

    run_step = step if engine is None else cr.compile(step, engine=engine)
    return model, lambda i: run_step()


def exact(model, engine=None, count=200) -> float:
    """The share of fresh sequences that it writes without a mistake.

    What stands behind a position has no say in it: the row is as long as it will be
    from the start, and one compilation serves every token.
    """

    def best(tokens):
        return model(tokens).argmax(2)

    if engine is not None:
        best = cr.compile(best, engine=engine)
    given = cr.randint(0, DIGITS, (count, LENGTH))
    row = cr.cat([given, cr.zeros_like(given)], dim=1)
    with cr.no_grad():
        for i in range(LENGTH, 2 * LENGTH):
            row[:, i] = best(row)[:, i - 1]
    right = (row[:, LENGTH:] == given.sort(1).values).all(1)
    return right.astype("float32").mean().item()


def run(engine=None, steps=600, dtype="float32", seed=0) -> dict:
    """Train; the losses, and the share of sequences sorted without a mistake."""
    model, update = setup(engine, dtype, seed)
    losses = [update(i).item() for i in range(steps)]
    return {"losses": losses, "exact": exact(model, engine)}


def main() -> None:
    """Train on the fastest engine, then sort."""
    made = run("auto")
    print(f"cross-entropy {made['losses'][0]:.2f} → {made['losses'][-1]:.3f}")
    print(f"{made['exact']:.0%} of fresh sequences sorted without a mistake")


if __name__ == "__main__":
    main()
