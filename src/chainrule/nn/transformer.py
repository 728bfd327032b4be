"""Transformers: encoder and decoder blocks, stacks of blocks, and both combined."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, ClassVar

from chainrule.errors import ArgumentError
from chainrule.functions import full
from chainrule.nn import init
from chainrule.nn.activations import gelu, relu
from chainrule.nn.affine import Linear
from chainrule.nn.arguments import Count, flag, positive_integers
from chainrule.nn.attention import MultiheadAttention, check_heads
from chainrule.nn.construction import described
from chainrule.nn.containers import ModuleList
from chainrule.nn.module import Module
from chainrule.nn.normalization import LayerNorm
from chainrule.nn.regularization import Dropout
from chainrule.random.generator import reserve
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util import validation

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]
#: Activations of a transformer that have a name.
ACTIVATIONS = {"relu": relu, "gelu": gelu}


class _Block(Module):
    """Base class of Transformer blocks: attention and an MLP with residuals.

    The arguments are those of :class:`TransformerEncoderLayer`.
    """

    attentions: ClassVar[tuple[str, ...]] = ("self_attn",)
    self_attn: MultiheadAttention

    def __init__(
        self,
        d_model: Count,
        nhead: int,
        dim_feedforward: Count = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        is_class = isinstance(activation, type)
        named = isinstance(activation, str) and activation in ACTIVATIONS
        if is_class or not (named or callable(activation)):
            raise ArgumentError(
                _("{kind} needs an activation.", kind=kind),
                expected=_("'relu', 'gelu' or a function of tensors"),
                got=f"activation={activation!r:.80}",
                fix=f"activation=nn.{activation.__name__}()" if is_class else None,
            )
        width, heads = positive_integers(kind, d_model=d_model, nhead=nhead)
        check_heads(kind, d_model=width, nhead=heads)
        shared: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        for name in self.attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout, batch_first=batch_first, **shared
            )
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, **shared)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **shared)
        self.norm_first = flag(kind, "norm_first", norm_first)
        parts = range(1, len(self.attentions) + 2)
        for i in parts:
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, **shared))
        for i in parts:
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = activation

    def _through(self, x: Tensor, *parts: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply a Transformer block's parts, each with residual, norm and dropout."""
        for i, part in enumerate((*parts, self._changed), 1):
            norm, drop = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
            x = x + drop(part(norm(x))) if self.norm_first else norm(x + drop(part(x)))
        return x

    def _changed(self, x: Tensor) -> Tensor:
        f = self.activation
        f = ACTIVATIONS[f] if isinstance(f, str) else f
        return self.linear2(self.dropout(f(self.linear1(x))))


class TransformerEncoderLayer(_Block):
    """A Transformer encoder block: self-attention and an MLP, with residuals.

        x ← LayerNorm(x + Attention x),   x ← LayerNorm(x + MLP x)
        x ← x + Attention(LayerNorm x),   x ← x + MLP(LayerNorm x)    with norm_first

    where MLP x = W₂ f(W₁ x + b₁) + b₂, and Attention is a MultiheadAttention.

    Vaswani et al. 2017, 3.1; norm_first after Xiong et al. 2020, "On layer
    normalization in the transformer architecture".

    Args:
        d_model: the width of each position, a multiple of nhead.
        nhead: the number of heads of the attention.
        dim_feedforward: units of the network.
        dropout: the probability of dropping weights of the attention, units of the
            network, and what is added.
        activation: f, ``"relu"``, ``"gelu"``, or a function of tensors.
        layer_norm_eps: ε of the norms.
        batch_first: whether sequences are (N, L, d_model); else (L, N, d_model).
        norm_first: whether each part normalises its input, instead of the sum after it.
        bias: whether products and norms have a bias.
        dtype: of the parameters.

    Shapes:
        (L, N, d_model) or (L, d_model), and the same; the parts are ``self_attn``,
        ``linear1``, ``linear2``, ``norm1`` and ``norm2``.

    >>> import chainrule as cr
    >>> layer = cr.nn.TransformerEncoderLayer(8, 2, 32, batch_first=True)
    >>> layer(cr.zeros(3, 5, 8)).shape
    (3, 5, 8)
    """

    def forward(
        self,
        src: Tensor,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Encode a sequence by a Transformer block; masks as MultiheadAttention's."""
        masks = (src_key_padding_mask, False, src_mask, True, is_causal)
        return self._through(src, lambda x: self.self_attn(x, x, x, *masks)[0])


class TransformerDecoderLayer(_Block):
    """A Transformer decoder block: self-attention, attention to a memory, and an MLP.

        x ← LayerNorm(x + Attention x),   x ← LayerNorm(x + Attention(x, memory)),
        x ← LayerNorm(x + MLP x);   with norm_first each norm is of what a part is given

    Vaswani et al. 2017, 3.1.

    Args:
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps,
        batch_first, norm_first, bias, dtype: see :class:`TransformerEncoderLayer`.

    Shapes:
        tgt (L, N, d_model) or (L, d_model), memory (S, N, d_model) or (S, d_model), and
        the shape of tgt; the parts are ``self_attn``, ``multihead_attn``, ``linear1``,
        ``linear2``, ``norm1``, ``norm2`` and ``norm3``.

    >>> import chainrule as cr
    >>> layer = cr.nn.TransformerDecoderLayer(8, 2, 32, batch_first=True)
    >>> layer(cr.zeros(3, 5, 8), cr.zeros(3, 7, 8), tgt_is_causal=True).shape
    (3, 5, 8)
    """

    attentions = ("self_attn", "multihead_attn")
    multihead_attn: MultiheadAttention

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Decode a sequence by a Transformer block; masks as MultiheadAttention's."""
        own = (tgt_key_padding_mask, False, tgt_mask, True, tgt_is_causal)
        other = (memory_key_padding_mask, False, memory_mask, True, memory_is_causal)
        return self._through(
            tgt,
            lambda x: self.self_attn(x, x, x, *own)[0],
            lambda x: self.multihead_attn(x, memory, memory, *other)[0],
        )


class _Stack(Module):
    """Base class of a Transformer's stacks: copies of a block, and an optional norm."""

    def __init__(self, layer: Any, num_layers: Any, norm: Any) -> None:
        kind = type(self).__name__
        (self.num_layers,) = positive_integers(kind, num_layers=num_layers)
        name = next(iter(self._arguments), "layer")
        validation.instance(name, layer, Module, f"nn.{kind}Layer(8, 2)")
        if norm is not None:
            validation.instance("norm", norm, Module, "nn.LayerNorm(8)")
        reserve(self.num_layers * sum(int(t.size) for __, t in layer.named_tensors()))
        self.layers = ModuleList(copy.deepcopy(layer) for __ in range(self.num_layers))
        self.norm = norm

    def settings(self) -> dict[str, Any]:
        """Return the stack's constructor arguments, with its first block as now."""
        name = next(iter(self._arguments))
        return super().settings() | {name: described(self.layers[0])}

    def _through(self, x: Tensor, *memory: Any, **masks: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, *memory, **masks)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """A Transformer encoder: a stack of encoder blocks, copies of a given one.

    As in PyTorch the copies begin with the same weights; ``nn.init`` draws others.

    Args:
        encoder_layer: the layer.
        num_layers: the number of copies.
        norm: a module after the last copy, such as ``nn.LayerNorm(d_model)``.

    Shapes:
        as of the layer; the copies are ``layers.0``, ``layers.1``, …

    >>> import chainrule as cr
    >>> layer = cr.nn.TransformerEncoderLayer(8, 2, 32, batch_first=True)
    >>> encoder = cr.nn.TransformerEncoder(layer, 3, cr.nn.LayerNorm(8))
    >>> encoder(cr.zeros(3, 5, 8), is_causal=True).shape
    (3, 5, 8)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: Count, norm: Module | None = None
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: Tensor,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """Apply all blocks of a Transformer encoder to a sequence.

        PyTorch finds out whether a mask is causal where ``is_causal`` is None, to take
        a faster way; the result is the same.
        """
        return self._through(
            src,
            src_mask=mask,
            src_key_padding_mask=src_key_padding_mask,
            is_causal=False if is_causal is None else is_causal,
        )


class TransformerDecoder(_Stack):
    """A Transformer decoder: a stack of blocks, each of which attends to the memory.

    As in PyTorch the copies begin with the same weights; ``nn.init`` draws others.

    Args:
        decoder_layer: the layer.
        num_layers: the number of copies.
        norm: a module after the last copy, such as ``nn.LayerNorm(d_model)``.

    Shapes:
        as of the layer; the copies are ``layers.0``, ``layers.1``, …

    >>> import chainrule as cr
    >>> layer = cr.nn.TransformerDecoderLayer(8, 2, 32, batch_first=True)
    >>> decoder = cr.nn.TransformerDecoder(layer, 3)
    >>> decoder(cr.zeros(3, 5, 8), cr.zeros(3, 7, 8), tgt_is_causal=True).shape
    (3, 5, 8)
    """

    def __init__(
        self, decoder_layer: Module, num_layers: Count, norm: Module | None = None
    ) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Apply all blocks of a Transformer decoder to a sequence and a memory."""
        return self._through(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=False if tgt_is_causal is None else tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )


class Transformer(Module):
    """A Transformer: an encoder, and a decoder that attends to the encoder's output.

    Vaswani et al. 2017, "Attention is all you need".

    Args:
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps,
        batch_first, norm_first, bias, dtype: see :class:`TransformerEncoderLayer`.
        num_encoder_layers, num_decoder_layers: the numbers of layers.
        custom_encoder, custom_decoder: modules in place of these.

    Shapes:
        src (S, N, d_model), tgt (L, N, d_model), and the shape of tgt; the parts are
        ``encoder`` and ``decoder``, each with a ``norm``. Matrices start by Xavier's
        rule.

    >>> import chainrule as cr
    >>> model = cr.nn.Transformer(8, 2, 1, 1, 32, batch_first=True)
    >>> model(cr.zeros(3, 7, 8), cr.zeros(3, 5, 8), tgt_is_causal=True).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: Count = 512,
        nhead: int = 8,
        num_encoder_layers: Count = 6,
        num_decoder_layers: Count = 6,
        dim_feedforward: Count = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = (d_model, nhead, dim_feedforward, dropout, activation)
        options = (layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(
                d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype
            )

        if custom_encoder is None:
            layer = TransformerEncoderLayer(
                *sizes, *options, device=device, dtype=dtype
            )
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        self.encoder: Module = custom_encoder
        if custom_decoder is None:
            layer = TransformerDecoderLayer(
                *sizes, *options, device=device, dtype=dtype
            )
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm())
        self.decoder: Module = custom_decoder
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Encode src, and decode tgt with it, by a Transformer."""
        memory = self.encoder(
            src,
            mask=src_mask,
            src_key_padding_mask=src_key_padding_mask,
            is_causal=src_is_causal,
        )
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(
        sz: int, device: Any = None, dtype: Any = None
    ) -> Tensor:
        """Return a causal attention mask (sz, sz): −∞ above the diagonal, else 0.

        >>> Transformer.generate_square_subsequent_mask(2)
        tensor([[  0., -inf],
                [  0.,   0.]])
        """
        return full((sz, sz), -math.inf, device=device, dtype=dtype).triu(1)
