"""Visual question answering: a network of a picture and a question (1.6).

    picture 64×64×3 → three convolutions → largest and mean of each map → v ┐
                                                                           ├ v ⊙ q → 13
    question "is there a red shape?" → a vector a word, added up → ────── q ┘   answers

The data are easy-VQA's: 5,000 pictures of one coloured shape, and 48,248 questions with
one of 13 answers: yes, no, three shapes, eight colours. Pictures of the test are new.

The same picture gets another answer with another question, so no answer can be read off
the one or the other alone: a sum v + q cannot say "yes, if what is asked is what is
there", a product can,

    v = tanh(V f(picture) + b),  q = tanh(Q Σ e(word) + c),  scores = W₂ ReLU(W₁(v ⊙ q))

q opens and closes what is known of the picture. All is trained as one, from the
answers alone: nothing tells the convolutions what a colour is, nor the words what they
mean. The convolutions see a picture once for all of its questions.

Settings were tried on 500 pictures that were split off those to learn from.

What to look at: the answers of networks that are given the question alone, or the
picture alone; accuracy for each kind of question; where the network looks, as the size
of ∂(score of the answer)/∂(pixel); the answers that it is least sure of.

Source: Antol et al. 2015, "VQA: visual question answering" (the product); Zhou 2019,
"easy-VQA"; Simonyan, Vedaldi & Zisserman 2014 (the derivatives).

    pip install --no-deps easy-vqa
    pip install 'chainrule[images]'
    chainrule train multimodal
    python -m chainrule.recipes.multimodal
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference, shuffled
from chainrule.text import _, say

SUMMARY = _("questions about pictures: a CNN and words joined by a product, 13 answers")
SECONDS = 40
REFERENCES = [Reference("accuracy", at_least=0.97, source=_("easy-VQA's own baseline"))]
ANSWERS = ("yes", "no", "rectangle", "circle", "triangle")
ANSWERS += ("red", "green", "blue", "yellow", "gray", "teal", "black", "brown")
#: What questions consist of; number 0 stands where there is no word.
WORDS = ("a", "color", "contain", "does", "image", "in", "is", "no", "not", "of")
WORDS += ("present", "shape", "the", "there", "what", *ANSWERS[2:])
KINDS = ("is it there?", "is it not there?", "which colour?", "which shape?")
EPOCHS, BATCH_SIZE, LR, WEIGHT_DECAY, WIDTH = 25, 32, 3e-3, 0.05, 64
QUESTIONS, LENGTH = 21, 9  # of a picture, and words of a question, at most


# -- data ------------------------------------------------------------------------------


class Pictures:
    """Pictures and their questions and answers, padded to one shape.

    Attributes:
        images: uint8 (n, 3, 64, 64).
        words: (n, QUESTIONS, LENGTH), numbers of words from 1; 0 where there is none.
        answers: (n, QUESTIONS); asked: 1 where there is a question, else 0.
        texts: the questions of each picture.
    """

    def __init__(self, folder: Path, opened: Any, count: int | None = None) -> None:
        rows = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
        n = len({picture for __, __, picture in rows}) if count is None else count
        self.images = np.empty((n, 3, 64, 64), np.uint8)
        for i in range(n):
            with opened(folder / "images" / f"{i}.png") as image:
                self.images[i] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        self.words = np.zeros((n, QUESTIONS, LENGTH), np.int32)
        self.answers = np.zeros((n, QUESTIONS), np.int32)
        self.asked = np.zeros((n, QUESTIONS), np.float32)
        self.texts: list[list[str]] = [[] for __ in range(n)]
        for text, answer, i in rows:
            if i < n:
                k = len(self.texts[i])
                numbers = [1 + WORDS.index(word) for word in split(text)]
                self.words[i, k, : len(numbers)] = numbers
                self.answers[i, k], self.asked[i, k] = ANSWERS.index(answer), 1
                self.texts[i].append(text)

    def __len__(self) -> int:
        return len(self.images)


def split(text: str) -> list[str]:
    """Return the words of a question."""
    return text.rstrip("?").split()


def kind_of(text: str) -> str:
    """Return the kind of a question."""
    words = split(text)
    if words[0] == "what":
        return "which colour?" if "color" in words else "which shape?"
    negated = "not" in words or "no" in words
    return "is it not there?" if negated else "is it there?"


# -- the network -----------------------------------------------------------------------


class Asked(nn.Module):
    """A network that scores the answers to questions about pictures.

    Args:
        sees, hears: whether it is given the picture, and the question.
    """

    def __init__(self, sees: bool = True, hears: bool = True) -> None:
        self.sees, self.hears = sees, hears
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(3, 16, 5, stride=2, padding=2),
                nn.Conv2d(16, 32, 3, padding=1),
                nn.Conv2d(32, 64, 3, padding=1),
            ]
        )
        self.norm = nn.LayerNorm(128)  # or tanh is ±1 whatever is seen
        self.vision = nn.Linear(128, WIDTH)
        self.table = nn.Embedding(len(WORDS) + 1, WIDTH, padding_idx=0)
        self.language = nn.Linear(WIDTH, WIDTH)
        self.joined = nn.Linear(WIDTH, WIDTH)
        self.scores = nn.Linear(WIDTH, len(ANSWERS))

    def forward(self, pixels: cr.Tensor, words: cr.Tensor) -> cr.Tensor:
        """Return answer scores (n, k, 13) for pictures and questions (n, k, LENGTH).

        Pictures are (n, 3, 64, 64), from 0 to 1.
        """
        a = pixels - 0.5
        for i, convolution in enumerate(self.convolutions):
            a = convolution(a).relu()
            a = nn.functional.max_pool2d(a, 2) if i < 2 else a
        seen = cr.cat([a.amax((2, 3)), a.mean((2, 3))], dim=1)
        v = self.vision(self.norm(seen)).tanh().unsqueeze(1)
        q = self.language(self.table(words).sum(2)).tanh()
        v, q = v if self.sees else v * 0 + 1, q if self.hears else q * 0 + 1
        return self.scores(self.joined(v * q).relu())


def training_step(experiment: Experiment, model: Asked, adam: optim.AdamW) -> Any:
    """Compile a step of training: from pictures with their questions to the loss."""

    @experiment.compile
    def train(
        images: cr.Tensor, words: cr.Tensor, answers: cr.Tensor, asked: cr.Tensor
    ) -> cr.Tensor:
        scores = model(images.astype("float32") / 255, words)
        losses = nn.functional.cross_entropy(
            scores.reshape(-1, len(ANSWERS)), answers.reshape(-1), reduction="none"
        )
        loss = (losses * asked.reshape(-1)).sum() / asked.sum()
        model.zero_grad()
        loss.backward()
        adam.step()
        return loss

    return train


def adamw(model: Asked, steps: int) -> optim.AdamW:
    """Return the optimiser, whose rate rises and falls over all steps."""
    lr = optim.OneCycleLR(LR, total_steps=steps)
    return optim.AdamW(model.parameters(), lr=lr, weight_decay=WEIGHT_DECAY)


def learn(
    experiment: Experiment, name: str, data: Pictures, epochs: int, **senses: bool
) -> Asked:
    """Train a network with the senses that it is given."""
    cr.manual_seed(experiment.seed)
    model = Asked(**senses)
    optimizer = adamw(model, epochs * (len(data) // BATCH_SIZE))
    train = training_step(experiment, model, optimizer)
    state = {"model": model, "optimizer": optimizer}
    for epoch in experiment.steps(name, epochs, **state):
        for rows in shuffled(len(data), BATCH_SIZE, experiment.seed, epoch):
            columns = data.images, data.words, data.answers, data.asked
            train(*(column[rows] for column in columns))
    return model


def answered(experiment: Experiment, model: Asked, data: Pictures) -> np.ndarray:
    """Return the probabilities of the answers, (n, QUESTIONS, 13)."""

    @experiment.compile
    def answer(images: cr.Tensor, words: cr.Tensor) -> cr.Tensor:
        return model(images.astype("float32") / 255, words).softmax(-1)

    parts = [slice(i, i + 250) for i in range(0, len(data), 250)]
    with cr.no_grad():
        shares = [answer(data.images[p], data.words[p]).numpy() for p in parts]
    return np.concatenate(shares)


def share(said: np.ndarray, data: Pictures) -> float:
    """Return the share of correctly answered questions."""
    return float(((said == data.answers) * data.asked).sum() / data.asked.sum())


# -- looking ---------------------------------------------------------------------------


def by_kind(said: np.ndarray, data: Pictures) -> dict[str, float]:
    """Return the accuracy for each kind of question."""
    right: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for i, texts in enumerate(data.texts):
        for k, text in enumerate(texts):
            right[kind_of(text)].append(bool(said[i, k] == data.answers[i, k]))
    return {kind: float(np.mean(found)) for kind, found in right.items() if found}


def saliency(model: Asked, image: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return the saliency map |∂(largest score)/∂(pixel)|, maximal over colours."""

    def best(pixels: cr.Tensor) -> cr.Tensor:
        return model(pixels, cr.tensor(words[None, None])).amax()

    slopes = cr.grad(best)(cr.tensor(image[None] / np.float32(255))).numpy()
    return np.abs(slopes[0]).max(0)


def draw_asked(figure: Any, rows: list[tuple[np.ndarray, np.ndarray, str]]) -> None:
    """Draw pictures with their saliency maps, questions and answers."""
    places = figure.subplots(2, len(rows), squeeze=False)
    for column, (image, slopes, title) in zip(places.T, rows):
        column[0].imshow(image.transpose(1, 2, 0))
        column[1].imshow(slopes, cmap="magma")
        column[0].set_title(title, fontsize=6)
        for axes in column:
            axes.set_axis_off()


def example(
    model: Asked, data: Pictures, said: np.ndarray, i: int, k: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return an example for :func:`draw_asked`: question k of picture i."""
    text, truth = data.texts[i][k], ANSWERS[data.answers[i, k]]
    words = text.split()
    half = (len(words) + 1) // 2
    title = f"{' '.join(words[:half])}\n{' '.join(words[half:])}\n{ANSWERS[said[i, k]]}"
    title += "" if ANSWERS[said[i, k]] == truth else f" (wrong: {truth})"
    slopes = saliency(model, data.images[i], data.words[i, k])
    return data.images[i], slopes, title


def show(
    experiment: Experiment, model: Asked, shares: np.ndarray, data: Pictures
) -> int:
    """Draw some answers and the least certain ones; return the number of errors."""
    said = shares.argmax(-1)
    wrong = int(((said != data.answers) & (data.asked > 0)).sum())
    say(
        "\n{wrong} of {sum} answers are wrong. The least sure:\n",
        wrong=wrong,
        sum=int(data.asked.sum()),
    )
    sure = np.where(data.asked > 0, shares.max(-1), 2.0)
    order = np.argsort(sure, axis=None, kind="stable")[:8]
    least = [(int(n) // QUESTIONS, int(n) % QUESTIONS) for n in order]
    for i, k in least:
        say(
            "  {sure:4.0%}  picture {i:4}  {texts:38.38}  {ANSWERS}, truly {i_k}",
            sure=sure[i, k],
            i=i,
            texts=data.texts[i][k],
            ANSWERS=ANSWERS[said[i, k]],
            i_k=ANSWERS[data.answers[i, k]],
        )
    firsts = [(i, i % len(data.texts[i])) for i in range(5)]
    drawn = {"looks": (firsts, "pictures, and where the network looks")}
    drawn["unsure"] = (least[:5], "the least sure answers")
    for name, (pairs, title) in drawn.items():
        rows = [example(model, data, said, i, k) for i, k in pairs]
        experiment.draw(name, draw_asked, rows, title=title, size=(7.4, 3.4))
    return wrong


def run(experiment: Experiment) -> dict[str, Any]:
    """Train with pictures and questions, and with either alone.

    Args:
        experiment: the seed of the initial weights and of the order of pictures.

    Raises:
        ArgumentError: easy-vqa or Pillow is not installed.
    """
    opened = experiment.package("PIL.Image", "chainrule[images]").open
    folder = experiment.folder("easy_vqa", "--no-deps easy-vqa") / "data"
    train = Pictures(folder / "train", opened, 320 if experiment.quick else None)
    test = Pictures(folder / "test", opened, 200 if experiment.quick else None)
    asked = int(train.asked.sum())
    say(
        "{train} pictures, {asked} questions; {test} pictures to test with\n",
        train=len(train),
        asked=asked,
        test=len(test),
    )
    epochs, single = (3, 1) if experiment.quick else (EPOCHS, 3)
    found = {}
    for name, hears in (("picture alone", False), ("question alone", True)):
        senses = {"sees": not hears, "hears": hears}
        model = learn(experiment, name.replace(" ", "-"), train, single, **senses)
        found[name] = share(answered(experiment, model, test).argmax(-1), test)
    model = learn(experiment, "both", train, epochs)
    shares = answered(experiment, model, test)
    said = shares.argmax(-1)
    found["both"] = share(said, test)
    for name, right in found.items():
        print(f"  {name:15} {right:6.1%}  {'█' * round(40 * right)}")
    kinds = by_kind(said, test)
    say("\nBy kind of question:\n")
    for kind, right in kinds.items():
        print(f"  {kind:17} {right:6.1%}")
    bars = found | kinds
    title = "right answers: with one sense and with both, and by kind of question"
    experiment.draw("accuracy", viz.gallery.bars, bars, title=title, size=(6.5, 2.8))
    wrong = show(experiment, model, shares, test)
    senses = {name.split()[0]: right for name, right in found.items()}
    return {"accuracy": found["both"], "wrong": wrong, "senses": senses, "kinds": kinds}


if __name__ == "__main__":
    run(Experiment("multimodal"))
