"""The ``state_dict`` in a checkpoint: what people save is a nest with one within it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chainrule.interop.weights import UnreadableError
from chainrule.text import _, ngettext

#: Where the weights of a model stand, the most usual first.
KEYS = (
    *("state_dict", "model_state_dict", "model", "module", "net", "network"),
    *("weights", "params", "model_state", "net_state_dict"),
)
#: What wrappers put before every name: ``DataParallel``, ``torch.compile``.
PREFIXES = ("module.", "_orig_mod.")
#: Nests within each other that are looked at, and dictionaries in all.
_DEPTH, _MOST = 3, 10_000


def state_dict_of(
    nest: Any, key: str | None, is_tensor: Callable[[Any], bool]
) -> tuple[dict[str, Any], list[str]]:
    """Return the tensors of a checkpoint's ``state_dict`` by name, and notes.

    Args:
        nest: what was saved.
        key: where it stands; None: the one that has a usual name, or is alone there.
        is_tensor: tells tensors from all else.

    Raises:
        UnreadableError: none, or several of which none has a usual name.
    """
    found = dict(_mappings(nest, is_tensor))
    chosen = key if key is not None else _chosen(found)
    if chosen not in found:
        inner = ", ".join(map(repr, list(found)[:20])) or _("none")
        raise UnreadableError(
            _(
                "no tensors at key={key!r:.80}; dictionaries of tensors: {inner:.400}",
                key=chosen,
                inner=inner,
            ),
            _("one of those as key=…"),
        )
    mapping, notes = found[chosen], []
    if chosen:
        notes.append(_("the dictionary at {key!r:.80} of what was saved", key=chosen))
        others = [k for k in found if k and not f"{k}.".startswith(f"{chosen}.")]
        others += [str(k) for k, item in found.get("", {}).items() if is_tensor(item)]
        if others:
            notes.append(_("left out: {names:.400}", names=", ".join(others)))
    tensors = {str(name): item for name, item in mapping.items() if is_tensor(item)}
    rest = [repr(name) for name, item in mapping.items() if not is_tensor(item)]
    if rest:
        notes.append(_("no tensors, left out: {names:.400}", names=", ".join(rest)))
    named = sum(map(is_tensor, mapping.values()))
    if len(tensors) < named:  # 1 and "1"
        raise UnreadableError(
            _(
                "{tensors} with {names}",
                tensors=ngettext("{n} tensor", "{n} tensors", n=named),
                names=ngettext("{n} name", "{n} names", n=len(tensors)),
            )
        )
    for prefix in PREFIXES * 2:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): t for name, t in tensors.items()}
            notes.append(_("{prefix!r} left out before every name", prefix=prefix))
    return tensors, notes


def _chosen(found: Mapping[str, Any]) -> str:
    """Return the key of the dictionary of tensors to take."""
    usual = [name for name in KEYS if name in found]
    if usual:  # also beside a tensor, such as the loss of the last epoch
        return usual[0]
    if "" in found or len(found) == 1:
        return "" if "" in found else next(iter(found))
    if not found:
        raise UnreadableError(_("no dictionary of tensors"))
    names = ", ".join(map(repr, list(found)[:20]))
    raise UnreadableError(
        _("several dictionaries of tensors: {names:.400}", names=names),
        _("say which: cr.load_torch(path, key=…)"),
    )


def _mappings(
    nest: Any, is_tensor: Callable[[Any], bool]
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield the dictionaries in a nest that have tensors, by their keys."""
    queue: list[tuple[str, Any, int]] = [("", nest, 0)]
    seen: set[int] = set()
    while queue and len(seen) < _MOST:
        path, item, depth = queue.pop(0)
        if not isinstance(item, Mapping) or id(item) in seen:
            continue
        seen.add(id(item))
        if any(isinstance(k, str) and is_tensor(v) for k, v in item.items()):
            yield path, item
        if depth < _DEPTH:
            for name, inner in item.items():
                if isinstance(name, str) and isinstance(inner, Mapping):
                    queue.append((f"{path}.{name}" if path else name, inner, depth + 1))
