"""Deep Q-learning in a corridor, with a replay buffer and a target network."""

import copy
import random
from collections import deque
from typing import NamedTuple

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim


class Step(NamedTuple):
    state: cr.Tensor
    action: int
    reward: float
    after: cr.Tensor
    done: bool


class Corridor:
    """Five cells; a reward at the right end."""

    def __init__(self) -> None:
        self.at = 0

    def observe(self) -> cr.Tensor:
        return F.one_hot(cr.tensor(self.at), 5).float()

    def step(self, action: int) -> tuple[cr.Tensor, float, bool]:
        self.at = max(self.at + (1 if action else -1), 0)
        done = self.at == 4
        return self.observe(), float(done), done


def act(q: nn.Module, state: cr.Tensor, epsilon: float) -> int:
    if random.random() < epsilon:
        return random.randrange(2)
    with cr.no_grad():
        return int(q(state[None]).argmax(dim=1))


def learn(
    q: nn.Module, target: nn.Module, optimizer: optim.Optimizer, batch: list[Step]
) -> float:
    states = cr.stack([s.state for s in batch])
    actions = cr.tensor([s.action for s in batch])
    rewards = cr.tensor([s.reward for s in batch])
    alive = cr.tensor([0.0 if s.done else 1.0 for s in batch])
    with cr.no_grad():
        future = target(cr.stack([s.after for s in batch])).max(dim=1).values
    chosen = q(states).gather(1, actions[:, None]).squeeze(1)
    loss = F.smooth_l1_loss(chosen, rewards + 0.9 * alive * future)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


random.seed(0)
cr.manual_seed(0)
q = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
target = copy.deepcopy(q)
optimizer = optim.Adam(q.parameters(), lr=1e-2)
memory: deque[Step] = deque(maxlen=200)
for episode in range(6):
    world, loss = Corridor(), 0.0
    state = world.observe()
    for _ in range(15):
        action = act(q, state, epsilon=0.5)
        after, reward, done = world.step(action)
        memory.append(Step(state, action, reward, after, done))
        state = after
        if len(memory) >= 16:
            loss = learn(q, target, optimizer, random.sample(memory, 16))
        if done:
            break
    target.load_state_dict(q.state_dict())
    print(episode, f"{loss:.4f}")
