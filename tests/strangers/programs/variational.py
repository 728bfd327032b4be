"""A variational autoencoder of flat images."""

import torch
import torch.utils.data
from torch import nn, optim
from torch.nn import functional as F

from tests.strangers.given import fill, numbers


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(12, 8)
        self.fc21 = nn.Linear(8, 2)
        self.fc22 = nn.Linear(8, 2)
        self.fc3 = nn.Linear(2, 8)
        self.fc4 = nn.Linear(8, 12)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar, eps):
        std = torch.exp(0.5 * logvar)
        assert torch.randn_like(std).size() == eps.size()
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x, eps):
        mu, logvar = self.encode(x.view(-1, 12))
        return self.decode(self.reparameterize(mu, logvar, eps)), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x.view(-1, 12), reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


def main():
    torch.manual_seed(1)
    device = torch.device("cpu")
    images = torch.sigmoid(torch.tensor(numbers(8, 1, 3, 4)))
    train_loader = torch.utils.data.DataLoader(
        [(image, 0) for image in images], batch_size=4, shuffle=False
    )
    model = fill(VAE()).to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    noise = torch.from_numpy(numbers(4, 2))

    @torch.compile
    def step(data):
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data, noise)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        optimizer.step()
        return loss

    losses = []
    for _ in range(2):
        model.train()
        train_loss = 0
        for data, _ in train_loader:
            train_loss += step(data.to(device)).item()
        losses.append(train_loss / len(train_loader.dataset))
    model.eval()
    with torch.no_grad():
        recon, mu, _ = model(images[:4], noise)
        pairs = torch.cat([images[:2], recon.view(4, 1, 3, 4)[:2]])
        sample = model.decode(torch.ones(3, 2).to(device)).cpu()
    return losses, pairs, mu, sample.view(3, 1, 3, 4)
