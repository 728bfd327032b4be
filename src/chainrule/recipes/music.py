"""Classification of music by style: Exercise 1.8, in numbers and in words.

Music for a network may be what an expert has measured, or the notes:

    genres     138 measured features a recording → 512 → 6 genres
    dances     the notes of a tune → convolutions over notes → reel, jig or hornpipe

(or the sound itself: the recipe ``timbre``).

Genres: 581 pieces of recordings, of which pyAudioAnalysis keeps the features alone, in
six genres. Five splits, with scikit-learn's classifiers on the same ones. Pieces of one
recording may fall on both sides of a split; nothing in the data tells, so the figures
flatter all classifiers alike.

Dances: fiddle tunes of two old collections, in ABC notation. Of a note the network
reads its height above the last note of the tune (the keynote, as a rule), its duration
over the most frequent duration of the tune, and whether a bar begins with it. What
would name the class is never read: title, rhythm, metre and unit of length; neither are
the fingerings and ornaments that an editor liked. Tunes with the same notes count once;
those whose title and rhythm contradict each other are left out.

    hᵢ = ReLU(norm(Σₖ Wₖ xᵢ₊ₖ + b)),  three layers;   scores = V [maxᵢ hᵢ, meanᵢ hᵢ] + c

A convolution finds a turn of a few notes wherever it stands; the largest of h over the
tune says that it occurs, the mean how often. Tunes are cut into pieces of about eight
bars, as dancers hear them: each is an example to learn from, and the pieces of a tune
vote.

What to look at: how far features that somebody has thought of carry (1.2), beside
features that are learned (1.4); which dances are taken for one another, and why jigs
hardly ever are: their bars have six notes. At the end, the design in words. Settings
were chosen on parts of the rows to learn from, never on those of the test.

Source: Giannakopoulos 2015, "pyAudioAnalysis"; Ryan's Mammoth Collection (1883) and
O'Neill's Music of Ireland (1903) by way of music21.

    pip install --no-deps pyAudioAnalysis music21
    pip install 'chainrule[sklearn]'
    chainrule train music
    python -m chainrule.recipes.music
"""

from __future__ import annotations

import pickle
import re
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say

SUMMARY = _("style of music: six genres by their features, three dances by their notes")
SECONDS = 85
REFERENCES = [
    Reference(
        "genres.ahead", at_least=-0.02, source=_("scikit-learn's best, same splits")
    ),
    Reference(
        "dances.accuracy", at_least=0.92, source="its own bar; rhythms, linear: 0.911"
    ),
]
GENRES = ("blues", "classical", "electronic", "jazz", "rap", "rock")
DANCES = ("reel", "jig", "hornpipe")
SPLITS, MEMBERS = 5, 5


def learn(
    experiment: Experiment, name: str, model: nn.Module, x: Any, y: Any, **how: Any
) -> cr.Trainer:
    """Train a network as a stage; ``how`` may have lr, weight_decay, epochs."""
    how = {"lr": 3e-3, "weight_decay": 0.1, "epochs": 20} | how
    if experiment.quick:
        how["epochs"] = max(4, how["epochs"] // 5)
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(
            lr=optim.OneCycleLR(how["lr"]), weight_decay=how["weight_decay"]
        ),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    fit: dict[str, Any] = {"epochs": how["epochs"], "batch_size": 32, "progress": False}
    return experiment.fit(name, trainer, (x, y), **fit)


def voted(members: list[cr.Trainer], x: np.ndarray) -> np.ndarray:
    """Return the class with the largest mean probability over an ensemble."""
    said = [m.predict(x, output="probabilities") for m in members]
    return np.mean(said, axis=0).argmax(1)


def folds(y: np.ndarray, seed: Any) -> np.ndarray:
    """Split rows into stratified folds 0 … SPLITS − 1."""
    draw, dealt = np.random.default_rng(seed), np.empty(len(y), int)
    for label in np.unique(y):
        mine = draw.permutation(np.flatnonzero(y == label))
        dealt[mine] = np.arange(len(mine)) % SPLITS
    return dealt


# -- genres: features that somebody has thought of -------------------------------------


class Plain(pickle.Unpickler):
    """An unpickler of plain data only; it refuses anything that calls code."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class."""
        raise pickle.UnpicklingError(f"{module}.{name} has no place in data")


def genres(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read features (581, 138), standardised in the file, and genres 0 … 5."""
    with file.open("rb") as stream:
        x, y = Plain(stream).load(), Plain(stream).load()
    return np.array(x, np.float32), np.array(y).astype(np.int32)


class Noise(nn.Module):
    """A layer that adds noise in training, as augmentation."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return x + 0.25 ε in training, else x."""
        return x + 0.25 * cr.randn_like(x) if self.training else x


def rivals(x: Any, y: Any, x_new: Any, y_new: Any) -> dict[str, float]:
    """Return the accuracy of scikit-learn's classifiers."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    made = {
        _("nearest neighbours"): KNeighborsClassifier(5),
        "logistic": LogisticRegression(C=0.1, max_iter=2000),
        _("support vectors"): SVC(C=10),
        _("extra trees"): ExtraTreesClassifier(300, random_state=0),
    }
    return {name: float(m.fit(x, y).score(x_new, y_new)) for name, m in made.items()}


def show_genres(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Compare an ensemble of networks with scikit-learn on the same splits."""
    x, y = genres(folder / "data/models/knn_musical_genre_6")
    say("Genres: {n} pieces, {d} features, six genres\n", n=len(x), d=x.shape[1])
    rows = []
    for split in range(2 if experiment.quick else SPLITS):
        new = folds(y, [experiment.seed, split]) == 0
        known = ~new
        members = []
        for i in range(1 if experiment.quick else MEMBERS):
            cr.manual_seed((experiment.seed * 100 + split * 10 + i) % 2**64)
            model = nn.Sequential(
                Noise(),
                nn.Linear(138, 512),
                nn.ReLU(),
                nn.Dropout(0.5),
                nn.Linear(512, 6),
            )
            name, how = f"genres-{split}-{i}", {"epochs": 60, "weight_decay": 0.3}
            members.append(learn(experiment, name, model, x[known], y[known], **how))
        row = {"network": float((voted(members, x[new]) == y[new]).mean())}
        parts = (x[known], y[known], x[new], y[new])
        rows.append(row | experiment.cached(f"rivals-{split}", rivals, *parts))
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    for name, mean in means.items():
        each = " ".join(f"{row[name]:.3f}" for row in rows)
        print(f"  {name:20} {mean:.3f}   ({each})")
    experiment.draw(
        "genres",
        viz.gallery.bars,
        means,
        across=_("accuracy, mean of the splits"),
        title=_("six genres by 138 features"),
        size=(6.0, 2.2),
    )
    best = max(mean for name, mean in means.items() if name != "network")
    return {"accuracy": means["network"], "best": best} | {
        "ahead": means["network"] - best,
        "splits": rows,
    }


# -- dances: the notes -----------------------------------------------------------------

#: A triplet, a bar line, or a note: accidentals, letter, octaves, duration, dotting.
TOKEN = re.compile(
    r"\((?P<triplet>3)|(?P<bar>\|)|[\^_=]*(?P<letter>[A-Ga-gz])(?P<octave>[,']*)"
    r"(?P<times>\d*)(?P<over>/*)(?P<parts>\d*)(?P<dot>[<>]?)"
)
#: Texts, ornaments and fields within the music: no notes.
ASIDE = re.compile(r'"[^"]*"|\{[^}]*\}|![^!]*!|\[[A-Za-z]:[^\]]*\]|%.*')
DURATIONS = ("1", "2", "2/3", "1/3", "1/2", "4/9", "3/2", "3", "4/3", "9/4", "3/4", "4")
PIECE, LENGTH = 64, 96  # notes of a piece of a tune, about, and at most
Note = tuple[int | None, Fraction, bool]


def notes(abc: str) -> list[Note]:
    """Parse a tune: each note's scale step (None: a rest), duration, and bar start."""
    made: list[Note] = []
    first, triplet, carried = True, 0, Fraction(1)
    lines = [
        line for line in abc.splitlines() if not re.match(r"[A-Za-z]:(?![|:])", line)
    ]
    for token in TOKEN.finditer(" ".join(ASIDE.sub("", line) for line in lines)):
        if token["triplet"] or token["bar"]:
            triplet, first = (3, first) if token["triplet"] else (triplet, True)
            continue
        octaves = token["octave"].count("'") - token["octave"].count(",")
        height = "CDEFGABcdefgab".find(token["letter"]) + 7 * octaves
        duration = Fraction(int(token["times"] or 1)) * carried
        if token["over"]:
            duration /= int(token["parts"] or 2 ** len(token["over"]))
        dotted = {">": Fraction(3, 2), "<": Fraction(1, 2), "": Fraction(1)}
        duration, carried = duration * dotted[token["dot"]], 2 - dotted[token["dot"]]
        if triplet:
            duration, triplet = duration * Fraction(2, 3), triplet - 1
        made.append((None if token["letter"] == "z" else height, duration, first))
        first = False
    return made


#: Dances that a title may name.
NAMED = re.compile(r"reel|jig|hornpipe|clog|strathspey|fling|waltz|march|polka")


def field(abc: str, letter: str) -> str:
    """Return a field of a tune's header in lower case, or ""."""
    found = re.search(rf"(?m)^{letter}:(.*)$", abc)
    return found[1].strip().lower() if found else ""


def dance(abc: str) -> int | None:
    """Return the dance class of a tune, or None if it has none or a doubtful one.

    Jigs are those in 6/8: slip jigs (9/8) and straight jigs (2/4) are other dances. A
    title that names another dance than its rhythm leaves both in doubt.
    """
    name = field(abc, "R").removeprefix("double ")
    if name not in DANCES or (name == "jig" and field(abc, "M") != "6/8"):
        return None
    told = NAMED.findall(field(abc, "T"))
    return DANCES.index(name) if name in told or not told else None


def dances(folder: Path) -> tuple[list[list[Note]], np.ndarray]:
    """Read the tunes and their classes, without duplicates of the same pitches."""
    found: dict[tuple[Any, ...], tuple[list[Note], int]] = {}
    for file in sorted([*folder.glob("ryans*/*.abc"), *folder.glob("oneills*/*.abc")]):
        text = file.read_text(encoding="utf-8", errors="replace")
        for abc in re.split(r"(?m)^(?=X:)", text):
            if (label := dance(abc)) is not None:
                tune = notes(abc)
                found.setdefault(tuple(n[0] for n in tune), (tune, label))
    tunes = [(tune, label) for tune, label in found.values() if len(tune) >= 16]
    return [tune for tune, __ in tunes], np.array([label for __, label in tunes], "i4")


def cut(tune: list[Note]) -> list[slice]:
    """Split a tune into pieces of about PIECE notes that begin with a bar."""
    count = max(1, round(len(tune) / PIECE))
    bars = [i for i, (__, __, first) in enumerate(tune) if first]
    ideal = [len(tune) * k / count for k in range(1, count)]
    starts = {min(bars, key=lambda bar: abs(bar - place)) for place in ideal} - {0}
    ends = [0, *sorted(starts), len(tune)]
    return [slice(*pair) for pair in pairwise(ends)]


def rows_of(tunes: list[list[Note]]) -> tuple[np.ndarray, np.ndarray]:
    """Encode tunes as pieces (n, LENGTH, 4); return them and each one's tune.

    A note is: height 1 … 31 (0: rest), duration 1 … 13, bar, 1 (0: no note).
    """
    rows, owners = [], []
    for owner, tune in enumerate(tunes):
        usual = Counter(duration for __, duration, __ in tune).most_common(1)[0][0]
        last = next(height for height, __, __ in reversed(tune) if height is not None)
        for piece in cut(tune):
            row = np.zeros((LENGTH, 4), np.int32)
            for place, (height, duration, first) in zip(row, tune[piece]):
                kind = str(duration / usual)
                place[0] = 0 if height is None else np.clip(height - last + 15, 1, 31)
                place[1] = 1 + (DURATIONS.index(kind) if kind in DURATIONS else 12)
                place[2:] = first, 1
            rows.append(row)
            owners.append(owner)
    return np.stack(rows), np.array(owners)


class Tune(nn.Module):
    """A network over notes: convolutions, max and mean pooling, dance scores."""

    def __init__(self) -> None:
        self.tables = nn.ModuleList([nn.Embedding(rows, 24) for rows in (32, 14, 2)])
        self.windows = nn.ModuleList(
            nn.Conv1d(64 if i else 24, 64, 5, padding=2 * 2**i, dilation=2**i)
            for i in range(3)
        )
        self.norms = nn.ModuleList([nn.LayerNorm(64) for __ in range(3)])
        self.drop, self.scores = nn.Dropout(0.5), nn.Linear(128, len(DANCES))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the scores of pieces (n, LENGTH, 4)."""
        real, whole = x[:, :, 3:].astype("float32"), x.astype("int32")
        tables = enumerate(self.tables)
        h = sum((table(whole[:, :, i]) for i, table in tables), start=cr.zeros(1))
        for window, norm in zip(self.windows, self.norms):
            h = window((h * real).transpose(1, 2)).transpose(1, 2)
            h = norm(h).relu() * real
        pooled = cr.cat([h.amax(1), h.sum(1) / real.sum(1)], dim=1)
        return self.scores(self.drop(pooled))


def show_dances(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Train an ensemble on pieces of tunes, and test it on unseen tunes."""
    tunes, y = dances(folder / "corpus")
    counts = dict(zip(DANCES, np.bincount(y).tolist()))
    x, owners = rows_of(tunes)
    total, tested = np.zeros((len(tunes), len(DANCES))), np.zeros(len(tunes), bool)
    for fold in range(1 if experiment.quick else SPLITS):
        new = folds(y, [experiment.seed, 100]) == fold
        tested |= new
        known = ~new & ((np.arange(len(y)) % 2 == 0) | (not experiment.quick))
        mine, others = known[owners], new[owners]
        for i in range(1 if experiment.quick else 2):
            cr.manual_seed((experiment.seed * 100 + 60 + 2 * fold + i) % 2**64)
            name, how = f"dances-{fold}-{i}", {"lr": 4e-3, "epochs": 12}
            parts = (x[mine], y[owners[mine]])
            member = learn(experiment, name, Tune(), *parts, weight_decay=0.3, **how)
            shares = member.predict(x[others], output="probabilities")
            np.add.at(total, owners[others], np.log(shares + 1e-9))
    said, y = total[tested].argmax(1), y[tested]
    accuracy = float((said == y).mean())
    told = ", ".join(f"{count} {name}s" for name, count in counts.items())
    found = {"told": told, "accuracy": accuracy, "y": len(y)}
    say("\nDances: {told}; {accuracy:.1%} of {y} new ones recognised.", **found)
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (y, said), 1)
    names = {"rows": DANCES, "columns": DANCES}
    names |= {"up": _("is a"), "across": _("is taken for a")}
    title = "dances by their notes"
    how = {"numbers": "d", "title": title, "size": (4.2, 2.6)}
    experiment.draw("dances", viz.gallery.heat, confusion, **names, **how)
    most = max(counts.values()) / len(tunes)
    found = {"accuracy": accuracy, "counts": counts, "most": most}
    return found | {"confusion": confusion.tolist()}


# -- the whole -------------------------------------------------------------------------

DESIGN = """
How to design a network that recognises the style of music (1.8):

  data          what is to be told apart, from many sources. Split by recording, by
                player, by collection, not by piece: or the network learns the room.
  input         the notes where there are notes: they are short, and key and speed can
                be taken out of them. Else a spectrogram, which is a picture of sound;
                features that somebody has thought of where there are few examples.
  architecture  style is what recurs: turns, rhythms, colours. Convolutions find them
                wherever they stand, pooling over time forgets where. A recurrent or
                attending network where the order of whole sections matters.
  size          as small as the examples are few; dropout, several networks that vote.
  measure       accuracy beside the commonest class and a linear model; what is taken
                for what; on recordings of other people."""


def run(experiment: Experiment) -> dict[str, Any]:
    """Genres, dances, and a conclusion.

    Args:
        experiment: the seed of the splits, the initial weights and the order.

    Raises:
        ArgumentError: scikit-learn, pyAudioAnalysis or music21 is not installed.
    """
    experiment.package("sklearn", "chainrule[sklearn]")
    audio = experiment.folder("pyAudioAnalysis", "--no-deps pyAudioAnalysis")
    scores = experiment.folder("music21", "--no-deps music21")
    results = {
        "genres": show_genres(experiment, audio),
        "dances": show_dances(experiment, scores),
    }
    print(DESIGN)
    return results


if __name__ == "__main__":
    run(Experiment("music"))
