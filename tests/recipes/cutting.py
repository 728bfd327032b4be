"""Recipes that are killed at several moments and run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from chainrule.training.loop import Loop


def cut_short(run: Callable[[], Any], after: Iterable[int]) -> None:
    """Run with a KeyboardInterrupt after so many chunks of steps, again and again."""
    whole = Loop._chunk
    for most in after:
        left = [most]

        def chunk(loop: Loop, left: list[int] = left) -> bool:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return whole(loop)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Loop, "_chunk", chunk)
            with pytest.raises(KeyboardInterrupt):
                run()
