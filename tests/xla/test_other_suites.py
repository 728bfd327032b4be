"""Suites of the other engines, on XLA: borders, views, loops, random state, ends.

Their tests take the name of an engine, or a way to run a function. What does not hold
on XLA stands in ``EXCEPTIONS`` with the reason.
"""

from __future__ import annotations

import importlib
import inspect
import zlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest

from tests.engines.test_programs import digits

__all__ = ["digits"]
MODULES = """
    test_borders test_changing_numbers test_checkpoint test_control
    test_linalg test_random test_selection test_side_effects test_special_functions
    test_views test_vmap
    autograd.test_function autograd.test_hooks
    engines.test_loops engines.test_programs
    nn.test_augmentation nn.test_losses nn.test_normalization nn.test_recurrent
    optim.test_clipping optim.test_compiled_steps
    primitives.test_checks
    special_points.test_ends special_points.test_of_one_number
    special_points.test_of_several_numbers
"""
#: One in so many runs with the fast tests: XLA takes a second to compile what native
#: has in a tenth.
FAST_IN = 16
#: Test → why it is left out.
EXCEPTIONS: dict[str, str] = {
    "test_a_whole_array_sum_is_the_same_for_any_threads": "it takes no threads",
    "test_threads_do_not_change_a_bit": "it takes no threads",
    "test_clipping_leaves_the_layout_of_weights_alone": "it lays its arrays out itself",
    "test_machine_code_goes_with_its_programs": "it is the native engine's",
    "test_engines": "GELU's tail in float64 is off by 3e-15",
    "test_engines_give_the_eager_numbers": "GELU's tail in float64 is off by 3e-15",
    "test_chunks_do_not_change_a_bit": "blocks of steps are compiled apart",
}


def on_xla(test: Any) -> Any:
    """Return a test whose engine, or way, is XLA's; None if it has none."""
    marks = getattr(test, "pytestmark", [])
    name = "engine" if "engine" in inspect.signature(test).parameters else "way"
    if name == "way" and not any(_is_of_ways(mark) for mark in marks):
        return None
    copy = FunctionType(
        test.__code__,
        test.__globals__,
        test.__name__,
        test.__defaults__,
        test.__closure__,
    )
    copy.__kwdefaults__ = test.__kwdefaults__
    marks = [_without_choice(m, name) for m in marks]
    chosen = pytest.mark.parametrize(name, ["xla"]).mark
    made: Any = copy
    made.pytestmark = [chosen, *(mark for mark in marks if mark is not None)]
    return copy


def _is_of_ways(mark: Any) -> bool:
    """Return whether a mark has a test run eagerly and on engines."""
    return (
        mark.name == "parametrize"
        and "way" in mark.args[0]
        and "numpy" in [(getattr(v, "values", None) or [v])[0] for v in mark.args[1]]
    )


def _without_choice(mark: Any, name: str) -> Any:
    """Return a mark that chooses no engine; None if nothing is left of it."""
    if mark.name != "parametrize":
        return mark
    names, values = mark.args[:2]
    if isinstance(names, str):
        names = [n.strip() for n in names.split(",")]
    if name not in names:
        return mark
    at = list(names).index(name)
    others = [n for n in names if n != name]
    if not others:
        return None
    rows: dict[str, Any] = {}
    for value in values:
        row = list(getattr(value, "values", value))
        del row[at]
        rows.setdefault(repr(row), row[0] if len(row) == 1 else tuple(row))
    return pytest.mark.parametrize(
        others[0] if len(others) == 1 else others, list(rows.values())
    ).mark


def adopted() -> dict[str, Callable[..., Any]]:
    """Return the tests of the modules, by names of their own."""
    found: dict[str, Callable[..., Any]] = {}
    for path in MODULES.split():
        module = importlib.import_module(f"tests.{path}")
        for name, test in vars(module).items():
            if name.startswith("test_") and inspect.isfunction(test):
                copy = on_xla(test)
                if copy is None or name in EXCEPTIONS:
                    continue
                if zlib.crc32(name.encode()) % FAST_IN:
                    copy = pytest.mark.slow(copy)
                found[f"test_{path.rpartition('test_')[2]}__{name[5:]}"] = copy
    return found


globals().update(adopted())
