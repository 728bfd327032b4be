"""Validation of the settings file of a recipe's run."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

Option = (
    Annotated[bool, Field(strict=True)]
    | Annotated[int, Field(ge=1, lt=2**53)]
    | Annotated[float, Field(allow_inf_nan=False)]
    | Annotated[str, Field(max_length=10_000)]
)


class Settings(BaseModel, strict=True, extra="forbid"):
    """The settings file of a recipe's run; see :class:`Experiment`."""

    recipe: Annotated[str, Field(max_length=100)]
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    engine: Annotated[str, Field(max_length=40)]
    quick: bool
    options: dict[str, Option | None]


def checked(given: Any) -> dict[str, Any]:
    """Check the settings in the file of a recipe's run, and return them.

    Raises:
        ValueError: it holds others.
    """
    try:
        return Settings.model_validate(given).model_dump()
    except ValidationError as errors:
        error = errors.errors(include_url=False)[0]
        place = ".".join(map(str, error["loc"]))
        raise ValueError(f"{place or 'it'}: {error['msg']}"[:200]) from errors
