"""What a section of a run's file and a key of it are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.runs.classes import Family
from chainrule.runs.values import Kind


@dataclass(frozen=True)
class Key:
    """One key of a section.

    Attributes:
        name: of the key.
        kind: the values that it takes.
        doc: what it means, a phrase.
        default: what holds where it is left out, as one would write it; None where
            nothing does.
        example: what the starting file shows, as one would write it.
        formats: the formats of data that it belongs to; empty for all.
        required: whether it must be there.
    """

    name: str
    kind: Kind
    doc: str
    default: str | None = None
    example: str = ""
    formats: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        name: of the section.
        doc: what it is for, a sentence.
        keys: its own keys.
        family: the classes that its key ``class`` may name; their options are further
            keys of the section.
        otherwise: the class where none is named.
        many: whether it is written ``[[name]]``, any number of times.
    """

    name: str
    doc: str
    keys: tuple[Key, ...]
    family: Callable[[], Family] | None = None
    otherwise: str = ""
    many: bool = False

    @property
    def header(self) -> str:
        """``[name]`` or ``[[name]]``."""
        return f"[[{self.name}]]" if self.many else f"[{self.name}]"

    def key(self, name: str) -> Key | None:
        """The key of that name."""
        return next((key for key in self.keys if key.name == name), None)
