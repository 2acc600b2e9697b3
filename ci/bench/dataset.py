"""The data set of the benchmarks: JPEGs of ten textures, each turned, scaled and colored at random, behind clutter.

It is drawn from numbers, so it is the same everywhere; accuracy after a few epochs is far from both 10 % and 100 %.
"""

import colorsys
import csv
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import engine
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

TEST_IMAGES = 8  # comp train predicts test images too, the others have none: as good as nothing
SEED = 20261121
Coordinates = np.ndarray  # (H, W) float32, in wavelengths


def ensure_dataset(parent: Path, images: int, valid: int, sides_px: tuple[int, int] = (256, 256)) -> Path:
    """The folder of a data set with about `images` training and `valid` validation JPEGs, made where it is missing.

    It holds `train.csv` and `test.csv` (id, path, label), `folds.csv` as the engine splits it, and the same files once
    more by split and class: `by_class/train/<class>/`, `by_class/validation/<class>/`.
    """
    name = f"{images}+{valid}-{sides_px[0]}" + (f"-{sides_px[1]}" if sides_px[1] != sides_px[0] else "")
    place = parent / name
    if place.exists():
        if _still_fits(place):
            return place
        shutil.rmtree(place)  # this state of the engine splits otherwise
    print(f"making  {images + valid} JPEGs of {sides_px[0]} to {sides_px[1]} px", flush=True)
    parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent))
    _write_images(beside, images + valid, sides_px)
    (beside / "holdout.txt").write_text(repr(valid / (images + valid)))
    result = _split(beside)
    if result.returncode:
        raise SystemExit(f"comp split ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    _arrange_by_class(beside)
    (beside / "checked").write_text(str(engine.SOURCE))
    return beside.rename(place)


def _still_fits(place: Path) -> bool:
    """Whether the engine would split it so today; it is asked again once a file of it has changed."""
    checked = place / "checked"
    sources = [path.stat().st_mtime for path in (engine.SOURCE / "comp").rglob("*.py")]
    if checked.is_file() and checked.stat().st_mtime > max(sources) and checked.read_text() == str(engine.SOURCE):
        return True
    fits = _split(place).returncode == 0
    if fits:
        checked.write_text(str(engine.SOURCE))
    return fits


def image_paths(dataset: Path, split: str) -> list[str]:
    """All files of `train` or `validation`."""
    return sorted(str(path) for path in (dataset / "by_class" / split).glob("*/*.jpg"))


def _split(folder: Path) -> engine.Result:
    """`comp split`: writes folds.csv, or sees that the one there still fits."""
    with tempfile.TemporaryDirectory() as repository:
        engine.write_configuration(Path(repository), engine.about_data(folder.resolve(), folder.resolve()))
        return engine.comp(Path(repository), "split")


def _write_images(folder: Path, n: int, sides_px: tuple[int, int]) -> None:
    (folder / "images").mkdir()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        draw = partial(_write_one, folder, sides_px)
        rows = list(pool.map(draw, range(n + TEST_IMAGES), chunksize=32))
    for name, part in (("train.csv", rows[:n]), ("test.csv", rows[n:])):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("id", "path", "label"), *part])
        (folder / name).write_text(text.getvalue(), encoding="utf-8")


def _write_one(folder: Path, sides_px: tuple[int, int], number: int) -> tuple[str, str, str]:
    label = list(TEXTURES)[number % len(TEXTURES)]
    rng = np.random.default_rng((SEED, number))
    width, height = (int(side) for side in rng.integers(sides_px[0], sides_px[1] + 1, 2))
    path = f"images/{number:06d}.jpg"
    Image.fromarray(_picture(label, width, height, rng)).save(folder / path, quality=90)
    return f"{number:06d}", path, label


def _arrange_by_class(folder: Path) -> None:
    with (folder / "train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "folds.csv").open(newline="") as file:
        file.readline()  # a comment
        fold = {row["id"]: row["fold"] for row in csv.DictReader(file)}
    for row in rows:
        split = "validation" if fold[row["id"]] == "0" else "train"
        place = folder / "by_class" / split / row["label"]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row['id']}.jpg").hardlink_to(folder / row["path"])


def _picture(label: str, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: a texture in a soft ellipse, on a ground of clutter, under noise."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    side = min(width, height)
    angle, wavelength = rng.uniform(0, 2 * np.pi), rng.uniform(0.06, 0.14) * side
    x0, y0 = rng.uniform(0.35, 0.65) * width, rng.uniform(0.35, 0.65) * height
    u = ((x - x0) * np.cos(angle) - (y - y0) * np.sin(angle)) / wavelength
    v = ((x - x0) * np.sin(angle) + (y - y0) * np.cos(angle)) / wavelength
    texture = TEXTURES[label](u, v, rng).astype(np.float32)[..., None]
    hue = (list(TEXTURES).index(label) / len(TEXTURES) + rng.normal(0, 0.06)) % 1  # a hint that is learned faster
    light = np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.4, 1), rng.uniform(0.5, 1))) * 255
    dark = light * rng.uniform(0, 0.6)
    inside = np.hypot((x - x0) / rng.uniform(0.35, 0.65) / width, (y - y0) / rng.uniform(0.35, 0.65) / height)
    alpha = np.clip((1 - inside) * 6, 0, 1)[..., None] * rng.uniform(0.5, 1)
    image = (1 - alpha) * _clutter(width, height, rng) + alpha * (dark + (light - dark) * texture)
    noise = rng.normal(0, rng.uniform(4, 14), (height, width, 1))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _clutter(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) float32: blurred boxes and lines."""
    image = Image.new("RGB", (width, height), _color(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(6, 20))):
        corners = (rng.uniform(-0.2, 1.2, 4) * [width, height, width, height]).tolist()
        if rng.random() < 0.5:
            draw.line(corners, fill=_color(rng), width=int(rng.integers(2, 14)))
        else:
            draw.ellipse([*np.minimum(corners[:2], corners[2:]), *np.maximum(corners[:2], corners[2:])], _color(rng))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 3))), dtype=np.float32)


def _color(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(0, 256, 3))


def _wave(t: Coordinates) -> np.ndarray:
    return np.sin(2 * np.pi * t)


def _blobs(u: Coordinates, v: Coordinates, rng: np.random.Generator) -> np.ndarray:
    waves = [_wave(u * a + v * b + c) for a, b, c in rng.normal(0, 0.6, (8, 3))]
    return np.sum(waves, axis=0) > 0


def _bricks(u: Coordinates, v: Coordinates, rng: np.random.Generator) -> np.ndarray:
    row = np.floor(v)
    return (v - row > 0.2) & ((u / 2 + row / 2) % 1 > 0.1)


def _dots(u: Coordinates, v: Coordinates, rng: np.random.Generator) -> np.ndarray:
    return np.hypot(u % 1 - 0.5, v % 1 - 0.5) < rng.uniform(0.25, 0.4)


def _spiral(u: Coordinates, v: Coordinates, rng: np.random.Generator) -> np.ndarray:
    return _wave(np.hypot(u, v) + np.arctan2(v, u) / (2 * np.pi) * rng.integers(2, 5)) > 0


TEXTURES: dict[str, Callable[[Coordinates, Coordinates, np.random.Generator], np.ndarray]] = {
    "blobs": _blobs,
    "bricks": _bricks,
    "chequers": lambda u, v, rng: _wave(u) * _wave(v) > 0,
    "dots": _dots,
    "honeycomb": lambda u, v, rng: _wave(u) + _wave(0.87 * v - u / 2) + _wave(-u / 2 - 0.87 * v) > 0.3,
    "lattice": lambda u, v, rng: (_wave(u) > 0.6) | (_wave(v) > 0.6),
    "rings": lambda u, v, rng: _wave(np.hypot(u, v)) > 0,
    "spiral": _spiral,
    "stripes": lambda u, v, rng: _wave(u) > rng.uniform(-0.5, 0.5),
    "zigzag": lambda u, v, rng: _wave(u + np.abs(v % 2 - 1)) > 0,
}
