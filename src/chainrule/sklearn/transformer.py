"""The transformer: the codes of an autoencoder."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from chainrule import nn
from chainrule.engines import EngineName
from chainrule.engines.spread import Devices
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.random import Generator, stream
from chainrule.sklearn.estimator import ChainruleEstimator
from chainrule.sklearn.features import Features, as_array
from chainrule.sklearn.network import hidden, layers, standardize
from chainrule.tensor import Tensor, tensor
from chainrule.text import _


class Autoencoder(nn.Module):
    """A network that gives a code of each row, and the row made of it again.

    Args:
        scale: standardises features.
        encoder: from standardised features to codes.
        decoder: from codes to standardised features.
    """

    def __init__(
        self, scale: nn.Module, encoder: nn.Module, decoder: nn.Module
    ) -> None:
        self.scale, self.encoder, self.decoder = scale, encoder, decoder

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the codes of rows, and the standardised rows made of them."""
        code = self.encoder(self.scale(x))
        return {"code": code, "made": self.decoder(code)}


class ChainruleTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ChainruleEstimator
):
    """The codes of an autoencoder (Hinton & Salakhutdinov 2006), as a transformer.

    A network is trained to give its own standardised input through a layer of
    ``n_components`` units; these are what ``transform`` gives. With hidden layers it
    is a principal component analysis that may bend.

    Args:
        n_components: the size of a code.
        hidden_layer_sizes: the units of the hidden layers before the code; behind it
            come the same, the other way round.
        activation, solver, alpha, batch_size, learning_rate, learning_rate_init,
            max_iter, random_state, tol, verbose, warm_start, early_stopping,
            validation_fraction, n_iter_no_change, engine, threads, devices: as for
            :class:`ChainruleClassifier`.

    Attributes:
        trainer_, n_iter_, loss_curve_, …: see :class:`ChainruleEstimator`; the loss is
            the mean square of what is lost of a standardised feature.

    >>> from sklearn.datasets import load_iris
    >>> from chainrule.sklearn import ChainruleTransformer
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ChainruleTransformer(2, random_state=0).fit(X)
    >>> model.transform(X).shape, model.loss_ < 0.1
    ((150, 2), True)
    """

    _metric = "made_r2"

    def __init__(
        self,
        n_components: int = 2,
        hidden_layer_sizes: Any = (64, 64),
        activation: str = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 1e-4,
        batch_size: Any = "auto",
        learning_rate: str = "one_cycle",
        learning_rate_init: Any = "auto",
        max_iter: int = 20,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        engine: EngineName = "auto",
        threads: int | None = None,
        devices: Devices | None = None,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.engine = engine
        self.threads = threads
        self.devices: Devices | None = devices

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the autoencoder to rows X; y is not looked at.

        Raises:
            ValueError: data that cannot be, as scikit-learn says it.
            ArgumentError: a parameter that cannot be.
        """
        return self._fit(X)

    def transform(self, X: Any) -> Array:
        """Return the codes of rows, (n, n_components), in the dtype of the features."""
        return self._predict(X)["code"]

    def inverse_transform(self, X: Any) -> Array:
        """Return rows of features that have these codes.

        Raises:
            ArgumentError: the features are those of a table, which has no way back.
        """
        check_is_fitted(self, "trainer_")
        features = self._features
        model: Any = self.trainer_.model
        if features.schema is not None or features.gaps.size:
            raise ArgumentError(
                _("Only columns of numbers without gaps can be made of codes."),
                expected=_("a fit to numbers"),
                got=_("a fit to a table, or to numbers with gaps"),
                fix=_("trainer_.model.decoder gives the standardised features"),
            )
        codes = as_array(X, "X", [np.float64, np.float32])
        if codes.shape[1:] != (self._n_features_out,):
            raise ShapeError(
                _("These are no codes of this estimator."),
                expected=_("shape (n, {size})", size=self._n_features_out),
                got=str(codes.shape),
            )
        dtype = next(model.parameters()).dtype.numpy
        with no_grad():
            made = model.decoder(tensor(codes.astype(dtype))).numpy()
        for layer in model.scale:
            made = made * layer.std.numpy() + layer.mean.numpy().astype(dtype)
        return made

    @property
    def _n_features_out(self) -> int:
        return self._shaping["n_components"]

    def _rows(
        self, X: Any, y: Any, sample_weight: Any, *, first: bool, learn: Any = None
    ) -> tuple[Array, Array, None]:
        features = Features() if first else self._features
        x = features.fit(self, X, None) if first else features(self, X)
        self._features = features
        return x, x, None

    def _compared(self, model: Any, x: Array, y: Array) -> dict[str, Array]:
        with no_grad():
            return {"made": model.scale(tensor(x)).numpy()}

    def _loss(self) -> dict[str, nn.Module]:
        return {"made": nn.MSELoss()}

    def _metrics(self) -> dict[str, list[str]]:
        return {"made": ["r2"]}

    def _build(self, x: Array, weights: Array | None, seed: int) -> nn.Module:
        sizes = (x.shape[1], *hidden(self.hidden_layer_sizes), self.n_components)
        with stream(Generator(seed)):
            parts = [
                nn.Sequential(*layers(s, self.activation, x.dtype.name))
                for s in (sizes, sizes[::-1])
            ]
        scale = nn.Sequential(*standardize(x, weights, x.dtype.name))
        return Autoencoder(scale, *parts)
