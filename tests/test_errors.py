"""Messages: four answers, the user's line, the name that was probably meant."""

from __future__ import annotations

import inspect

import pytest

from chainrule import errors, optim


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
