"""How tests run a function here: eagerly, or compiled on one of the engines."""

from __future__ import annotations

from chainrule.engines import native_problem

ENGINES = ["numpy"] if native_problem() else ["numpy", "native"]
WAYS = ["eager", *ENGINES]
