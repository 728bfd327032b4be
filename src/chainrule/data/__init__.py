"""Data sets: features and targets, stored in their original dtype, and readers."""

from chainrule.data.column import Column
from chainrule.data.dataset import Dataset
from chainrule.data.features import Features
from chainrule.data.idx import read_idx
from chainrule.data.images import image_folder
from chainrule.data.mnist import mnist
from chainrule.data.npz import read_npz
from chainrule.data.reading import read
from chainrule.data.stream import Stream
from chainrule.data.tables.examine import Examined, examine
from chainrule.data.tables.reader import read_csv, rows_of
from chainrule.data.tables.source import progress
from chainrule.data.tables.table_reader import TableReport
from chainrule.data.text import read_text
from chainrule.data.toys import blobs, circles, hills, moons, plane, spiral, xor

__all__ = [
    "Column",
    "Dataset",
    "Examined",
    "Features",
    "Stream",
    "TableReport",
    "blobs",
    "circles",
    "examine",
    "hills",
    "image_folder",
    "mnist",
    "moons",
    "plane",
    "progress",
    "read",
    "read_csv",
    "read_idx",
    "read_npz",
    "read_text",
    "rows_of",
    "spiral",
    "xor",
]
