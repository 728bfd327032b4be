"""Fiddle tunes in ABC notation: reels, jigs and hornpipes of two old collections.

A tune is a list of notes: scale step, duration, and whether a bar begins. What would
name the class is never read: title, rhythm, metre and unit of length; neither are the
fingerings and ornaments that an editor liked. Tunes with the same scale steps count
once; those whose title and rhythm contradict each other are left out.

Source: Ryan's Mammoth Collection (1883) and O'Neill's Music of Ireland (1903), by way
of music21.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

DANCES = ("reel", "jig", "hornpipe")
#: Durations with a number of their own, over the most frequent one of the tune.
DURATIONS = ("1", "2", "2/3", "1/3", "1/2", "4/9", "3/2", "3", "4/3", "9/4", "3/4", "4")
#: Notes of a piece of a tune: about this many, and at most.
PIECE, LENGTH = 64, 96
#: Scale step from C (None: a rest), duration, and whether a bar begins.
Note = tuple[int | None, Fraction, bool]

#: A triplet, a bar line, or a note: accidentals, letter, octaves, duration, dotting.
_TOKEN = re.compile(
    r"\((?P<triplet>3)|(?P<bar>\|)|[\^_=]*(?P<letter>[A-Ga-gz])(?P<octave>[,']*)"
    r"(?P<times>\d*)(?P<over>/*)(?P<parts>\d*)(?P<dot>[<>]?)"
)
#: Texts, ornaments and fields within the music.
_NO_NOTES = re.compile(r'"[^"]*"|\{[^}]*\}|![^!]*!|\[[A-Za-z]:[^\]]*\]|%.*')
_HEADER = re.compile(r"[A-Za-z]:(?![|:])")
_DOTTED = {">": Fraction(3, 2), "<": Fraction(1, 2), "": Fraction(1)}
#: Dances that a title may name.
_IN_TITLES = re.compile(r"reel|jig|hornpipe|clog|strathspey|fling|waltz|march|polka")


def notes(abc: str) -> list[Note]:
    """Parse the notes of a fiddle tune in ABC notation.

    >>> notes("X:1\\nK:G\\nG2 z|")
    [(4, Fraction(2, 1), True), (None, Fraction(1, 1), False)]
    """
    parsed: list[Note] = []
    bar_begins, triplet, factor = True, 0, Fraction(1)
    lines = [line for line in abc.splitlines() if not _HEADER.match(line)]
    for token in _TOKEN.finditer(" ".join(_NO_NOTES.sub("", line) for line in lines)):
        if token["triplet"]:
            triplet = 3
            continue
        if token["bar"]:
            bar_begins = True
            continue
        duration = Fraction(int(token["times"] or 1)) * factor
        if token["over"]:
            duration /= int(token["parts"] or 2 ** len(token["over"]))
        duration *= _DOTTED[token["dot"]]
        factor = 2 - _DOTTED[token["dot"]]  # of the note that follows
        if triplet:
            duration *= Fraction(2, 3)
            triplet -= 1
        octaves = token["octave"].count("'") - token["octave"].count(",")
        step = "CDEFGABcdefgab".find(token["letter"]) + 7 * octaves
        parsed.append((None if token["letter"] == "z" else step, duration, bar_begins))
        bar_begins = False
    return parsed


def _field(abc: str, letter: str) -> str:
    """Return a header field of a tune in ABC notation in lower case, or ""."""
    match = re.search(rf"(?m)^{letter}:(.*)$", abc)
    return match[1].strip().lower() if match else ""


def dance(abc: str) -> int | None:
    """Return the dance class of a tune, a number of DANCES; None if in doubt.

    Jigs are those in 6/8: slip jigs (9/8) and straight jigs (2/4) are other dances. A
    title that names another dance than its rhythm leaves both in doubt.
    """
    rhythm = _field(abc, "R").removeprefix("double ")
    if rhythm not in DANCES or (rhythm == "jig" and _field(abc, "M") != "6/8"):
        return None
    in_title = _IN_TITLES.findall(_field(abc, "T"))
    return DANCES.index(rhythm) if rhythm in in_title or not in_title else None


def read(folder: Path) -> tuple[list[list[Note]], np.ndarray]:
    """Read the fiddle tunes of music21's corpus and their dance classes."""
    by_steps: dict[tuple[int | None, ...], tuple[list[Note], int]] = {}
    for file in sorted([*folder.glob("ryans*/*.abc"), *folder.glob("oneills*/*.abc")]):
        text = file.read_text(encoding="utf-8", errors="replace")
        for abc in re.split(r"(?m)^(?=X:)", text):
            if (label := dance(abc)) is not None:
                tune = notes(abc)
                by_steps.setdefault(tuple(step for step, __, __ in tune), (tune, label))
    long = [(tune, label) for tune, label in by_steps.values() if len(tune) >= 16]
    return [tune for tune, __ in long], np.array([label for __, label in long], "i4")


def cut(tune: list[Note]) -> list[slice]:
    """Split a tune into pieces of about PIECE notes that begin with a bar."""
    count = max(1, round(len(tune) / PIECE))
    bars = [i for i, (__, __, bar_begins) in enumerate(tune) if bar_begins]
    ideal = [len(tune) * k / count for k in range(1, count)]
    starts = {min(bars, key=lambda bar: abs(bar - i)) for i in ideal} - {0}
    return [slice(*ends) for ends in pairwise([0, *sorted(starts), len(tune)])]


def pieces(tunes: list[list[Note]]) -> tuple[np.ndarray, np.ndarray]:
    """Encode fiddle tunes as an array of pieces of one length, for a network.

    Returns:
        pieces (n, LENGTH, 4), int32, and for each the number of its tune. A note is
        step 1 … 31 above the last note of the tune (0: rest), duration 1 … 13, whether
        a bar begins, and 1; behind the last note all is 0.
    """
    rows, owners = [], []
    for owner, tune in enumerate(tunes):
        usual = Counter(duration for __, duration, __ in tune).most_common(1)[0][0]
        last = next(step for step, __, __ in reversed(tune) if step is not None)
        for piece in cut(tune):
            row = np.zeros((LENGTH, 4), np.int32)
            for note, (step, duration, bar_begins) in zip(row, tune[piece]):
                ratio = str(duration / usual)
                note[0] = 0 if step is None else np.clip(step - last + 15, 1, 31)
                note[1] = 1 + (DURATIONS.index(ratio) if ratio in DURATIONS else 12)
                note[2:] = bar_begins, 1
            rows.append(row)
            owners.append(owner)
    return np.stack(rows), np.array(owners)
