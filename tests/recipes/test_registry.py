"""The registry of recipes, and what all recipes have in common."""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

from chainrule import errors, recipes
from chainrule.recipes import Experiment, mnist, two_two_one, xor
from chainrule.recipes.experiment.directory import Directory
from tests.rows import table

TRAINING = ["mnist", "lenet", "cnn"]
STUDIES = [name for name in recipes.names() if name not in TRAINING]
#: What a recipe may import besides Python's own modules.
PUBLIC = {"chainrule", "chainrule.recipes", "chainrule.training", "chainrule.viz"}
PUBLIC |= {"chainrule.text", "numpy", "sklearn", "scipy"}


def source(name: str) -> Path:
    return Path(recipes.find(name).__file__)


def test_names_and_kinds() -> None:
    assert {recipes.kind(name) for name in TRAINING} == {"training"}
    assert {recipes.kind(name) for name in STUDIES} == {"study"}
    assert recipes.kind(mnist) == "training"
    assert recipes.kind(xor) == "study"


def test_every_file_is_a_recipe() -> None:
    files = {p.stem for p in Path(recipes.__file__).parent.glob("[!_]*.py")}
    shared = {"answer_sets", "batches", "textbook", "vocabulary"}
    assert files - shared == {source(name).stem for name in recipes.names()}


def test_found_by_name() -> None:
    assert recipes.find("mnist") is mnist
    assert recipes.find("two-two-one") is two_two_one


@pytest.mark.parametrize(
    ("wrong", "fix"),
    [
        ("mnists", "chainrule train mnist"),
        ("two_two_one", "chainrule train two-two-one"),
        ("Algorithm 1", "chainrule train algorithm1"),
        ("XOR", "chainrule train xor"),
        ("???", "chainrule recipes"),
    ],
)
def test_an_unknown_name(wrong: str, fix: str) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        recipes.find(wrong)
    assert str(caught.value).splitlines() == [
        f"There is no recipe {wrong!r}.",
        f"  expected: {', '.join(recipes.names())}",
        f"  got:      {wrong}",
        f"  fix:      {fix}",
    ]


@pytest.mark.parametrize("name", TRAINING)
def test_what_a_training_recipe_offers(name: str) -> None:
    recipe = recipes.find(name)
    assert recipe.EPOCHS >= 1
    assert recipe.BATCH_SIZE >= 1
    assert recipe.LR > 0
    for function in (recipe.data, recipe.network, recipe.trainer):
        assert inspect.getdoc(function)


@table("name", STUDIES)
def test_what_a_study_offers(name: str) -> None:
    run = recipes.find(name).run
    assert inspect.getdoc(run)
    first, *options = inspect.signature(run).parameters.values()
    assert first.name == "experiment"
    for parameter in options:
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default is not parameter.empty


@table("name", recipes.names())
def test_what_every_recipe_says_of_itself(name: str) -> None:
    recipe = recipes.find(name)
    assert 20 < len(recipe.SUMMARY) <= 80
    assert f"chainrule train {name}\n" in recipe.__doc__
    assert f"python -m {recipe.__name__}" in recipe.__doc__
    lines = source(name).read_text(encoding="utf-8").splitlines()
    assert len(lines) < 250  # most have under 200


@table("name", recipes.names())
def test_recipes_use_the_public_interface_alone(name: str) -> None:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules.add(str(node.module))
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
    foreign = {m for m in modules if m.split(".")[0] not in sys.stdlib_module_names}
    # What stands beside the lessons: data, measures, worlds, pictures.
    foreign -= {m for m in foreign if m.startswith("chainrule.recipes.")}
    assert {m if m in PUBLIC else m.split(".")[0] for m in foreign} <= PUBLIC
    assert not any(m.startswith("chainrule.") for m in foreign - PUBLIC)


def test_looking_at_recipes_loads_no_optional_package() -> None:
    code = (
        "import json, sys; from chainrule import recipes;"
        "[recipes.find(name) for name in recipes.names()];"
        "print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(made.stdout))
    assert "chainrule" in loaded
    assert not loaded & {
        "sklearn",
        "scipy",
        "matplotlib",
        "pandas",
        "clingo",
        "PIL",
        "torch",
    }


def test_a_recipe_runs_as_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "chainrule.recipes.two_two_one"],
        env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True,
        check=True,
    )
    two_two_one.run(Experiment())
    assert made.stdout.decode().splitlines() == capsys.readouterr().out.splitlines()


def needs() -> dict[str, list[str]]:
    """The packages that each recipe asks its experiment for, as its source says."""
    found: dict[str, set[str]] = {}
    for name in recipes.names():
        for node in ast.walk(ast.parse(source(name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                asked = node.func.attr in ("package", "folder")
                if asked and ast.unparse(node.func.value) == "experiment":
                    text = next(
                        part.value
                        for part in ast.walk(node.args[0])
                        if isinstance(part, ast.Constant)
                    )
                    found.setdefault(name, set()).add(str(text).split(".")[0])
    return {name: sorted(packages) for name, packages in found.items()}


@pytest.mark.one_in(5)
@pytest.mark.parametrize(
    ("name", "absent"), [(name, one) for name, all_ in needs().items() for one in all_]
)
def test_a_package_that_a_recipe_needs(
    name: str,
    absent: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Without it the recipe says at once what to install, and leaves nothing."""
    for other in needs()[name]:
        if other != absent and PathFinder.find_spec(other) is None:
            pytest.skip(f"needs {other} beside it")

    class Without:
        """All that find modules, but for this one."""

        def __init__(self, finder: Any) -> None:
            self.finder = finder

        def find_spec(self, module: str, *rest: Any) -> Any:
            if module.split(".")[0] != absent:
                return self.finder.find_spec(module, *rest)
            return None

    for module in [m for m in sys.modules if m.split(".")[0] == absent]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Without(f) for f in sys.meta_path])

    def begun(directory: Directory, stage: str) -> Any:
        raise AssertionError(f"the stage {stage!r} has begun")

    monkeypatch.setattr(Directory, "stage", begun)
    out = tmp_path / "run"
    with pytest.raises(errors.ArgumentError) as caught:
        recipes.perform(Experiment(name, quick=True, engine="numpy", out=out))
    said = str(caught.value)
    assert f"The recipe {name!r} needs {absent}" in said
    assert "pip install " in said
    assert not out.exists()
