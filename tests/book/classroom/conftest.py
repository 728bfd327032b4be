"""A class whose students have all handed in right answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chainrule.book.classroom import classroom

SPEC = "2-2sigmoid-1sigmoid"
NAMES = ["Ada Lovelace", "陳小明", "Émile Borel", "Grace Hopper"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a class of four, its answers all right."""
    place = tmp_path / "class"
    classroom(SPEC, NAMES, seed=3).save(place)
    for key in (place / "key").iterdir():
        shutil.copy(key, place / "answers" / key.name)
    return place
