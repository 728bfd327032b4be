"""A derivative with its difference quotients: a row of a gradient check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from chainrule.gradient_check.arguments import show_index
from chainrule.gradient_check.cause import Cause
from chainrule.gradient_check.quotients import Ladder
from chainrule.text import _, tr
from chainrule.text.numbers import number, plain

#: Where there is no derivative, or more than one.
KINKS = ("kink", "jump", "edge", "cancelled")
#: What makes a check fail.
WRONG = ("rule", "nonfinite", "cut", "unknown")


@dataclass(frozen=True)
class GradientRow:
    """A derivative compared with difference quotients, a row of a gradient check.

    Attributes:
        name: the argument or parameter.
        index: which entry of it; None for a random direction through all of it.
        derivative: by the derivative rules.
        quotient: the best that difference quotients tell; NaN where they have no limit.
        error: |derivative − quotient|, relative to the larger of them; where both are
            smaller than what quotients can tell, to that.
        known: within what the quotient is known.
        kind: ``agrees``; ``kink`` (the quotients of the two sides have other limits),
            ``jump`` or ``edge`` (of the domain), where there is no derivative;
            ``cancelled`` (kinks that cancel, while each rule has a value of its own);
            ``precision``, where quotients tell too little; ``rule``, ``nonfinite``,
            ``cut`` (a part is hidden from derivatives) or ``unknown``, where the
            derivative is wrong.
        why: what is to blame, where that was found.
        ladder: the quotients at several ε, where more than a first look was needed.
    """

    name: str
    index: tuple[int, ...] | None
    derivative: float
    quotient: float
    error: float
    known: float
    kind: str
    why: Cause | None = None
    ladder: Ladder | None = None

    @property
    def entry(self) -> str:
        """The name of a checked array entry: ``0.weight[1, 2]``."""
        if self.index is None:
            return _("{name} along a random direction", name=self.name)
        return self.name + show_index(self.index)

    def sentence(self) -> str:
        """Return a derivative and its difference quotients as a sentence."""
        if self.kind in KINKS[:3] and self.ladder is not None:
            return tr(
                "{entry}: derivative {derivative}; quotients {left} from the left,"
                " {right} from the right",
                entry=self.entry,
                derivative=f"{self.derivative:.8g}",
                left=f"{self.ladder.left[-2]:.8g}",
                right=f"{self.ladder.right[-2]:.8g}",
            )
        return tr(
            "{entry}: derivative {derivative}, quotient {quotient}, error {error}",
            entry=self.entry,
            derivative=f"{self.derivative:.10g}",
            quotient=f"{self.quotient:.10g}",
            error=f"{self.error:.1e}",
        )

    def reason(self) -> str:
        """Return the reason for a wrong derivative as a message, or an empty text."""
        texts = {
            "agrees": "",
            "kink": _("a kink: the quotients of the two sides have other limits"),
            "jump": _("a jump: the function itself has other limits on its two sides"),
            "edge": _("the end of the domain, or a slope without end"),
            "cancelled": _(
                "kinks that cancel: the function is smooth here, and each rule takes"
                " the value that it declares at its kink"
            ),
            "precision": _(
                "precision: quotients tell the derivative only within {known}",
                known=number(self.known, 2),
            ),
            "rule": _(
                "a wrong rule: quotients of several ε agree with each other, and not"
                " with the derivative"
            ),
            "nonfinite": _("the derivative is no number, while the quotients are"),
            "cut": _("a part of the function is hidden from derivatives"),
            "unknown": _(
                "quotients of several ε agree with each other, and not with the"
                " derivative; yet every rule alone is right"
            ),
        }
        return texts[self.kind]

    def quotients(self) -> list[list[str]]:
        """Return a table of a derivative's difference quotients at each step ε."""
        if self.ladder is None:
            return []
        sides = [tr("from the left"), tr("from the right")]
        kinked = self.kind in KINKS[:3]
        table = [["ε", *(sides if kinked else [tr("quotient"), tr("off by")])]]
        columns = (self.ladder.steps, self.ladder.left, self.ladder.right)
        for step, left, right in list(zip(*columns))[::2]:
            middle = (left + right) / 2
            off = f"{middle - self.derivative:.1e}"
            cells = (
                [f"{left:.9g}", f"{right:.9g}"] if kinked else [f"{middle:.9g}", off]
            )
            table.append([f"{step:.1e}", *cells])
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return a gradient check's row as JSON data; NaN and infinity become None."""
        data = {k: v for k, v in asdict(self).items() if k not in ("why", "ladder")}
        if self.ladder is not None:
            names = ("steps", "left", "right")
            data["quotients"] = {k: getattr(self.ladder, k) for k in names}
        return plain({**data, "why": self.why and asdict(self.why)})
