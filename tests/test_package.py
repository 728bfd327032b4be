"""The package as it is handed out: version, licences, READMEs, and what must not be in.

What ``import chainrule`` loads is tested in ``test_imports.py``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import chainrule
from tests.test_docs import ROOT, blocks

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
READMES = ("README.md", "README.zh-TW.md")


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


# -- version, files ------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    assert chainrule.__version__ == PROJECT["version"]
    assert importlib.metadata.version("chainrule") == PROJECT["version"]
    assert re.search(
        rf"^## \[.*{re.escape(PROJECT['version'])}", read("CHANGELOG.md"), re.M
    )


@pytest.mark.parametrize(
    ("machine", "wheels"),
    [
        *[(name, True) for name in ("x86_64", "AMD64", "aarch64", "arm64")],
        *[(name, False) for name in ("ARM64", "riscv64")],
    ],
)
def test_what_has_no_wheel_is_left_out(machine: str, wheels: bool) -> None:
    """The rest of an extra installs there, without a compiler."""
    plot = map(Requirement, PROJECT["optional-dependencies"]["plot"])
    needed = map(Requirement, PROJECT["dependencies"])
    named = {r.name: r.marker for r in (*plot, *needed)}
    for name in ("graphlay", "llvmlite"):
        marker = named[name]
        assert marker
        assert marker.evaluate({"platform_machine": machine}) is wheels
    assert named["matplotlib"] is None


def test_the_package_says_that_it_is_typed() -> None:
    assert (importlib.resources.files("chainrule") / "py.typed").is_file()


def test_licences_are_there_and_are_handed_out() -> None:
    metadata = importlib.metadata.metadata("chainrule")
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == PROJECT["license-files"]
    assert "Apache License" in read("LICENSE")
    mnist = read("src/chainrule/data/LICENSE-MNIST")
    assert "CC BY-SA 3.0" in mnist
    for name in READMES:
        assert "CC BY-SA 3.0" in read(name)
        assert "(src/chainrule/data/LICENSE-MNIST)" in read(name)


def test_the_small_extra_for_tests_stays_small() -> None:
    extras = PROJECT["optional-dependencies"]
    assert not [d for d in extras["test"] if re.match("torch|jax", d)]
    assert [d for d in extras["parity"] if d.startswith("torch")]


# -- READMEs -------------------------------------------------------------------------

#: Word for word, for copying.
COMMANDS = (
    "python3 -m venv .venv && .venv/bin/pip install -q '.[plot]'"
    " && .venv/bin/chainrule train mnist",
    "python3 -m venv .venv && .venv/bin/pip install -q --no-compile"
    " -e '.[test]' && .venv/bin/pytest",
)
ON_WINDOWS = (
    r'py -m venv .venv; .venv\Scripts\pip install -q ".[plot]";'
    r" .venv\Scripts\chainrule train mnist",
    r"py -m venv .venv; .venv\Scripts\pip install -q --no-compile"
    r' -e ".[test]"; .venv\Scripts\pytest',
)


@pytest.mark.parametrize("name", READMES)
def test_the_readme_has_the_two_commands_on_its_first_screen(name: str) -> None:
    shell, windows = blocks(read(name))[:2]
    assert (shell.language, windows.language) == ("sh", "powershell")
    assert shell.text.splitlines() == list(COMMANDS)
    assert windows.text.splitlines() == list(ON_WINDOWS)
    assert windows.end < 30


def test_ci_runs_the_commands_of_the_readme() -> None:
    lines = read(".ci/run").splitlines()
    assert COMMANDS[1] in lines
    assert any(line.startswith(COMMANDS[0] + " --json") for line in lines)


# -- what must not be in -------------------------------------------------------------


def tracked() -> list[Path]:
    """The project's own files."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: there is no list of tracked files")
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


#: Written so that this file does not contain what it looks for.
FORBIDDEN = {
    "a path of one machine": r"/wor[k]/|/hom[e]/\w|/roo[t]/|[/\\]User[s][/\\]\w",
    "a reference that readers cannot follow": r"\bissue[s]? #?\d|\bshared[/]\w+\.md|"
    r"\b(this|previous|earlier|next) (issue|ses[s]ion)\b|\bsub-?agent",
    "a note to oneself": r"\b(TOD[O]|FIXM[E]|XX[X])\b",
    "a secret": r"BEGIN [A-Z ]*PRIVATE KE[Y]|\b(api|secret)_ke[y]\s*=",
    "a conflict": r"^(<{7}|>{7}) ",
}


def found_in(text: str) -> list[str]:
    return [
        f"{what}: {match[0]!r}"
        for what, pattern in FORBIDDEN.items()
        for match in re.finditer(pattern, text, re.M | re.I)
    ]


def test_files_hold_nothing_that_belongs_elsewhere() -> None:
    problems: list[str] = []
    for path in tracked():
        if "vendor" in path.parts:  # others' files, as they came
            continue
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            text = data.decode("utf-8")
            problems += [
                f"{path.relative_to(ROOT)}: {found}" for found in found_in(text)
            ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    "text",
    [
        "see /wo" + "rk/main/x.py",
        "C:\\Use" + "rs\\me",
        "as iss" + "ue 7 asks",
        "from a previous ses" + "sion",
        "# TO" + "DO: later",
        "<<<<<<" + "< HEAD",
    ],
)
def test_what_is_forbidden_would_be_seen(text: str) -> None:
    assert found_in(text)
    assert not found_in("class Session: one function; /usr/bin/time; issues of threads")


def test_no_large_file_but_the_data() -> None:
    large = [p.name for p in tracked() if p.stat().st_size > 500_000]
    assert sorted(large) == ["chainrule.po", "mnist.pack"]
