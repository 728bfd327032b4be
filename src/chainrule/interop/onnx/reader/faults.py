"""Faults of a file: what no ONNX file may say, and what is not supported here."""

from __future__ import annotations

from dataclasses import dataclass, field

from chainrule.errors import DataError
from chainrule.text import _, joined

#: Node names that a message shows for each operator.
SHOWN = 3


@dataclass
class Problems:
    """The unsupported parts of a file: (operator, opset, reason) → names of nodes."""

    nodes: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, what: str, reason: str, name: str) -> None:
        self.nodes.setdefault((what, reason), []).append(name)

    def raise_any(self) -> None:
        """Raise one error about everything, if there is anything."""
        if not self.nodes:
            return
        lines = []
        for (what, reason), names in self.nodes.items():
            shown = ", ".join(f"{name!r:.60}" for name in names[:SHOWN])
            more = ", …" if len(names) > SHOWN else ""
            lines.append(
                _(
                    "{what}, {n} ×: {reason} ({names})",
                    what=what,
                    n=len(names),
                    reason=reason,
                    names=shown + more,
                )
            )
        raise DataError(
            _("The ONNX file has what load_onnx does not support."),
            expected=_("operators, attributes and dtypes of the table that it reads"),
            got=joined("; ", lines),
            fix=_("export it with other operators, or another opset"),
        )


def wrong(what: str, where: str) -> DataError:
    """Return the error for a file that says what no ONNX file may say."""
    return DataError(
        _("The ONNX file is not a valid model: {what}.", what=what),
        expected=_("a graph that onnx.checker accepts"),
        got=f"{where!r:.200}",
        fix=_("write or fetch the file anew"),
    )
