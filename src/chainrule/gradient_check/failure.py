"""The error raised for a wrong derivative."""

from __future__ import annotations

from chainrule.errors import GradientError
from chainrule.gradient_check.report import GradientReport
from chainrule.gradient_check.row import WRONG
from chainrule.text import _, tr


class GradientCheckError(GradientError):
    """The error raised for a wrong derivative.

    Attributes:
        report: what the check found.
    """

    def __init__(self, report: GradientReport) -> None:
        self.report = report
        worst = report.worst
        rule = worst.why if worst is not None and worst.kind in WRONG else None
        rule = rule or next(iter(report.rules), None)
        if worst is None or worst.kind not in WRONG:
            super().__init__(
                tr("A derivative rule is wrong: {rule}.", rule=rule), fix=_fix("rule")
            )
            return
        super().__init__(
            tr(
                "The derivative with respect to {entry} is wrong: {reason}.",
                entry=worst.entry,
                reason=rule or worst.reason(),
            ),
            expected=_(
                "{number} (difference quotients)", number=f"{worst.quotient:.10g}"
            ),
            got=_("{number} (derivative rules)", number=f"{worst.derivative:.10g}"),
            fix=_fix(worst.kind),
        )


def _fix(kind: str) -> str:
    if kind == "cut":
        return tr(
            "compute with tensors throughout: numpy(), detach() and no_grad() hide"
            " what they give from derivatives"
        )
    if kind == "rule":
        return tr("correct the rule (vjp=) where the primitive is declared")
    return tr("print(error.report) shows the quotients")
