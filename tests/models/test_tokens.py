"""``models.tokenize``: texts as rows of tokens, for BERT and GPT-2."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule import models
from chainrule.errors import ArgumentError

tokenizers = pytest.importorskip(
    "tokenizers", reason="needs tokenizers: pip install 'chainrule[text]'"
)

TEXTS = ["the cat sat on the mat", "the dog", "a cat and a dog"]


@pytest.fixture(scope="module")
def wordpiece() -> Any:
    """A tokeniser as BERT's, trained on the texts."""
    made = tokenizers.BertWordPieceTokenizer()
    made.train_from_iterator(TEXTS, vocab_size=60, show_progress=False)
    return tokenizers.Tokenizer.from_str(made.to_str())


@pytest.fixture(scope="module")
def byte_pairs() -> Any:
    """A tokeniser as GPT-2's."""
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(
        TEXTS, 280, show_progress=False, special_tokens=["<|endoftext|>"]
    )
    return tokenizers.Tokenizer.from_str(made.to_str())


def test_a_bert_reads_texts(wordpiece: Any) -> None:
    """Rows of a batch give what each text gives alone."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = models.BertConfig(vocab_size=60, intermediate_size=32, **sizes)
    bert = models.BertModel(config).eval()
    together = bert(*models.tokenize(wordpiece, TEXTS)).pooler_output
    for i, text in enumerate(TEXTS):
        alone = bert(*models.tokenize(wordpiece, [text])).pooler_output
        np.testing.assert_allclose(together[i].numpy(), alone[0].numpy(), atol=1e-6)


def test_rows_are_filled_up(wordpiece: Any) -> None:
    tokens = models.tokenize(wordpiece, TEXTS, length=40)
    assert {a.shape for a in tokens} == {(3, 40)}
    assert {a.dtype for a in tokens} == {np.dtype(np.int64)}
    for row, mask, text in zip(*tokens[:2], TEXTS):
        count = mask.sum()
        assert row[:count].tolist() == wordpiece.encode(text).ids
        assert (row[count:] == wordpiece.token_to_id("[PAD]")).all()
        assert (mask[:count] == 1).all()


@pytest.mark.parametrize("pair", [tuple, list])
def test_pairs(wordpiece: Any, pair: Any) -> None:
    tokens = models.tokenize(wordpiece, [pair(["a cat", "the dog"])])
    first = len(wordpiece.encode("a cat").ids)
    assert (tokens.token_type_ids == 0).sum() == first


def test_a_gpt_2_reads_texts(byte_pairs: Any) -> None:
    config = models.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=280)
    gpt = models.GPT2Model(config).eval()
    tokens = models.tokenize(byte_pairs, TEXTS)
    assert tokens.input_ids[1, -1] == byte_pairs.token_to_id("<|endoftext|>")
    together = gpt(tokens.input_ids).numpy()
    for y, mask, text in zip(together, tokens.attention_mask, TEXTS):
        alone = gpt(models.tokenize(byte_pairs, [text]).input_ids).numpy()
        np.testing.assert_allclose(y[: mask.sum()], alone[0], atol=1e-5)


def test_settings_of_the_tokeniser_hold(wordpiece: Any) -> None:
    own = tokenizers.Tokenizer.from_str(wordpiece.to_str())
    own.enable_truncation(4)
    own.enable_padding(pad_id=7, length=6)
    tokens = models.tokenize(own, TEXTS, length=8)
    assert tokens.attention_mask.sum(1).tolist() == [4, 2, 4]
    assert (tokens.input_ids[:, 4:] == 7).all()


def test_a_file(wordpiece: Any, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    wordpiece.save(str(path))
    for a, b in zip(models.tokenize(path, TEXTS), models.tokenize(wordpiece, TEXTS)):
        np.testing.assert_array_equal(a, b)
    for bad in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(ArgumentError, match=r"tokenizer\.json"):
            models.tokenize(bad, TEXTS)
    path.write_text("{}")
    with pytest.raises(ArgumentError, match=r"tokenizer\.json"):
        models.tokenize(path, TEXTS)


def test_what_is_refused(wordpiece: Any) -> None:
    for texts in ("one text", [], [3], [("a", "b", "c")], [None], ["\ud800"]):
        with pytest.raises(ArgumentError, match="a list of texts"):
            models.tokenize(wordpiece, texts)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"enable_truncation\(3\)"):
        models.tokenize(wordpiece, TEXTS, length=3)
    with pytest.raises(ArgumentError, match=r"a tokenizers\.Tokenizer"):
        models.tokenize(str.split, TEXTS)
    wrapped = SimpleNamespace(backend_tokenizer=wordpiece)  # as transformers has it
    with pytest.raises(ArgumentError, match=r"tokenizer\.backend_tokenizer"):
        models.tokenize(wrapped, TEXTS)
    bare = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, "a"))
    bare.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    assert models.tokenize(bare, ["a b", "b a"]).input_ids.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ArgumentError, match="enable_padding"):
        models.tokenize(bare, ["a b", "b"])
    left = tokenizers.Tokenizer.from_str(wordpiece.to_str())
    left.enable_padding(direction="left")
    with pytest.raises(ArgumentError, match="to the right"):
        models.tokenize(left, TEXTS)
