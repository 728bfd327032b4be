"""Regression of a polynomial without an optimiser, and a network of one's own."""

import torch
import torch.nn.functional as F

from tests.strangers.given import fill, numbers

POLY_DEGREE = 4


def make_features(x):
    x = x.unsqueeze(1)
    return torch.cat([x**i for i in range(1, POLY_DEGREE + 1)], 1)


def main():
    w_target = torch.from_numpy(numbers(POLY_DEGREE, 1)) * 5
    b_target = torch.from_numpy(numbers(1)) * 5
    fc = fill(torch.nn.Linear(w_target.size(0), 1))
    inputs = torch.from_numpy(numbers(3, 8))

    def get_batch(random):
        x = make_features(random)
        return x, x.mm(w_target) + b_target.item()

    @torch.compile
    def step(batch_x, batch_y):
        fc.zero_grad()
        output = F.smooth_l1_loss(fc(batch_x), batch_y)
        output.backward()
        for param in fc.parameters():
            param.data.add_(-0.1 * param.grad)
        return output

    losses = [step(*get_batch(random)).item() for random in inputs]

    w1 = torch.tensor(numbers(3, 5), requires_grad=True)
    w2 = torch.tensor(numbers(5, 1), requires_grad=True)
    x, y = torch.from_numpy(numbers(6, 3)), torch.from_numpy(numbers(6, 1))

    @torch.compile
    def by_hand():
        y_pred = x.mm(w1).clamp(min=0).mm(w2)
        loss = (y_pred - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= 1e-2 * w.grad
                w.grad.zero_()
        return loss

    losses += [by_hand().item() for _ in range(3)]
    return losses, fc.weight.view(-1), fc.bias, w1, w2
