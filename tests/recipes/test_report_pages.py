"""The report of a run: its networks, its note, and links to explanations beside it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from urllib.parse import unquote

import pytest

from chainrule import errors, recipes
from chainrule.cli.common import run
from chainrule.recipes import Experiment, networks
from chainrule.runs import explaining
from chainrule.text.languages import language
from chainrule.viz.report import pages
from tests.viz.pages import Element, read

from .runs import need

need("matplotlib", "jinja2")


def performed(name: str, out: Path) -> Element:
    """The report of a quick run with its networks, as the command line writes it."""
    experiment = Experiment(name, quick=True, out=out, threads=1)
    with contextlib.redirect_stdout(io.StringIO()):
        shown = networks.pictured(experiment)
        recipes.perform(experiment, again=True, networks=shown)
    return report_of(out)


def report_of(out: Path) -> Element:
    return read((out / "report.html").read_text("utf-8"))


def elsewhere(page: Element) -> list[str]:
    """The addresses of a page's links to other files."""
    links = [a.attributes.get("href", "") for a in page.find("a")]
    return [unquote(link) for link in links if not link.startswith("#")]


def check_links(directory: Path) -> list[str]:
    """Return a report's links; each leads to a page there is, which leads back."""
    for path in directory.glob("explanation*.html"):
        text = path.read_text("utf-8")
        assert 'href="report.html"' in text
    found = elsewhere(report_of(directory))
    for link in found:
        assert (directory / link).is_file(), f"{link} is dead"
    assert sorted(found) == sorted(p.name for p in directory.glob("explanation*.html"))
    return found


def test_an_explanation_and_the_report_link_to_each_other(tmp_path: Path) -> None:
    out = tmp_path / "run"
    performed("xor", out)
    assert check_links(out) == []
    told = explaining.explained(str(out), None)
    page, report = explaining.saved(told, str(out))
    assert (page.name, report) == ("explanation.html", out / "report.html")
    assert check_links(out) == ["explanation.html"]
    (listed,) = report_of(out).find("ul", class_="pages")
    assert "after 500 steps" in listed.text
    performed("xor", out)  # a report that is written anew knows of it
    assert check_links(out) == ["explanation.html"]
    page.unlink()
    pages.refresh(out)
    assert check_links(out) == []


def test_each_network_has_an_explanation_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "run"
    performed("algorithm1", out)
    for name in ("3.2.2", "3.2.3"):
        told = explaining.explained("algorithm1", None, network=name)
        explaining.saved(told, str(out))
    assert check_links(out) == ["explanation-3.2.2.html", "explanation-3.2.3.html"]


def test_names_of_files_break_out_of_nothing(tmp_path: Path) -> None:
    evil = 'explanation-"><b>&.html'
    (tmp_path / evil).write_text('<title>&lt;i&gt; & "x"</title>', "utf-8")
    (tmp_path / "explanation-none.html").write_text("no title", "utf-8")
    made = read(pages.links(tmp_path, "en"))
    assert elsewhere(made) == [evil]
    assert made.text == 'Every number of a training step: <i> & "x"'
    assert not made.find("b")


def test_without_a_report_there_is_no_link(tmp_path: Path) -> None:
    told = explaining.explained("xor", None)
    page, report = explaining.saved(told, str(tmp_path))
    assert report is None
    assert "report.html" not in page.read_text("utf-8")
    (tmp_path / "report.html").write_text("<p>another page</p>", "utf-8")
    assert pages.refresh(tmp_path) is None
    assert (tmp_path / "report.html").read_text("utf-8") == "<p>another page</p>"
    with pytest.raises(errors.ArgumentError, match="directory of a run") as caught:
        explaining.saved(told, "xor")
    assert "chainrule train xor --out DIRECTORY" in str(caught.value)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    performed("two-two-one", out)
    assert run(["explain", str(out), "--save", "--json"]) == 0
    page, report = out / "explanation.html", out / "report.html"
    assert json.loads(capsys.readouterr().out) == {
        "page": str(page),
        "report": str(report),
    }
    assert check_links(out) == ["explanation.html"]


# -- networks, and what a quick run says of itself -------------------------------------


def test_the_networks_of_a_study_are_drawn(tmp_path: Path) -> None:
    whole = performed("xor", tmp_path / "run")
    (shown,) = whole.find("section", id="networks")
    (drawn,) = shown.find("svg", role="img")
    assert drawn["aria-label"].startswith("Picture of network: Linear, Tanh")
    assert "Units are filled by their numbers" in shown.text
    assert "open" in shown.find("details")[0].attributes


def test_a_network_that_a_run_does_not_keep_says_so(tmp_path: Path) -> None:
    """Its weights would stand beside figures of one that has learned."""
    whole = performed("algorithm1", tmp_path / "run")
    (shown,) = whole.find("section", id="networks")
    assert len(shown.find("svg", role="img")) == 2
    assert not shown.find("image")
    assert "filled" not in shown.text
    titles = [summary.text for summary in shown.find("summary")]
    assert titles == [f"{k}, before it has learned" for k in ("3.2.2", "3.2.3")]


def test_a_network_is_drawn_once(tmp_path: Path) -> None:
    """The recipe ``two-two-one`` draws its own."""
    whole = performed("two-two-one", tmp_path / "run")
    assert not whole.find("section", id="networks")
    assert len(whole.find("svg", role="img")) == 1


def test_a_quick_run_says_so_first_of_all(tmp_path: Path) -> None:
    whole = performed("xor", tmp_path / "quick")
    assert not whole.find("p", class_="note"), "its full run is the same"
    for lang, said in (("en", "This was the quick run. The full"), ("zh-TW", "快速")):
        with language(lang):
            whole = performed("timbre", tmp_path / lang)
        (note,) = whole.find("header")[0].find("p", class_="note")
        assert said in note.text
        assert "\n" not in note.text
