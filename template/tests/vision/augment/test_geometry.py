"""Which part of an image is seen, and in which shape: random crops as torchvision draws them, and the same geometry in
training and validation.
"""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from comp.vision.augment import augmented, draw, fitted
from comp.vision.schema import Augment

SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def boxes(height: int, width: int, geometry: str, n: int = 4000) -> np.ndarray:
    """(n, 4): left, top, width and height of drawn crops, in pixels of the image."""
    settings, size_px, rng = Augment(crop_scale=SCALE, crop_ratio=RATIO, hflip=0), 64, np.random.default_rng(0)
    matrices = np.array([draw(settings, (height, width, 3), size_px, rng, geometry).matrix for _ in range(n)])
    step_x, x, step_y, y = matrices[:, [0, 2, 4, 5]].T
    return np.column_stack([x + 0.5 - step_x / 2, y + 0.5 - step_y / 2, step_x * size_px, step_y * size_px])


def torchvision_boxes(height: int, width: int, n: int = 4000) -> np.ndarray:
    torch.manual_seed(0)
    image = torch.zeros(1, height, width)
    drawn = [RandomResizedCrop.get_params(image, list(SCALE), list(RATIO)) for _ in range(n)]
    return np.array([(left, top, w, h) for top, left, h, w in drawn])


@pytest.mark.parametrize("shape", [(200, 200), (150, 300), (100, 500)])
def test_crops_are_drawn_as_torchvision_draws_them(shape):
    own, theirs = boxes(*shape, "crop"), torchvision_boxes(*shape)
    area = shape[0] * shape[1]
    assert (own[:, 2] * own[:, 3]).mean() / area == pytest.approx(
        (theirs[:, 2] * theirs[:, 3]).mean() / area, abs=0.015
    )
    assert own.mean(axis=0) == pytest.approx(theirs.mean(axis=0), abs=0.03 * max(shape))
    assert own.std(axis=0) == pytest.approx(theirs.std(axis=0), abs=0.03 * max(shape))
    assert np.abs(own - own.round()).max() < 1e-6


def test_an_image_that_is_squeezed_is_cropped_like_a_square():
    square, wide = boxes(200, 200, "squash"), boxes(200, 600, "squash")
    alike = np.abs(wide / [3, 1, 3, 1] - square).max(axis=1) < 1.01
    assert alike.mean() > 0.99  # a crop that just fits is rounded otherwise
    share = (square[:, 2] * square[:, 3]).mean() / 200**2
    assert share == pytest.approx((torchvision_boxes(200, 200)[:, 2:].prod(axis=1)).mean() / 200**2, abs=0.015)


def test_where_no_crop_fits_it_is_the_middle_one():
    settings = Augment(crop_scale=(1, 1), crop_ratio=(1, 1), hflip=0)
    matrix = draw(settings, (100, 300, 3), 50, np.random.default_rng(0), "crop").matrix
    assert matrix[0] * 50 == matrix[4] * 50 == 100
    assert matrix[2] + 0.5 - matrix[0] / 2 == 100  # it starts a third from the left


def roundness(view: np.ndarray) -> float:
    """Width by height of the ellipse that is seen."""
    y, x = np.nonzero(view[..., 0] > 127)
    return float(x.std() / y.std())


@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_a_circle_has_the_same_shape_in_training_and_in_validation(resize):
    image = np.zeros((200, 400, 3), np.uint8)
    cv2.circle(image, (200, 100), 30, (255, 255, 255), -1)
    settings = Augment(crop_scale=(0.9, 1), crop_ratio=(1, 1), hflip=0)
    validated = roundness(fitted(image, 96, resize))
    assert validated == pytest.approx({"squash": 0.5, "crop": 1.0}[resize], abs=0.03)
    for seed in range(20):
        trained = roundness(augmented(image, 96, settings, np.random.default_rng(seed), resize))
        assert trained == pytest.approx(validated, abs=0.05)


def photo(height: int, width: int) -> np.ndarray:
    """With details of all sizes, as photographs have them."""
    rng = np.random.default_rng(0)
    layers = [
        cv2.resize(rng.normal(0, 25 * share**0.5, (n, n, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
        for n, share in ((5, 1), (20, 0.5), (80, 0.25), (160, 0.12))
    ]
    return np.clip(128 + sum(layers), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        *(((260, 344), 1), ((336, 448), 1), ((900, 900), 1)),
        *(((900, 224), 0.25), ((900, 200), 0.25), ((224, 900), 0.25), ((128, 900), 0.25)),
        *(((128, 128), 0.5), ((90, 224), 0.5)),
    ],
)
def test_validation_resizes_each_side_by_itself_without_aliasing(shape, levels):
    image = photo(*shape)
    # hamming: PIL's filter that is as sharp as a mean over the area; a side that grows is interpolated alike in both
    small = Image.fromarray(image).resize((min(224, shape[1]), min(224, shape[0])), Image.Resampling.HAMMING)
    expected = np.asarray(small.resize((224, 224), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(fitted(image, 224, "squash") - expected).mean() < levels


def test_stripes_vanish_in_the_direction_that_shrinks():
    stripes = np.zeros((900, 224, 3), np.uint8)
    stripes[::2] = 255
    assert np.abs(fitted(stripes, 224, "squash").astype(int) - 128).max() < 20
