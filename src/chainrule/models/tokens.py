"""Texts as rows of tokens, by a tokeniser of the package ``tokenizers``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.keywords import strict

#: What fills up shorter texts, the most usual first; GPT-2 has the last one alone.
_FILLERS = ("[PAD]", "<pad>", "<|endoftext|>")

#: Halves of characters, which are no text.
_SURROGATE = re.compile("[\ud800-\udfff]")


class Tokens(NamedTuple):
    """Texts as rows of tokens, in the order in which a BERT takes them.

    Attributes:
        input_ids: the number of each token, (N, L), int64.
        attention_mask: 1 for tokens, 0 for what fills a shorter text up, (N, L).
        token_type_ids: 1 for tokens of the second text of a pair, (N, L).
    """

    input_ids: Array
    attention_mask: Array
    token_type_ids: Array


@strict
def tokenize(
    tokenizer: Any,
    texts: Sequence[str] | Sequence[tuple[str, str]],
    *,
    length: int | None = None,
) -> Tokens:
    """Return texts as rows of tokens, as :class:`BertModel` and GPT-2 read them.

    ``model(*tokens)`` of a BERT; ``model(tokens.input_ids)`` of a GPT-2, in which a
    token sees nothing of what stands behind it.

    Args:
        tokenizer: a ``tokenizers.Tokenizer``, or the path of its ``tokenizer.json``.
            How it cuts long texts is its own setting:
            ``tokenizer.enable_truncation(512)``.
        texts: a list of texts, or of pairs of them.
        length: how many tokens a row has; as many as the longest text by default.
            What is compiled serves one length with one program.

    Raises:
        ArgumentError: no texts, one of more tokens than ``length``, a tokeniser without
            a token that could fill texts up, or no package ``tokenizers`` for a path
            (``pip install 'chainrule[text]'``).

    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> words = {"[PAD]": 0, "so": 1, "good": 2}
    >>> tokenizer = Tokenizer(models.WordLevel(words, unk_token="[PAD]"))
    >>> tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    >>> tokenize(tokenizer, ["so so good", "good"]).input_ids
    array([[1, 1, 2],
           [2, 0, 0]])
    """
    if isinstance(tokenizer, str | os.PathLike):
        tokenizer = _read(tokenizer)
    if not hasattr(tokenizer, "encode_batch") or not hasattr(tokenizer, "padding"):
        inner = hasattr(tokenizer, "backend_tokenizer")
        raise ArgumentError(
            _("tokenize takes a tokeniser of the package tokenizers."),
            expected=_("a tokenizers.Tokenizer, or the path of its tokenizer.json"),
            got=type(tokenizer).__name__,
            fix="tokenizer.backend_tokenizer" if inner else None,
        )
    items = [] if isinstance(texts, str) else list(texts)
    if not items or not all(map(_is_text, items)):
        raise ArgumentError(
            _("tokenize takes texts."),
            expected=_("a list of texts, or of pairs of texts"),
            got=f"{texts!r:.60}",
            fix="[text]" if isinstance(texts, str) else None,
        )
    filler = _filler(tokenizer)
    rows = tokenizer.encode_batch([tuple(t) if type(t) is list else t for t in items])
    longest = max(len(row.ids) for row in rows)
    wanted = longest if length is None else validation.whole("length", length, least=1)
    if longest > wanted:
        raise ArgumentError(
            _("A text has more tokens than a row."),
            expected=_("at most {length}", length=wanted),
            got=str(longest),
            fix=f"tokenizer.enable_truncation({wanted})",
        )
    shape = (len(rows), wanted)
    if filler is None and any(len(row.ids) < wanted for row in rows):
        raise ArgumentError(
            _("Texts of several lengths need a token that fills them up."),
            expected=", ".join(_FILLERS),
            got=_("a tokeniser without them"),
            fix="tokenizer.enable_padding(pad_id=…, pad_token=…)",
        )
    ids = np.full(shape, filler or 0, np.int64)
    mask, kinds = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for i, row in enumerate(rows):
        count = len(row.ids)
        ids[i, :count], mask[i, :count] = row.ids, row.attention_mask
        kinds[i, :count] = row.type_ids
    return Tokens(ids, mask, kinds)


def _is_text(item: Any) -> bool:
    pair = isinstance(item, tuple | list) and len(item) == 2
    texts = item if pair else (item,)
    return all(isinstance(t, str) and not _SURROGATE.search(t) for t in texts)


def _filler(tokenizer: Any) -> int | None:
    """Return the number of the token that fills up shorter texts, if there is one."""
    if tokenizer.padding:
        if tokenizer.padding["direction"] != "right":
            raise ArgumentError(
                _("Texts are filled up behind their end."),
                expected=_("padding to the right"),
                got=str(tokenizer.padding["direction"]),
                fix="tokenizer.enable_padding(direction='right', …)",
            )
        return tokenizer.padding["pad_id"]
    found = [tokenizer.token_to_id(token) for token in _FILLERS]
    return next((number for number in found if number is not None), None)


def _read(path: str | os.PathLike[str]) -> Any:
    """Read a tokeniser's ``tokenizer.json``."""
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise ArgumentError(
            _("Tokenisers are read with the package tokenizers."),
            expected=_("{module} installed", module="tokenizers"),
            got=_("no module {module}", module="tokenizers"),
            fix=_("pip install {words}", words="'chainrule[text]'"),
        ) from None
    try:
        return Tokenizer.from_file(os.fspath(path))
    except Exception as error:
        if type(error) is not Exception:
            raise  # from a signal handler
        raise ArgumentError(
            _("A tokeniser is read from its tokenizer.json."),
            expected=_("a file that Tokenizer.save writes"),
            got=_("{path}: {error}", path=os.fspath(path), error=str(error)[:200]),
        ) from error
