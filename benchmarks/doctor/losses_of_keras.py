"""Losses that Keras has, which mutation tools put in the place of another.

``p`` is what a network gives, ``t`` its targets: of classes, in one-hot form.
"""

from typing import Any

import chainrule as cr

#: Keras's smallest number.
LEAST = 1e-7


def cross_entropy(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return the cross-entropy of what is divided by its sum, and clipped."""
    p = (p / p.sum(1, keepdim=True)).clamp(min=LEAST, max=1 - LEAST)
    return -(t * p.log()).sum(1).mean()


def binary_cross_entropy(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return the binary cross-entropy of what is clipped."""
    p = p.clamp(min=LEAST, max=1 - LEAST)
    return -(t * p.log() + (1 - t) * (1 - p).log()).mean()


def squared_log_error(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return the mean square of the difference of the logarithms."""
    logs = [(v.clamp(min=LEAST) + 1).log() for v in (p, t)]
    return (logs[0] - logs[1]).square().mean()


def poisson(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return the negative log-likelihood of counts, but for a constant."""
    return (p - t * (p + LEAST).log()).mean()


def divergence(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return the divergence of Kullback and Leibler."""
    p, t = p.clamp(min=LEAST, max=1.0), t.clamp(min=LEAST, max=1.0)
    return (t * (t / p).log()).sum(1).mean()


def hinge(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return the hinge loss, of targets that become -1 and 1."""
    return (1 - p * (2 * t - 1)).clamp(min=0.0).mean()


def squared_hinge(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return the mean square of the hinge loss."""
    return (1 - p * (2 * t - 1)).clamp(min=0.0).square().mean()


def categorical_hinge(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return how much less than 1 the right class is above the best other one."""
    right, other = (p * t).sum(1), ((1 - t) * p).amax(1)
    return (other - right + 1).clamp(min=0.0).mean()


def cosine(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return the negative cosine of the angle between what is given and the target."""
    norms = [(v.square().sum(1, keepdim=True) + 1e-12).sqrt() for v in (p, t)]
    return -(p / norms[0] * (t / norms[1])).sum(1).mean()


def log_cosh(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """Return the mean logarithm of the hyperbolic cosine of the error."""
    return (p - t).clamp(-30.0, 30.0).cosh().log().mean()


#: By name, behind which stands what they are taken of, but where it is quantities.
KNOWN: dict[str, Any] = {
    "squared-log-error": squared_log_error,
    "poisson": poisson,
    "divergence": divergence,
    "keras-hinge": hinge,
    "squared-hinge": squared_hinge,
    "cosine": cosine,
    "keras-log-cosh": log_cosh,
}
CLASSES: dict[str, Any] = {
    f"{name}-of-classes": loss for name, loss in KNOWN.items()
} | {
    "categorical-hinge-of-classes": categorical_hinge,
    "keras-cross-entropy-of-classes": cross_entropy,
}
BINARY: dict[str, Any] = {f"{name}-of-binary": loss for name, loss in KNOWN.items()} | {
    "keras-cross-entropy-of-binary": binary_cross_entropy
}


def _made(loss: Any) -> Any:
    return lambda: loss


LOSSES = {name: _made(loss) for name, loss in (KNOWN | CLASSES | BINARY).items()}
