"""``/schema``: the interface of a served model as OpenAPI, from its own columns."""

from __future__ import annotations

from typing import Any

from chainrule.data.tables.columns import Category, Date, Number
from chainrule.data.tables.texts import Texts
from chainrule.graph.types import ArrayType, DType
from chainrule.serving.model import Served
from chainrule.serving.results import classes_of
from chainrule.serving.rows import Reader, TableReader
from chainrule.version import __version__

#: Categories that are listed; of more, the first ones are examples.
LISTED = 200


def document(served: Served) -> dict[str, Any]:
    """Return the OpenAPI description of a served model."""
    reader = served.reader
    schemas: dict[str, Any] = {"Error": ERROR}
    if reader.by_row:
        row, result = _properties(reader), _results(served, 1)
        schemas["Row"], schemas["Result"] = _object(row), _object(result)
        schemas["Columns"], schemas["ResultColumns"] = (
            _object({k: {"type": "array", "items": v} for k, v in columns.items()})
            for columns in (row, result)
        )
        if isinstance(reader, TableReader):  # not in each answer
            schemas["Result"]["properties"]["warnings"] = WARNINGS
            several = {"type": "array", "items": WARNINGS}
            schemas["ResultColumns"]["properties"]["warnings"] = several
        rows, results = (
            {
                "oneOf": [
                    _refer(one),
                    _refer(columns),
                    {"type": "array", "items": _refer(one)},
                ]
            }
            for one, columns in (("Row", "Columns"), ("Result", "ResultColumns"))
        )
        one = _refer("Row")
    else:
        schemas["Arrays"] = _object(_properties(reader))
        schemas["Result"] = _object(_results(served, 0))
        one = rows = _refer("Arrays")
        results = _refer("Result")
    paths: dict[str, Any] = {
        "/predict": {
            "post": {
                "summary": "Predict one row or several, in the form that they come in.",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": rows},
                        "text/csv": {"schema": {"type": "string"}},
                    },
                },
                "responses": {
                    "200": {
                        "description": "the predictions",
                        "content": {
                            "application/json": {"schema": results},
                            "text/csv": {"schema": {"type": "string"}},
                        },
                    },
                    **_errors("400", "408", "413", "415", "422"),
                },
            }
        },
        "/health": {"get": _get("the state of the service")},
        "/schema": {"get": _get("this document")},
    }
    if served.trained is not None:
        paths["/explain"] = {
            "post": {
                "summary": "Show every number of a training step on one row.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": one}},
                },
                "responses": {
                    "200": {
                        "description": "the explanation",
                        "content": {"application/json": {}, "text/html": {}},
                    },
                    **_errors("400", "408", "413", "415", "422"),
                },
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": served.name, "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas},
    }


#: What an error says.
ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "expected": {"type": ["string", "null"]},
                "got": {"type": ["string", "null"]},
                "fix": {"type": ["string", "null"]},
                "row": {"type": ["integer", "null"]},
                "column": {"type": ["string", "null"]},
            },
            "required": ["message"],
        }
    },
}

#: What is odd about a row that is predicted all the same.
WARNINGS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string"},
    "description": "texts that were not there in training",
}

#: What each status of an error means.
STATUS = {
    "400": "malformed JSON or CSV",
    "408": "a request that did not come in time",
    "413": "a request that is too large",
    "415": "another type of content",
    "422": "rows that do not fit",
}


def _refer(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object that has all of some properties."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def _errors(*codes: str) -> dict[str, Any]:
    content = {"application/json": {"schema": _refer("Error")}}
    return {c: {"description": STATUS[c], "content": content} for c in codes}


def _get(what: str) -> dict[str, Any]:
    content = {"application/json": {}}
    return {"responses": {"200": {"description": what, "content": content}}}


def _properties(reader: Reader) -> dict[str, Any]:
    """Return the JSON schema of each key of a row."""
    if isinstance(reader, TableReader):
        fills = reader.schema.missing == "fill"
        return {c.name: _column(c, reader, fills) for c in reader.schema.columns}
    said = reader.program.metadata.get("inputs")
    said = said if isinstance(said, dict) else {}
    return {
        name: {
            **_array(type, int(reader.by_row)),
            **({"description": str(said[name])} if name in said else {}),
        }
        for name, type in reader.program.inputs.items()
    }


def _column(column: Any, reader: TableReader, fills: bool) -> dict[str, Any]:
    null = ["null"] if fills else []
    if isinstance(column, Number):
        return {"type": ["number", "string", *null]}
    if isinstance(column, Date):
        return {"type": ["string", *null], "description": f"a date as {column.format}"}
    if isinstance(column, Texts):
        return {"type": "string", "description": f"{column.length} {column.units}"}
    assert isinstance(column, Category)
    known = [*column.categories, *column.rare]
    truth = ["boolean"] if column.spellings else []
    said: dict[str, Any] = {"type": ["string", "number", *truth, *null]}
    if reader.schema.unknown == "error" and len(known) <= LISTED:
        truths = [False, True] if column.spellings else []
        return {"enum": [*known, *truths, *([None] if fills else [])]}
    return {**said, "examples": known[:LISTED]}


def _array(type: ArrayType, first: int, *, null: bool = False) -> dict[str, Any]:
    """Return the JSON schema of an array without its first axes.

    ``null``: floats may be null, which NaN and infinity are in JSON.
    """
    kind = _number(type.dtype)
    schema: dict[str, Any] = {
        "type": [kind, "null"] if null and type.dtype.is_float else kind
    }
    for size in reversed(type.shape[first:]):
        schema = {"type": "array", "items": schema}
        if isinstance(size, int):
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _number(dtype: DType) -> str:
    if dtype is DType.bool:
        return "boolean"
    return "number" if dtype.is_float else "integer"


def _results(served: Served, first: int) -> dict[str, Any]:
    """Return the JSON schema of each output, without its first axes."""
    outputs, classes = served.program.outputs, classes_of(served.program)
    found = {k: _array(t, first, null=True) for k, t in outputs.items()}
    if "classes" in found and classes and len(outputs["classes"].shape) == 1:
        names = {"enum": classes}
        found["classes"] = names if first else {"type": "array", "items": names}
    if "probabilities" in found and classes:
        found["probabilities"]["description"] = f"of {', '.join(classes)}"
    return found
