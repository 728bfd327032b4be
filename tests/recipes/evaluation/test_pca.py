"""Principal components against scikit-learn, and the paper's error."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes.evaluation.pca import PrincipalComponents, squared_error


def test_components_are_scikit_learns(rng: np.random.Generator) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    x = (rng.standard_normal((300, 20)) @ rng.standard_normal((20, 20))).astype("f4")
    fresh = rng.standard_normal((50, 20)).astype("f4")
    ours, theirs = PrincipalComponents(x, 5), decomposition.PCA(5).fit(x)
    codes = theirs.transform(fresh)
    wanted = theirs.inverse_transform(codes)
    np.testing.assert_allclose(ours.predict(fresh), wanted, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(abs(ours.codes(fresh)), abs(codes), rtol=1e-3, atol=1e-3)
    error = np.mean([sum((a - b) ** 2) for a, b in zip(fresh, wanted)])
    assert squared_error(fresh, ours.predict(fresh)) == pytest.approx(error, rel=1e-4)


@pytest.mark.slow
def test_components_are_those_of_the_paper() -> None:
    train, test = (part.x[:] for part in cr.data.mnist())
    reconstruction = PrincipalComponents(train, 30).predict(test)
    assert squared_error(test, reconstruction) == pytest.approx(13.87, abs=0.005)
