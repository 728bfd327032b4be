"""A small transformer block written out, and the one of the library."""

import math

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn


class Block(nn.Module):
    """One causal self-attention block with residual connections."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def attend(self, x: cr.Tensor) -> cr.Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q = q.view(n, t, self.heads, d // self.heads).transpose(1, 2)
        k = k.view(n, t, self.heads, d // self.heads).transpose(1, 2)
        v = v.view(n, t, self.heads, d // self.heads).transpose(1, 2)
        scores = q @ k.transpose(-2, -1) / math.sqrt(d // self.heads)
        mask = cr.tril(cr.ones(t, t)).bool()
        scores = scores.masked_fill(~mask, float("-inf"))
        mixed = F.softmax(scores, dim=-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, t, d))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = x + self.attend(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


x = cr.randn(2, 5, 16)
block = Block(16, heads=4)
y = block(x)
print(y.shape, sum(p.numel() for p in block.parameters()))
first = F.scaled_dot_product_attention(x, x, x, is_causal=True)
mha = nn.MultiheadAttention(16, num_heads=4, batch_first=True)
mixed, weights = mha(x, x, x, need_weights=True)
assert weights is not None
print(first.shape, mixed.shape, weights.sum(-1).mean().item())
layer = nn.TransformerEncoderLayer(16, nhead=4, dim_feedforward=32, batch_first=True)
encoder = nn.TransformerEncoder(layer, num_layers=2)
print(encoder(x).shape)
