"""PPO and DQN in anyone's environments: values, spaces, vectors, kills, files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, rl
from chainrule.errors import (
    ArgumentError,
    CallError,
    CheckpointError,
    NonFiniteError,
)
from chainrule.rl.spaces import Actions, Observations
from chainrule.rl.worlds import as_world

from ..recipes.runs import need

need("gymnasium")

import gymnasium  # noqa: E402 - where there is one
from gymnasium import spaces  # noqa: E402

SMALL: Any = {"engine": "numpy", "threads": 1, "seed": 0}
PPO: Any = {"n_steps": 32, "batch_size": 16, "n_epochs": 2, "policy": (8,), **SMALL}
DQN: Any = {"learning_starts": 20, "buffer_size": 100, "policy": (8,), **SMALL}


class Count(gymnasium.Env[Any, Any]):
    """The observation counts steps, 1 is paid for each; over after ``length``."""

    def __init__(self, length: int = 3, cut: bool = False) -> None:
        self.length, self.cut, self.now = length, cut, 0
        self.observation_space = spaces.Box(0, 100, (1,), np.float32)
        self.action_space = spaces.Discrete(2)

    def seen(self) -> np.ndarray:
        return np.array([self.now], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.now = 0
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        self.now += 1
        over = self.now >= self.length
        return self.seen(), 1.0, over and not self.cut, over and self.cut, {}


class Still(Count):
    """Always the same observation: nobody sees the end coming."""

    def seen(self) -> np.ndarray:
        return np.zeros(1, np.float32)


class Spaces(Count):
    """An environment of given spaces, whose observations are drawn from its space."""

    def __init__(self, seen: Any, takes: Any) -> None:
        super().__init__(5, cut=True)
        self.observation_space, self.action_space = seen, takes
        self.taken: list[Any] = []

    def seen(self) -> Any:
        return self.observation_space.sample()

    def step(self, action: Any) -> Any:
        self.taken.append(np.asarray(action))
        return super().step(action)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.observation_space.seed(seed)
        return super().reset(seed=seed)


# -- values that are known -------------------------------------------------------------


@pytest.mark.one_in(2)
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("kind", [rl.PPO, rl.DQN])
def test_a_limit_of_time_is_no_end(kind: Any, cut: bool) -> None:
    """1 a step for ever is worth 1/(1 − γ) = 2; the one before an end is worth 1."""
    how: Any = {"learning_rate": 0.1, "gamma": 0.5, "policy": (), **SMALL}
    if kind is rl.PPO:
        how |= {"n_steps": 32, "n_epochs": 10, "gae_lambda": 0.5}
    else:
        how |= {"train_freq": 1, "target_update_interval": 5, "buffer_size": 200}
    agent: Any = kind(lambda: Still(1, cut), **how).learn(256)
    if kind is rl.PPO:
        value = agent.policy(cr.zeros(1, 1))[1].item()
    else:
        value = agent.policy.online(cr.zeros(1, 1)).numpy().max()
    assert value == pytest.approx(2.0 if cut else 1.0, abs=0.1)


# -- spaces ----------------------------------------------------------------------------

SEEN = {
    "vector": spaces.Box(-1, 1, (3,)),
    "number": spaces.Box(-1, 1, ()),
    "matrix": spaces.Box(-1, 1, (2, 3)),
    "bytes": spaces.Box(0, 255, (2, 4, 4), np.uint8),
    "discrete": spaces.Discrete(4, start=-1),
    "choices": spaces.MultiDiscrete([2, 3]),
    "binary": spaces.MultiBinary(3),
}
TAKES = {
    "discrete": spaces.Discrete(3, start=2),
    "choices": spaces.MultiDiscrete([2, 3]),
    "binary": spaces.MultiBinary(2),
    "box": spaces.Box(-0.1, 0.1, (2, 2)),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("seen", "takes"),
    [(s, "discrete") for s in SEEN] + [("vector", t) for t in TAKES],
)
def test_spaces(seen: str, takes: str) -> None:
    """Every action that an environment gets lies in its space."""
    env = Spaces(SEEN[seen], TAKES[takes])
    agent = rl.PPO(env, **PPO).learn(32)
    space = TAKES[takes]
    taken = [np.asarray(a, space.dtype).reshape(space.shape) for a in env.taken]
    assert len(taken) == 32
    assert all(space.contains(a) for a in taken)
    assert any((a != taken[0]).any() for a in taken)
    action, state = agent.predict(env.reset(seed=1)[0], deterministic=True)
    assert space.contains(action)
    assert state is None
    rows = np.stack([env.reset(seed=i)[0] for i in range(3)])
    assert agent.predict(rows)[0].shape == (3, *space.shape)


def test_what_a_network_reads() -> None:
    rows = np.array([[-1], [2]], np.float32)[:, 0]
    one_hot = Observations(SEEN["discrete"])(cr.tensor(rows))
    assert one_hot.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]
    both = Observations(SEEN["choices"])(cr.tensor([[1.0, 0.0]]))
    assert both.tolist() == [[0, 1, 1, 0, 0]]
    scaled = Observations(SEEN["bytes"])(cr.full((1, 2, 4, 4), 255.0))
    assert scaled.numpy() == pytest.approx(1.0)


def test_real_actions_are_clipped_where_they_are_taken() -> None:
    actions = Actions(TAKES["box"])
    assert actions.outputs == 4
    taken = actions.taken(np.array([[-5.0, 0.05, 5.0, 0.0]], np.float32))
    assert taken == pytest.approx(np.array([[[-0.1, 0.05], [0.1, 0.0]]]))


@pytest.mark.parametrize("kind", [rl.PPO, rl.DQN])
def test_a_module_as_policy(kind: Any) -> None:
    cr.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten())
    before = features[0].weight.numpy().copy()
    how = PPO if kind is rl.PPO else DQN | {"train_freq": 1}
    env = Spaces(SEEN["bytes"], spaces.Discrete(2))
    agent: Any = kind(env, **how | {"policy": features}).learn(32)
    assert (features[0].weight.numpy() != before).any()
    if kind is rl.DQN:
        assert agent.buffer.transitions.observations.dtype == np.uint8


# -- where it acts ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP", "DISABLED"])
def test_vectors_of_gymnasium(mode: str) -> None:
    """However a vector begins its episodes, the transitions are those of Count."""
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    makes: Any = [lambda: Count(3), lambda: Count(4, cut=True)]
    vector = SyncVectorEnv(makes, autoreset_mode=AutoresetMode[mode])
    world = rl.VectorWorld(vector, seed=0)
    agent = rl.DQN(vector, **DQN)
    agent.world = world
    agent.learn(60)
    count = len(agent.buffer)
    rows = agent.buffer.transitions
    seen, after = rows.observations[:count, 0], rows.next_observations[:count, 0]
    assert np.array_equal(after, seen + 1)  # never 0, the first of the next episode
    assert set(seen) == {0, 1, 2, 3}
    ended = rows.terminated[:count] > 0
    assert ended.any()
    assert (after[ended] == 3).all()
    assert (rows.rewards[:count] == 1).all()
    lengths = {(length, returned) for __, returned, length in world.episodes}
    assert lengths == {(3, 3.0), (4, 4.0)}
    assert count == (world.steps if mode == "NEXT_STEP" else 60)
    with pytest.raises(ArgumentError, match="cannot be written down"):
        agent.learn(10, checkpoint="nowhere")


def test_a_vector_whose_steps_begin_episodes_in_ppo() -> None:
    vector = gymnasium.make_vec("CartPole-v1", num_envs=3)
    agent = rl.PPO(vector, **PPO).learn(192)
    assert isinstance(agent.world, rl.VectorWorld)
    assert agent.world.steps == 192 - len(agent.world.episodes)
    assert len(agent.world.episodes) > 3
    with pytest.raises(ArgumentError, match="no environment for tests"):
        agent.evaluate(2)
    assert agent.evaluate(2, env="CartPole-v1")[0] > 5


def test_a_round_in_which_every_environment_begins() -> None:
    vector = gymnasium.vector.SyncVectorEnv([lambda: Count(2)] * 3)
    agent = rl.PPO(Count(), **PPO | {"n_steps": 3, "batch_size": 2})
    agent.world, agent.n_steps = rl.VectorWorld(vector), 1
    for __ in range(6):
        agent.round()
    assert len(agent.log["entropy"]) == 4  # of three steps two are steps
    assert all(np.isfinite(p.numpy()).all() for p in agent.policy.parameters())


class Doubled(gymnasium.vector.SyncVectorEnv):
    def step(self, actions: Any) -> Any:
        seen, rewards, *rest = super().step(actions)
        return seen, 2 * rewards, *rest


def test_what_a_vector_makes_of_its_environments_counts() -> None:
    agent = rl.PPO(Doubled([Count, Count]), **PPO).learn(64)
    assert {returned for __, returned, __ in agent.world.episodes} == {6.0}


@pytest.mark.parametrize("kind", [rl.PPO, rl.DQN])
def test_networks_act_in_prediction_mode(kind: Any) -> None:
    """They learn in training mode: statistics of batches, dropout."""
    norm: Any = nn.BatchNorm1d(8)
    features = nn.Sequential(nn.Linear(1, 8), norm, nn.Dropout(0.5))
    how = PPO if kind is rl.PPO else DQN | {"tau": 0.5, "target_update_interval": 1}
    agent: Any = kind(Count(), **how | {"policy": features})
    means = [norm.running_mean.tolist()]
    found = [agent.predict([3.0], deterministic=True)[0] for __ in range(20)]
    assert len(set(map(int, found))) == 1
    means.append(norm.running_mean.tolist())
    assert means == [[0.0] * 8] * 2
    agent.learn(32)
    assert norm.running_mean.tolist() != means[0]
    assert features.training
    if kind is rl.DQN:
        behind: Any = agent.policy.target[0][1][1]
        assert behind.running_mean.tolist() == norm.running_mean.tolist()


def test_what_may_stand_for_an_environment() -> None:
    assert len(as_world("CartPole-v1", 2, 0)[0].observations) == 2
    assert len(as_world(Count, 3, 0)[0].observations) == 3
    assert as_world(gymnasium.make("CartPole-v1"), 1, 0)[0].name == "CartPole-v1"
    sync = gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="sync")
    assert as_world(sync, 1, 0)[0].state()["steps"] == 0  # it can go back


def test_the_environments_of_these_tests() -> None:
    from gymnasium.utils.env_checker import check_env

    for env in (Count(), Spaces(SEEN["choices"], TAKES["box"])):
        check_env(env, skip_render_check=True)


class NoSpaces:
    def reset(self, *, seed: int | None = None) -> Any:
        self.np_random = np.random.default_rng(seed)
        return np.zeros(1), {}

    def step(self, action: Any) -> Any:
        return np.zeros(1), 0.0, False, False, {}


def same_twice() -> None:
    env = Count()
    rl.PPO(lambda: env, n_envs=2)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: rl.PPO("MlpPolicy"), "begins with the environment"),
        (lambda: rl.PPO(3), "acts in an environment"),
        (lambda: rl.PPO(NoSpaces()), "does not say what its observation_space"),
        (lambda: rl.PPO(Count(), n_envs=2), "one environment, and no more"),
        (lambda: rl.DQN("Pendulum-v1"), "a value for each"),
        (
            lambda: rl.PPO(Count(), policy="big"),  # type: ignore[arg-type]
            "policy is a network",
        ),
        (lambda: rl.PPO(Count(), policy=nn.Unflatten(1, (1, 1))), "row of features"),
        (lambda: rl.PPO(Count(), n_steps=1), "one step cannot be standardised"),
        (
            lambda: rl.PPO(Spaces(spaces.Dict(a=SEEN["vector"]), TAKES["discrete"])),
            "FlattenObservation",
        ),
        (
            lambda: rl.PPO(Spaces(SEEN["vector"], spaces.Tuple([TAKES["discrete"]]))),
            "takes actions that are numbers",
        ),
        (lambda: rl.PPO(Count(), gamma=1.5), "gamma"),
        (lambda: rl.PPO(Count(), clip_range_vf=-0.1), "clip_range_vf"),
        (
            lambda: rl.PPO(Count(), normalize_advantage="no"),  # type: ignore[arg-type]
            "normalize_advantage",
        ),
        (same_twice, "one environment, and no more"),
        (
            lambda: rl.PPO(Count(), **PPO).evaluate(
                env=gymnasium.vector.SyncVectorEnv([Count])
            ),
            "no environment for tests",
        ),
        (lambda: rl.PPO(Count(), **PPO).predict([1.0, 2.0]), "no observations of this"),
        (lambda: rl.PPO(Count(), **PPO).learn(-1), "total_timesteps"),
    ],
)
def test_what_is_refused(make: Any, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        make()
    with pytest.raises(CallError, match="did you mean 'n_steps'"):
        rl.PPO(Count(), n_step=3)  # type: ignore[call-arg]
    with pytest.raises(NonFiniteError, match="no observations of this"):
        rl.PPO(Count(), **PPO).predict([np.nan])


# -- learning on, files ----------------------------------------------------------------


def numbers(agent: Any) -> list[Any]:
    states = [agent.policy.state_dict(), agent.optimizer.state_dict()["state"]]
    arrays = [np.asarray(a).tobytes() for a in states[0].values()]
    arrays += [np.asarray(a).tobytes() for m in states[1].values() for a in m.values()]
    return [*arrays, agent.rng.random(), agent.world.observations.tolist()]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("kind", [rl.PPO, rl.DQN])
def test_a_run_that_was_cut_short_goes_on_bit_for_bit(
    kind: Any, tmp_path: Path
) -> None:
    how = PPO | {"n_envs": 2} if kind is rl.PPO else DQN | {"n_envs": 2}
    whole: Any = kind("CartPole-v1", **how).learn(256)
    calls: list[int] = []

    def killed(agent: Any) -> None:
        calls.append(agent.num_timesteps)
        if agent.num_timesteps == 128:
            raise RuntimeError

    stored: Any = {"checkpoint": tmp_path, "checkpoint_every": 0}
    with pytest.raises(RuntimeError):
        kind("CartPole-v1", **how).learn(256, callback=killed, **stored)
    later: Any = kind("CartPole-v1", **how).learn(256, **stored)
    assert later.num_timesteps == whole.num_timesteps == 256
    assert numbers(later) == numbers(whole)
    assert later.world.episodes == whole.world.episodes
    again: Any = kind("CartPole-v1", **how).learn(256, **stored)  # is over
    assert again.num_timesteps == 256
    with pytest.raises(CheckpointError):
        kind("CartPole-v1", **how | {"policy": (9,)}).learn(256, **stored)


def test_a_callback_ends_the_learning() -> None:
    agent = rl.PPO(Count(), **PPO)
    agent.learn(320, callback=lambda agent: agent.num_timesteps < 64)
    assert agent.num_timesteps == 64
    agent.learn(32)  # goes on
    assert agent.num_timesteps == 96
    agent.learn(320, callback=lambda agent: np.bool_(False))
    assert agent.num_timesteps == 128
    agent.learn(0)
    assert agent.num_timesteps == 128


def test_schedules() -> None:
    seen: list[float] = []

    def rate(left: float) -> float:
        seen.append(left)
        return 0.1 * left + 1e-3

    agent = rl.PPO(Count(), **PPO | {"learning_rate": rate}).learn(128)
    assert seen == [1.0, 1.0, 0.75, 0.5, 0.25]
    assert agent.optimizer.lr == pytest.approx(0.1 * 0.25 + 1e-3)
    how: Any = {"exploration_fraction": 0.5, "exploration_final_eps": 0.05}
    agent = rl.DQN(Count(), **DQN | how)
    agent.begin(100)
    found = []
    for agent.num_timesteps in (0, 25, 50, 80):
        found.append(agent.epsilon())
    assert found == pytest.approx([1.0, 0.525, 0.05, 0.05])


def test_the_target_network() -> None:
    how: Any = {"train_freq": 1, "target_update_interval": 1, "tau": 0.25}
    agent = rl.DQN(Count(), **DQN | how | {"learning_starts": 0})
    old = [p.numpy().copy() for p in agent.policy.target.parameters()]
    agent.learn(1)
    nets = agent.policy.online.parameters(), agent.policy.target.parameters()
    for before, new, after in zip(old, *nets):
        wanted = 0.25 * new.numpy() + 0.75 * before
        assert after.numpy() == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", [rl.PPO, rl.DQN])
def test_files(kind: Any, tmp_path: Path) -> None:
    how = PPO if kind is rl.PPO else DQN
    agent: Any = kind("CartPole-v1", **how).learn(64)
    agent.save(tmp_path / "agent")
    other: Any = kind.load(tmp_path / "agent", engine="numpy")
    rows = np.random.default_rng(0).standard_normal((50, 4))
    for how_ in (True, False):
        found = [a.predict(rows, deterministic=how_)[0] for a in (agent, other)]
        assert np.array_equal(*found)
    assert other.num_timesteps == 64
    assert other.learn(32).num_timesteps == 96
    wrong = rl.DQN if kind is rl.PPO else rl.PPO
    with pytest.raises(ArgumentError, match="no agent"):
        wrong.load(tmp_path / "agent")
    with pytest.raises(CheckpointError):
        kind.load(tmp_path / "agent", env=Count())


def test_a_stream_and_another_environment() -> None:
    stream = io.BytesIO()
    agent = rl.PPO("CartPole-v1", n_envs=2, **PPO).learn(64)
    agent.save(stream)
    stream.seek(0)
    other = rl.PPO.load(stream, gymnasium.make("CartPole-v1"), engine="numpy")
    row = [0.1, 0.2, 0.0, 0.0]
    assert len(other.world.observations) == 1
    rows = np.tile(row, (50, 1))
    assert (other.predict(rows)[0] == agent.predict(rows)[0]).all()


def test_a_file_without_its_function_is_refused(tmp_path: Path) -> None:
    how: Any = DQN | {"loss": nn.functional.mse_loss}
    rl.DQN("CartPole-v1", **how).save(tmp_path / "agent")
    with pytest.raises(ArgumentError, match="loss="):
        rl.DQN.load(tmp_path / "agent")
    loaded = rl.DQN.load(tmp_path / "agent", loss=nn.functional.mse_loss)
    assert loaded.policy.actions == 2


def test_a_loaded_agent_collects_before_it_learns(tmp_path: Path) -> None:
    rl.DQN("CartPole-v1", **DQN).learn(40).save(tmp_path / "agent")
    agent = rl.DQN.load(tmp_path / "agent", engine="numpy")
    updates = agent.optimizer.steps
    assert agent.learn(20).optimizer.steps == updates
    assert agent.learn(8).optimizer.steps == updates + 2


@pytest.mark.parametrize("kind", [rl.PPO, rl.DQN])
def test_drawn_actions_of_an_evaluation_are_its_own(kind: Any) -> None:
    agents = [kind("CartPole-v1", **(PPO if kind is rl.PPO else DQN)) for __ in "ab"]
    agents[0].learn(32)
    once, again = (agents[0].evaluate(3, deterministic=False) for __ in "ab")
    assert once == again
    agents[0].learn(32)
    agents[1].learn(32).learn(32)
    assert numbers(agents[0]) == numbers(agents[1])


def test_an_evaluation_in_the_environment_of_the_training() -> None:
    agents = []
    for evaluates in (True, False):
        env = gymnasium.make("CartPole-v1")
        agent = rl.PPO(lambda env=env: env, **PPO).learn(37)
        if evaluates:
            agent.evaluate(1)
            with pytest.raises(ArgumentError, match="one environment, and no more"):
                agent.evaluate(2)
            agent.evaluate(2, env=env.unwrapped)
            agent._likeliest = lambda rows: 1 / 0
            with pytest.raises(ZeroDivisionError):
                agent.evaluate(2, env=env)
        agents.append(agent.learn(32))
    assert numbers(agents[0]) == numbers(agents[1])


def test_an_evaluation_leaves_the_training_where_it_is() -> None:
    made = [gymnasium.make("CartPole-v1"), "CartPole-v1"]
    for env in made:
        agents = [rl.PPO(env, **PPO) for __ in range(2)]
        for agent in agents:
            agent.learn(32)
            if agent is agents[0]:
                assert agent.evaluate(3) == agent.evaluate(3)
            agent.learn(32)
            if env is not made[1]:
                break
        if env is made[1]:
            assert numbers(agents[0]) == numbers(agents[1])


# -- environments that others wrote, in earnest ----------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name", "steps", "least", "how"),
    [
        (rl.PPO, "CartPole-v1", 50_000, 300, {"n_envs": 4, "n_steps": 128}),
        (
            rl.PPO,
            "Acrobot-v1",
            50_000,
            -300,
            {
                "n_envs": 4,
                "n_steps": 128,
                "batch_size": 128,
                "n_epochs": 4,
                "learning_rate": lambda left: 1e-3 * left,
                "ent_coef": 0.01,
            },
        ),
        (
            rl.PPO,
            "Pendulum-v1",
            200_000,
            -500,
            {"n_envs": 4, "n_steps": 512, "gamma": 0.9, "learning_rate": 1e-3},
        ),
        (
            rl.PPO,
            "Taxi-v4",
            20_000,
            -250,
            {"n_envs": 8, "n_steps": 128},
        ),
        (
            rl.DQN,
            "FrozenLake-v1",
            30_000,
            0.3,
            {"learning_rate": 1e-3, "target_update_interval": 500},
        ),
        (
            rl.DQN,
            "CartPole-v1",
            50_000,
            100,
            {
                "learning_rate": 2.3e-3,
                "batch_size": 64,
                "buffer_size": 100_000,
                "learning_starts": 1000,
                "target_update_interval": 10,
                "train_freq": 256,
                "gradient_steps": 128,
                "exploration_fraction": 0.16,
                "exploration_final_eps": 0.04,
            },
        ),
    ],
)
def test_it_learns(kind: Any, name: str, steps: int, least: float, how: Any) -> None:
    agent: Any = kind(name, seed=1, threads=1, **how).learn(steps)
    assert agent.evaluate(20)[0] > least


@pytest.mark.parametrize("kind", [rl.PPO, rl.DQN])
def test_devices_are_those_of_the_engine_xla(kind: Any) -> None:
    with pytest.raises(errors.EngineError, match="runs on one device"):
        kind("CartPole-v1", engine="numpy", devices=2)
