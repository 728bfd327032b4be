"""For all tests: one BLAS thread a worker, no kept code, random numbers of their own.

Workers run side by side already, and BLAS threads that wait for a core by spinning slow
all of them down many times over. Set before NumPy is imported, or it is too late.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# Tests that patch the engine would keep, or be given, the code of another one.
os.environ["CHAINRULE_CACHE"] = "0"
# Programs that tests start, and the next run, find the modules compiled: a worker
# takes seconds to read and rewrite the tests' source.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import gc  # noqa: E402
import importlib  # noqa: E402
import sys  # noqa: E402
import zlib  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from chainrule.engines import native_problem  # noqa: E402
from chainrule.text.languages import set_language  # noqa: E402

set_language("en")  # whatever the locale of who runs them
sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """Keep the thousands of tests themselves out of every later garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers of the test's own, the same in every run and any order."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(params=["numpy", "native"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that runs here."""
    name = request.param
    if name == "native":
        problem = native_problem()
        if problem:
            pytest.skip(problem)
        importlib.import_module("chainrule.engines.native.runtime.executable")
    return name
