"""Fonts for pictures: a character is drawn, or left out; it never becomes a box.

Matplotlib's own font, DejaVu Sans, has no Chinese characters, and a character that a
font lacks is drawn as an empty box. So the texts of a picture are looked at first, and
an installed font is chosen that has what they need.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chainrule.errors import warn

#: Comes with matplotlib, and is everybody's first choice.
FIRST = "DejaVu Sans"
#: Families with Chinese characters, those with the Traditional forms first.
KNOWN = (
    "Noto Sans CJK TC",
    "Noto Sans TC",
    "Source Han Sans TC",
    "Source Han Sans TW",
    "PingFang TC",
    "Heiti TC",
    "Microsoft JhengHei",
    "Noto Serif CJK TC",
    "Noto Sans CJK HK",
    "PMingLiU",
    "MingLiU",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "AR PL UMing TW",
    "AR PL UKai TW",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans CJK KR",
    "PingFang SC",
    "Microsoft YaHei",
    "Arial Unicode MS",
)
#: What a browser is asked for, in pages and in their pictures.
STACK = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang TC", '
    '"Microsoft JhengHei", "Noto Sans CJK TC", "Noto Sans TC", "Source Han Sans TC", '
    '"Heiti TC", sans-serif'
)
#: Fonts that draw boxes on purpose, or that only a browser can draw.
_NOT_THESE = re.compile(r"last ?resort|blank|emoji|\.notdef", re.IGNORECASE)


@dataclass(frozen=True)
class Fonts:
    """Families for the texts of a picture, and the characters that none of them has.

    Attributes:
        families: in the order in which matplotlib is to try them.
        missing: characters without a font.
    """

    families: tuple[str, ...]
    missing: frozenset[str]

    def clean(self, text: str, otherwise: str | None = None) -> str:
        """``text`` in one line, as it can be drawn.

        Args:
            text: anything.
            otherwise: what to draw instead of a text that has characters without a
                font; None leaves those characters out.
        """
        line = one_line(text)
        if otherwise is not None and self.missing.intersection(line):
            return otherwise
        kept = "".join(c for c in line if c not in self.missing)
        return line if kept == line else re.sub(r"\s+", " ", kept).strip(" ,:;·—-")


def choose(*texts: str, what: str = "picture") -> Fonts:
    """Installed fonts that have the characters of ``texts``.

    Args:
        texts: all of a picture's.
        what: the picture, for the warning.

    Warns:
        ChainruleWarning: there are characters that no installed font has; the picture
            has to do without them (:meth:`Fonts.clean`).

    >>> choose("loss", "accuracy in %")
    Fonts(families=('DejaVu Sans',), missing=frozenset())
    """
    wanted = {c for text in texts for c in one_line(text) if not c.isspace()}
    families = []
    if wanted:
        for family, path in _candidates():
            found = {c for c in wanted if ord(c) in _characters(path)}
            if found or not families:
                families.append(family)
                wanted -= found
            if not wanted:
                break
    if wanted:
        shown = "".join(sorted(wanted)[:12]) + ("…" if len(wanted) > 12 else "")
        warn(
            f"No installed font has {shown}; the {what} leaves them out.",
            expected="a font with all characters of its title and labels",
            got=f"none, for {len(wanted)} of them",
            fix="install one (Debian and Ubuntu: apt install fonts-noto-cjk; elsewhere "
            "Google's Noto Sans TC), or give names that the picture can show",
        )
    return Fonts(tuple(families or [FIRST]), frozenset(wanted))


def one_line(text: str) -> str:
    """``text`` without what has no shape: line ends, controls, halves of surrogates."""
    return "".join(" " if unicodedata.category(c) in _SHAPELESS else c for c in text)


def shorten(text: str, width: int) -> str:
    """``text`` cut to ``width`` columns, of which a Chinese character takes two.

    >>> shorten("accuracy", 20), shorten("accuracy of the third kind", 12)
    ('accuracy', 'accuracy of…')
    >>> shorten("正確率與召回率", 9)
    '正確率與…'
    """
    kept = text[: width + 1]
    if columns(kept) <= width:
        return text
    while columns(kept) > width - 1:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def columns(text: str) -> int:
    """How many columns a text takes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


_SHAPELESS = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def _candidates() -> Iterator[tuple[str, str]]:
    """Families and their files: ours, the known ones, all others, those just added."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    yield FIRST, str(font_manager.findfont(FIRST))
    installed = _families(manager.ttflist)
    ordered = [name for name in KNOWN if name in installed]
    ordered += sorted(installed.keys() - {*KNOWN, FIRST})
    yield from ((name, installed[name]) for name in ordered)
    known = {entry.fname for entry in manager.ttflist}
    for path in sorted({*font_manager.findSystemFonts()} - known):
        # Installed after matplotlib wrote its list of fonts.
        try:
            manager.addfont(path)
        except (OSError, RuntimeError, UnicodeError):
            continue
        yield from _families(manager.ttflist[-1:]).items()


def _families(entries: list[Any]) -> dict[str, str]:
    """Upright fonts of usual weight: family → file."""
    found: dict[str, str] = {}
    for entry in entries:
        plain = entry.style == "normal" and entry.weight in (400, "normal", "regular")
        if plain and not _NOT_THESE.search(entry.name):
            found.setdefault(entry.name, entry.fname)
    return found


@lru_cache(maxsize=512)
def _characters(path: str) -> frozenset[int]:
    """The code points that a font file has shapes for; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()
