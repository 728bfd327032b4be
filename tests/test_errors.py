"""Messages: four answers, the user's line, the name that was probably meant."""

from __future__ import annotations

import inspect

import pytest

from chainrule import errors, optim
from chainrule.text.tables import text_table


def test_a_message_has_what_it_was_given_and_no_more():
    whole = errors.ShapeError("What.", expected="a", got="b", fix="c")
    assert str(whole) == "What.\n  expected: a\n  got:      b\n  fix:      c"
    assert str(errors.ShapeError("What.", got="b")) == "What.\n  got:      b"
    assert (whole.what, whole.expected, whole.got, whole.fix) == ("What.", *"abc")


def test_a_long_answer_is_whole_in_the_error_and_short_in_its_message():
    long = "a name " + "y" * 100_000 + " and its end"
    error = errors.ShapeError(long, expected=long, got=long, fix=long)
    assert error.what == error.expected == error.got == error.fix == long
    text = str(error)
    assert len(text) < 4 * errors.LONGEST_ANSWER + 100
    assert text.count("a name yyy") == text.count("yyy and its end") == 4
    assert text.count(" … ") == 4
    most = "x" * errors.LONGEST_ANSWER
    assert str(errors.ShapeError(most)) == most


#: What a name in a file may hold, and what of it a terminal would obey.
STRANGE = [
    ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    ("a\rb\x08\x9b2J\x00\x7f", "a\\rb\\x08\\x9b2J\\x00\\x7f"),
    ("\u202egnp.exe\u2069\u200f\u061c", "\\u202egnp.exe\\u2069\\u200f\\u061c"),
    ("\u2028\udcff", "\\u2028\\udcff"),
    ("學 é 👩\u200d🔬 '\"\\", "學 é 👩\u200d🔬 '\"\\"),
]


@pytest.mark.parametrize(("name", "shown"), STRANGE)
def test_text_from_outside_is_shown_and_not_obeyed(name, shown):
    assert errors.visible(name) == shown
    error = errors.DataError(name, expected=name, got=name, fix=name)
    assert str(error).count(shown) == 4
    assert error.what == name
    with pytest.warns(errors.ChainruleWarning) as caught:
        errors.warn(name)
    assert str(caught[0].message) == shown
    assert text_table([["name"], [name]], left=1)[1] == shown


def test_no_name_looks_like_an_answer_of_its_own():
    name = "column\n  fix:      run this"
    text = str(errors.DataError(f"{name!s} is empty.", got=name, fix="leave it out"))
    fixes = [line for line in text.split("\n") if line.startswith("  fix:")]
    assert fixes == ["  fix:      leave it out"]
    assert text_table([["name"], [name]])[1] == errors.visible(name)


def test_every_error_of_the_family_is_caught_as_one_and_as_the_builtin():
    assert issubclass(errors.ShapeError, (errors.ChainruleError, ValueError))
    assert issubclass(errors.DTypeError, TypeError)
    assert issubclass(errors.SaveError, OSError)


def test_a_warning_has_the_four_answers_and_names_the_users_line():
    with pytest.warns(errors.ChainruleWarning) as caught:
        optim.SGD(lr=-0.5)  # this line
    (warning,) = caught
    lines, first = inspect.getsourcelines(
        test_a_warning_has_the_four_answers_and_names_the_users_line
    )
    mine = next(i for i, line in enumerate(lines) if "# this line" in line)
    assert (warning.filename, warning.lineno) == (__file__, first + mine)
    for part in ("-0.5 every step climbs", "expected:", "got:", "fix:"):
        assert part in str(warning.message)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("learning_rat", "learning_rate"),
        ("EPOCHS", "epochs"),
        ("Adm", "Adam"),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_the_nearest_name(name, meant):
    assert errors.nearest(name, ["epochs", "learning_rate", "Adam"]) == meant
