"""The errors that the tests meet, and which of their answers are in English alone."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from chainrule import retelling
from chainrule.errors import ChainruleError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from messages import told  # noqa: E402  # pyright: ignore[reportMissingImports]

_PACKAGE = str(Path(retelling.__file__).parent) + os.sep
#: What other programs say.
_THEIRS = re.compile(
    r"\b[A-Z]\w*(Error|Warning|Exception)\b|\(at (line|end) |validation error for"
    r"|inhomogeneous|unexpected end of data|does not start with BOM|Environment `"
    r"|Unsupported dataframe|unhashable type|missing \d+ required|JSON serializable"
    r"|cannot identify image|unpack_from requires|not a WAVE file"
    r"|recursion depth|recursion limit|while parsing a value|codec can't|Field required"
    r"|(not enough|too many) values to unpack"
    r"|: a valid \w+|Exceeds the limit|unexpected keyword argument"
    r"|stream 'stream': NaN|^drop it$"  # a test's own
)
_OF_THE_SYSTEM = {os.strerror(number) for number in range(140)}


class Met:
    """Within the block, the first error of each line of the package is kept."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, int], list[str]] = {}

    def __enter__(self) -> None:
        self._plain = plain = ChainruleError.__init__
        answers = self._answers

        def noted(
            self: ChainruleError,
            what: str,
            *,
            expected: str | None = None,
            got: str | None = None,
            fix: str | None = None,
        ) -> None:
            plain(self, what, expected=expected, got=got, fix=fix)
            frame = sys._getframe(1)
            place = frame.f_code.co_filename, frame.f_lineno
            if place[0].startswith(_PACKAGE) and place not in answers:
                said = [str(a) for a in (what, expected, got, fix) if a]
                error = sys.exc_info()[1]  # whose words are often part of ours
                theirs = "" if isinstance(error, ChainruleError) else str(error)
                answers[place] = [
                    a.replace(theirs, "").strip(": ") if " " in theirs else a
                    for a in said
                ]

        ChainruleError.__init__ = noted

    def __exit__(self, *_: object) -> None:
        ChainruleError.__init__ = self._plain

    def without_translation(self) -> dict[str, list[str]]:
        """The pieces of answers that no template fits, by the line that said them."""
        found: dict[str, list[str]] = {}
        for (file, line), answers in self._answers.items():
            for answer in answers:
                pieces = [] if _THEIRS.search(answer) else _untold(answer)
                left = [p for p in pieces if told(p) and p not in _OF_THE_SYSTEM]
                if left:
                    found.setdefault(f"{file}:{line}", []).extend(left)
        return found


def _untold(text: str) -> list[str]:
    """The pieces of a text that no template fits."""
    left: list[str] = []
    teller = retelling.teller("errors")
    if teller.whole(text) == text:
        teller.told(text, left)
    return left
