"""Generated images of the small competition, and ones that must not pass."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from vision.small import COLORS, picture

GATES_OFF: dict[str, object] = {"structure": None, "meaning": None, "classifier": None}


def child_of(parent: int, label: str, seed: int = 0) -> Image.Image:
    """The training image `parent` in the color of `label`, with as much noise again, of half the strength."""
    noise = np.asarray(picture("gray", parent), dtype=float) - 120
    other = np.asarray(picture("gray", 9000 + 50 * parent + seed), dtype=float) - 120
    return Image.fromarray(np.clip(COLORS[label] + noise + 0.5 * other, 0, 255).astype(np.uint8))


@pytest.fixture
def generated(repo: Path) -> Callable[..., Path]:
    """`generated([(image, label, parent)])` writes made/made.csv and its images."""

    def call(rows: list[tuple[Image.Image, str, str]], folder: str = "made") -> Path:
        place = repo / folder
        place.mkdir()
        names = [f"g{number:03d}.png" for number in range(len(rows))]
        for name, (image, _, _) in zip(names, rows, strict=True):
            image.save(place / name)
        table = {"image": names, "label": [row[1] for row in rows], "parent": [row[2] for row in rows]}
        pd.DataFrame(table).to_csv(place / "made.csv", index=False)
        return place

    return call


@pytest.fixture
def family(generated: Callable[..., Path]) -> Path:
    """A child of each of the 36 training images, in its parent's color."""
    colors = list(COLORS)
    return generated([(child_of(n, colors[n % 3]), colors[n % 3], f"{n:04d}") for n in range(36)])
