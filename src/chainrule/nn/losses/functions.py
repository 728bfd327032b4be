"""The losses as functions: ``F.cross_entropy(input, target, weight=…)``.

They take what the class's ``forward`` takes, then what its constructor takes, and
``sample_weight``. The classes say what they compute.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from chainrule.nn.losses.base import Reduction
from chainrule.nn.losses.binary import (
    BCELoss,
    BCEWithLogitsLoss,
    MultiLabelSoftMarginLoss,
)
from chainrule.nn.losses.classes import CrossEntropyLoss, NLLLoss
from chainrule.nn.losses.distances import (
    HuberLoss,
    L1Loss,
    MSELoss,
    PoissonNLLLoss,
    SmoothL1Loss,
)
from chainrule.nn.losses.divergence import KLDivLoss
from chainrule.nn.losses.margins import (
    HingeEmbeddingLoss,
    HingeLoss,
    MultiMarginLoss,
    PerceptronLoss,
    SoftMarginLoss,
)
from chainrule.nn.losses.pairs import (
    CosineEmbeddingLoss,
    GaussianNLLLoss,
    MarginRankingLoss,
    TripletMarginLoss,
)
from chainrule.tensor import Tensor


@functools.lru_cache(maxsize=256)
def _known(made: type[Reduction], options: tuple[tuple[str, Any], ...]) -> Reduction:
    return made(**dict(options))


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
        values = [given.pop(i.name) for i in inputs]
        plain = all(isinstance(v, bool | int | float | str) for v in given.values())
        made = _known(loss, tuple(given.items())) if plain else loss(**given)
        return made(*values, samples)

    apply.__name__ = apply.__qualname__ = name
    apply.__signature__ = signature  # type: ignore[attr-defined]
    summary = (loss.__doc__ or "").partition("\n")[0]
    apply.__doc__ = f"{summary} See nn.{loss.__name__}."
    return apply


binary_cross_entropy = _function("binary_cross_entropy", BCELoss)
binary_cross_entropy_with_logits = _function(
    "binary_cross_entropy_with_logits", BCEWithLogitsLoss
)
cosine_embedding_loss = _function("cosine_embedding_loss", CosineEmbeddingLoss)
cross_entropy = _function("cross_entropy", CrossEntropyLoss)
gaussian_nll_loss = _function("gaussian_nll_loss", GaussianNLLLoss)
hinge_embedding_loss = _function("hinge_embedding_loss", HingeEmbeddingLoss)
hinge_loss = _function("hinge_loss", HingeLoss)
huber_loss = _function("huber_loss", HuberLoss)
kl_div = _function("kl_div", KLDivLoss)
l1_loss = _function("l1_loss", L1Loss)
margin_ranking_loss = _function("margin_ranking_loss", MarginRankingLoss)
mse_loss = _function("mse_loss", MSELoss)
multi_margin_loss = _function("multi_margin_loss", MultiMarginLoss)
multilabel_soft_margin_loss = _function(
    "multilabel_soft_margin_loss", MultiLabelSoftMarginLoss
)
nll_loss = _function("nll_loss", NLLLoss)
perceptron_loss = _function("perceptron_loss", PerceptronLoss)
poisson_nll_loss = _function("poisson_nll_loss", PoissonNLLLoss)
smooth_l1_loss = _function("smooth_l1_loss", SmoothL1Loss)
soft_margin_loss = _function("soft_margin_loss", SoftMarginLoss)
triplet_margin_loss = _function("triplet_margin_loss", TripletMarginLoss)
