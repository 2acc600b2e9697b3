"""Augmentation of whole batches on the device does what the CPU does to each image."""

import pickle

import cv2
import numpy as np
import pytest
import torch

from comp.vision.augment import Draw, draw, generators, on_cpu, on_device
from comp.vision.augment.rand_augment import COLORS
from comp.vision.schema import Augment, RandAugment

SIZE = 24
STAYS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SHAPES = [(24, 24), (30, 52), (60, 25), (18, 20), (90, 300), (24, 1), (1, 1)]
NO_CROP = {"crop_scale": (1, 1), "crop_ratio": (1, 1)}


def images(shapes=SHAPES) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        cv2.resize(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8), (w, h), interpolation=cv2.INTER_CUBIC)
        for h, w in shapes
    ]


def both(draws: list[Draw], pictures: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(B, S, S, 3) from the CPU's path and from the device's."""
    canvas, tensors = on_device.packed(pictures, draws, SIZE)
    made = on_device.applied(torch.from_numpy(canvas).permute(0, 3, 1, 2), tensors)
    assert (made.shape, made.dtype) == ((len(draws), 3, SIZE, SIZE), torch.uint8)
    one_by_one = [on_cpu.applied(image, drawn, SIZE) for image, drawn in zip(pictures, draws, strict=True)]
    return np.stack(one_by_one).astype(int), made.permute(0, 2, 3, 1).numpy().astype(int)


def drawn(settings: Augment, pictures: list[np.ndarray], epoch: int = 0) -> list[Draw]:
    random = generators((0,), epoch, range(len(pictures)))
    return [draw(settings, image.shape, SIZE, rng) for image, rng in zip(pictures, random, strict=True)]


@pytest.mark.parametrize("name", [*COLORS, "Stretch", "Shift"])
def test_each_color_operation_is_the_same(name):
    amount = COLORS.get(name, lambda strength: 1 + strength)
    pictures = images([(SIZE, SIZE)] * 6)
    draws = [Draw(STAYS, [(name, amount(strength))], None) for strength in (-0.9, -0.5, -0.1, 0.2, 0.6)]
    one_by_one, made = both([*draws, Draw(STAYS, [], None)], pictures)
    assert np.abs(one_by_one - made).max() <= 2
    changed = np.abs(made - np.stack(pictures)).max(axis=(1, 2, 3)) > 0
    assert changed[:4].any()
    assert not changed[5]


def test_images_with_operations_of_their_own_keep_their_order():
    rng, names = np.random.default_rng(0), list(COLORS)
    draws = [
        Draw(STAYS, [(name, COLORS[name](rng.uniform(-1, 1))) for name in rng.choice(names, rng.integers(5))], None)
        for _ in range(60)
    ]
    one_by_one, made = both(draws, images([(SIZE, SIZE)] * 60))
    differ = np.abs(one_by_one - made) > 2  # a level more or less can be a step of Posterize or Solarize
    assert differ.mean() < 0.02


@pytest.mark.parametrize(
    "settings",
    [
        {"hflip": 1, "vflip": 0.5},
        {"rotate_deg": 180},
        {"shear_deg": 30},
        {"translate": 1},
        {"rotate_deg": 90, "shear_deg": 30, "translate": 0.9},
        {"crop_scale": (0.05, 0.3), "crop_ratio": (0.3, 3), "rotate_deg": 20},
    ],
)
def test_each_image_is_warped_and_mirrored_at_its_own_borders(settings):
    pictures = images()
    for epoch in range(5):
        draws = drawn(Augment(**{**NO_CROP, "rotate_deg": 1, **settings}), pictures, epoch)
        one_by_one, made = both(draws, pictures)
        assert np.abs(one_by_one - made).max() <= 4  # OpenCV 4 interpolates in steps of 1/32 pixel
        assert np.abs(one_by_one - made).mean() < 0.3


def test_a_plain_crop_is_the_same_but_for_its_rim():
    pictures = images([(60, 70), (90, 50), (24, 24), (12, 30)])
    for epoch in range(10):
        one_by_one, made = both(drawn(Augment(crop_scale=(0.3, 1)), pictures, epoch), pictures)
        assert np.abs(one_by_one - made)[:, 4:-4, 4:-4].max() <= 2


def test_erased_rectangles_hold_the_same_noise():
    black = [np.zeros((SIZE, SIZE, 3), np.uint8)] * 20
    one_by_one, made = both(drawn(Augment(**NO_CROP, erase=0.7), black), black)
    assert np.array_equal(one_by_one, made)
    assert 5 < made.any(axis=(1, 2, 3)).sum() < 20


def test_all_at_once_is_nearly_the_same():
    everything = Augment(
        crop_scale=(0.3, 1),
        vflip=0.5,
        rotate_deg=30,
        shear_deg=10,
        translate=0.3,
        brightness=0.3,
        contrast=0.3,
        saturation=0.5,
        solarize=0.3,
        posterize=0.3,
        equalize=0.3,
        rand_augment=RandAugment(ops=3),
        erase=0.5,
    )
    pictures = images() * 3
    one_by_one, made = both(drawn(everything, pictures), pictures)
    differences = np.abs(one_by_one - made)
    assert differences.mean() < 1
    assert (differences > 2).mean() < 0.03


def test_a_canvas_holds_only_what_the_views_show():
    pictures = images([(40, 4000), (4000, 40), (40, 40)])
    for settings in (NO_CROP, {"crop_scale": (0.01, 0.02)}, {"rotate_deg": 180, "translate": 1}):
        canvas, _ = on_device.packed(pictures, drawn(Augment(**settings), pictures), SIZE)
        assert max(canvas.shape[1:3]) <= 4 * SIZE


def test_draws_travel_between_processes():
    pictures = images()
    draws = drawn(Augment(rand_augment=RandAugment(), erase=0.5), pictures)
    canvas, tensors = on_device.packed(pictures, draws, SIZE)
    there = torch.from_numpy(canvas).permute(0, 3, 1, 2)
    assert torch.equal(on_device.applied(there, pickle.loads(pickle.dumps(tensors))), on_device.applied(there, tensors))


def test_histograms_count_every_pixel_of_every_channel():
    """Of flat images too, whose pixels all meet at one number."""
    images = torch.randint(0, 256, (3, 3, 37), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[1] = 255
    expected = torch.stack([torch.stack([row.bincount(minlength=256) for row in image]) for image in images.int()])
    assert on_device._histograms(images.int()).equal(expected)
