"""Time sequences: two LSTM cells, LBFGS with a closure, a forecast."""

import torch
import torch.nn as nn
import torch.optim as optim

from tests.strangers.given import fill, numbers


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1 = nn.LSTMCell(1, 3)
        self.lstm2 = nn.LSTMCell(3, 3)
        self.linear = nn.Linear(3, 1)

    def forward(self, input, future=0):
        outputs = []
        h_t = torch.zeros(input.size(0), 3, dtype=input.dtype)
        c_t = torch.zeros(input.size(0), 3, dtype=input.dtype)
        h_t2 = torch.zeros(input.size(0), 3, dtype=input.dtype)
        c_t2 = torch.zeros(input.size(0), 3, dtype=input.dtype)
        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        for _ in range(future):
            h_t, c_t = self.lstm1(output, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        return torch.cat(outputs, dim=1)


def main():
    data = numbers(4, 7)
    input, target = torch.from_numpy(data[:, :-1]), torch.from_numpy(data[:, 1:])
    seq = fill(Sequence())
    criterion = nn.MSELoss()
    optimizer = optim.LBFGS(seq.parameters(), lr=0.8, max_iter=3)
    forward = torch.compile(lambda: criterion(seq(input), target))
    losses = []
    for _ in range(2):

        def closure():
            optimizer.zero_grad()
            loss = forward()
            losses.append(loss.item())
            loss.backward()
            return loss

        optimizer.step(closure)
    with torch.no_grad():
        pred = seq(input, future=2)
        test = criterion(pred[:, :-2], target)
        y = pred.detach().numpy()
    return losses, test, torch.from_numpy(y)
