"""A program on four devices of one process: the same numbers, and the work divided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.xla.starting import losses_alone, run, told


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    return told(run("facts.py", devices=4))


@pytest.fixture(scope="module")
def divided() -> dict[str, Any]:
    return told(run("facts.py", "model", devices=4))


def test_the_numbers_are_those_of_one_device(facts: dict[str, Any]) -> None:
    """With dropout, batch statistics, clipping, and batches that do not divide."""
    _same_run(facts["one"], facts["four"])


@pytest.mark.slow
def test_the_numbers_are_those_of_a_grid_of_devices(divided: dict[str, Any]) -> None:
    _same_run(divided["one"], divided["grid"])


def _same_run(one: dict[str, Any], more: dict[str, Any]) -> None:
    np.testing.assert_allclose(more["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(more["predicted"], one["predicted"], atol=1e-4)
    assert more["evaluated"] == pytest.approx(one["evaluated"], rel=1e-4)


def test_the_work_is_divided(facts: dict[str, Any]) -> None:
    """XLA's count of operations is that of one device."""
    alone, shared = facts["flops"]
    assert shared < alone / 2.5
    assert facts["exchanges"] > 0


def test_a_batch_that_does_not_divide_is_whole_on_each(facts: dict[str, Any]) -> None:
    assert facts["odd"] == 0
    assert facts["fifths"] == [[2.0] * 3] * 5


def test_functions_by_names_of_sizes_and_by_sharding(facts: dict[str, Any]) -> None:
    for made in facts["spread"]:
        assert made == [[2.0] * 3] * 8


@pytest.mark.slow
def test_weights_and_moments_are_divided(divided: dict[str, Any]) -> None:
    whole = divided["gpt"]
    for name, parts in (("gpt_model", 2), ("gpt_whole", 4)):
        shared = divided[name]
        np.testing.assert_allclose(shared["losses"], whole["losses"], rtol=1e-5)
        assert shared["held"] == pytest.approx(whole["held"] / parts, rel=0.02)
        rows = {shape[0] for shape in shared["shapes"].values()}
        assert rows == {128 // parts}
        assert len(shared["shapes"]) >= 3  # the weight and both moments


def test_what_cannot_be_is_refused(facts: dict[str, Any]) -> None:
    assert "devices of at most 4" in facts["many"]
    assert "xla_force_host_platform_device_count=5" in facts["many"]
    assert "expected: sizes whose product is 4" in facts["all"]
    assert "'0.weight' does not divide over the mesh" in facts["odd_axis"]
    assert "axes of the mesh: data" in facts["axis"]
    assert "Nothing is called 'no.such'" in facts["unnamed"]


@pytest.mark.slow
def test_agents_and_estimators() -> None:
    """Batches of learning are divided, and what is learned is the same."""
    pytest.importorskip("gymnasium")
    pytest.importorskip("sklearn")
    facts = told(run("agents.py", devices=4))
    for name in ("dqn", "ppo"):
        assert facts["exchanges"][name] > 0
        for one, four in zip(*facts[name], strict=True):
            np.testing.assert_allclose(four, one, atol=1e-6)
    np.testing.assert_allclose(*facts["classifier"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "within"), [("float64", 1e-6), ("float32", 1e-4)])
def test_losses_of_a_hundred_steps(dtype: str, within: float) -> None:
    one = losses_alone(dtype)
    four = told(run("losses.py", dtype, devices=4))
    model = told(run("losses.py", dtype, "gpt", "--model", devices=4))
    for name, losses in one.items():
        assert len(losses) == 100
        np.testing.assert_allclose(four[name], losses, rtol=within, err_msg=name)
    np.testing.assert_allclose(model["gpt"], one["gpt"], rtol=within)
