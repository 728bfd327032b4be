"""The error raised for a wrong gradient."""

from __future__ import annotations

from chainrule.errors import GradientError
from chainrule.gradient_check.report import GradientReport
from chainrule.gradient_check.row import WRONG
from chainrule.text import _


class GradientCheckError(GradientError):
    """The error raised by a gradient check for a wrong derivative.

    Attributes:
        report: what the check found.
    """

    def __init__(self, report: GradientReport) -> None:
        self.report = report
        worst = report.worst
        rule = worst.why if worst is not None and worst.kind in WRONG else None
        rule = rule or next(iter(report.rules), None)
        reason = rule.message() if rule is not None else ""
        if worst is None or worst.kind not in WRONG:
            super().__init__(
                _("A derivative rule is wrong: {rule}.", rule=reason), fix=_fix("rule")
            )
            return
        super().__init__(
            _(
                "The derivative with respect to {entry} is wrong: {reason}.",
                entry=worst.entry,
                reason=reason or worst.reason(),
            ),
            expected=_(
                "{number} (difference quotients)", number=f"{worst.quotient:.10g}"
            ),
            got=_("{number} (derivative rules)", number=f"{worst.derivative:.10g}"),
            fix=_fix(worst.kind),
        )


def _fix(kind: str) -> str:
    if kind == "cut":
        return _(
            "compute with tensors throughout: numpy(), detach() and no_grad() hide"
            " what they give from derivatives"
        )
    if kind == "rule":
        return _("correct the rule where it is declared: vjp=, or backward")
    return _("print(error.report) shows the quotients")
