"""Parts of reinforcement learning agents: distributions, replay, rollouts.

Here lives what several agents need and no lesson explains. What an agent learns, and
how, stands in its recipe.
"""

from chainrule.recipes.reinforcement.distributions import Categorical, Normal
from chainrule.recipes.reinforcement.replay import ReplayBuffer, Transitions
from chainrule.recipes.reinforcement.report import report_agent
from chainrule.recipes.reinforcement.rollouts import Rollout, rollout

__all__ = [
    "Categorical",
    "Normal",
    "ReplayBuffer",
    "Rollout",
    "Transitions",
    "report_agent",
    "rollout",
]
