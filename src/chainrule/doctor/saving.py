"""A diagnosis as one file: what was found, and what somebody else needs to look at it.

The file is JSON: what ``to_dict`` gives, with the changes, scores and curves of each
finding, and seed, versions, program, graph, a fingerprint of the data, and the probes
of the trial run. It holds no data and no weights.
"""

from __future__ import annotations

import json
import platform
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from chainrule.doctor import labels, view
from chainrule.doctor.case import Case
from chainrule.doctor.finding import (
    COMPONENTS,
    SEVERITIES,
    Change,
    Comparison,
    Finding,
    Fix,
)
from chainrule.doctor.fixes import Spent
from chainrule.doctor.setup import Setup
from chainrule.errors import ArgumentError, DataError
from chainrule.text import _, numbers, translated
from chainrule.text.catalogue import current
from chainrule.util import atomic_files
from chainrule.version import __version__

#: What a file is, and the version of its form.
FORMAT, FORM = "chainrule diagnosis", 2
Made = TypeVar("Made")
#: A file is at most so large.
LARGEST = 1 << 28


class Diagnosis(view.Diagnosis, Protocol):
    """The interface to a diagnosis that is written."""

    spent: float
    case: Case | None
    record: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return it as data for JSON."""
        ...


def write(document: Mapping[str, Any], path: Path) -> None:
    """Write a document as a file.

    Raises:
        SaveError: it cannot be written.
    """
    head = {"format": FORMAT, "form": FORM, "language": current()}
    head["versions"] = {
        "chainrule": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    whole = numbers.plain({**head, **document})
    text = json.dumps(whole, ensure_ascii=False, allow_nan=False)
    atomic_files.replace(path, text.encode(), _("diagnosis"))


def document_of(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as a document of its file."""
    document: dict[str, Any] = diagnosis.to_dict() | {"spent": diagnosis.spent}
    document["findings"] = [
        plain | _kept(finding)
        for plain, finding in zip(document["findings"], diagnosis.findings)
    ]
    document["fixes"] = [
        plain | _tried(fix) for plain, fix in zip(document["fixes"], diagnosis.fixes)
    ]
    kept = diagnosis.record if diagnosis.case is None else _record(diagnosis.case)
    return document | kept


def _kept(finding: Finding) -> dict[str, Any]:
    """Return what a finding has beside what is shown of it, as JSON data."""
    change = None if finding.change is None else _changed(finding.change)
    compared = finding.comparison
    return {
        "advice": translated(finding.advice),
        "change": change,
        "file_diff": translated(finding.file_diff),
        "comparison": None if compared is None else _compared(compared),
        "curves": {k: [*map(float, v)] for k, v in finding.curves.items()},
    }


def _tried(fix: Fix) -> dict[str, Any]:
    """Return what a fix has beside what is shown of it, as JSON data."""
    return {
        "parts": [_changed(change) for change in fix.changes],
        "comparison": _compared(fix.comparison),
        "file_diff": translated(fix.file_diff),
    }


def _changed(change: Change) -> dict[str, Any]:
    return {
        "what": translated(change.what),
        "before": translated(change.before),
        "after": translated(change.after),
        "times": change.times,
    }


def _compared(compared: Comparison) -> dict[str, Any]:
    found = {k: v for k, v in vars(compared).items() if k != "change"}
    return {"change": _changed(compared.change), **found}


def _record(case: Case) -> dict[str, Any]:
    """Return what tells a training from others: program, graph, data, probes."""
    if case.refused is not None:
        return {}
    setup, network = case.setup, case.network
    steps = case.trial.steps if "trial" in vars(case) else {}
    return {
        "program": {
            "model": repr(setup.model),
            "loss": repr(setup.loss),
            "optimizer": repr(setup.optimizer),
            "engine": str(setup.engine),
            "epochs": setup.epochs,
            "batch_size": setup.batch_size,
        },
        "graph": None if network is None else str(network.graph),
        "data": _fingerprint(case),
        "probes": {k: np.asarray(v).tolist() for k, v in steps.items()},
    }


def _fingerprint(case: Case) -> dict[str, Any]:
    """Return what tells the data of a case from others: sizes, types, a checksum."""
    if not case.single:
        return {"rows": len(case.train)}
    x, y = case.train.x, case.train.y
    stored = np.ascontiguousarray(x.stored)
    check = zlib.crc32(stored.reshape(-1).view(np.uint8).data)
    check = zlib.crc32(np.ascontiguousarray(y).reshape(-1).view(np.uint8).data, check)
    return {
        "rows": len(case.train),
        "row": list(x.shape[1:]),
        "dtype": str(stored.dtype),
        "target": list(y.shape[1:]),
        "target_dtype": str(y.dtype),
        "crc32": check,
    }


# -- reading ---------------------------------------------------------------------------

#: What of a file is not in a diagnosis itself: see :func:`_record`.
RECORD = ("program", "graph", "data", "probes", "versions")


def read(path: Path, *, of: Callable[[Mapping[str, Any]], Made]) -> Made:
    """Return what a function makes of the document of a file.

    Raises:
        DataError: there is no such file, or it is no diagnosis.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise _damaged(path, _("a file of more than 256 MiB"))
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}"[:120]) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _damaged(path, _("a file of another kind"))
    if document.get("form") != FORM:
        raise _damaged(path, _("a file of form {n}", n=str(document.get("form"))[:20]))
    try:
        return of(document)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}"[:120]) from None


def _damaged(path: Path, got: str) -> DataError:
    return DataError(
        _("{path} is no diagnosis.", path=str(path)[:200]),
        expected=_("a file that Diagnosis.save or chainrule doctor --save wrote"),
        got=got,
    )


def arguments(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a diagnosis from its document."""
    examined, not_examined = (
        {str(k): str(v) for k, v in document[part].items() if k in labels.PARTS}
        for part in ("examined", "not_examined")
    )
    return {
        "findings": [_finding(found) for found in document["findings"]],
        "examined": examined,
        "not_examined": not_examined,
        "seconds": float(document["seconds"]),
        "spent": float(document["spent"]),
        "seed": int(document["seed"]),
        "interrupted": bool(document["interrupted"]),
        "fixes": [
            Fix(
                str(fix["finding"]),
                tuple(_change(kept) for kept in fix["parts"]),
                _comparison(fix["comparison"]),
                int(fix["steps"]),
                str(fix["file_diff"]),
            )
            for fix in document["fixes"]
        ],
        "search": None if document["search"] is None else _spent(document["search"]),
        "record": {k: document[k] for k in RECORD if k in document},
    }


def _finding(found: Mapping[str, Any]) -> Finding:
    if found["severity"] not in SEVERITIES or found["component"] not in COMPONENTS:
        raise ValueError(found["severity"], found["component"])
    above, change = found["consequence_of"], found["change"]
    compared = found["comparison"]
    return Finding(
        str(found["code"]),
        found["component"],
        found["severity"],
        str(found["where"]),
        {
            str(k): v if isinstance(v, int | float | None) else str(v)
            for k, v in found["evidence"].items()
            if k in labels.EVIDENCE
        },
        str(found["cause"]),
        str(found["advice"]),
        None if change is None else _change(change),
        None if compared is None else _comparison(compared),
        float(found["confidence"]),
        str(found["reference"]),
        None if above is None else str(above),
        {
            str(k): [np.nan if v is None else float(v) for v in curve]
            for k, curve in found["curves"].items()
            if k in labels.EVIDENCE
        },
        str(found["file_diff"]),
    )


def _change(kept: Mapping[str, Any]) -> Change:
    what, before, after = (str(kept[k]) for k in ("what", "before", "after"))
    return Change(what, before, after, _cannot_apply, int(kept["times"]))


def _comparison(kept: Mapping[str, Any]) -> Comparison:
    before, after = (
        tuple(None if v is None else float(v) for v in kept[k])
        for k in ("before", "after")
    )
    if kept["metric"] not in labels.METRICS:
        raise ValueError(kept["metric"])
    return Comparison(
        _change(kept["change"]),
        kept["metric"],
        before,
        after,
        float(kept["baseline"]),
        float(kept["noise"]),
        float(kept["share"]),
        int(kept.get("steps", 0)),
        int(kept.get("asked", 0)),
    )


def _spent(kept: Mapping[str, Any]) -> Spent:
    steps, runs, whole = (int(kept[k]) for k in ("steps", "runs", "whole"))
    return Spent(steps, runs, whole, float(kept["seconds"]), int(kept["limit"]))


def _cannot_apply(setup: Setup) -> None:
    raise without_case()


def without_case() -> ArgumentError:
    """Return the error of a change in what a diagnosis from a file does not have."""
    return ArgumentError(
        _("A diagnosis from a file has neither the model nor the data."),
        expected=_("a diagnosis that cr.diagnose made in this process"),
        fix=_("cr.diagnose(trainer, data).fix()"),
    )
