"""Files are opened only where they are files, and paths out of files stay inside."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrule.errors import ArgumentError
from chainrule.util.atomic_files import inside, open_file, read_file

posix = pytest.mark.skipif(os.name != "posix", reason="such things are not there")


def a_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(place))


@posix
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "a folder"),
        (os.mkfifo, "a pipe"),
        (lambda place: place.symlink_to("/dev/zero"), "a device"),
        (lambda place: place.symlink_to("/dev/tty"), ""),
        (a_socket, ""),
        (lambda place: place.symlink_to(place), ""),
        (lambda place: None, "No such file"),
    ],
)
def test_what_is_no_file_is_refused_and_not_waited_for(
    make: Callable[[Path], object], kind: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    make(Path("x"))
    for opened in (open_file, lambda path: read_file(path, 100)):
        with pytest.raises(OSError) as caught:
            opened(Path("x"))
        assert caught.value.errno is not None
        assert kind in str(caught.value)


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
def test_a_name_that_no_file_has_is_an_error_of_the_system(path: str) -> None:
    with pytest.raises(OSError) as caught:
        open_file(path)
    assert "no path" in str(caught.value)


def test_a_file_is_no_larger_than_it_may_be(tmp_path: Path) -> None:
    place = tmp_path / "x"
    place.write_bytes(b"12345")
    with open_file(place, 5) as file:
        assert file.read() == b"12345"
    assert read_file(place, 5) == b"12345"
    for opened in (open_file, read_file):
        with pytest.raises(OSError, match="5 bytes, where 4"):
            opened(place, 4)


@pytest.mark.skipif(sys.platform != "linux", reason="no such files")
def test_a_file_that_holds_more_than_it_says() -> None:
    assert os.stat("/proc/self/status").st_size == 0
    with pytest.raises(OSError, match="more bytes, where 10"):
        read_file("/proc/self/status", 10)


@pytest.mark.parametrize("given", ["a.csv", "logs/a.csv", "./a", "a..b", "...", "."])
def test_a_path_inside(given: str, tmp_path: Path) -> None:
    assert inside(tmp_path, given, "The path of a log") == tmp_path / given


@pytest.mark.parametrize(
    "given",
    [
        "/etc/passwd", "..", "../x", "a/../../x", "a/..", "\\x", "..\\x", "a\\..\\x",
        "C:\\x", "c:x", "\\\\host\\share\\x", "//host/share", "\\\\?\\C:\\x", "a\0b",
        "\ud800",
    ],
)  # fmt: skip
def test_a_path_outside(given: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"^The path of a log leads outside"):
        inside(tmp_path, given, "The path of a log")


@posix
def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    root, other = tmp_path / "run", tmp_path / "running"
    root.mkdir()
    other.mkdir()
    (root / "out").symlink_to("../running")
    (root / "log.csv").symlink_to(other / "not-there.csv")
    (root / "inner").symlink_to(root)
    for given in ("out/x", "log.csv", "inner/out/deep/x"):
        with pytest.raises(ArgumentError, match="a link leads outside"):
            inside(root, given, "the path of a log")
    assert inside(root, "inner/x", "the path of a log") == root / "inner/x"
    (tmp_path / "link").symlink_to(root)  # where a folder itself is a link
    assert inside(tmp_path / "link", "x", "the path of a log").name == "x"
