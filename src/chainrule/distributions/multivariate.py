"""Distributions of vectors: normal ones, and independent draws taken as one event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from chainrule import linalg
from chainrule.distributions.continuous import HALF_LOG_2PI
from chainrule.distributions.distribution import Distribution, parameters_of
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.types import Shape
from chainrule.operations.arguments import shape_of
from chainrule.operations.operands import broadcast_shapes
from chainrule.primitives.rules import show
from chainrule.random import randn
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _


class MultivariateNormal(Distribution):
    """Normal distributions of vectors N(μ, Σ), with Σ = L Lᵀ.

    Args:
        loc: μ, (…, n).
        covariance_matrix: Σ, (…, n, n), symmetric and positive definite.
        precision_matrix: Σ⁻¹, instead of it.
        scale_tril: L, lower triangular with a positive diagonal, instead of it.
        validate_args: whether parameters and values are checked.

    Raises:
        ArgumentError: not one of the three; a Σ that is not positive definite.

    >>> import chainrule as cr
    >>> d = MultivariateNormal(cr.zeros(2), cr.eye(2))
    >>> d.log_prob(cr.zeros(2)), d.rsample((3,)).shape
    (tensor(-1.837877), (3, 2))
    """

    parameters = {"loc": 1, "scale_tril": 2}  # noqa: RUF012 - of the class
    has_rsample = True

    def __init__(
        self,
        loc: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        matrices = (covariance_matrix, precision_matrix, scale_tril)
        given = [x for x in matrices if x is not None]
        if len(given) != 1:
            raise ArgumentError(
                _("MultivariateNormal has one matrix."),
                expected="covariance_matrix=, precision_matrix=, scale_tril=",
                got=str(len(given)),
            )
        loc, matrix = as_tensor(loc), as_tensor(given[0])
        n = loc.shape[-1] if loc.shape else -1
        if matrix.shape[-2:] != (n, n):
            raise ShapeError(
                _("MultivariateNormal has a matrix for vectors of n numbers."),
                expected=_("loc of (…, n) and a matrix of (…, n, n)"),
                got=f"{show(loc.shape)}, {show(matrix.shape)}",
            )
        batch = broadcast_shapes(loc.shape[:-1], matrix.shape[:-2])
        wide, matrix = parameters_of(
            loc.unsqueeze(-1).expand((*batch, n, 1)), matrix.expand((*batch, n, n))
        )
        self.loc = wide[..., 0]
        if scale_tril is not None:
            self.scale_tril = matrix.tril()
        elif covariance_matrix is not None:
            self.scale_tril = linalg.cholesky(matrix)
        else:  # Σ⁻¹ = Kᵀ K with K lower triangular, so L = K⁻¹
            turned = linalg.cholesky(matrix.flip((-2, -1)))
            factor = turned.flip((-2, -1)).mT
            one = linalg.matrix_power(matrix, 0)
            self.scale_tril = linalg.solve_triangular(factor, one, upper=False)
        super().__init__(batch, (n,), validate_args)

    @property
    def covariance_matrix(self) -> Tensor:
        """The covariance Σ = L Lᵀ."""
        return self.scale_tril @ self.scale_tril.mT

    @property
    def precision_matrix(self) -> Tensor:
        """The inverse Σ⁻¹ of the covariance."""
        return self.scale_tril.cholesky_inverse()

    @property
    def mean(self) -> Tensor:
        """The mean μ."""
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        """The variances, the diagonal of Σ."""
        return self.scale_tril.square().sum(-1)

    def _draw(self, shape: Shape) -> Tensor:
        noise = randn(shape, dtype=self.loc.dtype).unsqueeze(-1)
        return self.loc + (self.scale_tril @ noise)[..., 0]

    def log_prob(self, value: Any) -> Tensor:
        """Return −½ ‖L⁻¹(x − μ)‖² − ln det L − n/2 ln 2π."""
        x = self._value(value, self.loc.dtype)
        far = (self._within(x, ~x.isnan(), _("numbers")) - self.loc).unsqueeze(-1)
        z = linalg.solve_triangular(self.scale_tril, far, upper=False)[..., 0]
        n = int(self._event_shape[0])
        return -0.5 * z.square().sum(-1) - self._half_log_det() - n * HALF_LOG_2PI

    def entropy(self) -> Tensor:
        """Return the entropy n/2 (1 + ln 2π) + ln det L."""
        return int(self._event_shape[0]) * (0.5 + HALF_LOG_2PI) + self._half_log_det()

    def _half_log_det(self) -> Tensor:
        return linalg.diagonal(self.scale_tril).log().sum(-1)


class Independent(Distribution):
    """Distributions whose last batch axes are taken as axes of one event.

    Args:
        base_distribution: a batch of distributions.
        reinterpreted_batch_ndims: how many of its last batch axes.
        validate_args: whether values are checked; as the base has it by default.

    >>> import chainrule as cr
    >>> d = Independent(cr.distributions.Normal(cr.zeros(3), cr.ones(3)), 1)
    >>> d.event_shape, d.log_prob(cr.zeros(3))
    ((3,), tensor(-2.7568154))
    """

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        batch, event = base_distribution.batch_shape, base_distribution.event_shape
        if not 0 <= reinterpreted_batch_ndims <= len(batch):
            raise ShapeError(
                _("Independent takes as many axes as the batch has, at most."),
                expected=_("0 to {n}", n=len(batch)),
                got=str(reinterpreted_batch_ndims),
            )
        self.base_dist = base_distribution
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        cut = len(batch) - reinterpreted_batch_ndims
        super().__init__(batch[:cut], (*batch[cut:], *event), validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """The support of reparameterised draws: that of the base distribution."""
        return self.base_dist.has_rsample

    @property
    def mean(self) -> Tensor:
        """The mean of the base."""
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        """The mode of the base."""
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        """The variance of the base."""
        return self.base_dist.variance

    def _draw(self, shape: Shape) -> Tensor:
        return self.base_dist._draw(shape)

    def log_prob(self, value: Any) -> Tensor:
        """Return the sum of the base's log-densities over the event."""
        return self.summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """Return the sum of the base's entropies over the event."""
        return self.summed(self.base_dist.entropy())

    def summed(self, x: Tensor) -> Tensor:
        """Return a tensor of the base's batch, summed over the axes of the event."""
        count = self.reinterpreted_batch_ndims
        return x.sum(tuple(range(-count, 0))) if count else x

    def expand(self, batch_shape: int | Sequence[Any]) -> Self:
        """Return these distributions repeated into a larger batch."""
        wanted = shape_of(batch_shape)
        event = self._event_shape[: self.reinterpreted_batch_ndims]
        base = self.base_dist.expand((*wanted, *event))
        return type(self)(base, self.reinterpreted_batch_ndims, self._validate_args)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
