"""Mixtures of the samples of a batch, inputs and targets: mix-up and CutMix.

``Trainer(…, batch_transform=nn.MixUp(num_classes=10))`` applies one to the batches of
its training steps. A sample is mixed with the one before it; a Trainer's batches are
shuffled, so that is one at random.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import arange, eye, where
from chainrule.nn.arguments import number
from chainrule.nn.module import Module
from chainrule.primitives.indexing import take
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util.validation import maybe, whole

__all__ = ["CutMix", "MixUp"]


class Mixture(Module):
    """Base class of mixtures; a subclass defines :meth:`mixed`.

    Args:
        alpha: α of Beta(α, α), from which λ is drawn for each batch.
        num_classes: C, for targets that are class indices; None for targets that are
            rows of probabilities, or quantities.
    """

    def __init__(self, alpha: float = 1.0, num_classes: int | None = None) -> None:
        self.alpha = number(type(self).__name__, "alpha", alpha, above=0)
        least = partial(whole, least=2)
        self.num_classes = maybe(least)("num_classes", num_classes)

    def forward(self, x: Any, y: Any) -> tuple[Tensor, Tensor]:
        """Return a batch's inputs and targets, mixed in training.

        Raises:
            ArgumentError: several inputs or targets; class indices without a number of
                classes, or outside it.
            ShapeError: a single number in place of rows; other rows of y than of x.
        """
        if isinstance(x, dict | tuple) or isinstance(y, dict | tuple):
            raise ArgumentError(
                _("{kind} mixes one input and one target.", kind=type(self).__name__),
                expected=_("a tensor of each"),
                got=_("several"),
                fix=_("a function of your own: batch_transform=lambda x, y: …"),
            )
        x, y = as_tensor(x), as_tensor(y)
        if not x.ndim or not y.ndim or x.shape[0] != y.shape[0]:
            raise ShapeError(
                _("{kind} mixes rows.", kind=type(self).__name__),
                expected=_("one row a sample in each"),
                got=f"x {show(x.shape)}, y {show(y.shape)}",
            )
        if not self.training:
            return x, y
        if not y.dtype.is_float:
            if self.num_classes is None or y.ndim != 1:
                raise ArgumentError(
                    _("Class indices are mixed as rows of probabilities."),
                    expected=_("labels of shape (N,), and the number of classes"),
                    got=f"num_classes={self.num_classes}, y {show(y.shape)}",
                    fix=f"nn.{type(self).__name__}(num_classes=10)",
                )
            rows = eye(self.num_classes).value  # of which each label has to be one
            labels = y if y.dtype.is_integer else y.astype("int32")
            y = wrap(take(rows, labels.value))
        x = x if x.dtype.is_float else x.float()
        from chainrule.distributions import Beta  # which few networks need

        share = Beta(self.alpha, self.alpha).sample()
        return self.mixed(x, y, share)

    def mixed(self, x: Tensor, y: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows mixed with those before them, of which 1 − ``share`` is taken."""
        raise NotImplementedError


class MixUp(Mixture):
    """In training, mix each sample of a batch with another one, and so their targets.

    x′ = λ x + (1 − λ) x₋₁, y′ = λ y + (1 − λ) y₋₁ with one λ ~ Beta(α, α) a batch and
    the row before, x₋₁, of the first the last one. Labels become rows of probabilities,
    as ``CrossEntropyLoss`` takes them.

    Args:
        alpha: α > 0.
        num_classes: C, where targets are class indices.

    Source: Zhang et al. 2018, "mixup"; torchvision.transforms.v2.MixUp.

    >>> import chainrule as cr
    >>> cr.manual_seed(0)
    >>> x, y = cr.nn.MixUp(num_classes=2)(cr.tensor([[0.0], [1.0]]), cr.tensor([0, 1]))
    >>> bool((x[:, 0] == y[:, 1]).all())
    True
    """

    def mixed(self, x: Tensor, y: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Return λ of each row, and 1 − λ of the row before."""
        return _blend(x, share), _blend(y, share)


class CutMix(Mixture):
    """In training, put a rectangle of another image into each, and mix their targets.

    Its sides are √(1 − λ) of the image's, λ ~ Beta(α, α), around a point anywhere in
    it, cut off at the border; targets are mixed by the area that it covers.

    Args:
        alpha: α > 0.
        num_classes: C, where targets are class indices.

    Shapes:
        x (N, C, H, W).

    Source: Yun et al. 2019, "CutMix"; torchvision.transforms.v2.CutMix.

    >>> import chainrule as cr
    >>> cr.manual_seed(0)
    >>> images = cr.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 8, 8)
    >>> x, y = cr.nn.CutMix(num_classes=2)(images, cr.tensor([0, 1]))
    >>> bool(abs(x[0].mean() - y[0, 1]) < 1e-6)
    True
    """

    def mixed(self, x: Tensor, y: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Return images with a rectangle of the one before."""
        if x.ndim != 4:
            raise ShapeError(
                _("CutMix cuts images."),
                expected="(N, C, H, W)",
                got=show(x.shape),
                fix=_("nn.MixUp mixes rows of any shape"),
            )
        inside = []
        covered: Any = 1.0
        for axis, size in ((2, x.shape[2]), (3, x.shape[3])):
            half = ((1 - share).sqrt() / 2 * size).floor()
            middle = (uniform() * size).floor()
            low, high = (middle - half).clamp(min=0), (middle + half).clamp(max=size)
            at = arange(size, dtype="float32").reshape(-1, *[1] * (3 - axis))
            inside.append((at >= low) & (at < high))
            covered = covered * (high - low) / size
        return where(inside[0] & inside[1], _before(x), x), _blend(y, 1 - covered)


def _before(rows: Tensor) -> Tensor:
    """Return a batch with each row replaced by the one before it, in a circle."""
    return rows[arange(rows.shape[0]) - 1]


def _blend(rows: Tensor, share: Tensor) -> Tensor:
    share = share.astype(rows.dtype)
    return rows * share + _before(rows) * (1 - share)
