"""Every function, argument, attribute and operator of the standard is tried.

``array-api-strict`` is asked what there is: its namespace, the signatures of its
functions, what its arrays have.
"""

from __future__ import annotations

import inspect
import operator
from typing import Any

import array_api_strict as xp
import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ShapeError
from tests.array_api import test_namespace, test_standard
from tests.array_api.cases import CALLS, EVERY
from tests.recording import chosen
from tests.rows import table

#: Arguments that no call of the tables gives, with the reason or the test.
ELSEWHERE = {
    "device": "there is one, test_devices_and_copies",
    "copy": "test_devices_and_copies",
    "stable": "every order is stable, test_an_order_that_need_not_be_stable",
    "asarray.obj": "test_asarray_and_exchange",
    "asarray.dtype": "test_asarray_and_exchange",
    "from_dlpack.x": "test_asarray_and_exchange",
    "empty.shape": "test_shapes_by_name",
    "empty.dtype": "test_shapes_by_name",
    "empty_like.x": "test_creation_like",
    "full_like.x": "test_creation_like",
    "full_like.fill_value": "test_creation_like",
    "ones_like.x": "test_creation_like",
    "zeros_like.x": "test_creation_like",
    **dict.fromkeys(
        [f"{name}_like.dtype" for name in ("empty", "full", "ones", "zeros")],
        "test_like_another_dtype",
    ),
    **dict.fromkeys(
        ["can_cast.from_", "can_cast.to", "isdtype.dtype", "isdtype.kind"],
        "test_casts_and_kinds_are_the_standards",
    ),
    **dict.fromkeys(["finfo.type", "iinfo.type"], "test_limits"),
    "result_type.arrays_and_dtypes": "test_promotion_is_the_standards",
}


def functions() -> dict[str, inspect.Signature]:
    """Of the standard, as array-api-strict has them."""
    xp.set_array_api_strict_flags(api_version="2024.12")
    names = [n for n in dir(xp) if not n.startswith("_") and hasattr(cr.array_api, n)]
    kinds = [xp.Device, *(getattr(xp, d) for d in EVERY)]
    made = {n: getattr(xp, n) for n in names}
    found = {
        n: inspect.signature(f)
        for n, f in made.items()
        if callable(f) and f not in kinds and n not in ("dtype",)
    }
    xp.reset_array_api_strict_flags()
    return found


def test_every_argument_is_tried() -> None:
    tried: dict[str, set[str]] = {}
    for name, signature in functions().items():
        tried[name] = set()
        for case in CALLS.get(name, []):
            tried[name] |= chosen(signature, case.args, case.kwargs)
    for name, args, kwargs in test_namespace.CREATIONS:
        tried[name] |= chosen(functions()[name], args, kwargs) | {"dtype"}
    missing, needed = [], set()
    for name, signature in functions().items():
        for argument in signature.parameters:
            keys = [k for k in (f"{name}.{argument}", argument) if k in ELSEWHERE]
            if argument in tried[name]:
                continue
            if keys:
                needed.add(keys[0])
            else:
                missing.append(f"{name}({argument}=)")
    assert not missing, missing
    assert needed == set(ELSEWHERE), set(ELSEWHERE) - needed
    assert len(tried) == len(CALLS) + len(test_standard.TESTED_BELOW)


@table("name", functions())
def test_signatures_are_the_standards(name: str) -> None:
    """Names, what is given by place alone, by name alone, or either; defaults."""
    wanted, function = functions()[name], getattr(cr.array_api, name)
    unsaid = type(xp.astype.__kwdefaults__["device"])  # None, in the standard

    def parts(signature: inspect.Signature) -> list[Any]:
        found = signature.parameters.values()
        defaults = [None if isinstance(p.default, unsaid) else p.default for p in found]
        return [(p.name, p.kind, d) for p, d in zip(found, defaults)]

    assert parts(inspect.signature(function)) == parts(wanted)
    for args, kwargs in (((), {"out": 1}), ((1,) * 9, {"dim": 0, "keepdim": True})):
        with pytest.raises(cr.errors.CallError, match="array API standard"):
            function(*args, **kwargs)


def test_the_namespace_holds_the_standards_names_alone() -> None:
    names = {n for n in dir(cr.array_api) if not n.startswith("__")}
    assert names == set(cr.array_api.__all__) == names & set(dir(xp))


#: What arrays have, and the test of it.
OPERATORS = {
    "test_operators": "abs add and eq floordiv ge gt iadd iand ifloordiv ilshift imod "
    "imul invert ior ipow irshift isub itruediv ixor le lshift lt mod mul ne neg or "
    "pos radd rand rfloordiv rlshift rmod rmul ror rrshift rshift rsub rtruediv rxor "
    "sub truediv xor",
    "test_matrix_operators": "imatmul matmul pow rmatmul rpow",
    "test_numbers_of_one_element": "bool complex float index int",
    "test_asarray_and_exchange": "array dlpack dlpack_device",
    "test_an_array_leads_to_its_namespace": "array_namespace",
    "test_indexing.py": "getitem setitem iter",
    "the buffer protocol is no part of the standard": "buffer",
    "of Python itself": "hash module dict weakref annotations slots",
}
ATTRIBUTES = {"T", "device", "dtype", "mT", "ndim", "shape", "size", "to_device"}


def test_arrays_have_what_the_standard_asks() -> None:
    array = xp.asarray([1.0])
    names = {n.strip("_") for n in dir(type(array)) if n.startswith("__")}
    plain = type("Plain", (), {})  # a class has more of them from Python 3.13 on
    own = {n.strip("_") for n in dir(plain)} | {"firstlineno", "static_attributes"}
    listed = {n for names in OPERATORS.values() for n in names.split()}
    assert names - own - listed == set()
    operators = listed - {"buffer", "dict", "annotations"}
    assert not [n for n in operators if not hasattr(cr.Tensor, f"__{n}__")]
    assert {n for n in dir(array) if not n.startswith("_")} == ATTRIBUTES
    assert not [n for n in ATTRIBUTES if not hasattr(cr.Tensor, n)]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("broadcast_to", {"shape": (4, 1, 3)}),
        ("clip", {"min": 1.0, "max": 2.0}),
        ("expand_dims", {"axis": 1}),
        ("full_like", {"fill_value": 2.0}),
        ("permute_dims", {"axes": (1, 0)}),
        ("reshape", {"shape": (3, 1)}),
        ("roll", {"shift": 1}),
        ("squeeze", {"axis": 0}),
    ],
)
def test_what_may_be_given_by_place_or_by_name(name: str, given: Any) -> None:
    x, function = cr.asarray([[0.0, 1.0, 2.0]]), getattr(cr.array_api, name)
    by_place = function(x, *given.values())
    np.testing.assert_array_equal(by_place.numpy(), function(x, **given).numpy())
    kinds = [p.kind for p in functions()[name].parameters.values()]
    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert kinds.count(either) == len(given)


def test_errors_are_of_the_kinds_that_the_standard_names() -> None:
    x = cr.ones(2)
    for axis in (-3, 2):
        with pytest.raises(IndexError):
            cr.array_api.expand_dims(x, axis)
        with pytest.raises(IndexError):
            cr.array_api.sum(x, axis=axis)
    with pytest.raises(BufferError):
        x.__dlpack__(copy=False)
    assert not cr.array_api.eye(2, k=2**63).numpy().any()


def test_extensions_are_absent_and_say_so() -> None:
    for name in ("linalg", "fft"):
        assert not hasattr(cr.array_api, name)
        assert name not in cr.array_api.__all__
    info = cr.array_api.__array_namespace_info__()
    assert info.dtypes(kind="complex floating") == {}


# -- what has no table ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["zeros", "ones", "empty"])
def test_shapes_by_name(name: str) -> None:
    make = getattr(cr, name)
    for made in (make(shape=(2, 3), dtype="int8"), make((2, 3), dtype="int8")):
        assert (made.shape, made.dtype) == ((2, 3), cr.int8)
    assert make(shape=3).shape == (3,)
    assert make(shape=()).shape == ()
    with pytest.raises(ArgumentError, match="given once"):
        make(2, shape=(2,))


def test_axes_and_shapes_by_name() -> None:
    x = cr.reshape(cr.arange(6), shape=(2, 3))
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert cr.permute_dims(x, axes=(1, 0)).tolist() == x.T.tolist()
    with pytest.raises(ArgumentError, match="given once"):
        cr.permute_dims(x, 1, 0, axes=(1, 0))


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "full_like", "empty_like"])
def test_like_another_dtype(name: str) -> None:
    x, number = cr.zeros((2, 1)), [3] if name == "full_like" else []
    made = getattr(cr, name)(x, *number, dtype="uint16", device="cpu")
    assert (made.shape, made.dtype) == ((2, 1), cr.uint16)


def test_an_order_that_need_not_be_stable() -> None:
    x = cr.asarray([2, 1, 2, 1])
    assert cr.argsort(x, stable=False).tolist() == [1, 3, 0, 2]
    assert cr.array_api.sort(x, stable=False).tolist() == [1, 1, 2, 2]
    assert cr.sort(x, stable=False, descending=True)[0].tolist() == [2, 2, 1, 1]


def test_devices_and_copies() -> None:
    x = cr.asarray([1.0, 2.0], device="cpu")
    assert cr.asarray(x, copy=False) is x
    for copied in (
        *(
            cr.asarray(x, copy=True),
            cr.astype(x, "float32"),
            cr.from_dlpack(x, copy=True),
        ),
        *(cr.astype(x, "float32", device="cpu"), cr.reshape(x, (2,), copy=True)),
    ):
        copied += 1.0
    assert x.tolist() == [1.0, 2.0]
    assert cr.astype(x, "float32", copy=False) is x
    assert cr.reshape(x, (2, 1), copy=False).shape == (2, 1)
    for refused in (
        lambda: cr.asarray(np.ones(2), copy=False),
        lambda: cr.from_dlpack(np.ones(2), copy=False),
        lambda: cr.asarray(x, dtype="int8", copy=False),
    ):
        with pytest.raises(ValueError, match="copy"):
            refused()
    for made in (
        lambda d: cr.zeros(2, device=d),
        lambda d: cr.astype(x, "int8", device=d),
        lambda d: cr.from_dlpack(np.ones(2), device=d),
        lambda d: x.to_device(d),
    ):
        made("cpu")
        with pytest.raises(ArgumentError, match="device"):
            made("cuda")


def test_exported_memory_is_a_copy() -> None:
    """Some libraries write into what they are given, whatever it says."""
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    h = w * 2.0
    y = (h * h).sum()
    exported = np.from_dlpack(h.detach())
    exported += 100.0
    assert h.tolist() == [2.0, 4.0]
    y.backward()
    assert w.grad.tolist() == [8.0, 16.0]
    assert not np.from_dlpack(h.detach(), copy=False).flags.writeable
    with pytest.raises(cr.ChainruleError, match="does not remember derivatives"):
        np.from_dlpack(h)
    capsule = h.detach().__dlpack__(max_version=(1, 0), stream=None, dl_device=(1, 0))
    assert type(capsule).__name__ == "PyCapsule"


@pytest.mark.parametrize("dtype", EVERY)
def test_a_truth_value_without_axes_selects(dtype: str) -> None:
    for shape in ((), (3,), (2, 0)):
        x = np.ones(shape, dtype)
        for mask in (True, False):
            wanted, got = x[np.asarray(mask)], cr.asarray(x)[cr.asarray(mask)]
            assert (got.shape, got.dtype.name) == (wanted.shape, dtype)
            changed, t = x.copy(), cr.asarray(x, copy=True)
            changed[np.asarray(mask)] = 0
            t[cr.asarray(mask)] = 0
            np.testing.assert_array_equal(t.numpy(), changed)
            key, number = cr.asarray(mask), cr.asarray(x)

            def put(t: Any, k: Any) -> Any:
                t = t * 1 if dtype != "bool" else t & t
                t[k] = 0
                return t

            made = cr.compile(put, engine="numpy")(number, key)
            np.testing.assert_array_equal(made.numpy(), changed)
    with pytest.raises(ShapeError, match="known only at the run"):
        cr.compile(lambda x, k: x[k], engine="numpy")(number, key)


def test_what_makes_no_sense_is_refused() -> None:
    x = cr.asarray([1, 4])
    with pytest.raises(ArgumentError, match="n ≥ 0"):
        cr.diff(x, n=-1)
    with pytest.raises(ArgumentError, match="truth value does not index"):
        x[True]


FORBIDDEN = {
    "uint64 and signed": lambda x: x["uint64"] + x["int8"],
    "truth values subtracted": lambda x: x["bool"] - x["bool"],
    "a truth value negated": lambda x: -x["bool"],
    "the bits of a float": lambda x: ~x["float32"],
    "bits of floats": lambda x: x["float32"] & x["float32"],
    "bits of a float and an integer": lambda x: x["float64"] | x["int8"],
    "a float shifted": lambda x: x["float32"] << 1,
    "an integer in place by a float": lambda x: operator.iadd(x["int8"], 1.5),
    "an integer in place by floats": lambda x: operator.imul(x["int8"], x["float32"]),
    "a quotient in place": lambda x: operator.itruediv(x["int32"], 2),
    "truth values in place": lambda x: operator.iadd(x["bool"], x["int8"]),
    "another shape in place": lambda x: operator.iadd(x["int8"], x["int8"][:, None]),
    "a number that does not fit": lambda x: x["int8"] + 128,
    "a negative unsigned number": lambda x: x["uint8"] * -1,
    "an index of floats": lambda x: x["int8"][x["float32"]],
    "an index out of range": lambda x: x["int8"][2],
    "too many indices": lambda x: x["int8"][0, 0],
    "two ellipses": lambda x: x["int8"][..., ...],
    "a product with a scalar": lambda x: x["int8"] @ 2,
    "lengths that differ": lambda x: x["int8"] + cr.zeros(3),
    "shapes in no order": lambda x: cr.permute_dims(x["int8"], (0, 0)),
    "a long axis squeezed": lambda x: cr.array_api.squeeze(x["int8"], 0),
    "an extreme of nothing": lambda x: cr.max(x["int8"][:0]),
    "a step of 0": lambda x: cr.arange(0, 3, 0),
    "a negative size": lambda x: cr.zeros(-1),
}


@table("name", FORBIDDEN)
def test_what_the_standard_forbids_is_refused(name: str) -> None:
    with pytest.raises(cr.ChainruleError) as found:
        FORBIDDEN[name]({d: cr.ones(2, dtype=d) for d in EVERY})
    assert "expected" in str(found.value) or "got" in str(found.value)


@pytest.mark.parametrize("name", [n for n in FORBIDDEN if "out of range" not in n])
def test_what_the_standard_forbids_is_refused_while_compiled(name: str) -> None:
    given = {d: cr.ones(2, dtype=d) for d in EVERY}
    with pytest.raises(cr.ChainruleError):
        cr.compile(FORBIDDEN[name], engine="numpy")(given)
