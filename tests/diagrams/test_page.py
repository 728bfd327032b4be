"""The pictures of the how-to page are those that its blocks save."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "pictures.md"


def titles(svg: str) -> list[str]:
    """What a picture says: its boxes, arrows and units, without numbers."""
    found = [e.text or "" for e in ElementTree.fromstring(svg).iter() if e.text]
    return [re.sub(r"-?\d+\.\d+(e-?\d+)?", "#", text) for text in found]


@pytest.mark.documents
def test_the_pictures_are_those_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S))
    exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})
    shown = re.findall(r"\.\./pictures/networks/([\w-]+\.svg)\)", text)
    assert sorted(shown) == sorted(p.name for p in tmp_path.glob("*.svg"))
    assert len(shown) == 6
    for name in shown:
        kept = ROOT / "docs" / "pictures" / "networks" / name
        made = (tmp_path / name).read_text(encoding="utf-8")
        assert titles(kept.read_text(encoding="utf-8")) == titles(made)
        assert len(made) < 200_000
