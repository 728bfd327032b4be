"""The regressor: one quantity or several."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.preprocessing import StandardScaler

from chainrule import nn
from chainrule.errors import ShapeError
from chainrule.graph.node import Array
from chainrule.sklearn.estimator import ChainruleEstimator
from chainrule.sklearn.features import as_array
from chainrule.text import _


class ChainruleRegressor(MultiOutputMixin, RegressorMixin, ChainruleEstimator):
    """A neural network that predicts quantities, as an estimator of scikit-learn.

    The network learns standardised targets, so that their unit does not matter; losses
    are in it too: ``loss_curve_`` is the share of the variance that is left.

    Args:
        hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate,
            learning_rate_init, max_iter, random_state, tol, verbose, warm_start,
            early_stopping, validation_fraction, n_iter_no_change, standardize, engine,
            threads, devices: as for :class:`ChainruleClassifier`.
        module: a network, or a function (inputs, outputs) → network, in place of the
            hidden layers. It gives standardised targets.

    Attributes:
        trainer_, n_iter_, loss_curve_, …: see :class:`ChainruleEstimator`.

    >>> from sklearn.datasets import load_diabetes
    >>> from chainrule.sklearn import ChainruleRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> ChainruleRegressor(random_state=0).fit(X, y).score(X, y) > 0.5
    True
    """

    _metric = "r2"
    _scale: Any
    _several: bool

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network to rows X with quantities y, (n,) or (n, targets).

        Args:
            X: (n, features), an array or a frame.
            y: the quantities.
            sample_weight: how much each row counts, ≥ 0.

        Raises:
            ValueError: data that cannot be, as scikit-learn says it.
            ArgumentError: a parameter that cannot be.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on further rows, at a constant learning rate.

        Standardising and categories are those of the first rows.
        """
        return self._fit_part(X, y, sample_weight, learn=True)

    def predict(self, X: Any) -> Array:
        """Return the quantities of each row, (n,) or (n, targets), float64."""
        made = self._predict(X).astype(np.float64)
        made = np.asarray(self._scale.inverse_transform(made))
        return made if self._several else made[:, 0]

    def _check_y(self, y: Any) -> Array:
        y = as_array(y, "y", "numeric")
        if y.ndim > 2:
            raise ShapeError(
                _("Targets are one number a row, or several."),
                expected=_("shape (n,) or (n, targets)"),
                got=str(y.shape),
            )
        return y

    def _learn(self, y: Array, weights: Array | None) -> None:
        self._several = y.ndim == 2 and y.shape[1] > 1
        self._scale = StandardScaler().fit(_columns(y), sample_weight=weights)

    def _targets(self, y: Array) -> Array:
        columns, known = _columns(y), self._scale.n_features_in_
        if columns.shape[1] != known:
            raise ShapeError(
                _("y has other targets than before."),
                expected=_("shape (n, {size})", size=known),
                got=str(y.shape),
            )
        return np.asarray(self._scale.transform(columns))

    def _compared(self, model: Any, x: Array, y: Array) -> Array:
        dtype = next((p.dtype.numpy for p in model.parameters()), x.dtype)
        return y.astype(dtype)

    def _outputs(self) -> int:
        return self._scale.n_features_in_

    def _loss(self) -> Any:
        return nn.MSELoss()


def _columns(y: Array) -> Array:
    """Return targets as columns of float64."""
    return (y if y.ndim == 2 else y[:, None]).astype(np.float64)
