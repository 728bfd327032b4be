"""Visual question answering: a network that reads a picture and a question (1.6).

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

What to look at: the accuracy of networks that get the question alone, or the picture
alone; accuracy for each type of question; where the network looks, as the size of
∂(score of the answer)/∂(pixel); the answers with the smallest probability.

Source: Antol et al. 2015, "VQA: visual question answering" (the product); Zhou 2019,
"easy-VQA"; Simonyan, Vedaldi & Zisserman 2014 (the derivatives).

    pip install --no-deps easy-vqa
    pip install 'chainrule[images]'
    chainrule train multimodal
    python -m chainrule.recipes.multimodal
"""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference, shuffled
from chainrule.recipes.datasets import easy_vqa
from chainrule.recipes.pictures import multimodal as pictures
from chainrule.text import _, ngettext, padded, say, translated
from chainrule.viz import gallery

SUMMARY = _("questions about pictures: a CNN and words joined by a product, 13 answers")
SECONDS = 40
REFERENCES = [Reference("accuracy", at_least=0.97, source=_("easy-VQA's own baseline"))]
Pictures = easy_vqa.Pictures
EPOCHS, BATCH_SIZE, LR, WEIGHT_DECAY, WIDTH = 25, 32, 3e-3, 0.05, 64


class AnswerNetwork(nn.Module):
    """A network that scores the answers to questions about pictures.

    Args:
        image, question: whether it gets the picture, and the question.
    """

    def __init__(self, image: bool = True, question: bool = True) -> None:
        self.image, self.question = image, question
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(3, 16, 5, stride=2, padding=2),
                nn.Conv2d(16, 32, 3, padding=1),
                nn.Conv2d(32, 64, 3, padding=1),
            ]
        )
        self.norm = nn.LayerNorm(128)  # else tanh would be ±1 for all pictures
        self.vision = nn.Linear(128, WIDTH)
        self.table = nn.Embedding(len(easy_vqa.WORDS) + 1, WIDTH, padding_idx=0)
        self.language = nn.Linear(WIDTH, WIDTH)
        self.joined = nn.Linear(WIDTH, WIDTH)
        self.scores = nn.Linear(WIDTH, len(easy_vqa.ANSWERS))

    def forward(self, pixels: cr.Tensor, words: cr.Tensor) -> cr.Tensor:
        """Return answer scores (n, k, 13) for pictures and k questions about each.

        Args:
            pixels: (n, 3, 64, 64), from 0 to 1.
            words: (n, k, length), numbers of words.
        """
        a = pixels - 0.5
        for i, convolution in enumerate(self.convolutions):
            a = convolution(a).relu()
            a = nn.functional.max_pool2d(a, 2) if i < 2 else a
        pooled = cr.cat([a.amax((2, 3)), a.mean((2, 3))], dim=1)
        v = self.vision(self.norm(pooled)).tanh().unsqueeze(1)
        q = self.language(self.table(words).sum(2)).tanh()
        v, q = v if self.image else v * 0 + 1, q if self.question else q * 0 + 1
        return self.scores(self.joined(v * q).relu())


def fit(
    experiment: Experiment, name: str, data: Pictures, epochs: int, **inputs: bool
) -> AnswerNetwork:
    """Train a visual question answering network on pictures with their questions."""
    cr.manual_seed(experiment.seed)
    model = AnswerNetwork(**inputs)
    lr = optim.OneCycleLR(LR, total_steps=epochs * (len(data) // BATCH_SIZE))
    adam = optim.AdamW(model.parameters(), lr=lr, weight_decay=WEIGHT_DECAY)

    @experiment.compile
    def train(
        images: cr.Tensor, words: cr.Tensor, answers: cr.Tensor, mask: cr.Tensor
    ) -> cr.Tensor:
        scores = model(images.astype("float32") / 255, words)
        losses = nn.functional.cross_entropy(
            scores.flatten(0, 1), answers.flatten(), reduction="none"
        )
        loss = (losses * mask.flatten()).sum() / mask.sum()
        model.zero_grad()
        loss.backward()
        adam.step()
        return loss

    for epoch in experiment.steps(name, epochs, model=model, optimizer=adam):
        for rows in shuffled(len(data), BATCH_SIZE, experiment.seed, epoch):
            images, words = data.images[rows], data.words[rows]
            train(images, words, data.answers[rows], data.mask[rows])
    return model


def probabilities(
    experiment: Experiment, model: AnswerNetwork, data: Pictures
) -> np.ndarray:
    """Return the probabilities of answers to questions on pictures, (n, k, 13)."""

    @experiment.compile
    def compute(images: cr.Tensor, words: cr.Tensor) -> cr.Tensor:
        return model(images.astype("float32") / 255, words).softmax(-1)

    with cr.no_grad():
        return compute(data.images, data.words).numpy()


def saliency(model: AnswerNetwork, image: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return a saliency map: |∂(largest score)/∂(pixel)|, maximal over colours."""

    def best(pixels: cr.Tensor) -> cr.Tensor:
        return model(pixels, cr.tensor(words[None, None])).amax()

    slopes = cr.grad(best)(cr.tensor(image[None] / np.float32(255))).numpy()
    return np.abs(slopes[0]).max(0)


def run(experiment: Experiment) -> dict[str, Any]:
    """Train question answering with pictures and questions, and with either alone.

    Args:
        experiment: the seed of the initial weights and of the order of pictures.
    """
    open_image = experiment.package("PIL.Image", "chainrule[images]").open
    folder = experiment.folder("easy_vqa", "--no-deps easy-vqa") / "data"
    counts = (320, 200) if experiment.quick else (None, None)
    train = Pictures(folder / "train", open_image, counts[0])
    test = Pictures(folder / "test", open_image, counts[1])
    say(
        ngettext(
            "Right answers to questions about {n} new picture:\n",
            "Right answers to questions about {n} new pictures:\n",
            n=len(test),
        )
    )
    single, epochs = (1, 3) if experiment.quick else (3, EPOCHS)
    accuracies = {}
    for name, passes, inputs in (
        (_("picture alone"), single, {"question": False}),
        (_("question alone"), single, {"image": False}),
        (_("both"), epochs, {}),
    ):
        model = fit(experiment, name.replace(" ", "-"), train, passes, **inputs)
        p = probabilities(experiment, model, test)
        predicted = p.argmax(-1)
        right = (predicted == test.answers)[test.mask > 0]
        accuracies[name] = float(right.mean())
        print(f"  {padded(translated(name), 17)} {accuracies[name]:6.1%}")
    say("\nWith both, by type of question:\n")
    types = {}
    for number, name in enumerate(easy_vqa.TYPES):
        types[name] = float(right[test.types[test.mask > 0] == number].mean())
        print(f"  {padded(translated(name), 17)} {types[name]:6.1%}")
    title = _("right answers: with one input and with both, and by type of question")
    shares: Any = {"title": title, "across": _("share of right answers")}
    experiment.draw("accuracy", gallery.bars, accuracies | types, **shares)

    wrong = int((~right).sum())
    say(
        ngettext(
            "\n{wrong} of {n} answer is wrong.",
            "\n{wrong} of {n} answers are wrong.",
            n=len(right),
            wrong=wrong,
        )
    )
    certainty = np.where(test.mask > 0, p.max(-1), 2.0)
    order = np.argsort(certainty, axis=None, kind="stable")[:3]
    questions = [(i, i % len(test.texts[i])) for i in range(3)]
    questions += [divmod(int(number), easy_vqa.QUESTIONS) for number in order]
    maps = [saliency(model, test.images[i], test.words[i, k]) for i, k in questions]
    title = _(
        "three answers, the three least certain ones, and where the network looks"
    )
    drawn = test, predicted, questions, maps
    experiment.draw("answers", pictures.answers, *drawn, title=title, size=(7.4, 3.0))
    result = {"accuracy": accuracies["both"], "wrong": wrong}
    return {**result, "inputs": accuracies, "types": types}


if __name__ == "__main__":
    run(Experiment("multimodal"))
