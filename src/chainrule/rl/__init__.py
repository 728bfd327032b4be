"""Agents that learn in environments of gymnasium: PPO and DQN.

Names of arguments, of methods and their defaults are those of Stable-Baselines3
(``learn``, ``predict``, ``save``, ``load``). What an agent acts in is a name that
``gymnasium.make`` knows, an environment, a function that makes one, or a vector.

>>> from chainrule import rl
>>> agent = rl.PPO("CartPole-v1", n_envs=4, n_steps=32, batch_size=32, seed=0)
>>> agent.learn(256).num_timesteps
256
>>> mean, std = agent.evaluate(episodes=5)
>>> action, state = agent.predict([0.0, 0.0, 0.0, 0.0], deterministic=True)
>>> action in (0, 1)
True

| file | holds |
|---|---|
| `agent` | ``learn``, ``predict``, ``evaluate``, ``save``, ``load`` |
| `ppo`, `dqn` | an agent each: its networks, its loss, a round of learning |
| `networks` | dense layers, or a module of one's own |
| `spaces` | observations as inputs of networks, actions as their outputs |
| `distributions` | of actions: sampled, log-probabilities, entropy |
| `worlds` | what may stand for ``env``; gymnasium's vectors of environments |
| `rollouts` | recorded steps, and their advantages |
| `replay` | the memory of transitions |

A new agent is one file: a subclass of :class:`~.agent.Agent` with ``round`` and
``_act``. Environments themselves, and how they come into a checkpoint, are
:class:`chainrule.training.Environments`; lessons with pictures are in
``chainrule.recipes``.
"""

from chainrule.rl.agent import Agent
from chainrule.rl.distributions import Categorical, MultiCategorical, Normal
from chainrule.rl.dqn import DQN, QNetworks, q_loss
from chainrule.rl.ppo import PPO, ActorCritic, ppo_loss
from chainrule.rl.replay import ReplayBuffer, Transitions
from chainrule.rl.rollouts import Rollout, gae, rollout
from chainrule.rl.worlds import VectorWorld

__all__ = [
    "DQN",
    "PPO",
    "ActorCritic",
    "Agent",
    "Categorical",
    "MultiCategorical",
    "Normal",
    "QNetworks",
    "ReplayBuffer",
    "Rollout",
    "Transitions",
    "VectorWorld",
    "gae",
    "ppo_loss",
    "q_loss",
    "rollout",
]
