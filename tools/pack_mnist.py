"""Pack the four original files of MNIST into src/chainrule/data/mnist.pack.

    python tools/pack_mnist.py FOLDER

FOLDER holds train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz,
t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz. Mirrors compress them in
their own ways, so what is checked are the published MD5 and SHA-256 of the content.
The same content and the same zlib give the same packed file, byte for byte.
"""

import argparse
import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np

from chainrule.data.mnist import FILE, HEADER, MAGIC, VERSION, content_digest, unpack
from chainrule.errors import DataError

TARGET = Path(__file__).parents[1] / "src" / "chainrule" / "data" / FILE

# MD5 and SHA-256 of the content of each file, without the gzip around it.
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
SHA256 = {
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}


def parse_idx(data: bytes, name: str) -> np.ndarray:
    """The array in an idx file of unsigned bytes: 0, 0, 8, rank, sizes, values."""
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise DataError(
            f"{name} is not an idx file of unsigned bytes.",
            expected="the bytes 00 00 08 and the rank",
            got=data[:4].hex(" ") or "nothing",
            fix="get the original file again",
        )
    rank = data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise DataError(
            f"{name} ends within its header.",
            expected=f"{rank} sizes of 4 bytes",
            got=f"{len(data) - 4} bytes",
            fix="get the original file again",
        )
    shape = struct.unpack_from(f">{rank}I", data, 4)
    values = np.frombuffer(data, np.uint8, offset=start)
    if len(values) != int(np.prod(shape, dtype=object)):
        raise DataError(
            f"{name} has not the size that its header names.",
            expected=f"one byte for each value of shape {shape}",
            got=f"{len(values)} bytes",
            fix="get the original file again",
        )
    return values.reshape(shape)


def load(folder: Path, name: str) -> np.ndarray:
    """The array in one of the original files, after a check of what it holds."""
    path = folder / f"{name}.gz"
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read.",
            expected="an original file of MNIST, compressed with gzip",
            got=f"{type(error).__name__}: {error}",
            fix="get the original file again",
        ) from error
    for kind, known in (("md5", MD5), ("sha256", SHA256)):
        if (found := hashlib.new(kind, data).hexdigest()) != known[name]:
            raise DataError(
                f"{path} is not the original file.",
                expected=f"content of {kind} {known[name]}",
                got=found,
                fix="get the original file again",
            )
    return parse_idx(data, name)


def pack(images: np.ndarray, labels: np.ndarray, train: int) -> bytes:
    """The packed form of uint8 images (n, height, width) and labels (n,).

    A row of pixels has a mask of a few bytes. The first bytes of all rows come
    first, then the second ones and so on: like follows like, and zlib finds it.
    """
    n, height, width = images.shape
    mask = np.packbits(images != 0, axis=2).transpose(2, 0, 1)
    streams = [
        zlib.compress(part.tobytes(), 9) for part in (mask, images[images != 0], labels)
    ]
    header = HEADER.pack(
        MAGIC,
        VERSION,
        train,
        n - train,
        height,
        width,
        *map(len, streams),
        content_digest(images, labels, train),
    )
    return b"".join([header, *streams])


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Pack the original files of MNIST for the package.",
        epilog="example: python tools/pack_mnist.py ~/Downloads/mnist",
    )
    parser.add_argument("folder", type=Path, help="holds the four .gz files")
    parser.add_argument(
        "--output", type=Path, default=TARGET, help="default: %(default)s"
    )
    options = parser.parse_args()

    train_x, train_y, test_x, test_y = (load(options.folder, name) for name in SHA256)
    images, labels = (
        np.concatenate([train_x, test_x]),
        np.concatenate([train_y, test_y]),
    )
    packed = pack(images, labels, len(train_x))

    again_x, again_y, n = unpack(packed)
    assert n == len(train_x)
    assert np.array_equal(again_x, images)
    assert np.array_equal(again_y, labels)
    options.output.write_bytes(packed)
    print(f"{options.output}: {len(packed):,} bytes for {images.size:,} pixels")


if __name__ == "__main__":
    main()
