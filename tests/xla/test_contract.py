"""The XLA engine keeps the contract of engines: the tests of the others, on it."""

from __future__ import annotations

import inspect

from tests.engines import test_refused_runs
from tests.engines.contract import test_buffers, test_promises

for _module in (test_buffers, test_promises, test_refused_runs):
    for _name, _test in list(vars(_module).items()):
        if (
            _name.startswith("test_")
            and "engine" in inspect.signature(_test).parameters
        ):
            globals()[_name] = _test
