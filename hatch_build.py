"""Compile the catalogues of translations into a wheel, or for an editable install."""

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Catalogues(BuildHookInterface[Any]):
    """Writes ``NAME.mo`` beside each ``NAME.po`` before files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile every catalogue."""
        for source in Path(self.root).glob("src/chainrule/locale/*/LC_MESSAGES/*.po"):
            with (
                source.open("rb") as texts,
                source.with_suffix(".mo").open("wb") as out,
            ):
                write_mo(out, read_po(texts, locale=source.parent.parent.name))
            name = source.with_suffix(".mo").relative_to(self.root).as_posix()
            build_data["artifacts"].append(name)
