"""What is wrong with a file, and the whole message that says so: ``messages.txt``.

Write the messages anew, and look at what has changed:

    python -m tests.runs.test_messages && git diff tests/runs/messages.txt
"""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from chainrule.errors import ArgumentError, ChainruleError
from chainrule.runs import file
from chainrule.runs.problems import ROOM, Problem, RunFileError
from chainrule.text import _
from chainrule.text.languages import language
from tests.rows import table

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


@table(("text", "message"), cases(), ids=lambda text: text[-60:])
def test_messages(text: str, message: str) -> None:
    """English in any language: a part translated too early would stay in the error."""
    assert told(text) == message
    assert "\n  expected: " in message
    assert "\n  got:      " in message
    with language("zh-TW"):
        assert told(text) == message


def test_parts_of_an_answer_are_translated() -> None:
    """Nested, shortened, or with arguments of Python turned into keys of a file."""
    layers = '["Relu", { class = "Linear", units = 3 }]'
    with pytest.raises(RunFileError) as caught:
        file.parse(f'data.source = "moons"\nmodel.layers = {layers}', name="a.toml")
    fix = _("did you mean {near}?", near="mode='min'")
    problem = Problem.of(ArgumentError(_("nothing"), fix=fix))
    assert problem.fix == 'did you mean mode = "min"?'
    with language("zh-TW"):
        said = caught.value.translated()
        assert "沒有叫做 'Relu' 的層" in said
        assert max(map(len, said.splitlines())) < ROOM + 20
        assert (
            '是不是指 mode = "min"？'
            in pickle.loads(pickle.dumps(problem)).translated()
        )


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
    made = [f"{FILE}{text}{MESSAGE}{told(text)}" for text, __ in cases()]
    GOLDEN.write_text("".join(made), encoding="utf-8")
