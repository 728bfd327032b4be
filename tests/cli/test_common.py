"""What all commands share: errors as messages, help, exit codes, one JSON object."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import chainrule as cr
from chainrule import cli, errors
from tests.cli.conftest import one_message


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MemoryError(), 1, ["not enough memory", "expected:", "got:", "fix:"]),
        (KeyboardInterrupt("step 3 is saved"), 130, ["Interrupted: step 3 is saved"]),
        (KeyboardInterrupt(), 130, ["Interrupted."]),
        (errors.GradientError("No gradient."), 1, ["Error: No gradient."]),
        (errors.DataError("No data."), 2, ["Error: No data."]),
        (KeyError("oops"), 1, ["Internal error: KeyError", "--debug"]),
    ],
    ids=repr,
)
def test_errors_as_messages(
    chainrule: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    said: list[str],
) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr("chainrule.recipes.find", fail)
    one_message(chainrule("train", "mnist"), code, *said)
    traced = not isinstance(error, MemoryError | KeyboardInterrupt)
    assert ("Traceback" in chainrule("train", "mnist", "--debug").err) == traced


def test_every_error_has_its_exit_code() -> None:
    family = {
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, errors.ChainruleError)
    }
    at_run_time = {e for e in family if issubclass(e, cli.AT_RUN_TIME)}
    assert {e.__name__ for e in family - at_run_time} == {
        "ArgumentError",
        "AxisError",
        "CallError",
        "ChainruleError",
        "CheckpointError",
        "DTypeError",
        "DataError",
        "EngineError",
        "ExportError",
        "ShapeError",
    }


# -- help ------------------------------------------------------------------------------

COMMANDS = sorted(cli.cli.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_the_help_have_options_that_exist(
    chainrule: Any, name: str
) -> None:
    command = cli.cli.commands[name]
    params = command.params
    flags = {option for p in params for option in (*p.opts, *p.secondary_opts)}
    assert {"--json", "--debug"} <= flags
    lines = [line.strip() for line in (command.epilog or "").splitlines()]
    examples = [line.partition(": ")[2] if ": " in line else line for line in lines]
    shown = [line for line in examples if line.startswith(f"chainrule {name}")]
    assert shown
    for line in shown:
        own = line.partition(" -- ")[0]  # behind it stands another command
        words = own.split()[2:]
        if name != "launch":
            command.make_context(name, list(words), resilient_parsing=True)
        assert {word for word in words if word.startswith("--")} <= flags
    assert shown[0] in chainrule(name, "--help").out


def test_help_loads_nothing_large() -> None:
    code = (
        "import sys; from chainrule import cli; cli.run(['--help']);"
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(made.stderr.split())
    heavy = {
        "pandas",
        "PIL",
        "matplotlib",
        "llvmlite",
        "rich",
        "safetensors",
        "sklearn",
    }
    assert "numpy" in loaded
    assert not loaded & heavy


def test_recipes(chainrule: Any) -> None:
    shown = chainrule("recipes").out
    found = {r["name"]: r for r in chainrule("recipes", "--json").json["recipes"]}
    assert found["mnist"]["epochs"] == 10
    assert found["mnist"]["kind"] == "training"
    assert "chainrule train NAME" in shown
    for name, recipe in found.items():
        assert f"{name} " in shown
        assert recipe["summary"] in shown


def test_version(chainrule: Any) -> None:
    assert chainrule("--version").out == f"chainrule {cr.__version__}\n"
