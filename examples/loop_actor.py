"""An actor with a replay buffer on the loop: it acts, and it learns.

    python examples/loop_actor.py runs/actor

The environment is a corridor: steps to the left or the right, a reward at its right
end. A small network learns how much each step is worth (Watkins 1989; Mnih et al.
2013).
What the environment, the buffer and the dice remember is the state of the source, so a
run that is killed at any moment goes on bit for bit.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import BatchSource, Loop, RunState, StepInputs, compile_program

CELLS, ROOM, BATCH, STEPS = 8, 512, 32, 500
DISCOUNT, GREED = 0.9, 0.8
ONE_HOT = np.eye(CELLS, dtype=np.float32)


class Corridor(BatchSource):
    """The environment, a buffer of what happened in it, and the dice."""

    def __init__(self, seed: int) -> None:
        self.dice = np.random.default_rng(seed)
        self.cell, self.count, self.rewards = 0, 0, 0.0
        #: (cell, action, reward, next cell) of the last ROOM steps
        self.buffer = np.zeros((ROOM, 4), np.float32)

    def take(self, state: RunState, most: int) -> StepInputs | None:
        """Four steps in the corridor, then one of learning."""
        if state.step == STEPS:
            return None
        if state.step % 5 < 4:
            return StepInputs({"cell": ONE_HOT[[self.cell]]}, entry="act")
        rows = self.dice.integers(min(self.count, ROOM), size=BATCH)
        before, action, reward, after = self.buffer[rows].T
        inputs = {
            "before": ONE_HOT[before.astype(int)],
            "action": np.eye(2, dtype=np.float32)[action.astype(int)],
            "reward": reward,
            "after": ONE_HOT[after.astype(int)],
        }
        return StepInputs(inputs, entry="learn")

    def see(self, work: StepInputs, outputs: Any) -> None:
        """Go where the network says, mostly, and remember what came of it."""
        if work.entry != "act":
            return
        greedy = self.dice.random() < GREED
        action = outputs["worth"].argmax() if greedy else self.dice.integers(2)
        after = int(np.clip(self.cell + (1 if action else -1), 0, CELLS - 1))
        reward = float(after == CELLS - 1)
        self.buffer[self.count % ROOM] = self.cell, action, reward, after
        self.count += 1
        self.rewards += reward
        self.cell = 0 if reward else after

    def state(self) -> dict[str, Any]:
        """All that it has gathered and drawn."""
        kept = {"cell": self.cell, "count": self.count, "rewards": self.rewards}
        return {**kept, "buffer": self.buffer, "dice": self.dice.bit_generator.state}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.cell, self.count = state["cell"], state["count"]
        self.rewards, self.buffer = state["rewards"], state["buffer"]
        self.dice.bit_generator.state = state["dice"]


def make(engine: str = "auto", seed: int = 0) -> Loop:
    """The loop, at its start."""
    cr.manual_seed(seed)
    network = nn.Sequential(nn.Linear(CELLS, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = optim.Adam(network.parameters(), lr=5e-3)

    def act(cell: cr.Tensor) -> Any:
        return {"worth": network(cell)}

    def learn(
        before: cr.Tensor, action: cr.Tensor, reward: cr.Tensor, after: cr.Tensor
    ) -> Any:
        target = reward + (1 - reward) * DISCOUNT * network(after).amax(1).detach()
        worth = (network(before) * action).sum(1)
        loss = ((worth - target) ** 2).mean()
        network.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss, "worth": worth.mean()}

    many = f"f32[{BATCH},{CELLS}]"
    inputs = {"cell": f"f32[1,{CELLS}]", "before": many, "after": many}
    inputs |= {"action": f"f32[{BATCH},2]", "reward": f"f32[{BATCH}]"}
    functions, more = {"act": act, "learn": learn}, {"engine": engine, "threads": 1}
    program = compile_program(
        functions, inputs, model=network, optimizers=[optimizer], **more
    )
    return Loop(program, "learn", Corridor(seed))


def main(directory: Path, epochs: int = 5, engine: str = "auto") -> None:
    """Train, or go on from what is there."""
    loop = make(engine)
    if (directory / "last.ckpt").exists():
        loop.load(directory)
    print(loop.run(epochs=epochs, checkpoint=directory, checkpoint_every=0))


if __name__ == "__main__":
    usual = ("runs/loop", "5", "auto")
    place, epochs, engine = (*sys.argv[1:], *usual[len(sys.argv) - 1 :])
    main(Path(place), int(epochs), engine)
