"""scikit-learn's tools on the estimators: searches, pipelines, calibration, pickles."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_backend
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule
from chainrule import nn, optim
from chainrule.errors import SaveError
from chainrule.sklearn import (
    ChainruleClassifier,
    ChainruleRegressor,
    ChainruleTransformer,
)
from tests.ways import ENGINES

X, Y = load_iris(return_X_y=True)
GRID = {"hidden_layer_sizes": [(4,), (8, 8)]}


def small(**options: Any) -> ChainruleClassifier:
    return ChainruleClassifier(**{"max_iter": 3, "random_state": 0} | options)


def build(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 5), nn.Tanh(), nn.Linear(5, outputs))


def search(jobs: int | None, **options: Any) -> dict[str, Any]:
    found = GridSearchCV(small(**options), GRID, cv=2, n_jobs=jobs).fit(X, Y)
    return found.cv_results_


def test_a_search_with_threads_gives_what_one_gives() -> None:
    alone = search(None)
    with parallel_backend("threading"):
        threads = search(2)
    np.testing.assert_array_equal(alone["mean_test_score"], threads["mean_test_score"])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_search_with_processes_gives_what_one_gives(
    backend: str, engine: str
) -> None:
    """New processes, and forks of one that has threads and machine code."""
    alone = search(None, engine=engine)
    with parallel_backend(backend):
        processes = search(2, engine=engine)
    np.testing.assert_array_equal(
        alone["mean_test_score"], processes["mean_test_score"]
    )


@pytest.mark.slow
def test_many_threads_and_the_native_engine() -> None:
    alone = search(None, engine="native")
    with parallel_backend("threading"):
        threads = search(4, engine="native")
    np.testing.assert_array_equal(alone["mean_test_score"], threads["mean_test_score"])


def test_a_pickle_predicts_the_same() -> None:
    frame = pd.DataFrame(X).assign(kind=pd.Categorical(Y.astype(str)))
    frame.columns = frame.columns.astype(str)
    for model, rows in (
        (small(module=build).fit(X, Y), X),
        (ChainruleRegressor(max_iter=2, random_state=0).fit(frame, X[:, 0]), frame),
    ):
        copy = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(copy.predict(rows), model.predict(rows))
        copy.set_params(warm_start=True).fit(rows, Y)  # it goes on


@pytest.mark.slow
def test_a_pickle_opens_where_nothing_was_imported(tmp_path: Path) -> None:
    model = small().fit(X, Y)
    (tmp_path / "model").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "x.npy", X)
    code = (
        "import pickle, numpy as np; from pathlib import Path;"
        "model = pickle.loads(Path('model').read_bytes());"
        "print(model.predict(np.load('x.npy')).tolist())"
    )
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(Path(chainrule.__file__).resolve().parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.strip() == str(model.predict(X).tolist())


def test_a_network_without_a_name_is_not_pickled() -> None:
    model = small(module=lambda inputs, outputs: nn.Linear(inputs, outputs))
    with pytest.raises((pickle.PicklingError, AttributeError, SaveError)):
        pickle.dumps(model.fit(X, Y))


def test_a_clone_has_the_parameters_alone() -> None:
    model = small(solver=optim.Adam(lr=0.02), module=nn.Linear(4, 3)).fit(X, Y)
    copy = clone(model)
    assert not hasattr(copy, "trainer_")
    assert repr(copy.solver) == repr(model.solver)
    np.testing.assert_array_equal(copy.fit(X, Y).predict(X), model.predict(X))


def test_pipelines_with_frames() -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    codes = make_pipeline(StandardScaler(), ChainruleTransformer(2, max_iter=5))
    made = codes.set_output(transform="pandas").fit_transform(frame)
    assert list(made) == ["chainruletransformer0", "chainruletransformer1"]
    chain = make_pipeline(ChainruleTransformer(2), small(max_iter=25))
    assert chain.fit(frame, Y).score(frame, Y) > 0.85


def test_importance_of_what_was_used() -> None:
    y = X[:, 2] * 3
    model = ChainruleRegressor(max_iter=40, random_state=0).fit(X[:, [0, 2]], y)
    found = permutation_importance(model, X[:, [0, 2]], y, n_repeats=3, random_state=0)
    assert found["importances_mean"][1] > 5 * found["importances_mean"][0]


@pytest.mark.slow
def test_calibration_and_ensembles() -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    for model in (
        CalibratedClassifierCV(small(max_iter=20), cv=3),
        BaggingClassifier(small(max_iter=20), 3, random_state=0),
        StackingClassifier([("a", small(max_iter=20)), ("b", small())], cv=3),
    ):
        assert model.fit(frame, Y).score(frame, Y) > 0.85
    scores = cross_val_score(small(max_iter=20), X, Y, cv=3, scoring="neg_log_loss")
    assert scores.mean() > -0.4
