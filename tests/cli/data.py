"""Small data of every kind, for tests that train with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def houses(path: Path, rows: int = 120, *, price: bool = True) -> Path:
    """A regression with a category and Chinese names: 單價 × 面積, more by the sea."""
    draw = np.random.default_rng(rows)
    lines = ["面積,房間,城市" + (",房價" if price else "")]
    for _ in range(rows):
        area, rooms = draw.uniform(30, 120), int(draw.integers(1, 6))
        city = ("臺北", "高雄", "花蓮")[int(draw.integers(3))]
        cost = 10 * area + 50 * rooms + {"臺北": 300, "高雄": 100, "花蓮": 0}[city]
        lines.append(f"{area:.1f},{rooms},{city}" + (f",{cost:.0f}" if price else ""))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def flowers(path: Path, rows: int = 150) -> Path:
    """A classification with three classes, two of them with Chinese names."""
    draw = np.random.default_rng(3)
    lines = ["length,width,kind"]
    for i in range(rows):
        kind = i % 3
        length, width = draw.normal([2, 5, 8][kind], 0.4), draw.normal(kind, 0.4)
        lines.append(f"{length:.3f},{width:.3f},{('玫瑰', '百合', 'iris')[kind]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def shades(path: Path, each: int = 12, side: int = 6) -> Path:
    """A folder of grey images: 暗 (dark) and light ones."""
    from PIL import Image

    draw = np.random.default_rng(5)
    for name, level in ("暗", 60), ("light", 190):
        (path / name).mkdir(parents=True)
        for i in range(each):
            pixels = draw.normal(level, 20, (side, side)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path / name / f"{i:02}.png")
    return path


def arrays(path: Path, rows: int = 90) -> Path:
    """An NPZ file with two classes of small images."""
    draw = np.random.default_rng(7)
    y = np.arange(rows) % 2
    x = draw.normal(0, 0.3, (rows, 2, 3)) + y[:, None, None]
    np.savez(path, x=x.astype(np.float32), y=y)
    return path


def idx(folder: Path, rows: int = 40) -> Path:
    """Images and labels of two classes in idx, named as MNIST's are."""
    draw = np.random.default_rng(9)
    labels = np.arange(rows, dtype=np.uint8) % 2
    images = draw.integers(0, 100, (rows, 4, 4), np.uint8) + 100 * labels[:, None, None]
    for name, array in ("images-idx3", images), ("labels-idx1", labels):
        shape = b"".join(n.to_bytes(4, "big") for n in array.shape)
        head = bytes([0, 0, 8, array.ndim]) + shape
        content = head + array.astype(np.uint8).tobytes()
        (folder / f"train-{name}-ubyte").write_bytes(content)
    return folder / "train-images-idx3-ubyte"
