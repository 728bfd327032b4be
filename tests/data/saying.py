"""What every message is asked for."""

from chainrule.errors import ChainruleError


def says(
    error: ChainruleError, what: str, expected: str, got: str, fix: str = ""
) -> None:
    """Each of the four parts of the message holds its text."""
    for part, text in (
        (error.what, what),
        (error.expected, expected),
        (error.got, got),
        (error.fix, fix),
    ):
        assert text in (part or ""), f"{text!r} is not in {part!r}"
