"""Abbreviations that reports show, and what each stands for.

One list for all reports. A report ends with those of its own text, in its language.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from chainrule.text import _, translated
from chainrule.text.languages import language

#: Abbreviation → what it stands for, in words.
GLOSSARY: Mapping[str, Any] = {
    "AdamW": _("Adam with weight decay apart from the gradient, an optimiser"),
    "AND": _("1 where both inputs are 1, else 0"),
    "AUC": _("area under the curve; of the ROC: 1 is perfect, ½ is chance"),
    "BCE": _("binary cross-entropy, a loss for yes or no"),
    "BLEU": _("bilingual evaluation understudy, a score of translations, 0 to 1"),
    "CD": _("contrastive divergence, a gradient for Boltzmann machines"),
    "CELU": _("continuously differentiable exponential linear unit"),
    "CNN": _("convolutional neural network"),
    "CSV": _("comma-separated values, a file of a table"),
    "CTC": _("connectionist temporal classification, a loss for sequences"),
    "DBN": _("deep belief network: Boltzmann machines, one upon the other"),
    "DEC": _("deep embedded clustering"),
    "DNN": _("deep neural network"),
    "DQN": _("deep Q-network, which learns what actions are worth"),
    "ELBO": _("evidence lower bound: ln p(x) is at least as large"),
    "ELU": _("exponential linear unit, an activation"),
    "FLOP": _("floating-point operation: an addition or a multiplication"),
    "GAE": _("generalised advantage estimation"),
    "GAN": _("generative adversarial network: one draws, one judges"),
    "GELU": _("Gaussian error linear unit, z Φ(z), an activation"),
    "GIF": _("graphics interchange format, a file of pictures that move"),
    "GLU": _("gated linear unit, an activation"),
    "GPT": _("generative pretrained transformer, a language model"),
    "GRU": _("gated recurrent unit, a recurrent layer with two gates"),
    "HMM": _("hidden Markov model"),
    "HOG": _("histogram of oriented gradients: the directions of edges, counted"),
    "IDF": _("inverse document frequency: rare words count more"),
    "JSON": _("JavaScript object notation, a file of named values"),
    "KL": _("Kullback–Leibler divergence of two distributions, 0 where they agree"),
    "kNN": _("k nearest neighbours, a classifier by the most similar samples"),
    "KV": _("keys and values of attention"),
    "LBFGS": _("limited-memory Broyden–Fletcher–Goldfarb–Shanno, an optimiser"),
    "LP": _("the power mean of p-th powers"),
    "LR": _("learning rate, the size η of a step"),
    "LSTM": _("long short-term memory, a recurrent layer with three gates"),
    "MAE": _("mean absolute error"),
    "MFCC": _("mel-frequency cepstral coefficients, features of sound"),
    "MLP": _("multilayer perceptron, layers of neurons one behind the other"),
    "MNIST": _("70,000 handwritten digits, of the National Institute of Standards"),
    "MSE": _("mean squared error"),
    "NAdam": _("Adam with Nesterov's momentum, an optimiser"),
    "NAND": _("0 where both inputs are 1, else 1"),
    "NLL": _("negative log-likelihood, −ln p"),
    "OR": _("1 where an input is 1, else 0"),
    "PCA": _("principal component analysis: the directions of largest variance"),
    "PNG": _("portable network graphics, a file of a picture"),
    "PPO": _("proximal policy optimisation, for agents"),
    "PReLU": _("ReLU with a slope below 0 that is learned"),
    "R²": _("share of the variance that is explained; 1 is perfect"),
    "RAdam": _("rectified Adam, an optimiser"),
    "RBM": _("restricted Boltzmann machine"),
    "ReLU": _("rectified linear unit, max(0, z), an activation"),
    "RGB": _("red, green, blue"),
    "RL": _("reinforcement learning"),
    "RMS": _("root mean square"),
    "RMSE": _("root mean squared error"),
    "RMSprop": _("an optimiser with steps divided by the gradient's root mean square"),
    "RNN": _("recurrent neural network"),
    "ROC": _("receiver operating characteristic: hits against false alarms"),
    "RReLU": _("ReLU with a random slope below 0"),
    "SARSA": _("state, action, reward, state, action: what it learns from"),
    "SELU": _("scaled exponential linear unit, an activation"),
    "SGD": _("stochastic gradient descent, an optimiser"),
    "SiLU": _("sigmoid linear unit, z σ(z), an activation"),
    "SVC": _("support vector classifier, scikit-learn's SVM"),
    "SVM": _("support vector machine, a classifier of widest margin"),
    "TF": _("term frequency: how often a word stands in a text"),
    "TF-IDF": _("term frequency times inverse document frequency, of words"),
    "t-SNE": _("t-distributed stochastic neighbour embedding, a map of points"),
    "VAE": _("variational autoencoder"),
    "VQA": _("visual question answering"),
    "WAV": _("waveform audio, a file of sound"),
    "XOR": _("exclusive or: 1 where just one of two inputs is 1"),
}
_TAGS = re.compile(r"<style.*?</style>|<[^>]*>", re.DOTALL)


@cache
def _pattern() -> re.Pattern[str]:
    """Return what finds abbreviations, also within names of classes, as BCE in BCELoss.

    Before one stands no capital, behind one no small letter but the s of the plural.
    """
    longest_first = sorted(GLOSSARY, key=len, reverse=True)
    known = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<![A-Z0-9-])({known})(?=s?(?![A-Za-z])|[A-Z][a-z]|\d)")


def text_of(page: str) -> str:
    """Return the text that a page or a part of one shows.

    >>> text_of("<p>a &lt; <b>b</b></p>")
    ' a <  b  '
    """
    return html.unescape(_TAGS.sub(" ", page))


def abbreviations(text: str, lang: str) -> list[tuple[str, str]]:
    """Return the abbreviations in a text, sorted, each with what it stands for.

    Args:
        text: of a report.
        lang: of the report.

    >>> for pair in abbreviations("two LSTMs, BCELoss(), a GELU", "en"):
    ...     print(": ".join(pair))
    BCE: binary cross-entropy, a loss for yes or no
    GELU: Gaussian error linear unit, z Φ(z), an activation
    LSTM: long short-term memory, a recurrent layer with three gates
    """
    found: dict[str, str] = {}
    left = {*_pattern().findall(text)}
    with language(lang):
        while left:
            found |= {short: translated(GLOSSARY[short]) for short in left}
            said = " ".join(found[short] for short in left)  # explained in turn
            left = {*_pattern().findall(said)} - found.keys()
    return sorted(found.items(), key=lambda pair: pair[0].lower())
