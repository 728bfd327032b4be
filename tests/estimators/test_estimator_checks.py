"""scikit-learn's own checks of estimators: all of them, none expected to fail.

Those that are quick run with the fast suite. The one that needs SciPy's array API,
which is switched on before SciPy is imported, runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from chainrule.sklearn import (
    ChainruleClassifier,
    ChainruleRegressor,
    ChainruleTransformer,
)

ESTIMATORS = (ChainruleClassifier, ChainruleRegressor, ChainruleTransformer)
#: Checks that run with the fast suite: those without a fit, and one of each kind.
FAST = {
    *("check_estimator_cloneable", "check_estimator_tags_renamed"),
    *("check_valid_tag_types", "check_estimator_repr"),
    *("check_no_attributes_set_in_init", "check_mixin_order"),
    *("check_do_not_raise_errors_in_init_or_set_params", "check_get_params_invariance"),
    *("check_parameters_default_constructible", "check_set_params"),
    *("check_estimators_unfitted", "check_fit1d", "check_complex_data"),
    *("check_estimators_empty_data_messages", "check_requires_y_none"),
    *("check_all_zero_sample_weights_error", "check_sample_weights_shape"),
    *("check_classifiers_regression_target", "check_classifiers_one_label"),
    *("check_supervised_y_no_nan", "check_estimator_sparse_tag"),
    *("check_sample_weight_equivalence_on_dense_data", "check_n_features_in"),
    *("check_dict_unchanged", "check_dont_overwrite_parameters"),
}
#: The one that runs elsewhere.
APART = "check_array_api_input"


def checks() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in ESTIMATORS:
            seen: dict[str, int] = {}
            for estimator, check in estimator_checks_generator(kind()):
                function = check.func if isinstance(check, partial) else check
                name = function.__name__
                if name == APART:
                    continue
                number = seen[name] = seen.get(name, 0) + 1
                yield pytest.param(
                    estimator,
                    check,
                    id=f"{kind.__name__}-{name}{number if number > 1 else ''}",
                    marks=() if name in FAST else pytest.mark.slow,
                )


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_estimator_check(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the checks do on purpose
        check(estimator)


def test_the_checks_are_all_there() -> None:
    """A check with a new name runs, too: the fast ones are all known."""
    names = {param.id.partition("-")[2] for param in checks()}
    assert names >= FAST
    assert len(names) > 70


@pytest.mark.slow
def test_arrays_of_the_array_api() -> None:
    code = f"""
from sklearn.utils.estimator_checks import {APART} as check
from tests.estimators.test_estimator_checks import ESTIMATORS
for kind in ESTIMATORS:
    check(kind.__name__, kind(), array_namespace="numpy",
          expect_only_array_outputs=False)
print("all")
"""
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == "all\n"
