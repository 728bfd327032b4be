"""Settings and fixtures of all tests: threads, the cache of code, what is selected.

Each process has one BLAS thread. Workers run side by side already, and BLAS threads
that wait for a core by spinning slow all of them down many times over. The variables
are set before NumPy is imported; later they have no effect.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# Tests that patch the engine would store, or load, code of another engine.
os.environ["CHAINRULE_CACHE"] = "0"
# Programs that tests start, and the next run, find the modules compiled: a worker
# takes seconds to read and rewrite the tests' source.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import gc  # noqa: E402
import importlib  # noqa: E402
import importlib.util  # noqa: E402
import itertools  # noqa: E402
import re  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import zlib  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Generator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from _pytest.runner import runtestprotocol  # noqa: E402

from chainrule.engines import native_problem  # noqa: E402
from chainrule.text.languages import set_language  # noqa: E402
from tests.ways import ENGINES, WAYS  # noqa: E402

gc.disable()  # until all tests are collected: of their objects none is garbage
set_language("en")  # whatever the locale of who runs them
# Tests interrupt themselves and what they start; a shell's background job ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.dont_write_bytecode = False
# No power fails while tests run, and a disk takes milliseconds for each of their
# thousands of files. Like fsync this refuses what is no open file.
os.fsync = os.fstat  # pyright: ignore

#: The parts into which ``--part`` divides the slow tests.
PARTS = 10
#: Allocations between two garbage collections. A test leaves a few cycles, of which
#: Python's 700 makes a fifteenth of the suite's time.
COLLECT_AFTER = 10_000
#: Tests after which what is left stays: caches fill, and a collection reads them all.
FREEZE_AFTER = 100
#: Seconds below which no list of durations shows a setup or a teardown.
SHORT = 0.005
#: Tests for which any engine will do, or any way to run a function: the fast suite runs
#: each case in one of them, by turns, the slow tests in the others. What the ways make
#: of the same graph is compared in tests/conformance and tests/engines, in all of them.
WITH_ANY_ENGINE = re.compile(
    "tests/(training|recipes|cli|nn|explanation|array_api|examples|optim|rl|serving)/"
    "|tests/test_(metrics|class_metrics|evaluation|environment|repeated_calls|borders"
    "|changing_numbers|views|vmap|control|checkpoint|plan|random|bounded_caches"
    "|program_files|metrics_beside_scikit_learn)[.]py"
)
#: Folders whose tests need a package: its module, and what it is called.
WITH_PACKAGE = {
    "parity": ("torch", "PyTorch"),
    "strangers": ("torch", "PyTorch"),
    "xla": ("jax", "JAX"),
}
#: Reasons of skips that name a package, or what such a package brings.
PACKAGE = re.compile(
    r"could not import|install|needs|no wheel|^no (?!LaTeX)\S+(, \S+)* here"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part",
        type=int,
        metavar="N",
        help=f"run a {PARTS}th of slow tests; any {PARTS} numbers in a row run all",
    )
    parser.addoption(
        "--need-packages",
        action="store_true",
        help="fail where a test is skipped because a package is missing",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out folders of tests whose package is not installed."""
    if collection_path.parent != Path(__file__).parent:
        return None
    needs = WITH_PACKAGE.get(collection_path.name)
    if needs is None or importlib.util.find_spec(needs[0]):
        return None
    if config.getoption("--need-packages"):
        raise pytest.UsageError(f"{needs[1]} is missing: pip install -e '.[parity]'")
    return True


def part_of(nodeid: str) -> int:
    """Return the part of a test: a digest of its name, the same in every run."""
    return zlib.crc32(nodeid.encode()) % PARTS


def one_way_each(items: list[pytest.Item]) -> None:
    """Mark as slow all but one of tests that differ by the way to run, not tested."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        callspec: Any = getattr(item, "callspec", None)
        params = callspec.params if callspec else {}
        way = params.get("way", params.get("engine"))
        if way not in WAYS or item.get_closest_marker("slow"):
            continue
        if WITH_ANY_ENGINE.search(item.path.as_posix()):
            name = re.sub(rf"\b{way}\b", "", item.nodeid)
            cases.setdefault(name, []).append(item)
    for name, case in cases.items():
        first = zlib.crc32(name.encode()) % len(case)
        for item in (case[first:] + case[:first])[:-1]:
            item.add_marker("slow")


def some_cases(items: list[pytest.Item]) -> None:
    """Mark as slow what ``one_in(k, first=i)`` leaves out.

    Of each k cases in a row one stays, each time another of the k, beginning with
    the i-th: so where engines alternate from case to case, each has its turn.
    """
    counts: Counter[str] = Counter()
    for item in items:
        marker = item.get_closest_marker("one_in")
        if marker is None or item.get_closest_marker("slow"):
            continue
        name = item.nodeid.partition("[")[0]
        (k,), first = marker.args, marker.kwargs.get("first", 0)
        assert 0 <= first < k, f"{name}: first={first}, one in {k}"
        number, counts[name] = counts[name], counts[name] + 1
        if (number + number // k) % k != first:
            item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    one_way_each(items)
    if not any("[" in path for path in config.args):  # a case that is asked for runs
        some_cases(items)
    yield  # markers select
    select_part(config, items)


def select_part(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the slow tests of the other parts, under ``--part``."""
    part = config.getoption("--part")
    if part is None:
        return

    def elsewhere(item: pytest.Item) -> bool:
        slow = item.get_closest_marker("slow") is not None
        return slow and part_of(item.nodeid) != part % PARTS

    config.hook.pytest_deselected(items=[item for item in items if elsewhere(item)])
    items[:] = [item for item in items if not elsewhere(item)]


def refuse_skip(report: Any, config: pytest.Config) -> None:
    """Turn a skip for a missing package into a failure, under ``--need-packages``."""
    if not (report.skipped and config.getoption("--need-packages")):
        return
    if hasattr(report, "wasxfail") or not isinstance(report.longrepr, tuple):
        return
    reason = report.longrepr[2].removeprefix("Skipped: ")
    if PACKAGE.search(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped under --need-packages: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    refuse_skip(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, Any, Any]:
    report = yield
    refuse_skip(report, collector.config)
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the thousands of tests themselves out of every later garbage collection."""
    if not session.config.getoption("--need-packages"):
        compile_quickly()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    gc.enable()


def compile_quickly() -> None:
    """Have LLVM choose instructions without optimising: the bits are the same.

    That takes half of the time of a compilation. Before a merge (--need-packages) the
    tests run the code that users get.
    """
    if native_problem():
        return
    jit = importlib.import_module("chainrule.engines.native.runtime.jit")
    jit.object_code.__kwdefaults__["level"] = 0


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Any:
    """Run a test; of its start, and of quick setups and teardowns, nothing is sent.

    Those are three of five messages, and the main process, which runs beside the
    workers on their cores, needs half a millisecond for them.
    """
    if not hasattr(item.config, "workerinput"):
        return None  # as pytest does it
    about = {"nodeid": item.nodeid, "location": item.location}
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        plain = report.passed and not report.sections and report.duration < SHORT
        if report.when == "call" or not plain:
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(**about)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Refuse a test that leaves another handler of Ctrl-C to those behind it."""
    result = yield
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        gc.collect()  # what holds it may be a loop that nothing refers to
        left = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if left is not signal.default_int_handler:
            pytest.fail(f"{item.nodeid} leaves {left} as the handler of Ctrl-C")
    return result


_run = itertools.count(1)


def pytest_runtest_logfinish() -> None:
    """Keep what tests leave in caches out of later garbage collections."""
    if next(_run) % FREEZE_AFTER == 0:
        gc.collect()
        gc.freeze()


@pytest.fixture
def turn(request: pytest.FixtureRequest) -> int | None:
    """Return how often all parts were run before; None where all tests are run.

    A test that takes minutes does another share of its work at each turn.
    """
    part = request.config.getoption("--part")
    return None if part is None else part // PARTS


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Return random numbers of the test's own, the same in every run and any order."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Return each engine that runs here."""
    name = request.param
    if name == "native":
        problem = native_problem()
        if problem:
            pytest.skip(problem)
        importlib.import_module("chainrule.engines.native.runtime.executable")
    return name
