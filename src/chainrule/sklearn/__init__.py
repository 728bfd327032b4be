"""Estimators for scikit-learn: networks that pipelines, searches and metrics take.

Needs the extra ``sklearn``. An estimator checks what it is given as scikit-learn does,
encodes it, and trains a :class:`chainrule.Trainer`, which is ``estimator.trainer_``.

    classifier, regressor     what users call; targets and predictions of each task
    transformer               the codes of an autoencoder
    estimator                 what they share: fitting, warm starts, early stopping
    parameters                the parameters of a network, each with its check
    features                  X as an array: numbers with gaps, columns of categories
    network                   the network and the optimiser that parameters describe
    sizes                     batch and engine that suit the data

A training loop, layers, or the reading of tables have no place here: these are
``chainrule.training``, ``chainrule.nn`` and ``chainrule.data.tables``. A parameter is
an argument of an estimator's constructor, and a row of ``parameters.CHECKS``.
"""

from chainrule.errors import ArgumentError
from chainrule.text import _

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ArgumentError(
        _("{name} is not installed.", name="scikit-learn"),
        expected=_("the extra sklearn"),
        got=f"{type(error).__name__}: {error}",
        fix=_("pip install 'chainrule[sklearn]'"),
    ) from error

from chainrule.sklearn.classifier import ChainruleClassifier
from chainrule.sklearn.regressor import ChainruleRegressor
from chainrule.sklearn.transformer import ChainruleTransformer

__all__ = ["ChainruleClassifier", "ChainruleRegressor", "ChainruleTransformer"]
