"""How much memory data may take: half of the machine's, what is free, a container's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chainrule.data import files


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """64 GiB of memory; nothing is said of what is free."""
    pages = {"SC_PHYS_PAGES": 1 << 24, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__, raising=False)
    monkeypatch.setattr(files, "FREE", tmp_path / "meminfo")
    monkeypatch.setattr(files, "CONTAINER", tmp_path)
    return tmp_path


def contain(machine: Path, most: str, taken: int, inactive: int) -> None:
    (machine / "memory.max").write_text(f"{most}\n")
    (machine / "memory.current").write_text(f"{taken}\n")
    (machine / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


def test_half_of_the_machine(machine: Path) -> None:
    assert files.memory() == 32 << 30


@pytest.mark.parametrize(("kib", "wanted"), [(1 << 20, 1 << 30), (1 << 26, 32 << 30)])
def test_what_is_free(machine: Path, kib: int, wanted: int) -> None:
    text = f"MemTotal: 67108864 kB\nMemFree: 12 kB\nMemAvailable:   {kib} kB\n"
    (machine / "meminfo").write_text(text)
    assert files.memory() == wanted


@pytest.mark.parametrize(
    ("most", "wanted"),
    [("max", 32 << 30), ("3000", 3000 - 1000 + 400), ("100", 0), ("?", 32 << 30)],
)
def test_what_a_container_may_take(machine: Path, most: str, wanted: int) -> None:
    contain(machine, most, 1000, 400)
    assert files.memory() == wanted


@pytest.mark.parametrize("text", ["", "MemTotal: 1 kB\n", "MemAvailable: many kB\n"])
def test_what_says_nothing(machine: Path, text: str) -> None:
    (machine / "meminfo").write_text(text)
    assert files.memory() == 32 << 30
