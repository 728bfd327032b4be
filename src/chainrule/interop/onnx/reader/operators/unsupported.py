"""Operators that are known and not supported, each with the reason."""

from __future__ import annotations

from chainrule.interop.onnx.reader.table import UNSUPPORTED
from chainrule.text import _

REASONS = {
    _("it works on texts, which are no tensors"): (
        *("StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch"),
        *("TfIdfVectorizer",),
    ),
    _("it works on sequences or optional values, which are no tensors"): (
        *("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase"),
        *("SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence"),
        *("ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement"),
    ),
    _("it decodes pictures: do that before the model"): ("ImageDecoder",),
}

for _reason, _names in REASONS.items():
    for _name in _names:
        UNSUPPORTED["", _name] = _reason
