"""Counts agree with their nouns: templates of one number, and of two."""

from __future__ import annotations

import ast
import copy
import importlib
import pickle
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo

from chainrule.book.experiments import EXPERIMENTS
from chainrule.lab.texts import texts
from chainrule.text import Counted, _, catalogue, joined, languages, ngettext, tr
from chainrule.viz.seen import of_heat, of_images
from tests.test_language import tool

__all__ = ["tool"]
SOURCE = Path(__file__).resolve().parent.parent / "src/chainrule"
#: A value, its format, and the two words behind it.
COUNTED = re.compile(r"\{(\w+)(?::([^{}]*))?\} ([a-z-]+)(?: ([a-z-]+))?(?![\w=-])")
#: What ends as plurals do and is a verb, or no noun.
VERBS = """
    does ends gives has holds its leaves loses needs opens reads requires takes this
    was
"""
#: What is no adjective between a count and its noun.
BETWEEN = "along and by for from got in of on or over the to where without"
#: Placeholders of names, behind which such a word is a verb, "{name} changes"; and of
#: factors, "{ratio} times as many".
NAMES = """
    amount at b_kind column derivative e engine entry entry_name function kind layer
    loss metric monitor name node option own_name path place primitive self units what
    who factor patterns ratio times top
"""
#: Formats with decimals: 1.0 has the plural too.
DECIMALS = re.compile(r"\.[1-9]\d*[f%e]$")
#: What makes a range, a product, or a pair of the numbers: "1 to 3 rows", "1 × 1
#: cells", "2 and 1 axes".
BEFORE = re.compile(r"(?:[\d}] to|[\d}] ×|\} and) $")
#: Templates whose count is never 1, below the reason why; "…" is for the rest.
REASONS = {
    "It is said of several only; of one there is another text, or none.": """
{n} errors are the most frequent, {times} each.
{name} = {value}. It is computed from {many} numbers.
{slope} = {value}, the sum of {many} products.
{n} samples, a column each, where the book writes one (in memory they are rows); s …
{n} samples, a column each.
{n} samples, a column each; ℒ is the mean over them. Round to {digits} significant …
It is the mean over the {many} outputs.
∑ goes over the {many} outputs.
{n} changes together
{n_frames} images in one file (animated, or several pages)
an archive of {members} files
a zip file with {n} members data.pkl, not one
{kind} in {n} models
{title}: {n} alike, one after the other, drawn once; {total} parameters together.
A = softmax, {n} heads
{e} has {made} results; say which, with Part
{file} has {count} problems.
Each of {count} processes reads all rows of '{name}', and keeps its own: {reason}.
all {count} processes in each step
all {count} processes until the end
devices={there}, of {n} processes
the same in all {count} processes
the ways of {n} rates
{n} parts of axis {axis}
{n} threads
{shape} numbers, {low} to {high}
{shape} numbers as colours
picture of {shape} numbers; arrow keys move, Enter opens a path
""",
    "A part is named beside the whole, which is larger.": """
the last {shown} of {all} tokens
the last {n} of {all} epochs
{share} % of the first {n} samples are right ({part}, at step {step})
{shown} of {all} rows, evenly chosen, the first and the last among them; each …
it was stopped early, after {n:,} of the {all:,} steps
{n:,} of the {all:,} steps that were asked for
""",
    "It is too many, or more than there are.": """
{network}: {wide} neurons, {paths} paths, {many} weights
an integer of {bit_length} bits
Picture(SVG, …
a tensor of {n:,} numbers
A memory of {rows} steps does not fit this machine.
a zip file with {size:,} bytes in one
{size:,} bytes, too large for what a person writes
{size} bytes, where {at_most:,} are the most
{wanted:.3g} weights, and {held:,} in the file
Python's limit of {getrecursionlimit} calls
The commonest mistakes of {count} classes:
""",
    "It is a limit, and a large one; or what a network needs that reads texts.": """
at most {many} bytes
more than {many:,} bytes
a pickle of more than {most:,} steps
at most {n:,} bytes of data, curves and pictures
at most {value} numbers in one draw
at least {n} characters
at most {most} words and characters
"Embedding" in front, of at least {texts:,} rows
""",
    "It has a list or a pair for a count.": """
groups of {sizes} parameters
bytes, channels first, {size} pixels
A line ŷ = wx + b through {n} points, η = {rate}, {epochs} passes over the data …
{n} handwritten digits, {depths} hidden layers of {width} units, Xavier's weights, …
Accuracy with {depths} hidden layers: sigmoid {sigmoid}; ReLU {relu}.
Networks of {depths} hidden layers of {width} units on {samples} handwritten …
""",
    "One would be right, and is not refused; or has no such layer.": """
a multiple of {known} elements
nn.BatchNorm{ndim}d for inputs of {x_ndim} axes
nn.InstanceNorm{axes}d for inputs of {ndim} axes
""",
    "An exercise has a question for each neuron, and more.": """
All {many} answers are right.
{right} of {many} answers are right. The first wrong one is {name}.
{right} of {many} answers are right, the others have too few digits to tell.
{right} of {many} answers are right, {few} of too few digits to tell, and the …
{right} of {many} answers are right, {few} of too few digits to tell. The first …
""",
    "An experiment compares several, in many steps.": """
The weights exist: the largest error of the constructed networks goes from {first} …
What descent finds: with {many} units and {steps} steps the error is {learnt}, …
{n} rates η on a quadratic valley with λ_max = {steepest} and κ = {kappa}, {steps} …
Of the {n} rates those that converge are {m}, the largest of them {most}; those …
κ = {kappa}: {steps} steps
‖θ‖ left after {steps} steps
First, saws of 2ᵏ pieces written down as k layers of two units, their pieces …
Over {n} steps back a gradient is multiplied by {ratios}: that is g to the power …
Negative: with η = {rate} the loss grows in {rising} of {steps} steps, from …
The edge lies between η = {below} and {above}. For a quadratic it would be …
Too small: with η = {rate} the loss goes from {first} to {last} in {steps} steps, …
loss after {steps} steps
{samples} handwritten digits, 784 → {hidden} tanh → 10, {steps} steps of gradient …
Through {n} layers, ‖∂ℒ/∂W⁽¹⁾‖ over that of the last layer is {sigmoid} with …
A training step of one layer, {inputs} → {outputs} ReLU, {samples} samples: in …
At this pace the {count} multiplications that train the book's network on MNIST …
A training step has {forward} matrix products forward and {backward} backward, …
At each of the {n} layers ⟨Wx, δ⟩ and ⟨x, Wᵀδ⟩ agree to within {off} of their …
‖∂ℒ/∂W⁽¹⁾‖ of {n} layers
{n} rates from 1/1,000 to {top:,.0f} times yours, {k} steps each
""",
    "A recipe's data and network are what they are.": r"""
{names:,} names: {train:,} to learn from, {validation} to choose settings with, …
{train:,} characters, {size} different ones, {validation:,} unseen
\n2  {layers} layers, {heads} heads, width {width}, block {block}, {weights:,} …
\n{name}: {steps} steps, {episodes} episodes\n   test, mean of {tests} episodes: …
Of the first {n} images so many have one of the same digit as their nearest: …
{n} images, drawn as their digits. In the space of all {d} numbers the nearest …
Orange: the vowels {vowels}; the point: where a name begins and ends. In the space …
Row by row where each of {n} characters looks. Head {head} of layer {layer} gives …
A row a speaker, 12 coefficients over time; red is above the mean, blue below. Of …
\n   {right} of {known} known properties follow, each with its proof.\n   Written …
{x} tones to learn from; {accuracy:.1%} of {x_new} new ones named.
\n2  {LAYERS} blocks read, {LAYERS} write, width {WIDTH}, {HEADS} heads, {size:,} …
""",
}
SEVERAL = {
    line.replace(r"\n", "\n"): reason
    for reason, lines in REASONS.items()
    for line in lines.strip().splitlines()
}


def templates(path: Path) -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """Yield the texts of a file that are no pair of singular and plural.

    They are templates of messages, and f-strings, whose values are named by their
    place. With each come the expressions of its values, by name.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(
                func=ast.Name(id="_" | "tr" | "say"),
                args=[ast.Constant(value=str(text)), *__],
                keywords=keywords,
            ):
                yield text, {k.arg: k.value for k in keywords if k.arg}
            case ast.JoinedStr(values=parts):
                yield (
                    "".join(
                        str(part.value)
                        if isinstance(part, ast.Constant)
                        else f"{{v{i}}}"
                        for i, part in enumerate(parts)
                    ),
                    {
                        f"v{i}": part.value
                        for i, part in enumerate(parts)
                        if isinstance(part, ast.FormattedValue)
                    },
                )


def constant(value: ast.expr | None) -> bool:
    """Return whether a count is a constant, or a setting of an experiment."""
    match value:
        case ast.Constant(value=literal):
            return literal != 1
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper()
        case ast.Call(func=ast.Name(id="len" | "number"), args=[inner, *__]):
            return constant(inner)
        case ast.Subscript(value=ast.Name(id="setting"), slice=ast.Name()):
            return True
    return False


def plural(first: str, second: str) -> bool:
    """Return whether two words behind a value begin with a noun in the plural."""
    for word in (first, second):
        if word in VERBS.split():
            return False
        if len(word) > 3 and word[-1] == "s":
            return True
        if word in BETWEEN.split():
            return False
    return False


def counts(path: Path) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield what is counted in a file without a singular: template and expression."""
    for text, values in templates(path):
        for found in COUNTED.finditer(text):
            name, form, *words = found.groups("")
            if (
                plural(*words)
                and name not in NAMES.split()
                and not name.isupper()
                and not DECIMALS.search(form)
                and not BEFORE.search(text[: found.start()])
            ):
                yield text, values.get(name)


def fits(text: str, entry: str) -> bool:
    """Return whether an entry of the list is that of a template."""
    return text.startswith(entry[:-1]) if entry[-1] == "…" else text == entry


def wrong(path: Path) -> list[str]:
    return [
        text
        for text, value in counts(path)
        if not (constant(value) or any(map(partial(fits, text), SEVERAL)))
    ]


def test_a_count_of_one_has_a_singular() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 800
    assert [(file.name, text) for file in files for text in wrong(file)] == []


def test_what_is_never_one_is_still_said() -> None:
    said = [text for file in SOURCE.rglob("*.py") for text, __ in counts(file)]
    assert [entry for entry in SEVERAL if not any(fits(t, entry) for t in said)] == []


def test_a_setting_that_is_counted_is_above_one() -> None:
    counted = 0
    for name in EXPERIMENTS.values():
        module = importlib.import_module(name)
        for __, value in counts(Path(str(module.__file__))):
            if isinstance(value, ast.Subscript) and constant(value):
                assert isinstance(value.slice, ast.Name)
                assert getattr(module, value.slice.id).low > 1
                counted += 1
    assert counted > 3


def test_a_count_without_a_singular_is_found(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("_('{n} findings:', n=1)\nngettext('{n} row', '{n} rows', n=1)\n")
    assert wrong(file) == ["{n} findings:"]
    file.write_text(
        "_('{name} holds rows; {n} held-out rows', name=name, n=len(x))\n"
        "tr('{n} rows, {r:.1f} rates', n=len(ROWS), r=r)\n"
        "say('{a} to {n} rows of {m} × {n} pixels', n=setting[STEPS])\n"
    )
    assert wrong(file) == ["{name} holds rows; {n} held-out rows"]
    file.write_text("f'<{name}: {len(nodes):,} nodes, {size!r} px>'\n")
    assert wrong(file) == ["<{v1}: {v3} nodes, {v5} px>"]


# -- messages --------------------------------------------------------------------------


def rows(n: int) -> Counted:
    return ngettext("{n:,} row of {name}", "{n:,} rows of {name}", n=n, name="x")


def test_the_number_of_the_count() -> None:
    assert [rows(n) for n in (0, 1, 2, 1200)] == [
        "0 rows of x",
        "1 row of x",
        "2 rows of x",
        "1,200 rows of x",
    ]
    later = ngettext("{n} row of {name}", "{n} rows of {name}", n=1)
    assert later.format(name="a") == "1 row of a"
    assert _("{a}, {b}", a=rows(1), b=rows(2)) == "1 row of x, 2 rows of x"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda m: m])
def test_a_copy_is_counted_too(again: Any) -> None:
    for n in (1, 2):
        made = pickle.loads(pickle.dumps(again(rows(n))))
        assert (type(made), made, made.n) == (Counted, rows(n), n)


def test_a_catalogue_chooses_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    class Polish:
        """Three forms, as one, few and many."""

        def gettext(self, text: str) -> str:
            return text

        def ngettext(self, one: str, many: str, n: int) -> str:
            few = 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14
            return "{n} wiersz" if n == 1 else "{n} wiersze" if few else "{n} wierszy"

    monkeypatch.setattr(catalogue, "_catalogue", lambda name: Polish())
    with languages.language("zh"):
        said = [tr(ngettext("{n} row", "{n} rows", n=n)) for n in (1, 3, 5)]
        assert said == ["1 wiersz", "3 wiersze", "5 wierszy"]
        both = joined("; ", [ngettext("{n} row", "{n} rows", n=n) for n in (1, 2)])
        assert tr(both) == "1 wiersz; 2 wiersze"


def test_the_page_has_both(tool: Any) -> None:
    english = texts("en")
    assert english["sick"] == {
        "one": "{n} finding:",
        "other": "{n} findings, the likeliest cause first:",
    }
    for name in ("en", "zh-TW"):
        for key, text in texts(name).items():
            assert isinstance(text, dict) == isinstance(english[key], dict)
    found = [text for text, __ in tool.texts() if text == ("{n} row", "{n} rows")]
    assert found


def test_a_singular_has_one_plural(tool: Any) -> None:
    """A catalogue knows a text by its singular."""
    found: dict[str, set[Any]] = {}
    for text, __ in tool.texts():
        found.setdefault(text[0] if isinstance(text, tuple) else text, set()).add(text)
    assert [several for several in found.values() if len(several) > 1] == []


def test_a_plural_that_stood_alone_gives_its_translation(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "zh_TW" / "LC_MESSAGES" / "chainrule.po"
    path.parent.mkdir(parents=True)
    path.write_text(
        'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=1; plural=0;\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "{n} rows"\nmsgstr "{n} 列"\n',
        "utf-8",
    )
    new = Catalog(charset="utf-8")
    new.add(("{n} row", "{n} rows"), locations=[("a.py", None)])
    new.add(("{n} cat", "{n} cats"), locations=[("a.py", None)])
    monkeypatch.setattr(tool, "template", lambda: new)
    tool.update(path)
    tool.compile_catalogue(path)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = [tuple(m.id) for m in read_mo(file) if m.id]
    assert compiled == [("{n} row", "{n} rows")]  # the other stays in English
    kept = {m.id: m.string for m in tool.read(path) if m.id}
    assert kept["{n} row", "{n} rows"] == ("{n} 列",)
    assert tool.missing(path) == ["a.py: ('{n} cat', '{n} cats')"]


# -- captions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[9, 1], [0, 9]], "The only error: 0 taken for 1."),
        ([[9, 1], [4, 9]], "The most frequent error: 1 taken for 0, 4 times."),
        (
            [[9, 2], [2, 9]],
            "The most frequent errors, 2 times each: 0 taken for 1; 1 taken for 0.",
        ),
        ([[9, 1, 1], [1, 9, 0], [0, 1, 9]], "4 errors are the most frequent, 1 time"),
    ],
)
def test_errors_as_frequent_as_others(matrix: Any, said: str) -> None:
    assert said in of_heat(matrix, numbers="d")


def test_one_image() -> None:
    assert of_images([[[0.0, 1.0]]]).startswith("An image of numbers from 0 to 1.")
