"""A run that is changed between two steps, and what is shared of it stays true."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.errors import ArgumentError, CheckpointError
from chainrule.lab import protocol
from chainrule.lab.changing import edits_of
from chainrule.runs import Session, parse
from tests.lab.runs import Asked, circles, same, weights
from tests.lab.test_browser import Browser, opened
from tests.lab.test_server import Served, served

RATES = [(3, 0.2), (3, 0.02), (9, 0.1)]


def trainer_of(lab: Asked) -> Any:
    assert lab.worker.session is not None
    return lab.worker.session.trainer


def changed(lab: Asked, rates: list[tuple[int, float]] = RATES) -> Asked:
    """Step to each update, change the rate there, and train to the end."""
    for step, rate in rates:
        if step > trainer_of(lab).optimizer.steps:
            lab.ask("step", steps=step - trainer_of(lab).optimizer.steps)
            lab.run()
        lab.ask("rate", lr=rate)
        lab.run()
    return lab


def shared(lab: Asked, what: str) -> str:
    asked = lab.ask("share", what=what, lang="en")
    lab.run()
    return lab.answer(asked)["arrays"]["data"].tobytes().decode()


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_the_run_file_and_the_program_give_the_run_its_weights(
    tmp_path: Path, engine: str
) -> None:
    lab = changed(Asked(tmp_path, circles(engine=engine)))
    assert lab.last("status")["lr"] == 0.1
    lab.ask("train")
    lab.run()
    said = tomllib.loads(shared(lab, "toml"))
    assert said["optimizer"]["lr"] == 0.05
    assert said["schedule"] == {
        "class": "PiecewiseConstantLR",
        "milestones": [3, 9],
        "rates": [0.02, 0.1],
        "unit": "step",
    }
    assert lab.last("changed")["run"]["schedule"] == said["schedule"]
    anew = Session.begin(parse(shared(lab, "toml")), tmp_path / "anew")
    anew.train()
    same(anew.trainer, trainer_of(lab))
    names: dict[str, Any] = {}
    exec(shared(lab, "python"), names)
    same(names["trainer"], trainer_of(lab))
    other = Asked(tmp_path / "other", circles(engine=engine))
    other.ask("train")
    other.run()
    first = next(iter(weights(trainer_of(lab))))
    assert (weights(trainer_of(lab))[first] != weights(trainer_of(other))[first]).any()


def test_a_changed_run_goes_on_from_its_checkpoint_bit_for_bit(tmp_path: Path) -> None:
    whole = changed(Asked(tmp_path / "whole"))
    whole.ask("train")
    whole.run()
    half = changed(Asked(tmp_path / "half"))
    restored = Session.restore(tmp_path / "half" / "1")
    assert isinstance(restored.trainer.optimizer.schedule, optim.PiecewiseConstantLR)
    assert getattr(restored.origin, "text", None) == shared(half, "toml")
    restored.train()
    same(restored.trainer, trainer_of(whole))


def test_before_the_first_step_it_is_the_rate_of_the_run(tmp_path: Path) -> None:
    lab = changed(Asked(tmp_path), [(0, 0.5), (0, 0.25)])
    said = tomllib.loads(shared(lab, "toml"))
    assert said["optimizer"]["lr"] == 0.25
    assert not said.get("schedule")
    assert trainer_of(lab).optimizer.lr == 0.25


def test_a_rate_is_changed_while_it_trains(tmp_path: Path) -> None:
    """The one who asks does not wait for the end of the run."""
    lab = Asked(tmp_path, circles(epochs=100_000))
    session = lab.worker.session
    assert session is not None
    usual, told = lab.worker.between_chunks, []

    def between_chunks() -> None:
        if session.trainer.optimizer.steps > 50 and not told:
            told.append(lab.ask("rate", lr=0.3))
            lab.ask("pause")
        usual()

    lab.worker.between_chunks = between_chunks
    lab.ask("train")
    lab.run()
    (mark,) = tomllib.loads(shared(lab, "toml"))["schedule"]["milestones"]
    assert mark > 50
    assert session.trainer.optimizer.lr == 0.3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schedule": {"class": "CosineAnnealingLR"}}, "schedule"),
        ({"schedule": {"warmup": 3}}, "schedule"),
        (
            {
                "schedule": {
                    "class": "PiecewiseConstantLR",
                    "milestones": [1],
                    "rates": [0.1],
                }
            },
            "schedule",
        ),
        (
            {
                "optimizer": {
                    "class": "Adam",
                    "lr": 0.1,
                    "groups": {"*.bias": {"lr": 0.2}},
                }
            },
            "rates of their own",
        ),
    ],
)
def test_other_rates_stay(tmp_path: Path, change: Any, said: str) -> None:
    lab = Asked(tmp_path, {**circles(), **change})
    assert lab.last("status")["lr_fixed"]
    asked = lab.ask("rate", lr=0.3)
    lab.run()
    answer = lab.answer(asked)
    assert answer["type"] == "refused"
    assert said in answer["error"]["what"]["en"]


def test_the_rate_of_a_recipe_stays(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    lab.begin(open="mnist")
    assert lab.last("status")["lr_fixed"]


# -- weights that are edited -----------------------------------------------------------


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_an_edited_weight_is_what_training_goes_on_from(
    tmp_path: Path, engine: str
) -> None:
    """As a Trainer does whose weights are set before it goes on."""
    lab = Asked(tmp_path, circles(engine=engine))
    lab.ask("step", steps=3)
    lab.run()
    restored = Session.restore(tmp_path / "1")
    restored.directory = tmp_path / "restored"
    w = dict(restored.trainer.model.named_parameters())
    with cr.no_grad():
        w["0.weight"][1, 0] = 2.5
        w["2.bias"][1] = -1.0
    lab.ask("weight", name="0.weight", index=[1, 0], value=2.5)
    lab.ask("weight", name="2.bias", index=[1], value=-1.0)
    lab.run()
    assert lab.last("maps")["arrays"]["weight0"][1, 0] == 2.5
    assert lab.last("maps")["arrays"]["bias1"][1] == -1.0
    assert lab.last("status")["edits"] == 2
    lab.ask("train")
    lab.run()
    restored.train()
    same(restored.trainer, trainer_of(lab))


def test_a_weight_is_edited_while_it_trains(tmp_path: Path) -> None:
    run = circles(epochs=100_000)
    run["optimizer"] = {"class": "SGD", "lr": 1e-12}  # so that all else stays
    lab = Asked(tmp_path, run)
    usual, told = lab.worker.between_chunks, []

    def between_chunks() -> None:
        if trainer_of(lab).optimizer.steps > 50 and not told:
            told.append(lab.ask("weight", name="0.weight", index=[0, 1], value=7.0))
        elif trainer_of(lab).optimizer.steps > 100:
            lab.ask("pause")
        usual()

    lab.worker.between_chunks = between_chunks
    lab.ask("train")
    lab.run()
    assert weights(trainer_of(lab))["0.weight"][0, 1] == pytest.approx(7.0)
    (edit,) = edits_of(trainer_of(lab))
    assert 50 < edit.step < trainer_of(lab).optimizer.steps


def test_what_is_shared_says_what_was_edited(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    lab.ask("step", steps=2)
    lab.run()
    before = float(weights(trainer_of(lab))["0.weight"][1, 0])
    lab.ask("weight", name="0.weight", index=[1, 0], value=0.5)
    lab.run()
    lab.ask("rate", lr=0.2)
    lab.run()
    for what in ("toml", "python"):
        text = shared(lab, what)
        assert f"# after update 2: 0.weight[1, 0] = 0.5, before {before}\n" in text
    tomllib.loads(shared(lab, "toml"))
    compile(shared(lab, "python"), "run.py", "exec")
    assert "edited by hand" in (tmp_path / "1" / "run.toml").read_text("utf-8")
    restored = Session.restore(tmp_path / "1", epochs=9)
    assert len(edits_of(restored.trainer)) == 1
    assert weights(restored.trainer)["0.weight"][1, 0] == 0.5
    again = Asked(tmp_path / "again")
    again.begin(open=str(tmp_path / "1"))
    assert again.last("status")["edits"] == 1


def test_a_checkpoint_writes_no_line_of_a_program(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    trainer = trainer_of(lab)
    row = {"step": 1, "name": "w", "index": [0], "before": 0.0, "value": 1.0}
    for strange in (
        [{**row, "name": "w\nimport os"}],
        [{**row, "value": "1\nimport os"}],
        [{**row, "index": ["\n"]}],
        [row] * 1001,
        {"step": 1},
        7,
    ):
        trainer.notes = {**trainer.notes, "edits": strange}
        with pytest.raises(CheckpointError, match="edited"):
            edits_of(trainer)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        *(("0.weight", [4, 0]), ("0.weight", [0]), ("0.weight", [0, 0, 0])),
        *(("1.weight", [0, 0]), ("", [0]), ("0.bias", [4])),
    ],
)
def test_weights_that_are_not_there_are_refused(
    tmp_path: Path, name: str, index: list[int]
) -> None:
    lab = Asked(tmp_path)
    before = weights(trainer_of(lab))
    asked = lab.ask("weight", name=name, index=index, value=1.0)
    lab.run()
    assert lab.answer(asked)["type"] == "refused"
    assert lab.last("status")["edits"] == 0
    for key, array in weights(trainer_of(lab)).items():
        np.testing.assert_array_equal(array, before[key])


def test_the_past_is_not_edited(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    lab.ask("step", steps=5)
    lab.ask("look", step=0)
    asked = lab.ask("weight", name="0.bias", index=[0], value=1.0)
    lab.run()
    assert "past" in lab.answer(asked)["error"]["what"]["en"]


@pytest.mark.parametrize(
    "said", ['"value": NaN', '"value": 1e31', '"value": "1"', '"value": null', '"x": 1']
)
def test_messages_with_what_is_no_number_are_refused(said: str) -> None:
    whole = '{"v": 1, "type": "weight", "name": "w", "index": [0], '
    with pytest.raises(ArgumentError, match="message"):
        protocol.asked(whole + said + "}")
    assert protocol.asked(whole + '"value": 0.5}').type == "weight"


@pytest.mark.parametrize("lr", ["-0.1", "0", "1e999", "NaN", '"0.1"', "null", "true"])
def test_messages_with_what_is_no_rate_are_refused(lr: str) -> None:
    with pytest.raises(ArgumentError, match="message"):
        protocol.asked(f'{{"v": 1, "type": "rate", "lr": {lr}}}')
    assert protocol.asked('{"v": 1, "type": "rate", "lr": 0.5}').type == "rate"


# -- in the browser --------------------------------------------------------------------


def linked(page: Any) -> Any:
    """The run that the address names."""
    return page.evaluate("async () => (await import('/js/link.js')).readLink()")


def until_linked(page: Any, rates: list[float]) -> None:
    end = time.monotonic() + 60
    while (linked(page) or {}).get("schedule", {}).get("rates") != rates:
        assert time.monotonic() < end, linked(page)
        page.wait_for_timeout(30)


@pytest.mark.slow
def test_the_page_changes_the_rate_while_it_trains(chromium: Any, lab: Served) -> None:
    with opened(chromium, lab) as seen:
        page = seen.page
        page.fill('.option[data-key="epochs"] input', "100000")
        page.fill('.option[data-key="samples"] input', "300")
        page.click("#build")
        seen.until("#network-text", "training: 240")
        page.click("#train")
        seen.until("#figures", "training")
        # Before the first step it would be the run's first rate, without a schedule.
        page.wait_for_function(
            "() => /step\\n[1-9]/.test(document.querySelector('#figures').innerText)"
        )
        assert page.input_value("#rate") == "0.01"
        page.fill("#rate", "0.03")
        page.keyboard.press("Enter")
        until_linked(page, [0.03])
        assert "training" in seen.text("#figures")
        other = Browser(page.context.new_page())  # one that comes later knows it too
        other.page.goto(lab.url)
        other.until("#network-text", "parameters")
        other.page.wait_for_function(
            "() => document.querySelector('#rate').value === '0.03'"
        )
        until_linked(other.page, [0.03])
        assert other.errors() == []
        page.click("#train")
        seen.until("#figures", "paused")
        page.select_option("#class-schedule", "CosineAnnealingLR")
        page.click("#build")
        page.wait_for_selector("#rate:disabled")


@pytest.mark.slow
def test_a_click_on_a_line_edits_its_weight(chromium: Any, tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab, opened(chromium, lab) as seen:
        page = seen.page
        page.wait_for_selector("#weight-input option", state="attached")
        page.evaluate(
            """() => document.querySelectorAll("#network .hit")[3]
              .dispatchEvent(new MouseEvent("click"))"""
        )
        assert page.evaluate("document.activeElement.id") == "weight-value"
        assert page.input_value("#weight-unit") == "2"
        assert page.input_value("#weight-input") == "1"
        page.keyboard.type("0.75")
        page.keyboard.press("Enter")
        seen.until("#edited", "Edited by hand: 1")
        page.wait_for_function(
            """() => document.querySelectorAll("#network .unit")[3].title
              .includes("0.75")"""
        )
        # What is outside of the limits becomes what is nearest.
        for typed, becomes in (("0", "1"), ("99", "6"), ("2.6", "3"), ("", "1")):
            page.fill("#weight-unit", typed)
            page.keyboard.press("Tab")
            assert page.input_value("#weight-unit") == becomes
        assert page.evaluate("[...document.forms].every((form) => form.noValidate)")
        # By the keyboard alone: the bias of another layer, while it trains.
        page.click("#train")
        seen.until("#figures", "training")
        page.select_option("#weight-layer", "1")
        page.select_option("#weight-input", "b")
        page.fill("#weight-value", "-0.5")
        page.focus("#weight-set")
        page.keyboard.press("Enter")
        seen.until("#edited", "Edited by hand: 2")
        page.click("#train")
        seen.until("#figures", "paused")
        page.click("#shares button >> nth=0")
        seen.until("#share-state", "edited by hand")
