"""The report of the measuring set: rates with Wilson's 95 % intervals."""

import collections
import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from cases import Case

#: The quantile of a normal distribution for 95 %.
Z = 1.959964
#: The bars: share, and whether it is a least or a greatest one.
BARS = {
    "sick runs with a sick finding": (0.95, "≥"),
    "healthy runs with a sick finding": (0.01, "≤"),
    "mutations: a right cause among the first two": (0.80, "≥"),
    "sick findings that are right": (0.60, "≥"),
}
Records = Mapping[str, Mapping[str, Any]]


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    if not n:
        return 0.0, 1.0
    p = hits / n
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def digest(name: str) -> bytes:
    """Return the hash of a name."""
    return hashlib.sha256(name.encode()).digest()


def is_right(case: Case, component: str, causes: Records) -> bool:
    """Return whether a sick case has a component as a cause."""
    if component in case.components:
        return True
    found = causes.get(f"{case.name} | {component}")
    return bool(found and found["cures"])


def is_fact(finding: Mapping[str, Any], truth: Mapping[str, Any]) -> bool:
    """Return whether a finding says of a run that it gives no numbers, and it is so."""
    return finding["component"] == "numerics" and not any(truth["scores"])


def measured(
    known: Iterable[Case], truths: Records, diagnoses: Records, causes: Records
) -> dict[str, tuple[int, int]]:
    """Return hits and numbers of all rates, over the cases that are diagnosed."""
    counts = {name: [0, 0] for name in BARS}

    def count(name: str, hit: bool) -> None:
        counts[name][0] += hit
        counts[name][1] += 1

    names = list(BARS)
    for case in known:
        if case.name not in truths or case.name not in diagnoses:
            continue
        truth = truths[case.name]["truth"]
        findings = diagnoses[case.name]["findings"]
        sick = [f for f in findings if f["severity"] == "sick"]
        if truth == "between":
            continue
        right = {f["component"] for f in findings} if truth == "sick" else set()
        right = {c for c in right if is_right(case, c, causes)}
        count(names[0] if truth == "sick" else names[1], bool(sick))
        if truth == "sick" and case.kind == "mutation":
            count(names[2], any(f["component"] in right for f in findings[:2]))
        for f in sick:
            count(names[3], f["component"] in right or is_fact(f, truths[case.name]))
    return {name: (hits, n) for name, (hits, n) in counts.items()}


def text(rates: Mapping[str, tuple[int, int]]) -> str:
    """Return rates as a table in Markdown."""
    lines = ["| | measured | 95 % interval | bar |", "|---|---|---|---|"]
    for name, (hits, n) in rates.items():
        low, high = wilson(hits, n)
        share = hits / max(n, 1)
        bar, side = BARS[name]
        lines.append(
            f"| {name} | {share:.1%} ({hits} of {n}) | {low:.1%} … {high:.1%} "
            f"| {side} {bar:.0%} |"
        )
    return "\n".join(lines)


def errors(
    known: Iterable[Case], truths: Records, diagnoses: Records, causes: Records
) -> str:
    """Return the cases that were judged wrongly, for tuning."""
    lines: list[str] = []
    for case in known:
        if case.name not in truths or case.name not in diagnoses:
            continue
        t, findings = truths[case.name], diagnoses[case.name]["findings"]
        sick = [f for f in findings if f["severity"] == "sick"]
        said = "; ".join(
            f"{f['code']} {f['severity']}"
            + ("" if f["gain"] is None else f" {f['gain']:+.2f}")
            + ("" if is_right(case, f["component"], causes) else " ✗")
            for f in findings
        )
        head = None
        if t["truth"] == "sick" and not sick:
            head = "MISS"
        elif t["truth"] == "healthy" and sick:
            head = "ALARM"
        elif t["truth"] == "sick" and case.kind == "mutation":
            two = [f["component"] for f in findings[:2]]
            if not any(is_right(case, c, causes) for c in two):
                head = "CAUSE"
        wrong = any(not is_right(case, f["component"], causes) for f in sick)
        if head is None and t["truth"] == "sick" and wrong:
            head = "WRONG"
        if head:
            own = " ".join(f"{s:.2f}" for s in t["scores"])
            lines.append(
                f"{head} {case.name} [{own} | {t['remedy']:.2f}] → {said or '–'}"
            )
    return "\n".join(sorted(lines))


def document(
    known: Iterable[Case], truths: Records, rates: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    """Return the truths and the rates as data."""
    return {
        "truths": {c.name: truths[c.name]["truth"] for c in known if c.name in truths},
        "rates": {
            name: {"hits": hits, "of": n, "interval": wilson(hits, n)}
            for name, (hits, n) in rates.items()
        },
    }


def contents(known: Iterable[Case], truths: Records) -> str:
    """Return how many cases there are of each truth, by half and kind."""
    counts = collections.Counter(
        (c.half, c.kind, truths[c.name]["truth"]) for c in known if c.name in truths
    )
    return "\n".join(f"{' '.join(key)}: {n}" for key, n in sorted(counts.items()))
