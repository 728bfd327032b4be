"""Inputs to tick: functions of the features in front of the network, and their maps."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.lab.maps import GRID, ZERO
from chainrule.lab.settings import run_file
from chainrule.runs import Session
from tests.lab.runs import Asked, circles
from tests.lab.test_browser import Browser

TERMS = ["x1", "x1^2", "x1*x2", "sin(x2)"]
BASIS = {"class": "BasisExpansion", "terms": TERMS}


def expanded(*layers: Any, **training: Any) -> dict[str, Any]:
    run = circles(**training)
    run["model"] = {"layers": [*layers, *run["model"]["layers"]]}
    return run


def test_the_units_of_the_input_are_the_terms_over_the_plane(tmp_path: Path) -> None:
    lab = Asked(tmp_path, expanded(BASIS))
    built, maps = lab.last("built"), lab.last("maps")["arrays"]
    assert built["inputs"] == TERMS
    assert [layer["units"] for layer in built["layers"]] == [4, 2]
    assert maps["weight0"].shape == (4, len(TERMS))
    left, right, bottom, top = built["range"]
    x, y = np.meshgrid(np.linspace(left, right, GRID), np.linspace(bottom, top, GRID))
    wanted = np.stack([x, x**2, x * y, np.sin(y)])
    assert maps["inputs"].shape == (len(TERMS), GRID, GRID)
    scale = np.abs(wanted).max()
    assert maps["scale"][-1] == pytest.approx(scale, rel=1e-5)
    found = (maps["inputs"].astype(float) - ZERO) / 127 * scale
    np.testing.assert_allclose(found, wanted, rtol=0, atol=scale / 127 * 1.01)


def test_without_terms_there_are_no_maps_of_inputs(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    assert lab.last("built")["inputs"] is None
    assert "inputs" not in lab.last("maps")["arrays"]


@pytest.mark.parametrize(
    ("layers", "drawn"),
    [
        ([], 2),
        ([BASIS], 2),
        ([{"class": "Linear", "out_features": 6}, "GLU"], 0),
        ([{"class": "Linear", "out_features": 3}, "Tanh", BASIS], 0),
        ([{"class": "Linear", "out_features": 6}, "Tanh"], 3),
    ],
)
def test_layers_that_answer_with_other_widths_are_drawn_as_their_graph(
    tmp_path: Path, layers: list[Any], drawn: int
) -> None:
    """Else the page would take the map of one unit for that of another."""
    lab = Asked(tmp_path, expanded(*layers))
    assert len(lab.last("built")["layers"]) == drawn
    arrays = lab.last("maps")["arrays"]
    assert sum(name.startswith("layer") for name in arrays) == drawn


def test_what_is_shared_has_the_inputs(tmp_path: Path) -> None:
    lab = Asked(tmp_path, expanded(BASIS))
    lab.ask("train")
    lab.run()
    shared = {}
    for what in ("toml", "python", "onnx"):
        asked = lab.ask("share", what=what, lang="en")
        lab.run()
        shared[what] = lab.answer(asked)["arrays"]["data"].tobytes()
    said = tomllib.loads(shared["toml"].decode())
    assert said["model"]["layers"][0] == BASIS
    assert "nn.BasisExpansion(terms=" in shared["python"].decode()
    names: dict[str, Any] = {}
    exec(shared["python"].decode(), names)
    session = lab.worker.session
    assert session is not None
    trained = session.trainer.model
    for name, tensor in trained.state_dict().items():
        np.testing.assert_array_equal(names["model"].state_dict()[name], tensor)
    path = tmp_path / "network.onnx"
    path.write_bytes(shared["onnx"])
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    answer, *__ = cr.load_onnx(path)(cr.tensor(x))
    here = trained.eval()(cr.tensor(x)).numpy()
    np.testing.assert_allclose(answer.numpy(), here, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("terms", [["x3"], ["exp(x1)"], []])
def test_terms_that_are_none_are_said_at_their_layer(
    tmp_path: Path, terms: list[str]
) -> None:
    run = expanded({**BASIS, "terms": terms})
    with pytest.raises(cr.errors.ChainruleError) as caught:
        Session.begin(run_file(run, tmp_path), tmp_path / "1")
    assert "model" in str(caught.value)
    assert "layers" in str(caught.value)


# -- in the browser --------------------------------------------------------------------


@pytest.mark.slow
def test_ticked_inputs_are_units_with_maps_and_lines(seen: Browser) -> None:
    page = seen.page
    names = page.eval_on_selector_all(
        ".inputs label", "all => all.map(l => l.innerText.trim())"
    )
    assert names == ["x₁", "x₂", "x₁²", "x₂²", "x₁x₂", "sin x₁", "sin x₂"]
    boxes = page.locator(".inputs input")
    ticked = [boxes.nth(i).is_checked() for i in range(7)]
    assert ticked == [True, True, False, False, False, False, False]
    lines = page.locator("#network line").count()
    boxes.nth(1).focus()
    page.keyboard.press("Space")
    assert boxes.nth(0).is_disabled()  # one stays
    boxes.nth(2).check()
    boxes.nth(6).check()
    assert page.input_value('[data-layer="0"] .option[data-key="terms"] input') == (
        "x1, x1^2, sin(x2)"
    )
    page.click("#build")
    page.wait_for_selector('#network .unit[title="sin x₂"]')
    titles = page.eval_on_selector_all(
        "#network .unit", "all => all.slice(0, 4).map(u => u.title)"
    )
    assert titles[:3] == ["x₁", "x₁²", "sin x₂"]
    assert page.locator("#network line").count() == lines + 6
    # Each map is painted, and no two are the same.
    page.wait_for_function(
        """() => {
          const maps = [...document.querySelectorAll("#network .unit canvas")]
            .slice(0, 3).map((c) => c.width > 1 && c.toDataURL());
          return maps.every(Boolean) && new Set(maps).size === 3;
        }"""
    )
    for i in (1, 2, 6):
        boxes.nth(i).click()
    assert page.locator('[data-layer="0"] select').input_value() == "Linear"


@pytest.mark.slow
def test_data_of_more_features_have_no_inputs_to_tick(seen: Browser) -> None:
    seen.page.select_option("#source", "mnist")
    assert seen.page.locator(".inputs").count() == 0
