"""Handwritten digits: a module, a loop, the share of right answers."""

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim


class Net(nn.Module):
    def __init__(self, hidden: int = 32, p: float = 0.1) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, hidden)
        self.fc2 = nn.Linear(hidden, 10)
        self.dropout = nn.Dropout(p)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = x.view(x.size(0), -1)
        x = F.relu(self.fc1(x))
        x = self.dropout(x)
        return F.log_softmax(self.fc2(x), dim=1)


def accuracy(model: nn.Module, x: cr.Tensor, y: cr.Tensor) -> float:
    model.eval()
    correct = 0
    with cr.no_grad():
        for i in range(0, len(x), 100):
            predicted = model(x[i : i + 100]).argmax(dim=1)
            correct += (predicted == y[i : i + 100]).sum().item()
    return correct / len(x)


def train(model: Net, x: cr.Tensor, y: cr.Tensor, epochs: int) -> list[float]:
    optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
    losses: list[float] = []
    for _ in range(epochs):
        model.train()
        for rows in cr.randperm(len(x)).split(50):
            optimizer.zero_grad()
            loss = F.nll_loss(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def main() -> None:
    cr.manual_seed(0)
    x = cr.rand(200, 1, 28, 28)
    y = (x.mean(dim=(1, 2, 3)) > 0.5).long()
    model = Net()
    losses = train(model, x, y, epochs=2)
    print(f"loss {losses[-1]:.3f}, accuracy {accuracy(model, x, y):.1%}")


if __name__ == "__main__":
    main()
