"""Translation of dates and numbers, English and Chinese, by attention (1.6).

One network reads, another writes, a token at a time, and looks back at what was read:

    Attention = softmax(Q Kᵀ/√d) V     Q from what is written, K, V from what was read

`March 5, 1987`, `一九八七年三月五日`, `民國七十六年三月五日` all become 1987-03-05;
`three hundred and five` and `三百零五` become 305, and 305 becomes these: all by rule,
so that every mistake is the network's. A tenth of the days and of the numbers is never
trained on, in any form (Vaswani et al. 2017; Bahdanau, Cho & Bengio 2015).

    1   Each form with an example.
    2   What it makes of three unseen sources while it learns: first the form of the
        answer, then the parts that are copied, last what has to be calculated.
    3   How many unseen ones are exactly right, form by form.
    4   Which tokens it looked at for each that it wrote. Where the order changes, from
        month first to year first, attention-date.png shows it.

    chainrule train translate
    python -m chainrule.recipes.translate
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.datasets import dates_and_numbers as language
from chainrule.recipes.evaluation import exact_match
from chainrule.recipes.pictures import translate as pictures
from chainrule.text import _, ngettext, padded, say, tr

SUMMARY = _("dates and numbers in English and Chinese by attention (Vaswani 2017)")
WIDTH, HEADS, LAYERS, BATCH, LR = 64, 4, 2, 64, 3e-3
#: Steps, steps between two samples, and test sources of each form.
FULL, QUICK = (3000, 300, 500), (300, 60, 20)
ADAMW = {"betas": (0.9, 0.98), "weight_decay": 0.01, "clip_norm": 1.0}
SOURCE = _("every form is a rule without exceptions")
SECONDS = 75
REFERENCES = [Reference("exact", at_least=0.99, source=SOURCE)]
PAD, READ, WRITTEN = language.PAD, language.SOURCE_LENGTH, language.TARGET_LENGTH

# -- the network -----------------------------------------------------------------------


class DecoderBlock(nn.Module):
    """A transformer decoder block: causal self-attention, then cross-attention."""

    def __init__(self) -> None:
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(WIDTH) for __ in range(3))
        self.self_attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: cr.Tensor, memory: cr.Tensor, padding: cr.Tensor) -> Any:
        """Return a decoder block's sequence and cross-attention weights, (N, T, S)."""
        z = self.norm1(x)
        x = x + self.self_attention(z, z, z, need_weights=False, is_causal=True)[0]
        y, attention = self.cross_attention(self.norm2(x), memory, memory, padding)
        x = x + y
        return x + self.down(nn.functional.gelu(self.up(self.norm3(x)))), attention


class Translator(nn.Module):
    """An encoder-decoder transformer for sources (N, S) and targets (N, T)."""

    def __init__(self) -> None:
        self.words = nn.Embedding(len(language.WORDS), WIDTH)
        self.positions = nn.Embedding(READ + WRITTEN, WIDTH)
        for table in (self.words, self.positions):
            nn.init.normal_(table.weight, std=0.1)
        sizes = (WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu")
        self.encoder = nn.ModuleList(
            nn.TransformerEncoderLayer(*sizes, batch_first=True, norm_first=True)
            for __ in range(LAYERS)
        )
        self.memory_norm, self.norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.decoder = nn.ModuleList(DecoderBlock() for __ in range(LAYERS))
        self.scores = nn.Linear(WIDTH, len(language.WORDS))

    def encode(self, source: cr.Tensor) -> cr.Tensor:
        """Encode a translator's source text, (N, S, WIDTH)."""
        x = self.words(source) + self.positions(cr.arange(READ))
        for block in self.encoder:
            x = block(x, src_key_padding_mask=source == PAD)
        return self.memory_norm(x)

    def decode(self, target: cr.Tensor, memory: cr.Tensor, source: cr.Tensor) -> Any:
        """Return a translator's scores of next words (N, T, words), and attention."""
        positions = self.positions(cr.arange(READ, READ + target.shape[1]))
        x, attention = self.words(target) + positions, None
        for block in self.decoder:
            x, attention = block(x, memory, source == PAD)
        return self.scores(self.norm(x)), attention

    def translate(self, source: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        """Translate texts greedily, by token; return attention (N, T, S) too."""
        memory, attention = self.encode(source), cr.zeros(0)
        target = cr.full((source.shape[0], 1), language.START)
        for __ in range(WRITTEN):
            scores, attention = self.decode(target, memory, source)
            target = cr.concat([target, scores[:, -1:].argmax(2)], axis=1)
        return target[:, 1:], attention


# -- training --------------------------------------------------------------------------


def optimizer(model: Translator, quick: bool) -> optim.AdamW:
    """Return a translator's AdamW optimiser: one cycle of the learning rate."""
    steps, *__ = QUICK if quick else FULL
    lr = optim.OneCycleLR(LR, total_steps=steps, pct_start=0.1)
    return optim.AdamW(model.parameters(), lr=lr, **ADAMW)


def training_step(experiment: Experiment, model: Translator, adam: optim.AdamW) -> Any:
    """Compile a translator's training step: from sources and targets to the loss."""

    @experiment.compile
    def train(source: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        scores, __ = model.decode(target[:, :-1], model.encode(source), source)
        loss = nn.functional.cross_entropy(
            scores.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD
        )
        model.zero_grad()
        loss.backward()
        adam.step()
        return loss

    return train


# -- the lesson ------------------------------------------------------------------------


def run(experiment: Experiment) -> dict[str, Any]:
    """Train a translator of dates and numbers, test it, and print attention.

    Args:
        experiment: the seed of weights and of what is drawn, not of the split.
    """
    seed = experiment.seed
    steps, every, each = QUICK if experiment.quick else FULL
    training, test = language.split()
    say("1  What is translated; a tenth of days and numbers is never trained on\n")
    for form in language.ALL:
        pair = language.pair(form, 305 if form in language.NUMBERS else 725435)
        print(f"   {padded(tr(form), 18)}  {'  →  '.join(pair)}")

    cr.manual_seed(seed)
    model = Translator()
    sizes: Any = {"LAYERS": LAYERS, "WIDTH": WIDTH, "HEADS": HEADS}
    sizes["size"] = sum(p.numel() for p in model.parameters())
    say(
        "\n2  {LAYERS} blocks read, {LAYERS} write, width {WIDTH}, {HEADS} "
        "heads, {size:,} parameters\n\n    step    loss  what it makes of",
        **sizes,
    )
    shown = {"date": "month first", "republic": "民國", "number": "digits to English"}
    drawn = language.sample(test, [*shown.values()], np.random.default_rng(5))
    sources = [source for source, __ in drawn]
    print(f"                  {'   '.join(sources)}\n")
    adam = optimizer(model, experiment.quick)
    train = training_step(experiment, model, adam)
    greedy = experiment.compile(cr.no_grad()(model.translate))

    def translate(sources: Sequence[str]) -> tuple[list[str], np.ndarray]:
        tokens, attention = greedy(language.encode(sources, READ))
        return [language.decode(row) for row in tokens.numpy()], attention.numpy()

    losses: list[float] = []
    samples: list[dict[str, Any]] = []
    state = {"model": model, "adam": adam, "losses": losses, "samples": samples}
    for step in experiment.steps("training", steps, **state):
        rng = np.random.default_rng([seed, step])
        losses.append(train(*language.batch(training, BATCH, rng)).item())
        if (step + 1) % every == 0:
            loss = float(np.mean(losses[-every:]))
            texts, __ = translate(sources)
            samples.append({"step": step + 1, "loss": loss, "translations": texts})
            print(f"   {step + 1:5}  {loss:6.4f}  {'   '.join(texts):.68}")

    pairs = {form: language.pairs(test, form, each, seed) for form in language.ALL}
    scored = experiment.cached(
        "score", exact_match.by_form, lambda sources: translate(sources)[0], pairs
    )
    exact = float(np.mean(list(scored["accuracy"].values())))
    say(
        ngettext(
            "\n3  Exactly right, of {n} unseen one of each form\n",
            "\n3  Exactly right, of {n} unseen ones of each form\n",
            n=each,
        )
    )
    for form, share in {**scored["accuracy"], tr("all"): exact}.items():
        print(f"   {padded(tr(form), 18)} {share:7.2%}")
    for mistake in scored["mistakes"][:6]:
        named = dict(zip(("source", "target", "made"), mistake))
        say("   a mistake: {source}  →  {made}, which should be {target}", **named)

    say("\n4  Where it looked most while it wrote")
    texts, attention = translate(sources)
    for name, source, text, weights in zip(shown, sources, texts, attention):
        title = f"{source} → {text}"
        tokens = [[*language.tokens(t), "end"] for t in (source, text)]
        print(f"\n   {title}\n")
        pictures.print_attention(weights, *tokens)
        if source.isascii():  # not every computer has a font for the others
            draw = pictures.attention, weights, *tokens
            experiment.draw(f"attention-{name}", *draw, title=title)
    return {"exact": exact, "samples": samples, **scored}


if __name__ == "__main__":
    run(Experiment("translate"))
