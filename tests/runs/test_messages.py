"""What is wrong with a file, and the whole message that says so: ``messages.txt``.

Write the messages anew, and look at what has changed:

    python -m tests.runs.test_messages && git diff tests/runs/messages.txt
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chainrule.errors import ChainruleError
from chainrule.runs import file
from chainrule.runs.problems import Problem, RunFileError
from chainrule.text.languages import language

GOLDEN = Path(__file__).with_name("messages.txt")
FILE, MESSAGE = "=" * 88 + "\n", "-" * 88 + "\n"


def cases() -> list[tuple[str, str]]:
    """The files and their messages."""
    parts = GOLDEN.read_text(encoding="utf-8").split(FILE)[1:]
    return [tuple(part.split(MESSAGE)) for part in parts]  # type: ignore[misc]


def told(text: str) -> str:
    """The message of a file that is wrong."""
    try:
        origin = file.parse(text, name="a.toml")
        origin.trainer(origin.parts())
    except ChainruleError as error:
        return f"{error}\n".replace(str(Path.cwd()), "HERE")
    return "it is right\n"


@pytest.mark.parametrize(("text", "message"), cases(), ids=lambda text: text[-60:])
def test_messages(text: str, message: str) -> None:
    assert told(text) == message
    assert "\n  expected: " in message
    assert "\n  got:      " in message


@pytest.mark.parametrize(("text", "message"), cases(), ids=lambda text: text[-60:])
def test_an_error_is_english_in_any_language(text: str, message: str) -> None:
    """A part that is translated too early would stand in it for good."""
    with language("zh-TW"):
        assert told(text) == message


def test_very_many_problems_fit_on_a_screen() -> None:
    keys = "\n".join(f"key{i} = 1" for i in range(30))
    message = told(f'[data]\nsource = "moons"\n[model]\nlayers = [1]\n[output]\n{keys}')
    assert message.startswith("a.toml has 31 problems.\n1. line 4, ")
    assert "\n10. line 14, " in message
    assert "11. line" not in message
    assert message.endswith("\n… and 21 more.\n")


def test_a_problem_without_a_place() -> None:
    said = str(RunFileError("a.toml", [Problem((), "It is odd.")], {}))
    assert said == "a.toml: It is odd."


if __name__ == "__main__":
    made = [f"{FILE}{text}{MESSAGE}{told(text)}" for text, _ in cases()]
    GOLDEN.write_text("".join(made), encoding="utf-8")
