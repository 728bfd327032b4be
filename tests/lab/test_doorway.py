"""What the browser is given to open: a file for its owner alone, and no token."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chainrule.cli import cli
from chainrule.lab import doorway, server

URL = "http://127.0.0.1:8642/?token=secret#run=abc"


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = doorway.write(tmp_path / "lab", URL)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "token=secret" in path.read_text()


def test_a_file_that_lies_there_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorway.secrets, "token_hex", lambda n: "0")
    victim = tmp_path / "victim"
    (tmp_path / "open-0.html").symlink_to(victim)
    with pytest.raises(doorway.SaveError):
        doorway.write(tmp_path, URL)
    assert not victim.exists()


def test_a_network_in_the_address_stays_text(tmp_path: Path) -> None:
    evil = URL + "</script><script>alert(1)</script>\"'<b>"
    page = doorway.write(tmp_path, evil).read_text()
    assert "<script" not in page
    assert "<b>" not in page


def test_the_browser_gets_no_token_and_the_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def serve(
        folder: Path, port: Any, started: Callable[[str], None], **more: Any
    ) -> None:
        started(URL)
        assert len([*folder.glob("open-*.html")]) == 1

    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.setattr("webbrowser.open", opened.append)
    ran = CliRunner().invoke(cli, ["lab", "--out", str(tmp_path / "lab")])
    assert ran.exit_code == 0
    assert opened[0].startswith("file://")
    assert "secret" not in opened[0]
    assert URL in ran.output  # of the terminal
    assert [*(tmp_path / "lab").iterdir()] == []
