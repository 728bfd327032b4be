"""In Chinese the command line says nothing in English, and help fits a terminal."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainrule import cli
from chainrule.text import catalogue
from chainrule.text.numbers import width
from tests.cli.conftest import one_message

COMMANDS = sorted(cli.cli.commands)
#: Three words in a row, of which none is a name in capitals.
SENTENCE = re.compile(r"\b[A-Za-z]?[a-z']+(?:,? [a-z']+){2,}")
#: Names, kinds of values and examples of commands.
CODE = re.compile(r"^ +chainrule .*|chainrule \w+|apt install .*|'[^']*'", re.MULTILINE)


#: What click calls kinds of values, and what stands behind a command.
KIND = re.compile(r"^ +--[\w-]+ (?!RECIPE)[A-Z]+|\[OPTIONS]|COMMAND|ARGS", re.MULTILINE)


def english(text: str) -> list[str]:
    """What is left of English sentences outside code."""
    return SENTENCE.findall(CODE.sub("", text))


def test_a_sentence_is_found() -> None:
    assert english("損失 loss 0.5\nthe loss fell by 3") == ["the loss fell by"]
    assert english("  chainrule train mnist --epochs 3\n準確率 R² loss") == []


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(chainrule: Any, command: str) -> None:
    """In Chinese wherever ``--lang`` stands, in English click's own."""
    words = command.split()
    shown = chainrule(*words, "--lang", "zh-TW", "--help").out
    assert english(shown) == []
    assert KIND.findall(shown) == []
    assert "用法" in shown
    assert "顯示此說明後結束" in shown
    assert max(map(width, shown.splitlines())) <= 80
    assert chainrule(*words, "--help", "--lang", "zh-TW").out == shown
    assert chainrule(*words, "-h", "--lang=zh").out == shown
    assert chainrule(*words, "--lang", "en", "--help", "--lang", "zh").out == shown
    one_message(chainrule(*words, "--help", "--lang", "fr"), 2, "does not speak")
    shown = chainrule(*words, "--help").out
    assert shown.startswith("Usage: chainrule")
    assert "Show this message and exit." in shown
    assert "用法" not in shown


def test_what_stands_behind_two_dashes_is_no_option(chainrule: Any) -> None:
    assert "Got unexpected extra argument" in chainrule("cache", "--", "--lang=zh").err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["trian"], "沒有 'trian' 這個命令。是否要找 'train'？"),
        (["train", "--epoch"], "沒有 '--epoch' 這個選項"),
        (
            ["train", "mnist", "--epochs", "x"],
            "'--epochs' 的值無效：'x' 不是有效的數值。",
        ),
        (["trian", "--lang", "zh"], "沒有 'trian' 這個命令"),
        (["derive", "2-1", "--format", "pdf"], "'pdf' 不在下列之中"),
        (["derive"], "缺少引數 'SPEC'"),
        (["cache", "all"], "多出引數（all）"),
        (["train"], "缺少引數"),
        (["bench", "--quick", "--lang", "zh"], "沒有 '--quick' 這個選項"),
        (["bench", "--batch-size", "3"], "--batch-size 要與 --profile 一起使用"),
    ],
)
def test_what_is_mistyped(chainrule: Any, args: list[str], said: str) -> None:
    result = chainrule("--lang", "zh-TW", *args)
    assert result.code == 2
    assert said in result.err
    assert english(result.err) == []


@pytest.mark.parametrize("args", [["--lang"], ["--lang", "fr"], ["--", "--lang", "zh"]])
def test_a_language_that_is_not_said(chainrule: Any, args: list[str]) -> None:
    result = chainrule("derive", *args)
    assert result.code == 2
    assert not re.search("[一-鿿]", result.err)


def test_the_language_ends_with_the_command(chainrule: Any) -> None:
    chainrule("recipes", "--lang", "zh-TW")
    assert catalogue.current() == "en"


@pytest.mark.usefixtures("pictures")
@pytest.mark.filterwarnings("ignore")
def test_a_recipe(chainrule: Any) -> None:
    result = chainrule("train", "two-two-one", "--lang", "zh-TW", "--out", "run")
    assert result.code == 0, result.err
    assert english(result.out) == []
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert '<html lang="zh-TW">' in page
    assert english("\n".join(texts(page))) == []


@pytest.mark.usefixtures("pictures")
@pytest.mark.filterwarnings("ignore")
def test_a_training_recipe(chainrule: Any) -> None:
    small = ("--engine", "numpy", "--limit", "100", "--epochs", "1")
    result = chainrule("train", "mnist", *small, "--lang", "zh-TW", "--out", "run")
    assert "訓練週期 1/1" in result.err
    assert "測試集上的損失" in result.out
    assert english(result.out + result.err) == []
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert english("\n".join(texts(page))) == []
    assert english(chainrule("evaluate", "run", "--lang", "zh").out) == []


def test_a_file_to_start_from(chainrule: Any) -> None:
    result = chainrule("--lang", "zh-TW", "new", "moons.toml")
    assert "已寫出 moons.toml" in result.out
    text = Path("moons.toml").read_text(encoding="utf-8")
    comments = "\n".join(line.partition("#")[2] for line in text.splitlines())
    assert "權重如何學習" in comments
    assert english(re.sub(r"\w+ = .*", "", comments)) == []
    assert max(map(width, text.splitlines())) <= 92
    assert chainrule("train", "moons.toml", "--epochs", "1", "--out", "r").code == 0


def test_the_reference_of_files(chainrule: Any) -> None:
    shown = chainrule("new", "--reference", "--lang", "zh-TW").out
    assert shown.startswith("# 以檔案描述的訓練\n")
    assert "| `lr` | 有限的數 | 0.001 | 學習率 η" in shown
    assert (
        english(re.sub("```.*?```|`[^`]*`| et al|ln", "", shown, flags=re.DOTALL)) == []
    )


def test_what_a_key_of_a_file_takes(chainrule: Any) -> None:
    data, model = '[data]\nsource = "moons"\n', '[model]\nlayers = ["Linear"]\n'
    more = 'validation = "x"\ntest = 3\n[training]\nbatch_size = "al"\nepochs = 0\n'
    Path("run.toml").write_text(model + data + more, encoding="utf-8")
    said = chainrule("train", "run.toml", "--lang", "zh-TW").err
    assert english(said) == []
    for answer in ("0 到 1 之間的數", '整數 ≥ 1，或"all"', '是不是指 "all"？'):
        assert answer in said


def texts(page: str) -> Iterator[str]:
    """What a page of HTML shows, and tells those who do not see it."""
    page = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    yield from map(html.unescape, re.findall(r'aria-label="([^"]*)"', page))
    yield from map(html.unescape, re.sub(r"<[^>]*>", "\n", page).splitlines())


def test_a_command_by_itself_knows_h() -> None:
    command = cli.cli.commands["derive"]
    option = command.get_help_option(command.make_context("derive", ["2-1"]))
    assert option is not None
    assert option.opts == ["-h", "--help"]
