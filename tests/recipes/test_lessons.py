"""Each recipe's lesson in Traditional Chinese says what its docstring says.

``lessons.txt`` has a digest of each docstring as it was when its translation was last
looked at. After a look: ``python -m tests.recipes.test_lessons NAME …``.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from chainrule import recipes
from chainrule.recipes.lessons import FOLDER, lesson
from chainrule.text.languages import language
from chainrule.text.numbers import width
from tests.cli.test_speaking import english

SEEN = Path(__file__).with_name("lessons.txt")
COMMAND = re.compile(r"^ +((?:chainrule|pip|python) [^#\n]*?) *(?:#.*)?$", re.MULTILINE)
#: Papers, code, and what somebody said.
QUOTED = re.compile(r'"[^"]*"|`[^`]*`|「[^」]*」|\w+ et al\.')
#: The widest line of a lesson, in columns: 44 Chinese characters.
ROOM = 88


def original(name: str) -> str:
    return inspect.cleandoc(recipes.find(name).__doc__ or "")


def translation(name: str) -> str:
    with language("zh-TW"):
        return lesson(name, recipes.find(name))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seen() -> dict[str, str]:
    """Return the digests of the docstrings whose translations were looked at."""
    lines = SEEN.read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines)


def figures(text: str) -> Counter[str]:
    """Count the numbers of a text; millions as a Chinese text writes them."""
    text = re.sub(r"([\d.]+) million", lambda n: f"{float(n[1]) * 100:g} 萬", text)
    return Counter(re.findall(r"(?<![A-Za-z0-9_.])[0-9](?:[0-9.,]*[0-9])?", text))


def marks(text: str) -> Counter[str]:
    """Count the signs of formulas: Greek letters, arrows, operators."""
    return Counter(re.findall(r"[Α-ω←→↦∂∇ℒΣσ√∝‖⊙≈±×⁻⁺₀-₉ₜᵢⱼ½¼]", text))


def test_every_recipe_has_its_translation() -> None:
    files = {path.stem for path in FOLDER.rglob("zh-TW/*.txt")}
    assert files == set(recipes.names()) == set(seen())


@pytest.mark.parametrize("name", recipes.names())
def test_a_docstring_has_changed(name: str) -> None:
    """Its translation is to be looked at; see the head of this file."""
    assert seen()[name] == digest(original(name))


@pytest.mark.parametrize("name", recipes.names())
def test_what_two_languages_have_in_common(name: str) -> None:
    wanted, found = original(name), translation(name)
    assert COMMAND.findall(found) == COMMAND.findall(wanted)
    assert figures(found) == figures(wanted)
    assert marks(found) == marks(wanted)
    assert len(found.split("\n\n")) == len(wanted.split("\n\n"))


@pytest.mark.parametrize("name", recipes.names())
def test_what_a_reader_sees(name: str) -> None:
    text = translation(name)
    said = english(QUOTED.sub("", COMMAND.sub("", text)))
    assert [words for words in said if re.search("[a-z]{3}", words)] == []
    assert max(map(width, text.splitlines())) <= ROOM
    assert re.search("[一-鿿]", text.splitlines()[0])


def test_english_is_the_docstring() -> None:
    with language("en"):
        assert lesson("gan", recipes.find("gan")) == original("gan")


def test_a_difference_is_seen() -> None:
    assert figures("1.3 million of 20, W₁ and v2") == figures("20 張中的 130 萬")
    assert figures("3.1 and 2") != figures("3.1")
    assert marks("a ← b · ∂ℒ") != marks("a ← b · ∂")
    assert COMMAND.findall("x\n    chainrule train a    # b\n") == ["chainrule train a"]


if __name__ == "__main__":
    looked = {**seen(), **{name: digest(original(name)) for name in sys.argv[1:]}}
    rows = [f"{name} {looked[name]}\n" for name in recipes.names()]
    SEEN.write_text("".join(rows), encoding="utf-8")
