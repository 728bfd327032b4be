"""ONNX's own backend suite: nothing wrong or crashed, what is refused is listed."""

from __future__ import annotations

import collections
import functools
import re
import zlib

import pytest

from chainrule.backends import native

pytest.importorskip("onnx", reason="needs onnx: pip install 'chainrule[onnx]'")

from .onnx_suite import (
    FILES,
    RANDOM,
    UNSUPPORTED,
    Case,
    file_cases,
    node_cases,
    outcome,
)

#: What decides about shapes is data: eager code alone.
BY_DATA = r"test_(nonzero|unique|nonmaxsuppression|bitcast|compress|loop|range).*"
#: Modules of the suite that are cheap and stand for a family each.
CHEAP = (
    *(
        "add",
        "attention",
        "averagepool",
        "batch_normalization",
        "cast",
        "clip",
        "concat",
        "conv",
    ),
    *(
        "convtranspose",
        "cumsum",
        "depthtospace",
        "dequantizelinear",
        "einsum",
        "gather",
    ),
    *(
        "gathernd",
        "gru",
        "if_",
        "layernormalization",
        "loop",
        "lstm",
        "matmul",
        "mod",
    ),
    *("nonmaxsuppression", "onehot", "pad", "quantizelinear", "reduce_log_sum_exp"),
    *("reshape", "resize", "rnn", "scan", "scatternd", "slice", "softmax", "split"),
    *("topk", "unique", "where", "dft", "stft", "hannwindow", "hammingwindow"),
    "blackmanwindow",
)


def check(cases: list[Case], engine: str = "") -> collections.Counter[str]:
    """Run cases; what is not as the list says fails."""
    counts: collections.Counter[str] = collections.Counter()
    wrong = {}
    for case in cases:
        try:
            result = outcome(case, engine)
        except Exception as error:
            result = f"crashed: {error!r}"
        kind = result.partition(":")[0]
        counts[kind] += 1
        if kind not in ("passed", "refused") or (kind == "refused") != bool(
            case.reason
        ):
            wrong[case.name] = result[:500]
    assert not wrong, f"{len(wrong)} of {len(cases)}: {wrong}"
    return counts


def test_cheap_operators() -> None:
    """Of every operator some cases; the slow tests have all of them."""
    cases = [c for c in node_cases(CHEAP) if not c.name.endswith("_expanded")]
    counts = check(cases[::3])
    assert counts["passed"] > 100


@pytest.mark.parametrize("kind", FILES)
def test_files(kind: str) -> None:
    check(file_cases(kind))


@pytest.mark.slow
def test_every_operator() -> None:
    cases = node_cases()
    counts = check(cases)
    ours = [
        c for c in cases if not c.foreign and not re.search("text|sequence", c.reason)
    ]
    share = counts["passed"] / len(ours)
    assert share >= 0.95
    assert counts["passed"] > 1500
    files = [c for kind in FILES for c in file_cases(kind)]
    reasons = {c.reason for c in (*cases, *files)}
    assert reasons >= UNSUPPORTED.keys()  # a row that nothing needs is out of date


@functools.cache
def traceable() -> list[Case]:
    """The cases that we compute, in an order that does not group families."""
    cases = [c for c in node_cases() if not c.reason and not RANDOM.match(c.name)]
    return sorted(cases, key=lambda c: zlib.crc32(c.name.encode()))


def check_compiled(cases: list[Case], engine: str) -> None:
    """Run cases in compiled code, what decides about shapes as constants."""
    wrong, refused = {}, []
    for case in cases:
        result = outcome(case, engine)
        if result.startswith("wrong"):
            wrong[case.name] = result[:500]
        elif result != "passed":
            refused.append(case.name)
            if not re.fullmatch(BY_DATA, case.name):
                wrong[case.name] = result[:500]
    assert not wrong, f"{len(wrong)} of {len(cases)}: {wrong}"
    assert len(refused) < 0.05 * len(cases)


@pytest.mark.slow
def test_compiled_on_numpy() -> None:
    check_compiled(traceable(), "numpy")


@pytest.mark.slow
@pytest.mark.parametrize("share", range(10))
def test_compiled_natively(share: int) -> None:
    if not native.is_available():
        pytest.skip("no llvmlite here")
    check_compiled(traceable()[share::10], "native")
