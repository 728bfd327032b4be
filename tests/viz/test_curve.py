"""The learning curves: what is drawn, and that nothing in it breaks the picture."""

from __future__ import annotations

import io
import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager

from chainrule import errors
from chainrule.training import History
from chainrule.viz import curve, drawing, gallery

from .pages import read


def history(*rows: dict[str, Any]) -> History:
    made = History()
    for i, row in enumerate(rows, 1):
        made.epochs.append({"epoch": i, "lr": 0.1, "seconds": 1.0, **row})
    return made


def of(made: History) -> dict[str, curve.Panel]:
    return {panel.key: panel for panel in curve.panels(made)}


def test_what_is_drawn() -> None:
    rows = [
        {
            "train_loss": 1 / i,
            "validation_loss": 2 / i,
            "validation_accuracy": 0.5,
            "validation_top3": 0.75,
            "validation_mae": float(i),
            "train_mae": 2.0 * i,
            "validation_kind": "text",
            "lr": 0.1 / i,
        }
        for i in (1, 2, 3)
    ]
    found = of(history(*rows))
    assert list(found) == ["loss", "accuracy", "mae", "lr"]
    assert [line.label for line in found["loss"].lines] == ["training", "validation"]
    np.testing.assert_allclose(found["loss"].lines[1].y, [2, 1, 2 / 3])
    assert found["loss"].lines[0].x.tolist() == [1, 2, 3]
    shares = found["accuracy"]
    assert [line.label for line in shares.lines] == ["accuracy", "top-3 accuracy"]
    assert shares.up == "validation accuracy, top-3 accuracy in %"
    assert found["mae"].up == "mean absolute error"
    assert [line.label for line in found["mae"].lines] == ["validation", "training"]
    assert found["lr"].name == "learning rate"
    assert "lr" not in of(history({"train_loss": 1.0}, {"train_loss": 0.5}))


def test_gaps() -> None:
    made = history(
        {"train_loss": 1.0},
        {"train_loss": float("nan"), "validation_loss": None},
        {"train_loss": float("inf"), "validation_loss": 0.5},
    )
    lines = of(made)["loss"].lines
    assert lines[0].y.tolist()[0] == 1.0
    assert np.isnan(lines[0].y[1:]).all()
    assert np.isnan(lines[1].y[:2]).all()
    assert lines[1].y[2] == 0.5


def test_the_name_of_the_validation_data() -> None:
    made = history({"train_loss": 1.0, "validation_loss": 2.0})
    made.validation_name = "test"
    assert [line.label for line in of(made)["loss"].lines] == ["training", "test"]


def drawn(panel: curve.Panel) -> Any:
    with drawing.figure(drawing.PAGE, 4, 3) as figure:
        axes = figure.subplots()
        curve.draw(axes, panel, drawing.PAGE)
        figure.draw_without_rendering()
    return axes


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([10.0, 0.5], "log"),
        ([10.0, 1.0], "log"),
        ([10.0, 1.5], "linear"),
        ([10.0, 0.0], "linear"),
        ([10.0, -0.1], "linear"),
        ([float("nan")] * 2, "linear"),
    ],
)
def test_a_logarithmic_axis_where_it_helps(values: list[float], scale: str) -> None:
    made = history(*({"train_loss": v} for v in values))
    axes = drawn(of(made)["loss"])
    assert axes.get_yscale() == scale
    assert "$" not in "".join(t.get_text() for t in axes.get_yticklabels())


def test_shares_and_rates_stay_linear() -> None:
    rows = [{"lr": 10.0**-i, "validation_accuracy": 10.0**-i} for i in range(4)]
    found = of(history(*rows))
    assert drawn(found["lr"]).get_yscale() == "linear"
    axes = drawn(found["accuracy"])
    assert axes.get_yscale() == "linear"
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [100, 10, 1, 0.1])


@pytest.mark.parametrize("last", [1, 2, 37, 99_999])
def test_epochs_end_on_the_last(last: int) -> None:
    steps = np.arange(1.0, last + 1)
    axes = drawn(curve.Panel("k", "k", "k", "k", (curve.Line("a", steps, steps),)))
    assert all(tick == int(tick) for tick in axes.get_xticks())
    assert axes.get_xlim() == ((1, last) if last > 1 else (0, 2))


def test_characters_without_a_font(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(drawing, "CHINESE", ())
    made = history({"train_loss": 1.0, "validation_準": 1.0})
    with pytest.warns(errors.ChainruleWarning, match="手.* learning curve") as caught:
        curve.save_curve(made, tmp_path / "curve.png", title="手寫 mnist")
    assert len(caught) == 1
    assert "fonts-noto-cjk" in str(caught[0].message)
    assert Path(caught[0].filename) == Path(__file__)


def test_a_font_that_came_after_matplotlibs_list(monkeypatch: Any) -> None:
    """Matplotlib keeps its list of fonts: one installed later is found all the same."""
    manager = font_manager.fontManager
    ours = [e for e in manager.ttflist if e.name == "DejaVu Sans"]
    rest = [e for e in manager.ttflist if e.name != "DejaVu Sans"]
    monkeypatch.setattr(manager, "ttflist", rest)
    monkeypatch.setattr(drawing, "CHINESE", ("DejaVu Sans",))
    paths = ["/nowhere/broken.ttf", *(e.fname for e in ours)]
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: paths)
    drawing.add_new_fonts.cache_clear()
    with drawing.figure(drawing.PAPER, 1, 1) as figure:  # in any language
        found = figure.text(0, 0, "手").get_fontfamily()
    assert found[1:] == ["DejaVu Sans"]
    assert drawing.has_chinese()
    drawing.add_new_fonts.cache_clear()


def test_a_font_that_is_gone_is_not_in_matplotlibs_list(monkeypatch: Any) -> None:
    manager = font_manager.fontManager
    gone = replace(manager.ttflist[0], name="Noto Sans TC", fname="/nowhere/noto.ttf")
    monkeypatch.setattr(manager, "ttflist", [gone])
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    drawing.add_new_fonts.cache_clear()
    assert not drawing.has_chinese()
    drawing.add_new_fonts.cache_clear()


HOSTILE = r"$\frac{ <b>&amp; 'x' \n _"


def test_the_file(tmp_path: Path) -> None:
    from PIL import Image

    rows = [
        {"train_loss": 1 / i, f"validation_{HOSTILE}": float(i)} for i in range(1, 80)
    ]
    made = history(*rows)
    curve.save_curve(made, tmp_path / "curve.png", title=HOSTILE * 20)
    picture = Image.open(tmp_path / "curve.png")
    assert picture.size == (2 * 540, 390)
    assert np.asarray(picture.convert("L")).std() > 5
    with pytest.raises(errors.SaveError, match="learning curve"):
        curve.save_curve(made, tmp_path / "no" / "curve.png")


@pytest.mark.parametrize(
    ("made", "fix"),
    [
        (History(), "trainer.fit"),
        (history({"seconds": 1.0, "note": "x", "lr": None}), "chainrule"),
    ],
)
def test_nothing_to_draw(made: History, fix: str, tmp_path: Path) -> None:
    with pytest.raises(errors.ArgumentError, match="no learning curve") as caught:
        curve.save_curve(made, tmp_path / "empty.png")
    assert fix in str(caught.value)
    with pytest.raises(errors.ArgumentError, match="no learning curve"):
        curve.show_curve(made)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(drawing, "can_plot", lambda: False)
    with pytest.raises(errors.ArgumentError, match=r"chainrule\[plot\]"):
        curve.save_curve(history({"train_loss": 1.0}), tmp_path / "curve.png")
    with pytest.raises(errors.ArgumentError, match=r"chainrule\[plot\]"):
        drawing.need_matplotlib("report")


def test_svg() -> None:
    rows = [
        {"train_loss": 0.125 * i, "validation_loss": 0.0625 * i, "validation_準確": 1.0}
        for i in (1, 2)
    ]
    picture = curve.show_curve(history(*rows))
    text = picture.svg
    assert picture._repr_html_() == text
    assert repr(picture).startswith("Picture(SVG, ")
    (svg,) = read(text).find("svg")
    assert svg["role"] == "img"
    assert svg["aria-label"] == "Learning curves: loss, validation 準確"
    texts = [e.text for e in svg.find("text")]
    assert {"epoch", "loss", "training", "validation", "validation 準確"} <= set(texts)
    ids = [e["id"] for e in svg.every() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    uses = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
    assert uses
    assert set(uses) <= set(ids)
    assert not re.search(r"https?:|<style|font-family|#0102|xlink", text)
    assert "currentColor" in text
    assert "var(--cr-1, #3b82f6)" in text
    assert curve.show_curve(history(*rows)).svg == text, "the same picture every time"


def test_numbers_on_the_axes_are_not_cut() -> None:
    """Coordinates are shortened, text is not."""
    with drawing.figure(drawing.PAGE, 4, 3) as figure:
        axes = figure.subplots()
        axes.plot([0.00125, 0.00250], [1, 2])
        axes.set_xticks([0.00125, 0.00250])
        axes.set_title("0.123456 font-family: x; <g id='y'>")
        svg = read(drawing.svg(figure, "n", "label")).find("svg")[0]
    texts = [e.text for e in svg.find("text")]
    assert "0.00125" in texts
    assert "0.123456 font-family: x; <g id='y'>" in texts


def test_hostile_names_are_text() -> None:
    made = history({"train_loss": 1.0, f"validation_{HOSTILE}": 1.0})
    svg = read(curve.show_curve(made).svg).find("svg")[0]
    assert not svg.find("b")
    shown = HOSTILE.replace("_", " ").strip()
    assert any(shown in e.text for e in svg.find("text"))
    lines = (
        curve.Line("_hidden", *np.ones((2, 2))),
        curve.Line("$x$", *np.ones((2, 2))),
    )
    axes = drawn(curve.Panel("k", "k", "k", "k", lines))
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["_hidden", "$x$"]


def test_the_users_settings_are_neither_used_nor_changed(tmp_path: Path) -> None:
    mine = {"text.usetex": True, "axes.facecolor": "red", "svg.fonttype": "path"}
    with matplotlib.rc_context(mine):
        made = history({"train_loss": 1.0})
        curve.save_curve(made, tmp_path / "curve.png", title="a_b %")
        curve.show_curve(made)
        assert {key: matplotlib.rcParams[key] for key in mine} == mine
    from PIL import Image

    picture = Image.open(io.BytesIO((tmp_path / "curve.png").read_bytes()))
    colours = picture.convert("RGB").getcolors(1 << 24)
    assert colours is not None
    assert (255, 0, 0) not in [colour for _, colour in colours]


def _seen(colour: str) -> Any:
    """The place of a colour in OKLab (Ottosson 2020), where distances are as seen."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    light = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    opponents = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return opponents @ np.cbrt(cones @ light)


@pytest.mark.parametrize("kind", range(3))
def test_ten_classes_have_ten_colours(kind: int) -> None:
    """Any two are four just noticeable differences of 0.02 apart, and more."""
    colours = [shades[kind] for shades in drawing.COLOURS]
    assert len(colours) == len(drawing.DASHES) == len(drawing.MARKERS) == 10
    assert len(set(drawing.DASHES)) == len(set(drawing.MARKERS)) == 10
    for one, other in itertools.combinations(map(_seen, colours), 2):
        assert np.linalg.norm(one - other) >= 0.08


@pytest.mark.parametrize("count", [2, 10])
def test_no_legend_lies_over_a_line(count: int) -> None:
    """Lines that fill the axes: a few names are above them, many beside."""
    x = np.arange(100.0)
    curves = {f"curve {i}": 50 * np.sin(x * (i + 1)) for i in range(count)}
    with drawing.figure(drawing.PAPER, 7, 3.6) as figure:
        gallery.lines(figure, curves)
        (axes,) = figure.axes
        figure.draw_without_rendering()
        box = axes.get_legend().get_window_extent()
        for line in axes.lines:
            path = line.get_transform().transform_path(line.get_path())
            assert not path.intersects_bbox(box, filled=False)
        assert axes.get_ylim()[1] < 200


@pytest.mark.parametrize("numbers", ["", "d"])
def test_a_heat_map_has_a_scale(numbers: str) -> None:
    with drawing.figure(drawing.PAPER, 4, 3) as figure:
        gallery.heat(figure, np.arange(6).reshape(2, 3), numbers=numbers)
        assert len(figure.axes) == 2
