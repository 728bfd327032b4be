"""A variational autoencoder whose network is made of a list of sizes."""

from itertools import pairwise

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim


def mlp(sizes: list[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            layers.append(activation())
    return nn.Sequential(*layers)


class VAE(nn.Module):
    def __init__(self, inputs: int, latent: int = 2) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = mlp([inputs, 16, 2 * latent])
        self.decoder = mlp([latent, 16, inputs], nn.Tanh)
        self.log_scale = nn.Parameter(cr.zeros(1))

    def encode(self, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=-1)
        return mu, log_var

    def forward(self, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor, cr.Tensor]:
        mu, log_var = self.encode(x)
        z = mu + cr.randn_like(mu) * (0.5 * log_var).exp()
        return self.decoder(z).sigmoid(), mu, log_var

    def sample(self, count: int) -> cr.Tensor:
        return self.decoder(cr.randn(count, self.latent)).sigmoid()


def vae_loss(
    out: cr.Tensor, x: cr.Tensor, mu: cr.Tensor, log_var: cr.Tensor
) -> cr.Tensor:
    rebuilt = F.binary_cross_entropy(out, x, reduction="sum")
    kl = -0.5 * (1 + log_var - mu.pow(2) - log_var.exp()).sum()
    return (rebuilt + kl) / len(x)


cr.manual_seed(0)
data = (cr.rand(64, 12) > 0.5).float()
vae = VAE(12)
optimizer = optim.Adam(vae.parameters(), lr=1e-2)
for epoch in range(5):
    out, mu, log_var = vae(data)
    loss = vae_loss(out, data, mu, log_var) + 0 * vae.log_scale.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"epoch {epoch}: {loss.item():.3f}")
print(vae.sample(3).shape, vae)
