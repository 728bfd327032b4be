"""Fonts for pictures: no character becomes a box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chainrule import errors
from chainrule.viz import drawing, fonts

font_manager = pytest.importorskip("matplotlib.font_manager")


def tiny_font(path: Path, name: str, characters: str) -> Path:
    """A font that has a shape, a triangle, for some characters only."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    glyphs = [".notdef", *(f"g{ord(c):04x}" for c in characters)]
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((500, 0))
    pen.lineTo((250, 700))
    pen.closePath()
    shape = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(c): g for c, g in zip(characters, glyphs[1:])})
    builder.setupGlyf(dict.fromkeys(glyphs, shape))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupOS2(usWeightClass=400)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine with nothing but the fonts that come with matplotlib."""
    manager = font_manager.fontManager
    own = [entry for entry in manager.ttflist if entry.name == fonts.FIRST]
    monkeypatch.setattr(manager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *a, **k: [])
    return manager


def test_plain_text_needs_no_other_font(bare: Any) -> None:
    made = fonts.choose("accuracy in %", "‖∂ℒ/∂W‖ ≥ 0 – ŷ₁", "Übung, Ελλάδα")
    assert made == fonts.Fonts((fonts.FIRST,), frozenset())
    assert fonts.choose() == made


def test_without_a_font_the_characters_are_left_out(bare: Any) -> None:
    with pytest.warns(errors.ChainruleWarning, match="手.* test picture") as caught:
        made = fonts.choose("手寫 mnist, 種子 0", what="test picture")
    assert "fonts-noto-cjk" in str(caught[0].message)
    assert Path(caught[0].filename) == Path(__file__)
    assert made.missing == frozenset("手寫種子")
    assert made.clean("手寫 mnist, 種子 0") == "mnist, 0"
    assert made.clean("mnist: 手寫") == "mnist"
    assert made.clean("手寫", otherwise="class 3") == "class 3"
    assert made.clean("plain", otherwise="class 3") == "plain"


def test_a_font_that_has_the_characters_is_found(bare: Any, tmp_path: Path) -> None:
    bare.addfont(tiny_font(tmp_path / "a.ttf", "Another Font", "手"))
    bare.addfont(tiny_font(tmp_path / "b.ttf", "Noto Sans TC", "手寫"))
    bare.addfont(tiny_font(tmp_path / "c.ttf", "LastResort", "手寫字"))
    made = fonts.choose("手寫")
    assert made.families == (fonts.FIRST, "Noto Sans TC"), "known families come first"
    with pytest.warns(errors.ChainruleWarning, match="字"):
        assert fonts.choose("手字").missing == frozenset("字"), "no font of boxes"


def test_a_font_that_was_installed_just_now(
    bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matplotlib keeps a list of fonts; what is newer than the list is found too."""
    path = tiny_font(tmp_path / "new.ttf", "Quite New", "手寫")
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    there = [str(broken), str(path)]
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *a, **k: there)
    made = fonts.choose("手寫 x")
    assert made == fonts.Fonts((fonts.FIRST, "Quite New"), frozenset())
    with drawing.figure(drawing.paper("手寫", what="test"), 2, 1) as figure:
        figure.suptitle("手寫 x")
        assert drawing.png(figure).startswith(b"\x89PNG"), "no warning about glyphs"


def test_text_in_one_line(bare: Any) -> None:
    assert fonts.one_line("a\nb\tc\x00\u202ed\ud800\u2028e") == "a b c  d  e"
    with pytest.warns(errors.ChainruleWarning):
        made = fonts.choose("\U0010fffd x \U000e0041 \U00012345\n")
    assert "\U0010fffd" not in made.missing, "private use has no shape at all"


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("accuracy", 8, "accuracy"),
        ("accuracy", 7, "accura…"),
        ("正確率", 6, "正確率"),
        ("正確率", 5, "正確…"),
        ("a b c d", 5, "a b…"),
        ("x" * 10_000, 3, "xx…"),
        ("", 3, ""),
    ],
)
def test_shorten(text: str, width: int, short: str) -> None:
    assert fonts.shorten(text, width) == short
    assert fonts.columns(short) <= width
