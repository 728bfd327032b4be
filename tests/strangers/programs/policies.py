"""REINFORCE, and an actor with a critic, on an episode that was played."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical

from tests.strangers.given import fill, labels, numbers

GAMMA = 0.9


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 6)
        self.dropout = nn.Dropout(p=0.0)
        self.action_head = nn.Linear(6, 2)
        self.value_head = nn.Linear(6, 1)
        self.saved_log_probs, self.rewards = [], []

    def forward(self, x):
        x = F.relu(self.dropout(self.affine1(x)))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def returns_of(rewards):
    returns, R = [], 0
    for r in rewards[::-1]:
        R = r + GAMMA * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    eps = torch.finfo(returns.dtype).eps
    return (returns - returns.mean()) / (returns.std() + eps)


def main():
    states, actions = numbers(5, 4), labels(2, 5)
    rewards = [float(r) for r in numbers(5)]
    made = []

    policy = fill(Policy())
    optimizer = optim.Adam(policy.parameters(), lr=1e-2)
    for state, action in zip(states, actions):
        probs, _ = policy(torch.from_numpy(state).unsqueeze(0))
        m = Categorical(probs)
        assert m.sample().shape == (1,)
        action = torch.tensor([int(action)])
        policy.saved_log_probs.append(m.log_prob(action))
        policy.rewards.append(rewards[len(policy.rewards)])
        made.append(m.entropy().detach())
    losses = []
    for log_prob, R in zip(policy.saved_log_probs, returns_of(policy.rewards)):
        losses.append(-log_prob * R)
    optimizer.zero_grad()
    policy_loss = torch.cat(losses).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:], policy.saved_log_probs[:]
    made += [policy_loss.detach(), *policy.action_head.parameters()]

    model = fill(Policy())
    optimizer = optim.Adam(model.parameters(), lr=3e-2)

    @torch.compile
    def finish_episode(states, actions, returns):
        policy_losses, value_losses = [], []
        for state, action, R in zip(states, actions, returns):
            probs, value = model(state)
            log_prob = Categorical(probs).log_prob(action)
            advantage = R - value.detach().squeeze()
            policy_losses.append(-log_prob * advantage)
            value_losses.append(F.smooth_l1_loss(value, R.reshape(1)))
        optimizer.zero_grad()
        loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
        loss.backward()
        optimizer.step()
        return loss

    seen = torch.from_numpy(states), torch.from_numpy(actions), returns_of(rewards)
    made += [finish_episode(*seen) for _ in range(3)]
    return made, list(model.parameters())
