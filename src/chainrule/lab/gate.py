"""Access to the lab, for the pages of this machine that know its token.

Another site's page may send requests to this machine's addresses from the same browser.
So each request needs the token, which no other page knows, a Host that is ours (a name
that an attacker has pointed at 127.0.0.1 is none), and an Origin that is ours where
browsers say it.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

#: What a page may load and do: only what the lab itself serves.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
#: The headers of every answer.
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
#: The names of this machine alone.
NAMES = ("127.0.0.1", "localhost", "[::1]")


class Gate:
    """The gate of a lab, which knows its token.

    Args:
        port: the port that the lab listens at.
        token: by default a random one.
    """

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port = port
        self.token = token or secrets.token_urlsafe(24)
        #: Cookies do not tell ports apart, so their names do.
        self.cookie = f"chainrule-lab-{port}"

    def host(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request is meant for this machine by a name of its own."""
        host = _one(headers, "host") or ""
        return host.lower() in [f"{n}:{self.port}" for n in NAMES]

    def origin(self, headers: Mapping[str, str], *, needed: bool) -> bool:
        """Return whether a request comes from a page of the lab.

        Args:
            headers: of the request.
            needed: whether a request that does not say is refused: of WebSockets and
                uploads browsers always say it.
        """
        if "origin" not in headers:
            return not needed
        origin = _one(headers, "origin")
        if origin is None:
            return False
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        # The page's own address: the same name by which it was asked for.
        same = parts.netloc.lower() == headers.get("host", "").lower()
        return parts.scheme == "http" and same

    def knows(self, token: str | None) -> bool:
        """Return whether a token is that of the lab."""
        given = (token or "").encode("utf-8", "replace")
        return hmac.compare_digest(given, self.token.encode())

    def set_cookie(self) -> str:
        """Return the header that gives a page the token for its next requests."""
        return f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"


def _one(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header of which there is one; None: there are several, or none.

    Of two that differ, who reads which is anybody's guess.
    """
    several = getattr(headers, "getlist", None)
    if several is not None and len(several(name)) != 1:
        return None
    return headers.get(name)
