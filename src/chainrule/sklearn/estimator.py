"""The base class of the estimators: fits by a Trainer, warm starts, early stopping."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, Self, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import (
    _safe_indexing,
    check_consistent_length,
    check_random_state,
)
from sklearn.utils.validation import check_is_fitted

from chainrule.engines import EngineName
from chainrule.engines.spread import Devices
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.nn import Module
from chainrule.sklearn import parameters, sizes
from chainrule.sklearn.features import Features, as_array
from chainrule.sklearn.network import hidden, network, optimizer
from chainrule.text import _, ngettext
from chainrule.training import Callback, EarlyStopping, Trainer

F = TypeVar("F", bound=Callable[..., Any])


def whole(fit: F) -> F:
    """Return a method that fits, or leaves the estimator as it was.

    A network of the last fit with the classes of one that was refused, or stopped by
    Ctrl-C, would predict something else in silence.
    """

    @wraps(fit)
    def fitted(estimator: Any, /, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(estimator))
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return cast(F, fitted)


class Learnt(Callback):
    """End a run whose training loss is below ``tol``, so that it cannot fall by that.

    Without it Adam, which divides by the size of gradients, goes on to learn what
    weights of rows have all but left out.

    Args:
        tol: by how much a loss must improve to count.
    """

    def __init__(self, tol: float) -> None:
        self.tol = tol

    def on_epoch(self, trainer: Any) -> None:
        """Stop the run after an epoch with such a loss."""
        if trainer.history.epochs[-1]["train_loss"] < self.tol:
            trainer.stop()


class ChainruleEstimator(BaseEstimator):
    """Base class of estimators that train a network by a :class:`chainrule.Trainer`.

    A class of them says what its targets are (:meth:`_targets`), how many outputs they
    need, and which loss and metric are for them.

    Attributes:
        trainer_: the Trainer; ``trainer_.model`` is the network.
        n_features_in_, feature_names_in_: of X, as scikit-learn has them.
        n_iter_: the epochs of the last fit.
        loss_curve_: the loss of each epoch of the last fit, on the training rows.
        validation_scores_: the accuracy or R² on the validation rows after each epoch,
            with ``early_stopping``, else None.
        best_validation_score_: the largest of them, or None.
    """

    #: The metric that ``validation_scores_`` has.
    _metric = "accuracy"
    trainer_: Trainer
    n_features_in_: int
    _features: Features
    _shaping: dict[str, Any]

    def __init__(
        self,
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
        module: Any = None,
        standardize: bool = True,
        engine: EngineName = "auto",
        threads: int | None = None,
        devices: Devices | None = None,
    ) -> None:
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
        self.module = module
        self.standardize = standardize
        self.engine: EngineName = engine
        self.threads = threads
        self.devices: Devices | None = devices

    # -- what a class of estimators says ---------------------------------------------

    def _check_y(self, y: Any) -> Array:
        """Return y as an array; refuse what is no target, as scikit-learn does."""
        raise NotImplementedError

    def _weigh(self, y: Array, weights: Array | None) -> Array | None:
        """Return the weights of rows, with all that belongs to them."""
        return weights

    def _learn(self, y: Array, weights: Array | None) -> None:
        """Learn what the targets are, from those of a first fit."""
        raise NotImplementedError

    def _targets(self, y: Array) -> Array:
        """Return targets as the Trainer takes them."""
        raise NotImplementedError

    def _outputs(self) -> int:
        """Return how many numbers the network gives for a row."""
        raise NotImplementedError

    def _loss(self) -> Any:
        """Return the loss of these outputs."""
        raise NotImplementedError

    def _metrics(self) -> Any:
        """Return the metrics of these outputs on validation rows."""
        return [self._metric]

    def _strata(self, y: Array) -> Array | None:
        """Return the classes by which validation rows are stratified, or None."""
        return None

    def _build(self, x: Array, weights: Array | None, seed: int) -> Module:
        """Return a new network for these features."""
        return network(self, x, weights, self._outputs(), seed)

    def _compared(self, model: Module, x: Array, y: Array) -> Any:
        """Return the targets of the loss for the network's outputs on x."""
        return y

    # -- fitting -------------------------------------------------------------------

    @whole
    def _fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the network for the epochs of a run."""
        parameters.check(self)
        goes_on = bool(self.warm_start) and hasattr(self, "trainer_")
        if goes_on:
            self._check_shape()
        x, targets, weights = self._rows(X, y, sample_weight, first=not goes_on)
        seed = self._seed()
        model = self._model(x, weights, seed, goes_on=goes_on)
        validation = None
        if self.early_stopping:
            kept, held = self._split(targets, seed)
            validation = x[held], self._compared(model, x[held], targets[held])
            x, targets = x[kept], targets[kept]
            weights = None if weights is None else weights[kept]
        size, updates = self._sizes(len(x))
        epochs = self.max_iter
        stopping = self._stopping()
        trainer = self._trainer(model, _mass(size, weights), epochs * updates, seed)
        trainer.fit(
            (x, self._compared(model, x, targets)),
            epochs=epochs,
            batch_size=size,
            drop_last=self.batch_size == "auto",
            sample_weight=weights,
            validation=validation,
            callbacks=stopping,
            progress=self._progress,
        )
        self._note(trainer, endless=False)
        known_end = self.early_stopping or self.learning_rate == "one_cycle"
        if trainer.epoch == epochs and not known_end:
            warnings.warn(
                ngettext(
                    "The training loss still falls by more than tol={tol} after "
                    "max_iter={n} epoch.",
                    "The training loss still falls by more than tol={tol} after "
                    "max_iter={n} epochs.",
                    n=epochs,
                    tol=self.tol,
                ),
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    @whole
    def _fit_part(self, X: Any, y: Any, sample_weight: Any, *, learn: bool) -> Self:
        """Train for one epoch on further rows; ``learn`` what a first y is."""
        parameters.check(self)
        if self.early_stopping:
            raise ArgumentError(
                _("partial_fit has no validation rows to stop early by."),
                expected="early_stopping=False",
                got="early_stopping=True",
                fix=_("fit, or stop calling partial_fit by a score of your own"),
            )
        goes_on = hasattr(self, "trainer_")
        if goes_on:
            self._check_shape()
        first = not goes_on
        x, targets, weights = self._rows(
            X, y, sample_weight, first=first, learn=first and learn
        )
        size, updates = self._sizes(len(x))
        trainer = self.trainer_ if goes_on and self._endless else None
        if trainer is None:
            seed = self._seed()
            model = self._model(x, weights, seed, goes_on=goes_on)
            mass = _mass(size, weights)
            trainer = self._trainer(model, mass, updates, seed, endless=True)
        trainer.fit(
            (x, self._compared(trainer.model, x, targets)),
            epochs=1,
            batch_size=size,
            drop_last=self.batch_size == "auto",
            sample_weight=weights,
            progress=self._progress,
        )
        self._note(trainer, endless=True)
        return self

    def _model(
        self, x: Array, weights: Array | None, seed: int, *, goes_on: bool
    ) -> Module:
        """Return the network of the last fit, or a new one."""
        if goes_on:
            return self.trainer_.model
        self._shaping = self._shaped()
        return self._build(x, weights, seed)

    def _shaped(self) -> dict[str, Any]:
        """Return the parameters that say what the network is."""
        given = self.get_params(deep=False)
        shaping = {name: given[name] for name in parameters.SHAPING if name in given}
        return shaping | {"hidden_layer_sizes": hidden(self.hidden_layer_sizes)}

    def _check_shape(self) -> None:
        """Refuse to go on with parameters that are not those of the network."""
        for name, value in self._shaped().items():
            known = self._shaping[name]
            if value is not known and value != known:
                raise ArgumentError(
                    _("The network that there is has another {name}.", name=name),
                    expected=f"{name}={known!r:.80}",
                    got=f"{name}={value!r:.80}",
                    fix=_("warm_start=False, or clone(estimator): a new network"),
                )

    @property
    def _progress(self) -> bool | None:
        return None if self.verbose else False

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo("i4").max))

    def _sizes(self, rows: int) -> tuple[int, int]:
        """Return the rows of a batch, and the updates of an epoch."""
        if self.batch_size == "auto":  # a few rows may be left out of an epoch
            size = sizes.batch_rows(rows)
            return size, rows // size
        size = min(rows, self.batch_size)
        return size, -(-rows // size)

    def _rows(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        first: bool,
        learn: bool | None = None,
    ) -> tuple[Array, Array, Array | None]:
        """Return features, targets and weights of the rows that count."""
        if y is None:  # in the words of scikit-learn
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but "
                "the target y is None."
            )
        y = self._check_y(y)
        check_consistent_length(X, y)
        weights = None if sample_weight is None else _weights(sample_weight, y)
        X, y, weights = _counting(X, y, weights)
        X, y, weights = _counting(X, y, self._weigh(y, weights))
        features = Features() if first else self._features
        x = features.fit(self, X, weights) if first else features(self, X)
        if first if learn is None else learn:
            self._learn(y, weights)
        self._features = features
        return x, self._targets(y), weights

    def _split(self, y: Array, seed: int) -> tuple[Array, Array]:
        """Return the rows to train on, and those to stop early by."""
        split: Any = train_test_split
        kept, held = split(
            np.arange(len(y)),
            test_size=self.validation_fraction,
            random_state=seed,
            stratify=self._strata(y),
        )
        return kept, held

    def _trainer(
        self,
        model: Module,
        mass: float,
        updates: int,
        seed: int,
        *,
        endless: bool = False,
    ) -> Trainer:
        count = sum(p.numel() for p in model.parameters())
        auto = self.engine == "auto"
        return Trainer(
            model,
            loss=self._loss(),
            optimizer=optimizer(self, model, mass, endless=endless),
            metrics=self._metrics() if self.early_stopping else (),
            engine=sizes.engine(updates, count) if auto else self.engine,
            seed=seed,
            threads=self.threads,
            devices=self.devices,
        )

    def _stopping(self) -> list[Callback]:
        """Return the callbacks that end a run which no longer improves."""
        patience, tol = self.n_iter_no_change, self.tol
        if self.early_stopping:
            return [EarlyStopping("validation_loss", patience, min_delta=tol)]
        if self.learning_rate == "one_cycle":
            return [Learnt(tol)]  # else the run is as long as its cycle
        stop = EarlyStopping("train_loss", patience, min_delta=tol, restore_best=False)
        return [Learnt(tol), stop]

    def _note(self, trainer: Trainer, *, endless: bool) -> None:
        """Set the attributes that tell of a fit."""
        rows = trainer.history.epochs
        self.trainer_, self._endless = trainer, endless
        self.n_iter_ = len(rows)
        self.loss_curve_ = [row["train_loss"] for row in rows]
        self.loss_ = self.loss_curve_[-1]
        name = f"validation_{self._metric}"
        scores = [row[name] for row in rows if name in row]
        self.validation_scores_ = scores or None
        self.best_validation_score_ = max(scores) if scores else None

    # -- predicting ----------------------------------------------------------------

    def _predict(self, X: Any) -> Any:
        """Return the network's outputs for rows of X."""
        check_is_fitted(self, "trainer_")
        return self.trainer_.predict(self._features(self, X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _mass(batch: int, weights: Array | None) -> float:
    """Return the sum of the weights in a batch, on average."""
    return float(batch if weights is None else batch * weights.mean())


def _weights(sample_weight: Any, y: Array) -> Array:
    """Return the weights of rows, checked; float64."""
    if np.isscalar(sample_weight):
        sample_weight = np.full(len(y), sample_weight)
    weights = as_array(sample_weight, "sample_weight", np.float64)
    if weights.ndim != 1:
        raise ArgumentError(
            _("sample_weight is one number a row."),
            expected=_("shape ({rows},)", rows=len(y)),
            got=_("shape {shape}", shape=weights.shape),
        )
    check_consistent_length(weights, y)
    return weights


def _counting(X: Any, y: Array, weights: Array | None) -> tuple[Any, Array, Any]:
    """Return the rows whose weight is above 0: nothing is learnt of the others."""
    if weights is None:
        return X, y, None
    if not (weights >= 0).all() or not np.isfinite(weights).all():
        wrong = weights[~((weights >= 0) & np.isfinite(weights))]
        raise ArgumentError(
            _("A weight of a row is negative, or no number."),
            expected=_("sample_weight ≥ 0, and class_weight too"),
            got=str(wrong[0]),
        )
    if not weights.any():
        raise ArgumentError(
            _("All weights of rows are zero: no row counts."),
            expected=_("a weight above 0"),
            got=ngettext("{n} weight of zero", "{n} weights of zero", n=len(y)),
        )
    rows = np.flatnonzero(weights)
    if len(rows) == len(weights):
        return X, y, weights
    return _safe_indexing(X, rows), y[rows], weights[rows]
