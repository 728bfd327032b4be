"""A CSV file, a data frame and arrays as data of a Trainer."""

import csv
import tempfile
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule import nn, optim


def write(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["area", "district", "rent"])
        for _ in range(rows):
            area = float(rng.uniform(25, 140))
            district = ["centre", "north"][int(rng.integers(2))]
            table.writerow([area, district, 4.5 * area + 100 * (district == "centre")])


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "flats.csv"
    write(path, 60)
    data = cr.data.read_csv(path, target="rent", missing="fill")
    train, test = data.split(0.8, seed=0)
    print(
        data.feature_names[:2],
        data.report.notes(),
        len(test),
        train.x.shape,
        train.y.dtype,
    )

    model = nn.Sequential(
        nn.Standardize.of(train.x),
        nn.Linear(3, 8),
        nn.ReLU(),
        nn.Linear(8, 1),
        nn.Unstandardize.of(train.y),
    )
    trainer = cr.Trainer(
        model, loss=nn.HuberLoss(), optimizer=optim.Adam(lr=0.01), metrics=("r2", "mae")
    )
    trainer.fit(train, epochs=3, batch_size=16, validation=test, progress=False)
    for name, value in trainer.evaluate(test).items():
        print(name, round(value, 2))
    for x, y in train.batches(32, epoch=0):
        print(x.mean(), y.shape)
    trainer.save(Path(folder) / "flats.ckpt")
    with path.open("a", encoding="utf-8") as file:
        file.write("60,centre,0\n")
    new = cr.data.read(path, format=trainer.format, target=False)
    print(trainer.predict(new.x).shape)

points = cr.data.Dataset(np.eye(4), [0, 1, 0, 1], classes=2, class_names=("a", "b"))
print(points.class_names, points.x[:2].shape, points.y.tolist())
