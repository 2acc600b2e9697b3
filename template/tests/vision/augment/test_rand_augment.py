"""RandAugment: timm's operations with timm's magnitudes, in one warp and one color change."""

from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image
from timm.data.auto_augment import AugmentOp

from comp.vision.augment import Draw, draw
from comp.vision.augment.affine import Affine, then
from comp.vision.augment.on_cpu import applied
from comp.vision.augment.rand_augment import COLORS, MOVES, OPERATIONS
from comp.vision.schema import Augment, RandAugment

SIZE = 40
STAYS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
INCREASING = ("Posterize", "Solarize", "Color", "Contrast", "Brightness", "Sharpness")
ALONE = {"crop_scale": (1, 1), "crop_ratio": (1, 1), "hflip": 0}


def image() -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth * np.array([0.5, 0.8, 0.6]) + rng.normal(20, 5, smooth.shape), 0, 255).astype(np.uint8)


def timms(name: str, magnitude: float, pixels: np.ndarray) -> np.ndarray:
    settings = {"img_mean": (0, 0, 0), "interpolation": Image.Resampling.BILINEAR, "magnitude_std": 0}
    operation = AugmentOp(name + "Increasing" * (name in INCREASING), prob=1, magnitude=magnitude, hparams=settings)
    return np.asarray(operation(Image.fromarray(pixels)))


def recolored(*colors: tuple[str, float]) -> np.ndarray:
    return applied(image(), Draw(STAYS, list(colors), None), SIZE)


def moved_by(affine: Affine, pixels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The picture after a move about its middle, and where it shows nothing from outside."""
    middle = (SIZE - 1) / 2
    matrix = then(then((1, 0, middle, 0, 1, middle), affine), (1, 0, -middle, 0, 1, -middle))
    x, y = (np.indices((SIZE, SIZE))[axis] for axis in (1, 0))
    shown = [matrix[start] * x + matrix[start + 1] * y + matrix[start + 2] for start in (0, 3)]
    inside = np.logical_and.reduce([(place >= 0) & (place <= SIZE - 1) for place in shown])
    return applied(image() if pixels is None else pixels, Draw(matrix, [], None), SIZE), inside


def drawn(seed: int, **settings) -> Draw:
    augment = Augment(**ALONE, rand_augment=RandAugment(**settings))
    return draw(augment, (SIZE, SIZE, 3), SIZE, np.random.default_rng(seed))


@pytest.mark.parametrize("name", COLORS)
@pytest.mark.parametrize("magnitude", [2, 7])
def test_each_color_operation_is_timms_at_the_same_magnitude(name, magnitude):
    expected = timms(name, magnitude, image())[1:-1, 1:-1].astype(int)  # PIL sharpens no border
    assert not np.array_equal(expected, image()[1:-1, 1:-1])
    either_sign = [recolored((name, COLORS[name](sign * magnitude / 10)))[1:-1, 1:-1] for sign in (-1, 1)]
    assert min(np.abs(mine - expected).max() for mine in either_sign) <= 2


@pytest.mark.parametrize("name", MOVES)
def test_each_move_is_timms_at_the_same_magnitude(name):
    expected = timms(name, 7, image())
    differences = []
    for sign in (-1, 1):  # timm draws one
        moved, inside = moved_by(MOVES[name](sign * 0.7, SIZE))
        differences.append(np.abs(moved.astype(int) - expected)[inside].max())
        assert 0.3 < inside.mean() < 0.95
    assert min(differences) <= 3 < max(differences)


def test_moves_happen_in_their_order():
    turn, shift = MOVES["Rotate"](1, SIZE), MOVES["TranslateXRel"](0.5, SIZE)
    turned, _ = moved_by(turn)
    turned_and_shifted = moved_by(shift, turned)[0].astype(int)
    for fused, equal in [(then(turn, shift), True), (then(shift, turn), False)]:
        moved, inside = moved_by(fused)
        assert (np.abs(moved - turned_and_shifted)[inside].mean() < 2) == equal


def test_a_chain_of_operations_is_one_after_the_other():
    rng, names = np.random.default_rng(1), list(COLORS)
    for _ in range(100):
        colors = [(name, COLORS[name](rng.uniform(-1, 1))) for name in rng.choice(names, 6)]
        expected = image()
        for color in colors:
            expected = applied(expected, Draw(STAYS, [color], None), SIZE)
        assert np.array_equal(recolored(*colors), expected), colors


def test_each_operation_is_drawn_as_often_as_the_others():
    counts: Counter[str] = Counter()
    for seed in range(1500):
        counts.update(name for name, _ in drawn(seed, ops=3, prob=1).colors)
    assert set(counts) == set(COLORS)
    assert all(count == pytest.approx(1500 * 3 / len(OPERATIONS), rel=0.25) for count in counts.values())


def test_an_operation_happens_with_its_probability():
    happened = [len(drawn(seed, ops=2, prob=0.5).colors) for seed in range(500)]
    assert np.mean(happened) == pytest.approx(2 * 0.5 * len(COLORS) / len(OPERATIONS), rel=0.15)
    assert all(drawn(seed, prob=0) == drawn(0, prob=0) == Draw(STAYS, [], None) for seed in range(20))


def test_magnitudes_vary_by_their_standard_deviation():
    colors = [color for seed in range(1500) for color in drawn(seed, prob=1).colors]
    amounts = [abs(amount - 1) / 0.09 for name, amount in colors if name == "Color"]
    assert np.mean(amounts) == pytest.approx(7, abs=0.15)
    assert np.std(amounts) == pytest.approx(0.5, rel=0.25)
    fixed = {amount for seed in range(200) for name, amount in drawn(seed, magnitude_std=0).colors if name == "Color"}
    assert sorted(fixed) == pytest.approx([0.37, 1.63])
