"""What a run may be asked, from every stage."""

from __future__ import annotations

import pytest

from chainrule.errors import ArgumentError
from chainrule.lab.state import Stage, after
from chainrule.text.messages import Message

ASKED = ("train", "pause", "step", "again")
#: How a message calls what a run is, and what it is asked.
CALLED = {"ready": "not begun", "failed": "stopped by an error"}
REQUESTS = {"step": "make single steps", "again": "train further"}
#: What each stage allows: nothing of the code's own table.
ALLOWED = {
    "ready": {"train": "training", "step": "paused", "pause": "ready"},
    "training": {"train": "training", "pause": "paused", "step": "paused"},
    "paused": {"train": "training", "pause": "paused", "step": "paused"},
    "finished": {"again": "training", "pause": "finished"},
    "failed": {"pause": "failed"},
}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("asked", ASKED)
def test_a_run_goes_where_it_is_asked_or_says_why_not(stage: Stage, asked: str) -> None:
    wanted = ALLOWED[stage].get(asked)
    if wanted is None:
        called, request = CALLED.get(stage, stage), REQUESTS.get(asked, asked)
        with pytest.raises(
            ArgumentError, match=f"{called} cannot {request}"
        ) as refused:
            after(stage, asked)
        for part in (refused.value.what, refused.value.expected, refused.value.got):
            # Words, each a template of its own, which a translation has too.
            assert isinstance(part, Message)
            values = [v for v in part.values.values() if not isinstance(v, Message)]
            assert values == []
    else:
        assert after(stage, asked) == wanted
