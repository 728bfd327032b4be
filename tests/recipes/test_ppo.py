"""ppo: the quick run. Its loss is tested with the agents."""

from __future__ import annotations

from typing import Any

from chainrule.recipes import ppo

from .runs import check, need

RECIPE = "ppo"

need("gymnasium")


def test_the_quick_run(whole: dict[str, Any]) -> None:
    """It plays better than at random: 22 steps, −500, −1230."""
    result = whole["result"]
    assert list(result) == list(ppo.ENVIRONMENTS)
    assert result["CartPole-v1"]["test"] > 170
    assert result["Acrobot-v1"]["test"] > -300
    assert result["Pendulum-v1"]["test"] > -930
    for figures in result.values():
        assert figures["entropy"][1] < figures["entropy"][0]
    kinds = ("returns", "learning")
    names = ppo.ENVIRONMENTS
    check(whole, *names, *(f"{name}-{kind}" for name in names for kind in kinds))
