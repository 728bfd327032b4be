"""Uploads: nothing leaves the folder of the lab, and no archive fills the disk."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ArgumentError, ChainruleError, DataError
from chainrule.lab import uploads


def archive(*members: tuple[str, bytes], **how: object) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    file.seek(0)
    return file


def files(folder: Path) -> list[str]:
    found = (p for p in folder.rglob("*") if p.is_file())
    return sorted(p.relative_to(folder).as_posix() for p in found)


@given(st.text(max_size=80), st.sampled_from(["", ".csv", ".zip", ".png", ".TSV"]))
def test_an_upload_lies_in_the_folder_or_is_refused(name: str, end: str) -> None:
    folder = Path("/lab")
    try:
        place = uploads.place(folder, name + end)
    except ArgumentError:
        return
    parts = place.relative_to(folder).parts
    assert parts[0].startswith(uploads.PREFIX)
    assert not {"", ".", ".."} & set(parts)
    assert not any(c in part for part in parts for c in '/\\:<>"|?*\0\n')


@pytest.mark.parametrize("name", ["", "x", "run.py", "a.ckpt", "x.html", "x.svg"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArgumentError, match="does not read such files"):
        uploads.keep(tmp_path, name, io.BytesIO(b""))
    assert files(tmp_path) == []


def test_a_table_and_images_are_kept(tmp_path: Path) -> None:
    name = uploads.keep(tmp_path, "../../My <b>data</b>.CSV", io.BytesIO(b"a,b\n"))
    assert name == "data-b.csv"
    pets = uploads.keep(tmp_path, "pets/cat/1.png", io.BytesIO(b"1"))
    assert (pets, uploads.keep(tmp_path, "pets/dog/1.png", io.BytesIO(b"2"))) == (
        ("data-pets",) * 2
    )
    assert files(tmp_path) == [
        "data-b.csv",
        "data-pets/cat/1.png",
        "data-pets/dog/1.png",
    ]


#: Names of classes; the last ones are letters and accents in two ways, and a person.
ODD = ["C", "C++", "C#", "\U0001f600", "\U0001f603", "a.b", "ab", "dog", "dog.", "x"]
ODD += ["\xe9", "e\u0301", "\U0001f469\u200d\U0001f4bb"]


def test_classes_and_images_of_other_names_lie_apart(tmp_path: Path) -> None:
    """None takes the place of another one, and no two classes become one."""
    names = ["1.png", "1.PNG", "1.jpg", "1(1).png", "1[1].png", "1_1_.png", "n" * 90]
    names[-1:] = [f"{'n' * 90}{end}.png" for end in "ab"]
    every = [f"{kind}/{name}" for kind in ODD for name in names]
    packed = archive(*((f"pets/{path}", path.encode()) for path in every))
    uploads.keep(tmp_path, "pets.zip", packed)
    for path in every:
        uploads.keep(tmp_path, f"dropped/{path}", io.BytesIO(path.encode()))
    for root in ("data-pets", "data-dropped"):
        found = [p for p in (tmp_path / root).rglob("*") if p.is_file()]
        assert sorted(p.read_bytes() for p in found) == sorted(map(str.encode, every))
        of: dict[str, set[str]] = {}
        for p in found:
            of.setdefault(p.parent.name, set()).add(p.read_text("utf-8").split("/")[0])
        assert len(of) == len(ODD)
        assert all(len(kinds) == 1 for kinds in of.values())
        assert {*ODD[:6], "\xe9"} <= of.keys()


def test_an_archive_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """An image that has been moved to its right class is in that one alone."""
    for kind in ("cat", "dog"):
        made = archive(("cat/1.png", b"1"), (f"{kind}/2.png", b"2"))
        uploads.keep(tmp_path, "pets.zip", made)
    assert files(tmp_path) == ["data-pets/cat/1.png", "data-pets/dog/2.png"]
    outside, none = archive(("../cat/3.png", b"3")), io.BytesIO(b"PK\3\4 no archive")
    for refused in (outside, none):
        with pytest.raises(DataError):
            uploads.keep(tmp_path, "pets.zip", refused)
        assert files(tmp_path) == ["data-pets/cat/1.png", "data-pets/dog/2.png"]


def test_a_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    drops = uploads.Drops(tmp_path)

    def dropped(drop: str, *paths: str) -> None:
        for path in paths:
            drops.begin(path, drop)
            uploads.keep(tmp_path, path, io.BytesIO(b"1"))

    dropped("one", "pets/cat/1.png", "pets/cat/2.png")
    dropped("two", "other/cat/1.png", "pets/cat/1.png", "pets/dog/2.png")
    assert files(tmp_path) == [
        "data-other/cat/1.png",
        "data-pets/cat/1.png",
        "data-pets/dog/2.png",
    ]


@pytest.mark.parametrize(
    "other", ["test/cat/1.png", "train/cat/more/2.png", "cat/2.png"]
)
def test_classes_in_several_folders_are_refused(tmp_path: Path, other: str) -> None:
    """A part for the test is not mixed with the rest, and takes no image's place."""
    made = archive(("train/cat/1.png", b"1"), (other, b"2"))
    with pytest.raises(DataError, match="folders of classes in"):
        uploads.keep(tmp_path, "x.zip", made)
    assert files(tmp_path) == []


def test_an_image_without_a_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="belongs to a class"):
        uploads.keep(tmp_path, "pets/1.png", io.BytesIO(b"1"))


def test_an_archive_gives_its_images_alone(tmp_path: Path) -> None:
    made = archive(
        ("pets/cat/1.png", b"1"),
        ("pets/dog/2.jpg", b"2"),
        ("pets/dog/run.py", b"import os"),
        ("pets/.hidden/3.png", b"3"),
        ("__MACOSX/dog/4.png", b"4"),
    )
    assert uploads.keep(tmp_path, "pets.zip", made) == "data-pets"
    assert files(tmp_path) == ["data-pets/cat/1.png", "data-pets/dog/2.jpg"]


@pytest.mark.parametrize(
    "name",
    ["../cat/1.png", "/cat/1.png", "a/../../1.png", "C:/cat/1.png", "..\\cat\\1.png"],
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="leads out"):
        uploads.keep(tmp_path / "lab", "x.zip", archive((name, b"1")))
    assert files(tmp_path) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        link = zipfile.ZipInfo("cat/1.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="a link"):
        uploads.keep(tmp_path, "x.zip", file)


def test_a_bomb_is_refused_before_it_is_large(tmp_path: Path) -> None:
    made = archive(("cat/1.png", b"\0" * (64 << 20)))
    with pytest.raises(DataError, match="far more bytes"):
        uploads.keep(tmp_path, "x.zip", made)
    size = sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert size < 24 << 20


def test_a_head_that_lies_is_no_help_to_a_bomb(tmp_path: Path) -> None:
    content = bytearray(archive(("cat/1.png", b"\0" * (64 << 20))).getvalue())
    place = content.rindex(b"PK\1\2") + 24  # the size that the directory says
    content[place : place + 4] = struct.pack("<I", 10)
    with pytest.raises(DataError):
        uploads.keep(tmp_path, "x.zip", io.BytesIO(bytes(content)))
    size = sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert size < 24 << 20


def test_too_many_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "IMAGES", 3)
    made = archive(*((f"cat/{i}.png", b"1") for i in range(4)))
    with pytest.raises(DataError, match="more than 3 images"):
        uploads.keep(tmp_path, "x.zip", made)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_archive_or_refused(content: bytes) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.suppress(ChainruleError),
    ):
        uploads.keep(Path(folder), "x.zip", io.BytesIO(b"PK\3\4" + content))


def test_an_archive_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image in the folder of a class"):
        uploads.keep(tmp_path, "x.zip", archive(("a.txt", b"1")))


def test_room_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "ALL", 10)
    assert uploads.room(tmp_path) == 10
    uploads.keep(tmp_path, "a.csv", io.BytesIO(b"1234"))
    assert uploads.room(tmp_path) == 6
