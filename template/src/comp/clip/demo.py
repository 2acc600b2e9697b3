"""`comp demo-data`: a small competition of colored shapes and a tiny CLIP model beside it, offline in a minute."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from comp.clip.schema import readable
from comp.clip.shapes import COLORS, HARD, PLAIN, SHAPES, Style, draw
from comp.clip.tiny import STEPS, write_tiny_clip
from comp.config.common import empty_root
from comp.files import write_text
from comp.vision.schema import ImageConfig

COUNTS = {  # training images
    "red_circle": 15,
    "red_square": 10,
    "red_star": 7,
    "orange_ring": 13,
    "orange_triangle": 9,
    "orange_heart": 12,
    "blue_diamond": 11,
    "blue_circle": 8,
    "blue_cross": 12,
    "purple_square": 7,
    "purple_star": 14,
    "purple_ring": 10,
}
TEST_TIMES = 10  # test images for each training image
PRETRAINED = 60  # images of each other pair of color and shape


def write_demo(config: ImageConfig) -> Path:
    """Writes train and test images, their tables and a CLIP model's folder `clip/` into `data.root`.

    There are ten test images for each training image. The model saw each color and each shape by daylight, but no
    class of the competition.

    Raises:
        CompError: the folder holds other files already.
    """
    root = empty_root(config)
    rng = np.random.default_rng(42)
    train = _shuffled(COUNTS, rng)
    test = _shuffled({label: TEST_TIMES * count for label, count in COUNTS.items()}, rng)
    ids = [f"{number:05d}" for number in range(len(train) + len(test))]
    tables = {
        "train": pd.DataFrame({"id": ids[: len(train)], "label": train}),
        "test": pd.DataFrame({"id": ids[len(train) :], "label": test}),
    }
    for split, table in tables.items():
        (root / split).mkdir(parents=True)
        for name, label in table.itertuples(index=False):
            _drawn(label, HARD, rng).save(root / split / f"{name}.png")
    _write(root / "train.csv", tables["train"])
    _write(root / "sample_submission.csv", tables["test"][["id"]].assign(label=next(iter(COUNTS))))
    _write(root / "solution.csv", tables["test"])
    print(f"wrote   {root}: {len(train)} training and {len(test)} test images of shapes, {len(COUNTS)} uneven classes")
    pairs = pretrained_pairs()
    shown = [pair for pair in pairs for _ in range(PRETRAINED)]
    images = np.stack([np.asarray(_drawn(pair, PLAIN, rng)) for pair in shown])
    write_tiny_clip(root / "clip", images, [readable(pair) for pair in shown], STEPS)
    print(f"wrote   {root / 'clip'}: a CLIP model that knows {len(pairs)} other shapes, none of these classes")
    return root


def pretrained_pairs() -> list[str]:
    """Colors and shapes that are no class of the competition, such as `red_ring`."""
    return [pair for color in COLORS for shape in SHAPES if (pair := f"{color}_{shape}") not in COUNTS]


def _drawn(pair: str, style: Style, rng: np.random.Generator) -> Image.Image:
    color, shape = pair.split("_")
    return draw(color, shape, style, rng)


def _shuffled(counts: dict[str, int], rng: np.random.Generator) -> list[str]:
    return [str(label) for label in rng.permutation([label for label, count in counts.items() for _ in range(count)])]


def _write(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
