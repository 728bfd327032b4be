"""The networks of recipes: each is explained, or its recipe is refused with why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, recipes
from chainrule.recipes import Experiment, networks, ppo, xor
from chainrule.recipes.datasets import animals
from chainrule.recipes.evaluation import leave_one_out
from chainrule.recipes.networks import Inspection, agents
from chainrule.rl.dqn import q_loss
from chainrule.rl.ppo import ppo_loss
from chainrule.runs import explaining
from tests.rows import table

from .runs import needing, quick

STUDIES = [name for name in recipes.names() if recipes.kind(name) == "study"]
NETWORKS = [(name, net) for name in STUDIES for net in networks.networks_of(name)]


def inspected(recipe: str, network: str) -> Any:
    """A network of a recipe's quick form; skipped where its data are not installed."""
    try:
        return networks.inspected(Inspection(recipe, quick=True), network)
    except errors.ArgumentError as error:
        if "needs" in str(error) or "install" in str(error):
            pytest.skip(str(error).splitlines()[0])
        raise


@table("name", recipes.names())
def test_every_recipe_has_networks_or_says_what_it_has_instead(name: str) -> None:
    declared = bool(networks.networks_of(name)) or recipes.kind(name) == "training"
    assert declared != (name in networks.WITHOUT)


@pytest.mark.one_in(4)
@pytest.mark.parametrize(("recipe", "network"), NETWORKS)
def test_every_network_is_explained(recipe: str, network: str) -> None:
    """Its formulas give its numbers, and something of it gets a derivative."""
    subject = inspected(recipe, network)
    step = explaining.explained_step(subject)
    assert step.check().ok
    parameters = [name for name, __ in subject.model.named_parameters()]
    grads = [step[name].grad for name in parameters if name in step.trace.known]
    assert any(g is not None and np.any(g) for g in grads)
    assert np.isfinite(step.loss)


def test_a_recipe_without_a_network() -> None:
    with pytest.raises(errors.ArgumentError, match="no network") as caught:
        explaining.explained("q-learning", None)
    assert "Q(s, a) ← Q(s, a) + α" in str(caught.value)


def test_another_network_and_an_unknown_one() -> None:
    told = explaining.explained("algorithm1", None, network="3.2.3")
    assert (told.network, told.others) == ("3.2.3", ("3.2.2",))
    with pytest.raises(errors.ArgumentError, match=r"fix: +--network 3\.2\.3"):
        explaining.explained("algorithm1", None, network="3.2.4")
    with pytest.raises(errors.ArgumentError, match="mnist has one network"):
        explaining.explained("mnist", None, network="3.2.3")


# -- runs ------------------------------------------------------------------------------


def test_a_run_of_steps_is_explained_as_it_has_learned(tmp_path: Path) -> None:
    quick("xor", tmp_path / "run")
    told = explaining.explained(str(tmp_path / "run"), None, [0, 1, 2, 3])
    model = xor.two_layers(Experiment("xor", engine="numpy"))  # the same, once more
    for name, p in model.named_parameters():
        np.testing.assert_allclose(told.explanation[name].value, p.numpy(), rtol=1e-4)
    assert told.explanation.loss < 0.01


def test_a_run_of_a_trainer_is_explained_as_it_has_learned(tmp_path: Path) -> None:
    quick("timbre", tmp_path / "run")
    told = explaining.explained(str(tmp_path / "run"), None)
    place = tmp_path / "run" / "instruments" / "last.ckpt"
    trained = cr.Trainer.load(place).model.state_dict()
    for name in ("0.weight", "8.weight"):
        np.testing.assert_array_equal(told.explanation[name].value, trained[name])
    assert told.others == ()


def test_what_a_run_does_not_keep(tmp_path: Path) -> None:
    quick("two-two-one", tmp_path / "step")
    assert explaining.explained(str(tmp_path / "step"), None).explanation.loss > 0
    Experiment("algorithm1", out=tmp_path / "page").directory.begin(
        Experiment("algorithm1").settings()
    )
    with pytest.raises(errors.ArgumentError, match="keeps figures"):
        explaining.explained(str(tmp_path / "page"), None)
    Experiment("xor", out=tmp_path / "new").directory.begin(
        Experiment("xor").settings()
    )
    with pytest.raises(errors.CheckpointError, match="has not trained this network"):
        explaining.explained(str(tmp_path / "new"), None)


# -- the losses are those of the lessons -----------------------------------------------


@needing("gymnasium")
@pytest.mark.parametrize("name", ppo.ENVIRONMENTS)
def test_actor_and_critic_add_up_to_the_loss_of_ppo(name: str) -> None:
    agent, s, steps, A = agents.acted(Inspection("ppo"), name)
    columns = steps.observations, steps.actions, steps.log_probs, steps.values, A
    batch = [cr.tensor(c.reshape(-1, *c.shape[2:])) for c in columns]
    options: Any = {"clip_range": ppo.CLIP, "clip_range_vf": ppo.CLIP}
    options |= {"ent_coef": s.entropy, "vf_coef": ppo.VALUE / 2}
    expected = ppo_loss(agent.policy, *batch, **options)[0].item()
    losses = []
    for part in ("actor", "critic"):
        subject = inspected("ppo", f"{name}/{part}")
        x = tuple(map(cr.tensor, subject.x))
        losses.append(subject.loss(subject.model(*x), cr.tensor(subject.y)).item())
    assert sum(losses) == pytest.approx(expected, rel=1e-5)


@needing("gymnasium")
def test_the_loss_of_dqn() -> None:
    agent, s, batch = agents.remembered(Inspection("dqn"), "CartPole-v1")
    options = {"gamma": s.gamma, "double_q": False, "loss": nn.functional.mse_loss}
    expected = q_loss(agent.policy, *map(cr.tensor, batch), **options)[0].item()
    subject = networks.inspected(Inspection("dqn"), "CartPole-v1")
    x = tuple(map(cr.tensor, subject.x))
    loss = subject.loss(subject.model(*x), cr.tensor(subject.y)).item()
    assert loss == pytest.approx(expected, rel=1e-5)


@needing("pydataset")
def test_one_of_the_parallel_networks() -> None:
    subject = inspected("rules", "network")
    zoo = animals.read(Inspection("rules").folder("pydataset", "pydataset"))
    __, x, __ = leave_one_out.examples(zoo.table, zoo.one_hot())
    whole = subject.model.network(cr.tensor(x[:1]))[0].numpy()
    np.testing.assert_allclose(subject.model(cr.tensor(x[0])).numpy(), whole, atol=1e-6)
