"""The file format of a recording: messages in pieces, and an index, compressed.

The pieces stand one after the other; then comes the index, as JSON, and its length in
four bytes; all of it is a gzip file. A message is a list of numbers: its kind, and its
pieces. A piece that several messages have, such as the weights of a moment, is there
once.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chainrule.lab import protocol

#: A message: its kind, and its bytes.
Message = tuple[int, bytes]


class Archive:
    """An archive of messages, of a bounded size.

    Args:
        most: bytes of it, compressed.

    >>> archive = Archive(most=1000)
    >>> archive.add([(protocol.TEXT, b"{}"), (protocol.TEXT, b"{}")])
    [[0, 0], [0, 0]]
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._zip = zlib.compressobj(9, zlib.DEFLATED, 31)
        self._parts: list[bytes] = []
        self._size = 0
        self._lengths: list[int] = []
        self._known: dict[bytes, int] = {}

    def add(self, messages: Sequence[Message]) -> list[list[int]] | None:
        """Add messages; return where they are, or None where there is no room."""
        known, new = dict[bytes, int](), list[bytes]()
        found: list[list[int]] = []
        for kind, payload in messages:
            places = [kind]
            for piece in _pieces(kind, payload):
                name = hashlib.sha256(piece).digest()
                place = self._known.get(name, known.get(name))
                if place is None:
                    place = known[name] = len(self._lengths) + len(new)
                    new.append(piece)
                places.append(place)
            found.append(places)
        trial = self._zip.copy()
        packed = trial.compress(b"".join(new)) + trial.flush(zlib.Z_SYNC_FLUSH)
        if self._size + len(packed) > self.most:
            return None
        self._zip, self._size = trial, self._size + len(packed)
        self._parts.append(packed)
        self._lengths += map(len, new)
        self._known |= known
        return found

    def answer(
        self, answers: dict[str, list[int]], said: Mapping[str, Message]
    ) -> bool:
        """Add answers by their questions, all or none; return whether they fit."""
        refs = self.add([*said.values()])
        if refs is None:
            return False
        answers |= zip(said, refs)
        return True

    def closed(self, index: Mapping[str, Any]) -> bytes:
        """Return the whole, with an index of what is where."""
        text = protocol.said("recording", pieces=self._lengths, **index)
        end = self._zip.compress(text + struct.pack("<I", len(text)))
        return b"".join([*self._parts, end, self._zip.flush()])


def _pieces(kind: int, payload: bytes) -> Iterator[bytes]:
    """Yield a message in pieces: its head, and each of its arrays."""
    if kind == protocol.TEXT:
        yield payload
        return
    (length,) = struct.unpack_from("<I", payload)
    begin = 4 + length
    yield payload[:begin]
    places = [begin + item["at"] for item in protocol.head_of(kind, payload)["arrays"]]
    for start, end in zip(places, [*places[1:], len(payload)]):
        yield payload[start:end]


def opened(content: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return the index of an archive, and its pieces."""
    whole = zlib.decompress(content, 31)
    (length,) = struct.unpack_from("<I", whole, len(whole) - 4)
    index = json.loads(whole[-4 - length : -4])
    pieces: list[bytes] = []
    place = 0
    for size in index["pieces"]:
        pieces.append(whole[place : place + size])
        place += size
    return index, pieces
