"""Values as TOML text, for run files and their error messages."""

from __future__ import annotations

import itertools
import json
from typing import Any

from chainrule.text import _


def show(value: Any, room: int = 60) -> str:
    """Return a value as TOML text for a message, shortened to ``room`` characters.

    >>> show(True), show("a"), show([1, "b"]), show({"p": 0.5})
    ('true', '"a"', '[1, "b"]', '{p = 0.5}')
    """
    text = to_toml(value, depth=4, items=50)
    return text if len(text) <= room else text[: room - 1] + "…"


def to_toml(value: Any, *, depth: int = 100, items: int = 10**9) -> str:
    """Return a value as TOML text, limited in nesting depth and number of items.

    >>> to_toml({"size": [28, 28], "mode": "L"})
    '{size = [28, 28], mode = "L"}'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list | tuple | dict) and not depth:
        return "…"
    few = {"depth": depth - 1, "items": items}
    if isinstance(value, list | tuple):
        return f"[{', '.join(to_toml(v, **few) for v in value[:items])}]"
    if isinstance(value, dict):
        pairs = itertools.islice(value.items(), items)
        inner = (f"{key(k)} = {to_toml(v, **few)}" for k, v in pairs)
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, int) and abs(value) > 10**30:
        return _("a number of very many digits")
    return str(value)


def quote(text: str) -> str:
    r"""Return text as a quoted TOML string.

    It escapes as JSON does, and one character more.

    >>> quote('C:\\data "new"')
    '"C:\\\\data \\"new\\""'
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def key(name: str) -> str:
    """Return a name as a TOML key, quoted if necessary.

    >>> key("lr"), key("*.bias"), key("房價")
    ('lr', '"*.bias"', '"房價"')
    """
    bare = name and all(c.isascii() and (c.isalnum() or c in "_-") for c in name)
    return name if bare else quote(name)
