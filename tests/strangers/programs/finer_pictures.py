"""Super resolution: sub-pixel convolution, its loader, and the psnr."""

from math import log10

import torch
import torch.nn as nn
import torch.nn.init as init
import torch.optim as optim
from torch.utils.data import DataLoader, Dataset

from tests.strangers.given import fill, numbers


class Pictures(Dataset):
    def __init__(self, count):
        super().__init__()
        self.wide = numbers(count, 1, 6, 6)

    def __getitem__(self, index):
        target = torch.from_numpy(self.wide[index])
        return target[:, ::2, ::2].clone(), target

    def __len__(self):
        return len(self.wide)


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 4, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(4, 4, (3, 3), (1, 1), (1, 1))
        self.conv4 = nn.Conv2d(4, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.pixel_shuffle(self.conv4(x))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv4.weight)


def main():
    device = torch.device("cpu")
    loader = DataLoader(dataset=Pictures(4), num_workers=0, batch_size=2, shuffle=False)
    model = fill(Net(upscale_factor=2)).to(device)
    criterion = nn.MSELoss()
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(input, target):
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        loss.backward()
        optimizer.step()
        return loss

    step = torch.compile(step)
    epoch_loss, avg_psnr = 0, 0
    for _, batch in enumerate(loader, 1):
        input, target = batch[0].to(device), batch[1].to(device)
        epoch_loss += step(input, target).item()
    with torch.no_grad():
        for batch in loader:
            mse = criterion(model(batch[0]), batch[1])
            avg_psnr += 10 * log10(1 / mse.item())
    return epoch_loss / len(loader), avg_psnr / len(loader), list(model.parameters())
