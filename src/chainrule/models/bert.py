"""BERT, an encoder of texts (Devlin et al. 2019), with Hugging Face's names.

Every token reads every other. Sentence encoders such as MiniLM are BERTs of other
sizes. Each part of a block adds its output to its input and normalises the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from chainrule import nn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import arange, zeros_like
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _, ngettext


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT; those of the base one, without capitals, by default.

    Attributes:
        vocab_size, max_position_embeddings, type_vocab_size: tokens that there are,
            that a text has at most, and kinds of them (first and second sentence).
        hidden_size, num_hidden_layers, num_attention_heads, intermediate_size: the
            width, blocks, heads of a block, and the width of the layer within it.
        layer_norm_eps: the ε of normalisations.
        dropout: of embeddings, attention and blocks in training.
    """

    vocab_size: int = 30522
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    layer_norm_eps: float = 1e-12
    dropout: float = 0.1


class BertOutput(NamedTuple):
    """The outputs of a BERT.

    Attributes:
        last_hidden_state: the vectors of all tokens, (N, L, hidden_size).
        pooler_output: of the first one, for the whole text, (N, hidden_size).
    """

    last_hidden_state: Tensor
    pooler_output: Tensor


class Embeddings(nn.Module):
    """The sum of vectors for a token, its position and its kind, normalised."""

    def __init__(self, c: BertConfig) -> None:
        self.word_embeddings = nn.Embedding(c.vocab_size, c.hidden_size)
        positions = c.max_position_embeddings
        self.position_embeddings = nn.Embedding(positions, c.hidden_size)
        self.token_type_embeddings = nn.Embedding(c.type_vocab_size, c.hidden_size)
        self.LayerNorm = nn.LayerNorm(c.hidden_size, eps=c.layer_norm_eps)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, ids: Tensor, kinds: Tensor) -> Tensor:
        """Return the vectors of tokens: (N, L, hidden_size)."""
        places = self.position_embeddings(arange(ids.shape[-1]))
        x = self.word_embeddings(ids) + self.token_type_embeddings(kinds) + places
        return self.dropout(self.LayerNorm(x))


class SelfAttention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, c: BertConfig) -> None:
        self.heads, self.p = c.num_attention_heads, c.dropout
        self.query = nn.Linear(c.hidden_size, c.hidden_size)
        self.key = nn.Linear(c.hidden_size, c.hidden_size)
        self.value = nn.Linear(c.hidden_size, c.hidden_size)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Compute self-attention, of the shape (N, L, width) of x."""
        n, length, width = x.shape

        def split(y: Tensor) -> Tensor:
            return y.reshape(n, length, self.heads, width // self.heads).transpose(1, 2)

        parts = map(split, (self.query(x), self.key(x), self.value(x)))
        p = self.p if self.training else 0.0
        y = nn.functional.scaled_dot_product_attention(
            *parts, attn_mask=mask, dropout_p=p
        )
        return y.transpose(1, 2).reshape(n, length, width)


class Residual(nn.Module):
    """A linear layer whose output is added to what came before it, and normalised."""

    def __init__(self, c: BertConfig, inputs: int) -> None:
        self.dense = nn.Linear(inputs, c.hidden_size)
        self.LayerNorm = nn.LayerNorm(c.hidden_size, eps=c.layer_norm_eps)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """Compute the norm of x + W y + b."""
        return self.LayerNorm(self.dropout(self.dense(y)) + x)


class Attention(nn.Module):
    """Self-attention, added to its input."""

    def __init__(self, c: BertConfig) -> None:
        self.self = SelfAttention(c)
        self.output = Residual(c, c.hidden_size)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the output of attention, of the shape of x."""
        return self.output(self.self(x, mask), x)


class Intermediate(nn.Module):
    """The first layer of a block's network."""

    def __init__(self, c: BertConfig) -> None:
        self.dense = nn.Linear(c.hidden_size, c.intermediate_size)
        self.intermediate_act_fn = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Compute GELU(W x + b)."""
        return self.intermediate_act_fn(self.dense(x))


class Block(nn.Module):
    """A block of attention and a network of two layers."""

    def __init__(self, c: BertConfig) -> None:
        self.attention = Attention(c)
        self.intermediate = Intermediate(c)
        self.output = Residual(c, c.intermediate_size)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the block's output, of the shape of x."""
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class Encoder(nn.Module):
    """The blocks of a BERT."""

    def __init__(self, c: BertConfig) -> None:
        self.layer = nn.ModuleList([Block(c) for __ in range(c.num_hidden_layers)])

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the output of the last block."""
        for block in self.layer:
            x = block(x, mask)
        return x


class Pooler(nn.Module):
    """A layer that makes one vector of a text, from that of its first token."""

    def __init__(self, c: BertConfig) -> None:
        self.dense = nn.Linear(c.hidden_size, c.hidden_size)
        self.activation = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        """Compute tanh(W x₀ + b)."""
        return self.activation(self.dense(x[:, 0]))


class BertModel(nn.Module):
    """A BERT encoder: tokens (N, L) to vectors.

    Old files have ``embeddings.position_ids`` besides, which are no weights.

    Args:
        config: its sizes.

    >>> import chainrule as cr
    >>> sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    >>> config = cr.models.BertConfig(vocab_size=20, intermediate_size=16, **sizes)
    >>> output = cr.models.BertModel(config)(cr.tensor([[3, 1, 4]]))
    >>> output.last_hidden_state.shape, output.pooler_output.shape
    ((1, 3, 8), (1, 8))
    """

    def __init__(self, config: BertConfig = BertConfig()) -> None:
        width, heads = config.hidden_size, config.num_attention_heads
        if heads < 1 or width % heads:
            raise ArgumentError(
                _("A BERT divides its width among its heads."),
                expected=_("hidden_size a multiple of num_attention_heads"),
                got=f"hidden_size={width}, num_attention_heads={heads}",
            )
        self.config = config
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.pooler = Pooler(config)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(
        self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None
    ) -> BertOutput:
        """Return a BERT's vectors of texts.

        Args:
            input_ids: tokens, (N, L).
            attention_mask: 1 for tokens, 0 for what fills a shorter text up, (N, L).
            token_type_ids: the kind of each token, (N, L); 0 by default.

        Raises:
            ShapeError: no rows of tokens; more than there are positions.
        """
        ids = as_tensor(input_ids)
        if ids.ndim != 2:
            raise ShapeError(
                _("A BERT reads texts, one a row."),
                expected=_("tokens of shape (N, L)"),
                got=str(ids.shape),
                fix="ids[None]" if ids.ndim == 1 else None,
            )
        length, most = ids.shape[-1], self.config.max_position_embeddings
        if isinstance(length, int) and length > most:
            raise ShapeError(
                _("A BERT reads texts of a greatest length."),
                expected=ngettext("at most {n} token", "at most {n} tokens", n=most),
                got=str(length),
                fix=_("the first tokens alone: ids[:, :{most}]", most=most),
            )
        given = token_type_ids is not None
        kinds = as_tensor(token_type_ids) if given else zeros_like(ids)
        mask = None
        if attention_mask is not None:
            mask = (as_tensor(attention_mask) != 0)[:, None, None, :]
        x = self.encoder(self.embeddings(ids, kinds), mask)
        return BertOutput(x, self.pooler(x))
