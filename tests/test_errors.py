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
