"""Write the handbook of the doctor's symptoms as a page of the documentation.

    python tools/symptoms.py

The page is made of the registry of symptoms; a test holds it to that.
"""

from __future__ import annotations

from pathlib import Path

from chainrule.doctor import handbook

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "symptoms.md"
HEAD = """\
# Symptoms of sick training

What goes wrong in training, how it looks, why it is so, what helps, and where to read
on. `chainrule doctor` [finds it out](../how-to/doctor.md) for your run;
`chainrule doctor --list` prints the second part of this page.

"""


def page() -> str:
    """Return the page as it should be."""
    return HEAD + handbook.markdown()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
