"""A class is marked by its key; files that cannot be are named, others marked."""

from __future__ import annotations

import csv
import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrule.book.classroom import ClassReport, mark_class
from chainrule.errors import DataError
from chainrule.html.arrays import POLICY
from tests.book.classroom.conftest import NAMES

ADA, CHEN = "001-ada-lovelace.toml", "002-陳小明.toml"


def line_of(text: str, key: str) -> str:
    return next(row for row in text.splitlines()[::-1] if row.startswith(f"{key} ="))


def with_answer(text: str, key: str, value: str) -> str:
    return text.replace(line_of(text, key), f"{key} = {value}")


def others_are_marked(report: ClassReport) -> None:
    """All but the first student have all points."""
    assert [m.points for m in report.students[1:]] == [15, 15, 15]
    assert not any(m.notes() for m in report.students[1:])


def test_all_right(folder: Path) -> None:
    report = mark_class(folder)
    assert report.ok
    assert not report.slips
    assert [m.points for m in report.students] == [15] * 4
    assert [m.student.name for m in report.students] == NAMES


# -- a file that is wrong --------------------------------------------------------------

Change = Callable[[str], bytes]
REFUSED: dict[str, tuple[Change, str]] = {
    "empty": (lambda text: b"", "is empty"),
    "spaces": (lambda text: b" \r\n ", "is empty"),
    "no answers": (lambda text: text.partition("[answers]")[0].encode(), "no answers"),
    "blank": (lambda text: b'[answers]\nz1 = ["?", "?"]\nL = ""', "all blank"),
    "another student": (
        lambda text: text.replace("Ada Lovelace", "Bob").encode(),
        "is the sheet of somebody else",
    ),
    "another seed": (
        lambda text: text.replace("seed = 3", "seed = 4").encode(),
        "has the numbers of another sheet",
    ),
    "no number": (
        lambda text: with_answer(text, "z1", "[0.1, abc]").encode(),
        "Invalid value",
    ),
    "fraction": (
        lambda text: with_answer(text, "z1", "[1/3, 0.5]").encode(),
        'between quotation marks: "1/3"',
    ),
    "decimal comma": (
        lambda text: with_answer(text, "L", "0,1080").encode(),
        "a decimal point is a point",
    ),
    "another minus": (
        lambda text: with_answer(text, "z1", "[−0.4, 0.5]").encode(),
        "the sign of the keyboard",
    ),
    "full-width digits": (
        lambda text: with_answer(text, "z1", "[０.４, 0.5]").encode(),
        "half width",
    ),
    "full-width brackets": (
        lambda text: with_answer(text, "z1", "［0.4, 0.5］").encode(),
        "half width",
    ),
    "Big5": (lambda text: (text + "# 作業\n").encode("big5"), "not in UTF-8"),
    "UTF-16": (lambda text: text.encode("utf-16"), "not in UTF-8"),
    "a picture": (lambda text: b"\x89PNG\r\n\x1a\n" + bytes(100), "not in UTF-8"),
    "large": (lambda text: text.encode() + b"# " + b"x" * 300_000, "cannot be read"),
    "a page": (lambda text: b"<!DOCTYPE html><html></html>", "not TOML"),
    "twice": (
        lambda text: (text + "z1 = [0.1, 0.2]\n").encode(),
        "not TOML",
    ),
    "answers that are none": (lambda text: b"answers = 3", "no answers"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_is_refused(folder: Path, kind: str) -> None:
    change, words = REFUSED[kind]
    path = folder / "answers" / ADA
    path.write_bytes(change(path.read_text("utf-8")))
    report = mark_class(folder)
    others_are_marked(report)
    ada = report.students[0]
    assert ada.report is None
    (note,) = ada.notes()
    assert words in note
    assert ADA in note
    assert not report.ok
    assert words in " ".join(report.text(200).split())


ACCEPTED: dict[str, Change] = {
    "BOM": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "texts": lambda text: with_answer(
        text, "L", '"' + line_of(text, "L").partition(" = ")[2] + '"'
    ).encode(),
    "full-width text": lambda text: with_answer(
        text,
        "L",
        '"'
        + line_of(text, "L").partition(" = ")[2].translate({46: 0xFF0E, 48: 0xFF10})
        + '"',
    ).encode(),
    "answers alone": lambda text: text[text.index("[answers]") :].encode(),
    "other spelling of the name": lambda text: text.replace(
        "Ada Lovelace", "ada  LOVELACE"
    ).encode(),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_a_file_that_is_accepted(folder: Path, kind: str) -> None:
    path = folder / "answers" / ADA
    path.write_bytes(ACCEPTED[kind](path.read_text("utf-8")))
    report = mark_class(folder)
    assert report.ok, report.text()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('["0,40", "0,15"]', "a decimal point is a point"),
        ('["half", "0.5"]', "z1 must be numbers"),
        ('["1/0", "0.5"]', "z1 must be numbers"),
        ('["1/000", "0.5"]', "z1 must be numbers"),
        ("[nan, 0.5]", "An answer is a number"),
        ('["?", 0.5]', "not filled in to the end"),
        ("[true, 0.5]", "z1 must be numbers"),
        ("[[0.1], [0.2, 0.3]]", "unequal lengths"),
    ],
)
def test_an_answer_that_cannot_be_read_is_blank(
    folder: Path, value: str, words: str
) -> None:
    path = folder / "answers" / ADA
    path.write_text(with_answer(path.read_text("utf-8"), "z1", value), "utf-8")
    report = mark_class(folder)
    others_are_marked(report)
    ada = report.students[0]
    assert (ada.status("z1"), ada.points) == ("blank", 14)
    (note,) = ada.notes()
    assert words in note


def test_decimal_commas_within_brackets_are_asked_about(folder: Path) -> None:
    """``[0,40, 0,15]`` is TOML, of four numbers."""
    path = folder / "answers" / ADA
    text = with_answer(path.read_text("utf-8"), "z1", "[-0,45, 0,15]")
    path.write_text(text, "utf-8")
    ada = mark_class(folder).students[0]
    assert ada.status("z1") == "wrong"
    assert "decimal comma" in ada.page().text(200)


def test_a_name_that_is_not_known(folder: Path) -> None:
    path = folder / "answers" / ADA
    path.write_text(path.read_text("utf-8").replace("\nz1 =", "\nq1 ="), "utf-8")
    ada = mark_class(folder).students[0]
    assert ada.status("z1") == "blank"
    assert "q1" in ada.notes()[0]


# -- whose it is -----------------------------------------------------------------------


def test_no_file(folder: Path) -> None:
    (folder / "answers" / ADA).unlink()
    report = mark_class(folder)
    others_are_marked(report)
    assert "There is no file of Ada Lovelace" in report.students[0].notes()[0]


def test_no_answers_at_all(folder: Path) -> None:
    shutil.rmtree(folder / "answers")
    with pytest.raises(DataError, match="no answers at"):
        mark_class(folder)


def test_a_file_with_another_name_is_known_by_student_and_seed(folder: Path) -> None:
    (folder / "answers" / ADA).rename(folder / "answers" / "homework (final).toml")
    assert mark_class(folder).ok
    (folder / "answers" / "homework (final).toml").rename(
        folder / "answers" / "001-ada-lovelace (2).toml"
    )
    assert mark_class(folder).ok


def test_a_file_of_nobody(folder: Path) -> None:
    (folder / "answers" / "notes.toml").write_text("[answers]\nz1 = 1\n", "utf-8")
    (folder / "answers" / "scan.jpg").write_bytes(b"\xff\xd8")
    (folder / "answers" / ".DS_Store").write_bytes(b"x")
    report = mark_class(folder)
    assert [m.points for m in report.students] == [15] * 4
    assert not report.ok
    one, other = (str(error) for error in report.strays)
    assert "notes.toml is nobody's" in one
    assert "scan.jpg is no file of answers" in other


def test_somebody_elses_sheet_under_ones_own_name(folder: Path) -> None:
    shutil.copy(folder / "key" / CHEN, folder / "answers" / ADA)
    report = mark_class(folder)
    others_are_marked(report)
    (note,) = report.students[0].notes()
    assert "somebody else" in note
    assert "陳小明 (seed 4)" in note


def test_two_files_of_one_student(folder: Path) -> None:
    text = (folder / "answers" / ADA).read_text("utf-8")
    (folder / "answers" / "again.toml").write_text(text, "utf-8")
    assert mark_class(folder).ok  # the same twice is no question
    text = with_answer(text, "L", "0.5")
    (folder / "answers" / "again.toml").write_text(text, "utf-8")
    report = mark_class(folder)
    others_are_marked(report)
    assert "several files of Ada" in report.students[0].notes()[0]


def test_a_table_beside_forms(folder: Path) -> None:
    (folder / "answers" / ADA).unlink()
    rows = "quantity,value\nz1,9\nz1,8\n"
    (folder / "answers" / "001-ada-lovelace.csv").write_text(rows, "utf-8")
    ada = mark_class(folder).students[0]
    assert ada.status("z1") == "wrong"
    assert ada.many("blank") == 14


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.toml"
    secret.write_text("password = 1", "utf-8")
    path = folder / "answers" / ADA
    path.unlink()
    path.symlink_to(secret)
    report = mark_class(folder)
    others_are_marked(report)
    said = " ".join([*report.students[0].notes(), report.text(200)])
    assert "a link" in said
    assert "password" not in said


# -- the exercise ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("lr = ", "lr = 0.77 #", "lr = 0.77"),
        ("x = [", "x = [9.0, ", "x = [9.0"),
        ("b2 = [", "b2 = [7.5] #", "b2 = [7.5]"),
        ('"half_squared"', '"mse"', "loss = mse"),
        ("lr = ", "samples = 3\nlr = ", "samples = 3"),
        ("lr = ", 'optimizer = { class = "Adam", lr = 1.0 }\nlr = ', "optimizer"),
        ("lr = ", "points = 15\nlr = ", "no such key: points"),
        ("[weights]", "[weights]\nW9 = [[1.0]]", "W9 = [[1.0]]"),
        ('network = "2-2sigmoid-1sigmoid"', 'network = "1-1"', "network = 1-1"),
    ],
)
def test_a_changed_exercise_is_found_and_the_one_that_was_set_is_marked(
    folder: Path, old: str, new: str, words: str
) -> None:
    path = folder / "answers" / ADA
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    report = mark_class(folder)
    others_are_marked(report)
    ada = report.students[0]
    assert ada.points == 15  # the answers are right for the exercise that was set
    (note,) = ada.notes()
    assert "was changed" in note
    assert words in note


def test_a_student_who_makes_the_exercise_easy_gains_nothing(folder: Path) -> None:
    """All weights 0, and answers that are right for that."""
    path = folder / "answers" / ADA
    head, __, answers = path.read_text("utf-8").partition("[answers]")
    easy = "\n".join(
        line.partition("=")[0] + "= " + ("[[0,0],[0,0]]" if line[0] == "W" else "[0,0]")
        if line[:2] in ("W1", "b1")
        else line
        for line in head.splitlines()
    )
    text = with_answer(f"{easy}\n[answers]{answers}", "z1", "[0.0, 0.0]")
    path.write_text(text, "utf-8")
    ada = mark_class(folder).students[0]
    assert ada.status("z1") == "wrong"
    assert "was changed" in ada.notes()[0]


def test_questions_are_those_of_the_key(folder: Path) -> None:
    key = folder / "key" / ADA
    text = key.read_text("utf-8")
    key.write_text(text.replace(line_of(text, "L"), ""), "utf-8")
    ada = mark_class(folder).students[0]
    assert (ada.points, len(ada.questions)) == (14, 14)


# -- ZIP files -------------------------------------------------------------------------


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def of(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / "answers").iterdir()}


def test_a_zip_file_of_the_class(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "submissions.zip"
    named = {f"{name}_12_file_/{name}": c for name, c in of(folder).items()}
    place.write_bytes(zipped(named | {"__MACOSX/._x": b"", "readme.txt": b"hello"}))
    shutil.rmtree(folder / "answers")
    report = mark_class(folder, place)
    assert [m.points for m in report.students] == [15] * 4
    (stray,) = report.strays
    assert "readme.txt is no file of answers" in str(stray)


def test_a_zip_file_within_the_folder(folder: Path) -> None:
    content = zipped(of(folder))
    shutil.rmtree(folder / "answers")
    (folder / "answers").mkdir()
    (folder / "answers" / "all.zip").write_bytes(content)
    assert mark_class(folder).ok


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"no zip at all", zipped({"a.toml": b"x" * 900})[:60]],
    ids=["empty", "short", "text", "cut"],
)
def test_a_zip_file_that_is_none(folder: Path, content: bytes) -> None:
    (folder / "answers" / "bad.zip").write_bytes(content)
    report = mark_class(folder)
    assert [m.points for m in report.students] == [15] * 4
    (stray,) = report.strays
    assert "bad.zip cannot be read" in str(stray)


def test_evil_zip_files(folder: Path) -> None:
    """A bomb, paths that lead outside, and a damaged member; the others are read."""
    members = of(folder)
    bomb = b"0" * (50 << 20)
    evil = {"bomb.toml": bomb, "../../../../tmp/evil.toml": b"[answers]\nz1 = 1"}
    content = bytearray(zipped(members | evil))
    shutil.rmtree(folder / "answers")
    (folder / "answers").mkdir()
    (folder / "answers" / "all.zip").write_bytes(content)
    report = mark_class(folder)
    assert [m.points for m in report.students] == [15] * 4
    said = " ".join(map(str, report.strays))
    assert "bomb.toml cannot be read" in said
    assert "evil.toml is nobody's" in said
    assert not Path("/tmp/evil.toml").exists()
    content[40:60] = bytes(20)  # within the first member
    (folder / "answers" / "all.zip").write_bytes(content)
    assert sum(m.points for m in mark_class(folder).students) == 45


# -- the key ---------------------------------------------------------------------------


def test_no_key(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no key of a class"):
        mark_class(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [("seed = 3", ""), ("student = ", "# "), ("lr = ", "lr = x"), ("W1 = ", "# ")],
)
def test_a_key_that_was_damaged(folder: Path, old: str, new: str) -> None:
    key = folder / "key" / ADA
    key.write_text(key.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(DataError, match="001-ada"):
        mark_class(folder)


# -- what is written -------------------------------------------------------------------


def test_files_of_the_marks(folder: Path) -> None:
    path = folder / "answers" / ADA
    text = path.read_text("utf-8")
    path.write_text(with_answer(text, "delta2", "[9.0]"), "utf-8")
    report = mark_class(folder)
    paths = report.save(folder)
    assert {p.name for p in paths} >= {
        "marks.csv",
        "marks.html",
        "001-ada-lovelace.html",
    }
    rows = list(
        csv.DictReader(io.StringIO((folder / "marks.csv").read_text("utf-8-sig")))
    )
    assert [row["name"] for row in rows] == NAMES
    assert [row["points"] for row in rows] == ["14", "15", "15", "15"]
    assert rows[0]["first wrong answer"] == "delta2"
    assert rows[0]["delta2"] == "wrong"
    page = (folder / "marks.html").read_text("utf-8")
    assert page.partition(POLICY)[1] == POLICY
    assert 'href="marks/002-陳小明.html"' in page
    for m in report.students:
        own = (folder / "marks" / f"{m.student.file}.html").read_text("utf-8")
        assert m.student.name in own
        assert "<script" not in own
    report.save(folder)  # marks are written again


def test_names_are_text_in_pages_and_in_spreadsheets(tmp_path: Path) -> None:
    from chainrule.book.classroom import classroom

    names = ["=cmd|' /C calc'!A0", "<img src=x onerror=alert(1)>", "{{x}} \\input{y} %"]
    folder = tmp_path / "class"
    classroom("1-1sigmoid", names).save(folder)
    for key in (folder / "key").iterdir():
        shutil.copy(key, folder / "answers" / key.name)
    report = mark_class(folder)
    assert report.ok
    report.save(folder)
    text = (folder / "marks.csv").read_text("utf-8-sig")
    assert [row[1] for row in csv.reader(io.StringIO(text))][1:] == [
        f"'{names[0]}",
        *names[1:],
    ]
    for page in (*folder.rglob("*.html"),):
        assert "<img" not in page.read_text("utf-8")
    assert r"\input{" not in (folder / "sheets.tex").read_text("utf-8")


def test_the_class_in_chinese(folder: Path) -> None:
    path = folder / "answers" / ADA
    path.write_text(with_answer(path.read_text("utf-8"), "z1", "[9.0, 9.0]"), "utf-8")
    report = mark_class(folder, lang="zh-TW")
    assert "錯" in report.text()
    assert report.to_json()["students"][0]["marks"]["z1"] == "wrong"


@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_broken_file_within_a_zip_file(folder: Path, kind: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as archive:
        archive.writestr(ADA, (folder / "answers" / ADA).read_bytes())
    broken = bytearray(made.getvalue())
    start = 30 + len(ADA)  # where the compressed bytes begin
    broken[start + 16 : start + 40] = bytes(24)
    (folder / "answers" / ADA).unlink()
    (folder / "answers" / "all.zip").write_bytes(broken)
    report = mark_class(folder)
    others_are_marked(report)
    assert "cannot be read" in report.students[0].notes()[0]
