"""A siamese network that says whether two pictures show the same."""

import torch
import torch.nn as nn
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import Dataset

from tests.strangers.given import fill, labels, numbers


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        whole = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=(3, 3), stride=(2, 2), padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Flatten(),
        )
        self.body = torch.nn.Sequential(*(list(whole.children())[:-1]))
        self.fc = nn.Sequential(
            nn.Linear(4 * 2, 6), nn.ReLU(inplace=True), nn.Linear(6, 1)
        )
        self.sigmoid = nn.Sigmoid()
        self.body.apply(self.init_weights)
        self.fc.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward_once(self, x):
        output = self.body(x)
        return output.view(output.size()[0], -1)

    def forward(self, input1, input2):
        output = torch.cat((self.forward_once(input1), self.forward_once(input2)), 1)
        return self.sigmoid(self.fc(output))


class Pairs(Dataset):
    def __init__(self):
        self.data = torch.from_numpy(numbers(8, 1, 6, 6))
        self.same = labels(2, 8)

    def __len__(self):
        return self.data.shape[0]

    def __getitem__(self, index):
        other = self.data[(index + 1) % len(self)]
        target = torch.tensor(self.same[index], dtype=self.data.dtype)
        return self.data[index], other, target


def main():
    model = SiameseNetwork()
    assert model.fc[0].bias.tolist() == torch.full((6,), 0.01).tolist()
    fill(model)
    train_loader = torch.utils.data.DataLoader(Pairs(), batch_size=4)
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    criterion = nn.BCELoss()

    @torch.compile
    def step(images_1, images_2, targets):
        optimizer.zero_grad()
        outputs = model(images_1, images_2).squeeze()
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        return loss

    losses, correct, test_loss = [], 0, 0
    for _ in range(2):
        model.train()
        losses += [step(*batch).item() for batch in train_loader]
        scheduler.step()
    model.eval()
    with torch.no_grad():
        for images_1, images_2, targets in train_loader:
            outputs = model(images_1, images_2).squeeze()
            test_loss += criterion(outputs, targets).sum().item()
            pred = torch.where(outputs > 0.5, 1, 0)
            correct += pred.eq(targets.view_as(pred)).sum().item()
    return losses, test_loss, correct, list(model.buffers()), outputs
