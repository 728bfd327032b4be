"""User-visible texts: messages, their translations, and the current language.

A text stands in the code in English, once, where it arises:

* ``_("layer {k} of {depth}", k=2, depth=3)`` is a :class:`Message`: English wherever a
  string is expected, and in the language in use where :func:`translated` shows it;
* ``tr("layer {k} of {depth}", k=2, depth=3)`` is a string in the language in use, for
  what is shown at once; ``say`` prints it;
* ``ngettext("{n} row", "{n} rows", n=3)`` is a message in the grammatical number of a
  count. A text with several counts is made of such messages.

Translations are in ``locale``, one catalogue of :mod:`gettext` a language. A text that
a catalogue does not have is shown in English. ``python tools/translations.py`` updates
the catalogues from the source and lists what has no translation.

This package is below the errors, but for :mod:`chainrule.text.languages`, which
chooses the language.
"""

from chainrule.text.messages import (
    Counted,
    Message,
    _,
    joined,
    ngettext,
    say,
    tr,
    translated,
)
from chainrule.text.numbers import padded

__all__ = [
    "Counted",
    "Message",
    "_",
    "joined",
    "ngettext",
    "padded",
    "say",
    "tr",
    "translated",
]
