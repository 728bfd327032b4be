"""The classifier: two classes, several, or several labels a row."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from chainrule import nn
from chainrule.engines import EngineName
from chainrule.engines.spread import Devices
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.sklearn.estimator import ChainruleEstimator
from chainrule.sklearn.features import as_array
from chainrule.text import _


class ChainruleClassifier(ClassifierMixin, ChainruleEstimator):
    """A neural network that tells classes, as an estimator of scikit-learn.

    Parameters have scikit-learn's names where they mean what they mean for
    ``MLPClassifier``; those that differ say so.

    Args:
        hidden_layer_sizes: the units of each hidden layer.
        activation: ``"relu"``, ``"tanh"``, ``"logistic"``, ``"identity"``, ``"gelu"``
            or ``"silu"``.
        solver: ``"adam"``, ``"sgd"`` (momentum 0.9, Nesterov's), or an optimiser of
            :mod:`chainrule.optim`, whose own rate and decay count.
        alpha: the L2 penalty α‖W‖²/2, divided by the rows of a batch (by
            their weights).
        batch_size: rows a step; ``"auto"``: 32 to 128, growing with the rows.
        learning_rate: ``"one_cycle"``: a rise and a fall over the whole run; or
            ``"constant"``; or ``"adaptive"``: a fifth of it after two epochs in which
            the training loss has not fallen by ``tol``.
        learning_rate_init: the rate, or the peak of the cycle. ``"auto"``: 0.01 for a
            cycle of Adam, else 0.001; ten times as much for ``"sgd"``.
        max_iter: epochs.
        random_state: seed of initial weights, shuffles and the validation rows.
        tol: by how much a loss must improve to count; a training loss below it ends the
            run.
        verbose: whether to show the progress.
        warm_start: whether ``fit`` begins with the weights of the last one, whose
            layers are then those that are asked for.
        early_stopping: whether to set rows aside, end the run when the loss on them has
            not improved by ``tol`` for ``n_iter_no_change`` epochs, and keep the best
            epoch's weights.
        validation_fraction: the share of these rows.
        n_iter_no_change: so many epochs without an improvement end the run; without
            ``early_stopping`` those of the training loss, unless the rate is a cycle.
        module: a network, or a function (inputs, outputs) → network, in place of the
            hidden layers. It gives scores (logits): one number of two classes, else
            one for each class or label.
        standardize: whether the network begins with a layer that standardises features;
            columns of 0 and 1 alone stay as they are.
        class_weight: weights by class, or ``"balanced"``: classes, by the weights of
            their rows, count the same.
        engine: ``"native"``, ``"numpy"`` or ``"auto"``: NumPy for runs that end before
            machine code would be compiled.
        threads: for the native engine; None: what measures best.
        devices: how many devices the engine ``"xla"`` divides each batch over, or
            ``"all"``; None: one.

    Attributes:
        classes_: the classes, sorted; of several labels a row their numbers.
        trainer_, n_iter_, loss_curve_, …: see :class:`ChainruleEstimator`.

    X is an array of numbers, in which NaN is a gap, or a frame, in which columns of
    texts, categories or dates are encoded: see :class:`.features.Features`. Rows of
    weight 0 are left out, as if they were not there.

    >>> from sklearn.datasets import load_iris
    >>> from chainrule.sklearn import ChainruleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ChainruleClassifier(random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95, model.predict_proba(X[:2]).shape
    (True, (2, 3))
    """

    classes_: Array

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
        class_weight: Any = None,
        engine: EngineName = "auto",
        threads: int | None = None,
        devices: Devices | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            module=module,
            standardize=standardize,
            engine=engine,
            threads=threads,
            devices=devices,
        )
        self.class_weight = class_weight

    # -- fitting -------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network to rows X with classes y.

        Args:
            X: (n, features), an array or a frame.
            y: n labels of any kind, or an array (n, labels) of 0 and 1.
            sample_weight: how much each row counts, ≥ 0.

        Raises:
            ValueError: data that cannot be, as scikit-learn says it; one class alone.
            ArgumentError: a parameter that cannot be.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch on further rows, at a constant learning rate.

        Standardising and categories are those of the first rows.

        Args:
            X, y: further rows.
            classes: all classes that there will be; needed at the first call.
            sample_weight: how much each row counts, ≥ 0.
        """
        if self.class_weight == "balanced":
            raise ArgumentError(
                _("Some of the rows do not tell how frequent classes are in all."),
                expected=_(
                    "class_weight=None, or a dictionary of weights, for partial_fit"
                ),
                got="class_weight='balanced'",
                fix="compute_class_weight('balanced', classes=classes, y=all_y)",
            )
        if not hasattr(self, "trainer_"):
            if classes is None:
                raise ArgumentError(
                    _("The first call of partial_fit must know all classes."),
                    expected="classes=[…]",
                    got="classes=None",
                    fix="partial_fit(X, y, classes=np.unique(all_y))",
                )
            self._learn_classes(self._check_y(y), np.unique(classes))
        elif (
            classes is not None
            and self._labels is not None
            and set(classes) != set(self.classes_)
        ):
            raise ArgumentError(
                _("The classes are not those of the first call of partial_fit."),
                expected=f"classes={self.classes_.tolist()!r:.80}",
                got=f"classes={list(classes)!r:.80}",
            )
        return self._fit_part(X, y, sample_weight, learn=False)

    def _weigh(self, y: Array, weights: Array | None) -> Array | None:
        if self.class_weight is None:
            return weights
        given = np.ones(len(y)) if weights is None else weights
        if self.class_weight == "balanced":
            columns = y.T if y.ndim == 2 else [y]
            parts = [_balanced(column, given) for column in columns]
            return given * np.prod(parts, axis=0)
        return given * compute_sample_weight(self.class_weight, y)

    def _check_y(self, y: Any) -> Array:
        y = as_array(y, "y", None)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ArgumentError(
                _("Several targets of several classes each are not supported."),
                expected=_("labels of shape (n,), or 0 and 1 of shape (n, labels)"),
                got=_("{kind} of shape {shape}", kind=kind, shape=y.shape),
                fix="sklearn.multioutput.MultiOutputClassifier",
            )
        return y if kind == "multilabel-indicator" else column_or_1d(y, warn=True)

    def _learn(self, y: Array, weights: Array | None) -> None:
        self._learn_classes(y, np.unique(y))

    def _learn_classes(self, y: Array, classes: Array) -> None:
        self._labels: LabelEncoder | None = None
        if y.ndim == 2:
            self.classes_, self._dtype = np.arange(y.shape[1]), y.dtype
            return
        if len(classes) < 2:
            raise ArgumentError(
                _("The rows that count have one class alone."),
                expected=_("at least two classes"),
                got=_("one class: {label}", label=repr(classes.tolist())[:80]),
                fix=_("look at y, and at the weights of the rows"),
            )
        self._labels = LabelEncoder().fit(classes)
        self.classes_ = np.unique(classes)

    def _targets(self, y: Array) -> Array:
        labels = self._labels
        if labels is None:
            if y.ndim != 2 or y.shape[1] != len(self.classes_):
                raise self._other(y)
            return y.astype(np.float32)
        if y.ndim != 1 or not set(y.tolist()) <= set(self.classes_.tolist()):
            raise self._other(y)
        numbers = np.asarray(labels.transform(y))
        two = len(self.classes_) == 2
        return numbers[:, None].astype(np.float32) if two else numbers.astype(np.int32)

    def _other(self, y: Array) -> ArgumentError:
        return ArgumentError(
            _("y has other classes than before."),
            expected=repr(self.classes_.tolist())[:200],
            got=repr(np.unique(y).tolist())[:200],
            fix=_("warm_start=False; or partial_fit(…, classes=…) with all of them"),
        )

    def _outputs(self) -> int:
        one = self._labels is not None and len(self.classes_) == 2
        return 1 if one else len(self.classes_)

    def _loss(self) -> Any:
        several = self._labels is not None and len(self.classes_) > 2
        return nn.CrossEntropyLoss() if several else nn.BCEWithLogitsLoss()

    def _strata(self, y: Array) -> Array | None:
        return y if self._labels is not None else None

    # -- predicting ----------------------------------------------------------------

    def decision_function(self, X: Any) -> Array:
        """Return the scores (logits) of rows: (n,) of two classes, else (n, classes).

        Of two classes it is the score of the second, which is decided where it is
        above 0.
        """
        scores = self._predict(X).astype(np.float64)
        return scores[:, 0] if self._outputs() == 1 else scores

    def predict(self, X: Any) -> Array:
        """Return the class of each row, or the labels of each row as 0 and 1."""
        scores = self.decision_function(X)
        if self._labels is None:
            return (scores > 0).astype(self._dtype)
        decided = scores.argmax(1) if scores.ndim == 2 else (scores > 0).astype(int)
        return self.classes_[decided]

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, or of each label, for each row."""
        scores = self.decision_function(X)
        if self._labels is None:
            return expit(scores)
        if scores.ndim == 1:
            return expit(np.stack([-scores, scores], axis=1))
        return softmax(scores, axis=1)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the probabilities."""
        scores = self.decision_function(X)
        if self._labels is None:
            return log_expit(scores)
        if scores.ndim == 1:
            return log_expit(np.stack([-scores, scores], axis=1))
        return log_softmax(scores, axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _balanced(labels: Array, weights: Array) -> Array:
    """Return factors of the weights with which each class weighs the same."""
    classes, numbers = np.unique(labels, return_inverse=True)
    mass = np.bincount(numbers, weights)
    return (mass.sum() / (len(classes) * mass))[numbers]
