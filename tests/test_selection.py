"""The options of this suite: which tests run, and which skips are failures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.ways import ENGINES, WAYS

pytest_plugins = ["pytester"]

FILE = """
import pytest

@pytest.mark.slow
@pytest.mark.parametrize("i", range(40))
def test_one(i): ...

def test_quick(): ...

def test_package():
    pytest.importorskip("nothing_of_this_name")

@pytest.mark.skip(reason="one sample has no variance")
def test_elsewhere(): ...
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite with this conftest.py, in processes of its own folder."""
    pytester.makeconftest(Path(conftest.__file__).read_text("utf-8"))
    pytester.makepyfile(FILE)
    pytester.makeini("[pytest]\nmarkers =\n    slow\n    one_in")
    return pytester


def test_ten_parts_in_a_row_are_all_tests() -> None:
    slow = {"get_closest_marker": lambda name: name == "slow" or None}
    every = [SimpleNamespace(nodeid=f"test_one[{i}]", **slow) for i in range(200)]
    seen: list[Any] = []
    for part in range(17, 17 + conftest.PARTS):
        others: list[Any] = []
        hook = SimpleNamespace(pytest_deselected=lambda items: others.extend(items))  # noqa: B023
        config: Any = SimpleNamespace(getoption=lambda _: part, hook=hook)  # noqa: B023
        chosen: list[Any] = [*every]
        conftest.select_part(config, chosen)
        assert 8 < len(chosen) < 40  # about 20
        assert len(chosen) + len(others) == len(every)
        seen += chosen
    assert sorted(map(id, seen)) == sorted(map(id, every))


def test_each_test_of_any_engine_runs_on_one() -> None:
    def item(name: str, way: str, kind: str, file: str) -> Any:
        marks: list[str] = []
        return SimpleNamespace(
            nodeid=f"{file}::{name}[{way}-3]",
            path=Path(file),
            callspec=SimpleNamespace(params={kind: way}),
            get_closest_marker=lambda name: name if name in marks else None,
            add_marker=marks.append,
            marks=marks,
        )

    def cases(kind: str, ways: list[str], file: str) -> list[list[Any]]:
        return [[item(f"test_{i}", w, kind, file) for w in ways] for i in range(60)]

    by_engine = cases("engine", ENGINES, "tests/training/test_fit.py")
    by_way = cases("way", WAYS, "tests/nn/test_rnn.py")
    by_layout = cases("layout", WAYS, "tests/nn/test_rnn.py")
    others = cases("engine", ENGINES, "tests/engines/test_programs.py")
    alone = [[item("test_alone", "numpy", "engine", "tests/nn/test_rnn.py")]]
    groups = [*by_engine, *by_way, *by_layout, *others, *alone]
    conftest.one_way_each([x for group in groups for x in group])
    for chosen, ways in (by_engine, ENGINES), (by_way, WAYS):
        left = [[x.marks for x in case].index([]) for case in chosen]
        assert all(sum(len(x.marks) for x in case) == len(ways) - 1 for case in chosen)
        assert all(left.count(i) > 60 // len(ways) // 3 for i in range(len(ways)))
    assert not any(x.marks for case in (*by_layout, *others, *alone) for x in case)


def test_one_in_so_many_cases_is_fast(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_some="""
        import pytest

        @pytest.mark.one_in(3, first=1)
        @pytest.mark.parametrize("engine", "abc")
        @pytest.mark.parametrize("i", range(7))
        def test_each(i, engine): ...

        @pytest.mark.one_in(2)
        @pytest.mark.parametrize("i", [pytest.param(0, marks=pytest.mark.slow), 1, 2])
        def test_others(i): ...
        """
    )

    def ran(*options: str) -> list[str]:
        passed, _, failed = suite.inline_run(*options).listoutcomes()
        assert not failed
        return [report.nodeid.partition("::")[2] for report in passed]

    fast = ran("test_some.py", "-m", "not slow")
    each = [name[10:-1].split("-") for name in fast if name.startswith("test_each")]
    assert sorted(i for i, _ in each) == list("0123456"), "each case once"
    assert {engine for _, engine in each} == set("abc")
    assert [name for name in fast if name.startswith("test_o")] == ["test_others[1]"]
    slow = ran("test_some.py", "-m", "slow")
    assert not {*fast} & {*slow}
    assert len(fast) + len(slow) == 24
    assert len(ran("test_some.py::test_others[2]", "-m", "not slow")) == 1


def test_a_part_is_an_option(suite: pytest.Pytester) -> None:
    passed, _, _ = suite.inline_run("--part=3", "-q").listoutcomes()
    names = {report.nodeid.partition("::")[2] for report in passed}
    assert "test_quick" in names
    ids = [r.nodeid for r in passed if "test_one" in r.nodeid]
    assert {conftest.part_of(nodeid) for nodeid in ids} == {3}


def test_each_turn_of_the_parts_has_a_number(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_turn="""
        import pytest

        @pytest.mark.slow
        @pytest.mark.parametrize("i", range(60))
        def test_one(i, turn): assert turn == 4
        """
    )
    part = 4 * conftest.PARTS
    passed, _, failed = suite.inline_run(
        f"--part={part}", "test_turn.py"
    ).listoutcomes()
    assert passed
    assert not failed
    part += conftest.PARTS
    assert suite.inline_run(f"--part={part}", "test_turn.py").listoutcomes()[2]


def test_a_skip_for_a_missing_package_fails_on_request(
    suite: pytest.Pytester,
) -> None:
    suite.inline_run("-k", "not test_one").assertoutcome(passed=1, skipped=2)
    strict = suite.inline_run("-k", "not test_one", "--need-packages")
    strict.assertoutcome(passed=1, skipped=1, failed=1)


def test_a_skipped_module_fails_on_request(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_all="import pytest\npytest.importorskip('nothing_such')")
    result = suite.inline_run("test_all.py", "--need-packages")
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_comparisons_with_pytorch_are_left_out_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(conftest.__file__).parent

    def ignored(name: str, *, strict: bool = False) -> bool | None:
        config: Any = SimpleNamespace(getoption=lambda option: strict)
        return conftest.pytest_ignore_collect(folder / name, config)

    assert not ignored("parity") or not importlib.util.find_spec("torch")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert ignored("parity")
    assert not ignored("nn")
    assert not ignored("nn/parity")
    with pytest.raises(pytest.UsageError, match="PyTorch is missing"):
        ignored("strangers", strict=True)
