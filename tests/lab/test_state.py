"""What a run may be asked, from every stage."""

from __future__ import annotations

import pytest

from chainrule.errors import ArgumentError
from chainrule.lab.state import Stage, after

ASKED = ("train", "pause", "step", "again")
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
        with pytest.raises(ArgumentError, match=f"{stage} cannot {asked}"):
            after(stage, asked)
    else:
        assert after(stage, asked) == wanted
