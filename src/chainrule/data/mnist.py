"""The MNIST data set, included: 70,000 handwritten digits of 28 × 28 grey pixels.

`mnist.pack` holds the four original files without loss. Four pixels in five are
blank paper (0), so it keeps apart where there is ink and how dark the ink is:

    header  magic, version, shape, the three sizes, SHA-256 of the content
    mask    one bit a pixel: is it more than 0?
    ink     one byte for each pixel that is, in reading order
    labels  one byte each

The last three are zlib streams. That makes 9.8 MB, against 11.6 MB of the original
files, and reads in about 0.3 s; LZMA over the pixels would save another 0.7 MB and
take half as long again. `tools/pack_mnist.py` writes the file.
"""

import functools
import itertools
import struct

import numpy as np

from chainrule.data.dataset import Dataset
from chainrule.errors import DataError
from chainrule.text import _, ngettext
from chainrule.util.keywords import strict

FILE = "mnist.pack"
MAGIC, VERSION = b"CR-MNIST", 1
# magic, version; train rows, test rows, height, width; sizes of mask, ink, labels;
# SHA-256 of the content. Big-endian, as the original files are.
HEADER = struct.Struct(">8sH IIHH III 32s")


@strict
def mnist() -> tuple[Dataset, Dataset]:
    """Return MNIST: handwritten digits, 60,000 for training and 10,000 for testing.

    It comes with the package: nothing is downloaded. The content is checked
    against its SHA-256 each time that it is read from the disk, once a process;
    the arrays are shared between calls and read-only.

    Shapes:
        x: (60000, 784) and (10000, 784), the rows of each image one after another
            (``x[0].reshape(28, 28)`` is the image). Stored as uint8, 0 for paper to
            255 for ink, with scale 1/255: features are float32 from 0 to 1.
        y: (60000,) and (10000,), int32: the digit, 0 to 9.

    Returns:
        The training set and the test set.

    Raises:
        DataError: the packed file is missing, truncated or altered.

    Source:
        Yann LeCun, Corinna Cortes and Christopher J.C. Burges: The MNIST database
        of handwritten digits. CC BY-SA 3.0; see LICENSE-MNIST.

    Example:
        >>> train, test = mnist()
        >>> len(train), len(test), train.classes
        (60000, 10000, 10)
        >>> train.x.stored.dtype, train.x[:1].dtype, train.x.shape
        (dtype('uint8'), dtype('float32'), (60000, 784))
        >>> train.y[:5]
        array([5, 0, 4, 1, 9], dtype=int32)
    """
    images, labels, n = _arrays()
    train = Dataset(images[:n], labels[:n], scale=1 / 255, name="mnist", classes=10)
    test = Dataset(images[n:], labels[n:], scale=1 / 255, name="mnist test", classes=10)
    return train, test


@functools.cache
def _arrays() -> tuple[np.ndarray, np.ndarray, int]:
    """Return MNIST's images and labels, read-only, and the count of training images."""
    images, labels, n = unpack(read())
    targets = labels.astype(np.int32)
    images = images.reshape(len(images), -1)
    images.flags.writeable = targets.flags.writeable = False
    return images, targets, n


def read() -> bytes:
    """Read the bytes of MNIST's packed file from the installed package.

    Raises:
        DataError: it is not there.
    """
    from importlib import resources

    try:
        return resources.files("chainrule.data").joinpath(FILE).read_bytes()
    except OSError as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error


def unpack(packed: bytes) -> tuple[np.ndarray, np.ndarray, int]:
    """Unpack MNIST's images, labels and number of training images from its file.

    Args:
        packed: all bytes of the file.

    Returns:
        uint8 images of shape (train + test, height, width), uint8 labels of shape
        (train + test,), and the number of rows for training, which come first.

    Raises:
        DataError: truncated, altered, or of another format.
    """
    import zlib

    try:
        fields = HEADER.unpack_from(packed)
        magic, version, train, test, height, width, *sizes, digest = fields
        starts = [HEADER.size, *np.cumsum(sizes) + HEADER.size]
        mask, ink, labels = (
            np.frombuffer(zlib.decompress(packed[start:end]), np.uint8)
            for start, end in itertools.pairwise(starts)
        )
        n, planes = train + test, -(-width // 8)  # bytes of the mask a row of pixels
        # Row by row in memory: what follows is several times as fast then.
        mask = np.ascontiguousarray(mask.reshape(planes, n * height).T)
        images = np.unpackbits(mask, axis=1, count=width)
        images[images.view(bool)] = ink
        images = images.reshape(n, height, width)
        actual = content_digest(images, labels, train)
    except (struct.error, zlib.error, ValueError) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    if (magic, version, starts[-1], len(labels)) != (MAGIC, VERSION, len(packed), n):
        raise _damaged(
            ngettext(
                "{n:,} byte, {packed2!r}",
                "{n:,} bytes that start with {packed2!r}",
                n=len(packed),
                packed2=packed[:10],
            )
        )
    if actual != digest:
        raise _damaged(_("content of SHA-256 {hex}", hex=actual.hex()))
    return images, labels, train


def content_digest(images: np.ndarray, labels: np.ndarray, train: int) -> bytes:
    """Compute the SHA-256 checksum of MNIST's images and labels."""
    import hashlib

    sha = hashlib.sha256(struct.pack(">4I", train, *images.shape))
    sha.update(np.ascontiguousarray(images).data)
    sha.update(np.ascontiguousarray(labels).data)
    return sha.digest()


def _damaged(got: str) -> DataError:
    return DataError(
        _("The packed MNIST file is missing or damaged."),
        expected=_(
            "the file {FILE} in the folder of chainrule.data, as it was packed",
            FILE=FILE,
        ),
        got=got,
        fix=_("reinstall it: pip install --force-reinstall --no-deps chainrule"),
    )
