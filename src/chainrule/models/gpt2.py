"""GPT-2, a language model (Radford et al. 2019), with Hugging Face's names.

Each block adds to its input what masked attention makes of it, and then what a network
of two layers makes of that; both read normalised numbers. The scores of the next token
are products with the table of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule import nn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import arange, zeros
from chainrule.nn.parameter import drawn
from chainrule.random import randn
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _, ngettext


@dataclass(frozen=True)
class GPT2Config:
    """The sizes of a GPT-2; those of the small one by default.

    ``GPT2Config(n_embd=1024, n_layer=24, n_head=16)`` is the medium one, 1280, 36, 20
    the large one, and 1600, 48, 25 the XL.

    Attributes:
        vocab_size, n_positions: tokens that there are, and that a text has at most.
        n_embd, n_layer, n_head: the width, blocks, and heads of a block.
        layer_norm_epsilon: the ε of normalisations.
        pdrop: dropout of embeddings, attention and blocks in training.
    """

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    layer_norm_epsilon: float = 1e-5
    pdrop: float = 0.1


class Conv1D(nn.Module):
    """A linear layer y = x W + b, whose W is (inputs, outputs), as GPT-2's files have.

    Args:
        inputs, outputs: how many numbers go in and come out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        self.weight = drawn(randn, inputs, outputs, std=0.02)
        self.bias = nn.Parameter(zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Compute x W + b."""
        return x @ self.weight + self.bias


class Attention(nn.Module):
    """Masked self-attention: position i reads the positions 0 … i."""

    def __init__(self, c: GPT2Config) -> None:
        self.heads, self.pdrop = c.n_head, c.pdrop
        self.c_attn = Conv1D(c.n_embd, 3 * c.n_embd)
        self.c_proj = Conv1D(c.n_embd, c.n_embd)
        self.dropout = nn.Dropout(c.pdrop)

    def forward(self, x: Tensor) -> Tensor:
        """Compute masked self-attention, of the shape (N, L, width) of x."""
        n, length, width = x.shape
        parts = self.c_attn(x).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        p = self.pdrop if self.training else 0.0
        y = nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=p, is_causal=True
        )
        return self.dropout(self.c_proj(y.transpose(1, 2).reshape(n, length, width)))


class MLP(nn.Module):
    """A block's network of two layers."""

    def __init__(self, c: GPT2Config) -> None:
        self.c_fc = Conv1D(c.n_embd, 4 * c.n_embd)
        self.act = nn.GELU("tanh")
        self.c_proj = Conv1D(4 * c.n_embd, c.n_embd)
        self.dropout = nn.Dropout(c.pdrop)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the network's output, of the shape of x."""
        return self.dropout(self.c_proj(self.act(self.c_fc(x))))


class Block(nn.Module):
    """A block of attention and a network of two layers, each normalised before."""

    def __init__(self, c: GPT2Config) -> None:
        self.ln_1 = nn.LayerNorm(c.n_embd, eps=c.layer_norm_epsilon)
        self.attn = Attention(c)
        self.ln_2 = nn.LayerNorm(c.n_embd, eps=c.layer_norm_epsilon)
        self.mlp = MLP(c)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block's output, of the shape of x."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2Model(nn.Module):
    """GPT-2 without its scores: tokens (N, L) to vectors (N, L, n_embd).

    Published files of GPT-2 have these names. Old ones have masks besides
    (``h.0.attn.bias``), which are no weights: ``load_state_dict(…, strict=False)``
    names them among ``unexpected_keys``.

    Args:
        config: its sizes.

    >>> import chainrule as cr
    >>> config = cr.models.GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=20)
    >>> cr.models.GPT2Model(config)(cr.tensor([[3, 1, 4]])).shape
    (1, 3, 8)
    """

    def __init__(self, config: GPT2Config = GPT2Config()) -> None:
        width, heads = config.n_embd, config.n_head
        if heads < 1 or width % heads:
            raise ArgumentError(
                _("A GPT-2 divides its width among its heads."),
                expected=_("n_embd a multiple of n_head"),
                got=f"n_embd={width}, n_head={heads}",
            )
        c = self.config = config
        self.wte = nn.Embedding(c.vocab_size, c.n_embd)
        self.wpe = nn.Embedding(c.n_positions, c.n_embd)
        self.drop = nn.Dropout(c.pdrop)
        blocks = [Block(c) for __ in range(c.n_layer)]
        self.h = nn.ModuleList(blocks)
        self.ln_f = nn.LayerNorm(c.n_embd, eps=c.layer_norm_epsilon)
        for table in (self.wte, self.wpe):
            nn.init.normal_(table.weight, std=0.02)
        for block in blocks:  # what is added 2·layers times starts smaller
            for layer in (block.attn.c_proj, block.mlp.c_proj):
                nn.init.normal_(layer.weight, std=0.02 / (2 * c.n_layer) ** 0.5)

    def forward(self, input_ids: Any) -> Tensor:
        """Return a GPT-2's vectors of tokens: (N, L, n_embd).

        Raises:
            ShapeError: no rows of tokens; more than there are positions.
        """
        ids = as_tensor(input_ids)
        if ids.ndim != 2:
            raise ShapeError(
                _("A GPT-2 reads texts, one a row."),
                expected=_("tokens of shape (N, L)"),
                got=str(ids.shape),
                fix="ids[None]" if ids.ndim == 1 else None,
            )
        length, most = ids.shape[-1], self.config.n_positions
        if isinstance(length, int) and length > most:
            raise ShapeError(
                _("A GPT-2 reads texts of a greatest length."),
                expected=ngettext("at most {n} token", "at most {n} tokens", n=most),
                got=str(length),
                fix=_("the last tokens alone: ids[:, -{most}:]", most=most),
            )
        x = self.drop(self.wte(ids) + self.wpe(arange(length)))
        for block in self.h:
            x = block(x)
        return self.ln_f(x)


class GPT2LMHeadModel(nn.Module):
    """GPT-2 with its scores: tokens (N, L) to scores of the next (N, L, vocab_size).

    Args:
        config: its sizes.
    """

    def __init__(self, config: GPT2Config = GPT2Config()) -> None:
        self.transformer = GPT2Model(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, input_ids: Any) -> Tensor:
        """Return a GPT-2's scores of the next token at each position."""
        return self.lm_head(self.transformer(input_ids))
