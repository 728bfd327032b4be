"""Translation of dates and numbers, English and Chinese, by attention (1.6).

One network reads, another writes, a token at a time, and looks back at what was read:

    Attention = softmax(Q Kᵀ/√d) V     Q from what is written, K, V from what was read

`March 5, 1987`, `一九八七年三月五日`, `民國七十六年三月五日` all become 1987-03-05;
`three hundred and five` and `三百零五` become 305, and 305 becomes these. The recipe
makes all of it by rule, so that every mistake is the network's. A tenth of the days and
of the numbers is never trained on, in any form. What to look at:

    1   Each form with an example.
    2   What it makes of three unseen sources while it learns: first the form of the
        answer, then the parts that are copied, last what has to be calculated.
    3   How many unseen ones are exactly right, form by form.
    4   Which tokens it looked at for each that it wrote. Where the order changes, from
        month first to year first, attention-date.png shows it.

Vaswani et al. 2017, "Attention is all you need"; Bahdanau, Cho & Bengio 2015.

    chainrule train translate
    python -m chainrule.recipes.translate
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference, numbered
from chainrule.text import _, say, tr
from chainrule.viz import gallery

SUMMARY = _("dates and numbers in English and Chinese by attention (Vaswani 2017)")
WIDTH, HEADS, LAYERS, BATCH, LR = 64, 4, 2, 64, 3e-3
#: Steps, steps between two samples, and sources of each form to be scored.
FULL, QUICK = (3000, 300, 500), (60, 20, 20)
READ, WRITTEN = 18, 12  # tokens at most, with the ends
PAD, START, END = 0, 1, 2
SOURCE = _("every form is a rule without exceptions")
SECONDS = 75
REFERENCES = [Reference("exact", at_least=0.99, source=SOURCE)]

# -- the language ----------------------------------------------------------------------

MONTHS, DAYS, ONES, TENS, OTHER = map(str.split, """
January February March April May June July August September October November December
Monday Tuesday Wednesday Thursday Friday Saturday Sunday
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen\
 fifteen sixteen seventeen eighteen nineteen
twenty thirty forty fifty sixty seventy eighty ninety
hundred thousand and the of st nd rd th English Chinese
""".strip().splitlines())  # fmt: skip
HAN = "零一二三四五六七八九"


def english(n: int) -> str:
    """Return a number below 10,000 in English: ``three hundred and five``."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10 - 2] + ("-" + ONES[n % 10] if n % 10 else "")
    size, name = (1000, "thousand") if n >= 1000 else (100, "hundred")
    rest = n % size
    link = " and " if 0 < rest < 100 else " "
    more = link + english(rest) if rest else ""
    return f"{english(n // size)} {name}{more}"


def chinese(n: int) -> str:
    """Return a number below 10,000 in Chinese: ``三百零五``."""
    if n < 10:
        return HAN[n]
    said, gap = "", False
    for size, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = n // size % 10
        if digit:
            said += ("零" if gap else "") + HAN[digit] + name
        gap = bool(said) and not digit
    return said[1:] if said.startswith("一十") else said


def ordinal(n: int) -> str:
    """Return the English ordinal of a number: ``1st``, ``2nd``, ``3rd``, ``11th``."""
    return f"{n}{'th' if 3 < n < 21 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def in_year(d: datetime.date) -> str:
    """Return the month and day of a date in Chinese: ``年三月五日``."""
    return f"年{chinese(d.month)}月{chinese(d.day)}日"


Day = datetime.date
FORMS: dict[str, Callable[[Day], str]] = {
    _("month first"): lambda d: f"{MONTHS[d.month - 1]} {d.day}, {d.year}",
    "shortened": lambda d: f"{MONTHS[d.month - 1][:3]}. {d.day} {d.year}",
    "ordinal": lambda d: f"the {ordinal(d.day)} of {MONTHS[d.month - 1]} {d.year}",
    "weekday": lambda d: f"{DAYS[d.weekday()]}, {d.day} {MONTHS[d.month - 1]} {d.year}",
    "American": lambda d: f"{d.month}/{d.day}/{d.year}",
    "German": lambda d: f"{d.day}.{d.month}.{d.year}",
    "西元": lambda d: f"{d.year}年{d.month}月{d.day}日",
    "漢字": lambda d: "".join(HAN[int(c)] for c in str(d.year)) + in_year(d),
    "民國": lambda d: "民國" + chinese(d.year - 1911) + in_year(d),
}
NUMBERS: dict[str, Callable[[int], tuple[str, str]]] = {
    _("English to digits"): lambda n: (english(n), str(n)),
    _("Chinese to digits"): lambda n: (chinese(n), str(n)),
    _("digits to English"): lambda n: (f"English: {n}", english(n)),
    _("digits to Chinese"): lambda n: (f"Chinese: {n}", chinese(n)),
}
ALL = (*FORMS, *NUMBERS)
FIRST, LAST = Day(1912, 1, 1).toordinal(), Day(2099, 12, 31).toordinal()


def pair(form: str, which: int) -> tuple[str, str]:
    """Return a source text and its translation, of a date or of a number."""
    if form in NUMBERS:
        return NUMBERS[form](which)
    return FORMS[form](day := Day.fromordinal(which)), day.isoformat()


def tokens(text: str) -> list[str]:
    """Split a text into words and single other characters, without spaces."""
    return re.findall(r"[A-Za-z]+|[^\sA-Za-z]", text)


WORDS = [*MONTHS, *(m[:3] for m in MONTHS), *DAYS, *ONES, *TENS, *OTHER]
WORDS = sorted({*WORDS, *HAN, *"0123456789,.:/-年月日民國十百千"})
WORDS = ["·", "<", ">", *WORDS]  # the first three fill, begin and end
NUMBER_OF = {word: i for i, word in enumerate(WORDS) if i > END}


def encode(texts: Sequence[str], room: int, start: bool = False) -> np.ndarray:
    """Encode texts as token numbers with an end token, padded to ``room``."""
    rows = np.full((len(texts), room), PAD, np.int32)
    for row, text in zip(rows, texts):
        inner = numbered("translate", tokens(text), NUMBER_OF, room - 1 - start)
        told = [START] * start + inner + [END]
        row[: len(told)] = told
    return rows


def decode(row: Sequence[int]) -> str:
    """Decode token numbers up to the end token, with spaces only between words."""
    ended = [*row, END].index(END)
    text = " ".join(WORDS[i] for i in row[:ended] if i > END)
    return re.sub(r"(?<![a-z]) | (?![a-z])", "", text)


def split() -> dict[bool, dict[str, np.ndarray]]:
    """Split dates and numbers; ``[True]`` is a tenth held out from training."""
    rng, found = np.random.default_rng(0), {True: {}, False: {}}
    for name, whole in (("days", range(FIRST, LAST + 1)), ("numbers", range(10_000))):
        mixed = rng.permutation(whole)
        found[True][name], found[False][name] = np.split(mixed, [len(mixed) // 10])
    return found


def kind(form: str) -> str:
    """Return whether a form is of ``"numbers"`` or of ``"days"``."""
    return "numbers" if form in NUMBERS else "days"


def draw(part: Any, forms: Sequence[str], rng: np.random.Generator) -> list[Any]:
    """Draw a random pair of source and translation for each form."""
    return [pair(form, int(rng.choice(part[kind(form)]))) for form in forms]


# -- the network -----------------------------------------------------------------------


class Writer(nn.Module):
    """A transformer decoder block: causal self-attention, then cross-attention."""

    def __init__(self) -> None:
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(WIDTH) for __ in range(3))
        self.own = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.other = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: cr.Tensor, read: cr.Tensor, filler: cr.Tensor) -> Any:
        """Return the decoded sequence and its cross-attention weights, (N, T, S)."""
        z = self.norm1(x)
        x = x + self.own(z, z, z, need_weights=False, is_causal=True)[0]
        y, attention = self.other(self.norm2(x), read, read, filler)
        x = x + y
        return x + self.down(nn.functional.gelu(self.up(self.norm3(x)))), attention


class Translator(nn.Module):
    """An encoder-decoder transformer for texts (N, S)."""

    def __init__(self) -> None:
        self.words = nn.Embedding(len(WORDS), WIDTH)
        self.places = nn.Embedding(READ + WRITTEN, WIDTH)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.1)
        sizes = (WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu")
        self.readers = nn.ModuleList(
            nn.TransformerEncoderLayer(*sizes, batch_first=True, norm_first=True)
            for __ in range(LAYERS)
        )
        self.read_norm, self.norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.writers = nn.ModuleList(Writer() for __ in range(LAYERS))
        self.scores = nn.Linear(WIDTH, len(WORDS))

    def read(self, source: cr.Tensor) -> cr.Tensor:
        """Encode the source text, (N, S, WIDTH)."""
        x = self.words(source) + self.places(cr.arange(READ))
        for block in self.readers:
            x = block(x, src_key_padding_mask=source == PAD)
        return self.read_norm(x)

    def write(self, written: cr.Tensor, read: cr.Tensor, source: cr.Tensor) -> Any:
        """Return scores (N, T, words), and the last block's attention (N, T, S)."""
        places = self.places(cr.arange(READ, READ + written.shape[1]))
        x, attention = self.words(written) + places, None
        for block in self.writers:
            x, attention = block(x, read, source == PAD)
        return self.scores(self.norm(x)), attention

    def translate(self, source: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        """Translate greedily, all steps in one compiled loop; return attention too."""
        read, steps = self.read(source), cr.arange(WRITTEN)

        def step(written: cr.Tensor, i: cr.Tensor) -> Any:
            scores, __ = self.write(written, read, source)
            best = (scores.argmax(2) * (steps == i)).sum(1)
            return cr.where(steps == i + 1, best[:, None], written), best

        nothing = cr.zeros_like(source[:, :WRITTEN].astype("int64"))
        first = cr.where(steps == 0, START, nothing)
        written, said = cr.scan(step, first, steps)
        return said.T, self.write(written, read, source)[1]


def adamw(model: Translator, steps: int) -> optim.AdamW:
    """Return the optimiser, whose rate rises and falls over all steps."""
    lr = optim.OneCycleLR(LR, total_steps=steps, pct_start=0.1)
    return optim.AdamW(
        model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01, clip_norm=1.0
    )


def training_step(
    experiment: Experiment, model: Translator, optimizer: optim.AdamW
) -> Any:
    """Compile a step of training: from sources and targets to their loss."""

    @experiment.compile
    def train(source: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        scores, __ = model.write(target[:, :-1], model.read(source), source)
        scores, wanted = scores.flatten(0, 1), target[:, 1:].flatten()
        loss = nn.functional.cross_entropy(scores, wanted, ignore_index=PAD)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return train


# -- training --------------------------------------------------------------------------


def batch(part: Any, step: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return new random sources and targets for a step, of all forms."""
    rng = np.random.default_rng([seed, step])
    forms = [ALL[i] for i in rng.integers(0, len(ALL), BATCH)]
    sources, targets = zip(*draw(part, forms, rng))
    return encode(sources, READ), encode(targets, WRITTEN, start=True)


def translated(translate: Any, sources: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the translations of sources, and the attention weights."""
    written, attention = translate(encode(sources, READ))
    return [decode(row) for row in written.numpy()], attention.numpy()


def score(translate: Any, part: Any, each: int, seed: int) -> dict[str, Any]:
    """Return the exact-match accuracy on unseen sources by form, and some mistakes."""
    right, wrong = {}, []
    for i, form in enumerate(ALL):
        mixed = np.random.default_rng([seed, 1, i]).permutation(part[kind(form)])
        pairs = [pair(form, int(which)) for which in mixed[:each]]
        made, __ = translated(translate, [source for source, __ in pairs])
        bad = [(*p, m) for p, m in zip(pairs, made) if m != p[1]]
        right[form] = 1 - len(bad) / each
        wrong += bad[:2]
    return {"right": right, "wrong": wrong}


def show_attention(attention: np.ndarray, source: str, made: str) -> None:
    """Print the three source tokens with most attention for each output token."""
    say(
        "\n4  {source}: where it looked most while it wrote\n   {made}\n",
        source=source,
        made=made,
    )
    read = [*tokens(source), "end"]
    for token, row in zip(tokens(made), attention):
        most = np.argsort(-row[: len(read)])[:3]
        print(f"   {token}  ←  " + "   ".join(f"{read[i]} {row[i]:.2f}" for i in most))


def run(experiment: Experiment) -> dict[str, Any]:
    """Show the forms, train, score, and print attention.

    Args:
        experiment: the seed of weights and of what is drawn, not of the split.
    """
    steps, every, each = QUICK if experiment.quick else FULL
    rng, parts = np.random.default_rng(5), split()
    say("1  What is translated; a tenth of days and numbers is never trained on\n")
    for form in ALL:
        source, target = pair(form, 305 if form in NUMBERS else 725435)
        print(f"   {form:18}  {source}  →  {target}")

    cr.manual_seed(experiment.seed)
    model = Translator()
    size = sum(math.prod(p.shape) for p in model.parameters())
    say(
        "\n2  {LAYERS} blocks read, {LAYERS} write, width {WIDTH}, {HEADS} "
        "heads, {size:,} parameters\n\n    step    loss  what it makes of",
        LAYERS=LAYERS,
        WIDTH=WIDTH,
        HEADS=HEADS,
        size=size,
    )
    shown = ("month first", "民國", "digits to English")
    sources = [source for source, __ in draw(parts[True], shown, rng)]
    print(f"                  {'   '.join(sources)}\n")
    optimizer = adamw(model, steps)
    train = training_step(experiment, model, optimizer)
    translate = experiment.compile(cr.no_grad()(model.translate))
    losses: list[float] = []
    samples: list[dict[str, Any]] = []
    state = {"model": model, "optimizer": optimizer}
    state |= {"losses": losses, "samples": samples}
    for step in experiment.steps("training", steps, **state):
        losses.append(train(*batch(parts[False], step, experiment.seed)).item())
        if (step + 1) % every == 0:
            loss = float(np.mean(losses[-every:]))
            made, __ = translated(translate, sources)
            samples.append({"step": step + 1, "loss": loss, "made": made})
            print(f"   {step + 1:5}  {loss:6.4f}  {'   '.join(made):.68}")

    told = experiment.cached(
        "score", score, translate, parts[True], each, experiment.seed
    )
    exact = float(np.mean(list(told["right"].values())))
    say("\n3  Exactly right, of {each} unseen ones of each form\n", each=each)
    for form, share in told["right"].items():
        print(f"   {form:18} {share:7.2%}")
    print(f"   {tr('all'):18} {exact:7.2%}")
    for mistake in told["wrong"][:6]:
        named = dict(zip(("source", "target", "made"), mistake))
        say("   a mistake: {source}  →  {made}, which should be {target}", **named)
    made, attention = translated(translate, sources)
    for i, name in ((0, "date"), (2, "number")):
        read, said = [*tokens(sources[i]), "end"], [*tokens(made[i]), "end"]
        how = {"rows": said, "columns": read, "across": _("read"), "up": _("written")}
        seen, title = (
            attention[i, : len(said), : len(read)],
            f"{sources[i]} → {made[i]}",
        )
        experiment.draw(f"attention-{name}", gallery.heat, seen, title=title, **how)
    show_attention(attention[1], sources[1], made[1])
    return {"seed": experiment.seed, "exact": exact, "notes": samples, **told}


if __name__ == "__main__":
    run(Experiment("translate"))
