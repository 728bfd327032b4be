"""The losses as functions: ``F.cross_entropy(input, target, weight=…)``.

They take what the class's ``forward`` takes, then what its constructor takes, and
``sample_weight``. The classes say what they compute.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from chainrule.nn.losses import (
    alignment,
    binary,
    classes,
    distances,
    divergence,
    margins,
    pairs,
)
from chainrule.nn.losses.base import Reduction
from chainrule.tensor import Tensor


@functools.lru_cache(maxsize=256)
def _known(made: type[Reduction], names: Any, kinds: Any, *options: Any) -> Reduction:
    """Return a loss with some options, cached; ``kinds`` tells 1, 1.0, True apart."""
    return made(**dict(zip(names, options)))


def _function(name: str, loss: type[Reduction]) -> Callable[..., Tensor]:
    inputs = list(inspect.signature(loss.forward).parameters.values())[1:]
    if inputs[0].name == "prediction":
        inputs[0] = inputs[0].replace(name="input")
    weight = inputs.pop()
    options = list(inspect.signature(loss).parameters.values())
    keyword = weight.replace(kind=inspect.Parameter.KEYWORD_ONLY)
    signature = inspect.Signature([*inputs, *options, keyword])

    def apply(*args: Any, **kwargs: Any) -> Tensor:
        given = signature.bind(*args, **kwargs).arguments
        samples = given.pop("sample_weight", None)
        values = [given.pop(i.name, i.default) for i in inputs]
        kinds = tuple(map(type, given.values()))
        plain = all(kind in (bool, int, float, str) for kind in kinds)
        key = (loss, tuple(given), kinds, *given.values())
        made = _known(*key) if plain else loss(**given)
        return made(*values, samples)

    apply.__name__ = apply.__qualname__ = name
    apply.__signature__ = signature  # type: ignore[attr-defined]
    summary = (loss.__doc__ or "").partition("\n")[0]
    apply.__doc__ = f"{summary} See nn.{loss.__name__}."
    return apply


binary_cross_entropy = _function("binary_cross_entropy", binary.BCELoss)
binary_cross_entropy_with_logits = _function(
    "binary_cross_entropy_with_logits", binary.BCEWithLogitsLoss
)
cosine_embedding_loss = _function("cosine_embedding_loss", pairs.CosineEmbeddingLoss)
cross_entropy = _function("cross_entropy", classes.CrossEntropyLoss)
ctc_loss = _function("ctc_loss", alignment.CTCLoss)
gaussian_kl_div = _function("gaussian_kl_div", divergence.GaussianKLDivLoss)
gaussian_nll_loss = _function("gaussian_nll_loss", pairs.GaussianNLLLoss)
hinge_embedding_loss = _function("hinge_embedding_loss", margins.HingeEmbeddingLoss)
hinge_loss = _function("hinge_loss", margins.HingeLoss)
huber_loss = _function("huber_loss", distances.HuberLoss)
kl_div = _function("kl_div", divergence.KLDivLoss)
l1_loss = _function("l1_loss", distances.L1Loss)
margin_ranking_loss = _function("margin_ranking_loss", pairs.MarginRankingLoss)
mse_loss = _function("mse_loss", distances.MSELoss)
multi_margin_loss = _function("multi_margin_loss", margins.MultiMarginLoss)
multilabel_soft_margin_loss = _function(
    "multilabel_soft_margin_loss", binary.MultiLabelSoftMarginLoss
)
nll_loss = _function("nll_loss", classes.NLLLoss)
perceptron_loss = _function("perceptron_loss", margins.PerceptronLoss)
poisson_nll_loss = _function("poisson_nll_loss", distances.PoissonNLLLoss)
smooth_l1_loss = _function("smooth_l1_loss", distances.SmoothL1Loss)
soft_margin_loss = _function("soft_margin_loss", margins.SoftMarginLoss)
triplet_margin_loss = _function("triplet_margin_loss", pairs.TripletMarginLoss)
