"""Augmentation: what the fused warp and colors do to pixels, and what mixing does to images and targets."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from comp.vision.augment import BatchAugment, augmented, fitted, generators
from comp.vision.schema import Augment, RandAugment

OFF = {"crop_scale": (1, 1), "crop_ratio": (1, 1), "hflip": 0}
EVERYTHING = Augment(
    crop_scale=(0.3, 1),
    vflip=0.5,
    rotate_deg=30,
    shear_deg=10,
    translate=0.3,
    brightness=1,
    contrast=1,
    saturation=1,
    solarize=0.5,
    posterize=0.5,
    equalize=0.5,
    rand_augment=RandAugment(ops=3),
    erase=1,
)


def noise(height: int = 16, width: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    return cv2.resize(noise(5, 5), (width, height), interpolation=cv2.INTER_CUBIC)


def view(image: np.ndarray, size_px: int, seed: int = 0, **settings) -> np.ndarray:
    return augmented(image, size_px, Augment(**{**OFF, **settings}), np.random.default_rng(seed))


def test_nothing_switched_on_changes_nothing():
    assert np.array_equal(view(noise(), 16), noise())


@pytest.mark.parametrize(("switch", "axis"), [("hflip", 1), ("vflip", 0)])
def test_a_flip_moves_each_pixel_to_its_mirror_place(switch, axis):
    assert np.array_equal(view(noise(), 16, **{switch: 1}), np.flip(noise(), axis))


def test_a_flip_of_probability_one_half_happens_half_the_time():
    flipped = [not np.array_equal(view(noise(), 16, seed, hflip=0.5), noise()) for seed in range(200)]
    assert 0.4 < np.mean(flipped) < 0.6


@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (20, 20)])
def test_a_whole_crop_is_a_resize(shape):
    image = smooth(*shape)
    resized = cv2.resize(image, (24, 24), interpolation=cv2.INTER_LINEAR)
    inside = np.abs(view(image, 24).astype(int) - resized)[1:-1, 1:-1]
    assert inside.max() <= 4


def test_a_large_image_is_averaged_not_sampled():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(view(stripes, 16).astype(int) - 128)[:, 1:-1].max() < 16


def test_a_crop_keeps_its_share_of_the_area():
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    widths = []
    for seed in range(20):
        crop = view(ramp, 100, seed, crop_scale=(0.25, 0.25))
        widths.append(int(crop.max()) - int(crop.min()))
    assert all(97 <= width <= 102 for width in widths)


def test_a_crop_lies_anywhere_in_the_image():
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    starts = [int(view(ramp, 100, seed, crop_scale=(0.25, 0.25)).min()) for seed in range(100)]
    assert min(starts) < 10
    assert max(starts) > 88


def test_a_rotation_turns_around_the_middle_by_at_most_its_angle():
    image = np.zeros((101, 101, 3), np.uint8)
    image[50, 50:90] = 255
    angles = []
    for seed in range(30):
        turned = view(image, 101, seed, rotate_deg=20)
        assert turned[50, 50, 0] > 100
        y, x = np.nonzero(turned[:, 75:, 0] > 60)
        angles.append(np.degrees(np.arctan2(y.mean() - 50, x.mean() + 25)))
    assert 12 < max(np.abs(angles)) < 21
    assert min(angles) < 0 < max(angles)


def test_a_shift_is_one_of_whole_pixels_and_mirrors_what_comes_in():
    padded = np.pad(noise(), ((5, 5), (5, 5), (0, 0)), mode="reflect")
    shifts = {(y, x): padded[y : y + 16, x : x + 16].tobytes() for y in range(11) for x in range(11)}
    found = set()
    for seed in range(60):
        shifted = view(noise(), 16, seed, translate=0.3).tobytes()
        found |= {shift for shift, pixels in shifts.items() if pixels == shifted}
    assert len(found) > 30
    assert {y for y, _ in found} | {x for _, x in found} == set(range(11))  # 0.3 × 16 pixels, either way


def test_a_large_image_keeps_its_place_when_it_shrinks():
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(256, axis=0).repeat(3, axis=2)
    for image in (ramp, ramp.swapaxes(0, 1)):
        levels = np.sort(view(image, 16)[1:-1, 1:-1, 0], axis=None).reshape(14, 14).mean(axis=1)
        assert levels == pytest.approx(7.5 + 16 * np.arange(1, 15), abs=1)


def test_an_image_that_shrinks_in_one_direction_keeps_the_other_sharp():
    stripes = np.zeros((16, 400, 3), np.uint8)
    stripes[::2] = 255
    shrunk = view(stripes, 16)
    assert (shrunk[::2] == 255).all()
    assert (shrunk[1::2] == 0).all()


def test_solarize_inverts_what_is_above_a_random_threshold():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    thresholds = set()
    for seed in range(10):
        solarized = view(ramp, 16, seed, solarize=1)[:, :, 0].ravel()
        threshold = int((solarized == np.arange(256)).argmin())
        assert np.array_equal(solarized, [level if level < threshold else 255 - level for level in range(256)])
        thresholds.add(threshold)
    assert len(thresholds) > 5


def test_posterize_leaves_four_to_seven_bits():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    left = {len(np.unique(view(ramp, 16, seed, posterize=1))) for seed in range(30)}
    assert left == {16, 32, 64, 128}


def test_equalize_makes_histograms_flat_as_pil_does():
    image = (noise(64, 64) // 4 + np.array([10, 60, 120], np.uint8)).astype(np.uint8)
    expected = np.asarray(ImageOps.equalize(Image.fromarray(image)))
    assert np.array_equal(view(image, 64, equalize=1), expected)


def test_brightness_shifts_and_contrast_stretches():
    gray = np.full((8, 8, 3), 128, np.uint8)
    gray[:4] = 100
    brighter = view(gray, 8, seed=3, brightness=0.5).astype(int)
    assert brighter[7, 0, 0] - brighter[0, 0, 0] == 28
    assert brighter[0, 0, 0] != 100
    stretched = view(gray, 8, seed=3, contrast=0.5).astype(int)
    assert stretched[7, 0, 0] == 128
    assert stretched[0, 0, 0] != 100


def test_saturation_leaves_grays_as_they_are():
    gray = np.full((8, 8, 3), 77, np.uint8)
    assert np.abs(view(gray, 8, saturation=1).astype(int) - 77).max() <= 1
    assert not np.array_equal(view(noise(8, 8), 8, saturation=1), noise(8, 8))


def test_erasing_replaces_one_rectangle():
    black = np.zeros((32, 32, 3), np.uint8)
    for seed in range(20):
        y, x = np.nonzero(view(black, 32, seed, erase=1).any(axis=2))
        rectangle = (y.max() - y.min() + 1) * (x.max() - x.min() + 1)
        assert 0.01 * 32 * 32 < rectangle < 0.4 * 32 * 32
        assert len(y) > 0.95 * rectangle  # noise is rarely black
    assert not view(black, 32, erase=0).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 300), (7, 5), (300, 200)])
def test_any_shape_becomes_a_square_of_bytes(shape):
    image = noise(*shape)
    for seed in range(10):
        result = augmented(image, 12, EVERYTHING, np.random.default_rng(seed))
        assert (result.shape, result.dtype) == ((12, 12, 3), np.uint8)
    for how in ("squash", "crop"):
        result = fitted(image, 12, how)
        assert (result.shape, result.dtype) == ((12, 12, 3), np.uint8)


def test_the_key_alone_decides_the_view():
    first, again, other = (view(noise(), 16, seed, **EVERYTHING.model_dump()) for seed in ((1, 2), (1, 2), (1, 3)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_random_numbers_depend_on_seed_epoch_and_position_alone():
    def numbers(seed, epoch, positions) -> list[list[float]]:
        return [rng.random(100).tolist() for rng in generators(seed, epoch, positions)]

    forward = numbers((1, 2), 3, [0, 1, 7])
    assert numbers((1, 2), 3, [7, 0]) == [forward[2], forward[0]]
    streams = [*forward, *numbers((1, 2), 4, [0]), *numbers((1, 3), 3, [0]), *numbers((2, 2), 3, [0])]
    assert len({number for stream in streams for number in stream}) == 600


def test_the_image_itself_is_not_written_to():
    image = noise()
    image.flags.writeable = False
    for seed in range(5):
        augmented(image, 16, EVERYTHING, np.random.default_rng(seed))
    assert np.array_equal(image, noise())


def test_crop_takes_the_middle():
    image = np.zeros((10, 30, 3), np.uint8)
    image[:, 10:20] = 200
    assert (fitted(image, 10, "crop") == 200).all()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(np.stack([noise(16, 16, seed) for seed in range(8)])).permute(0, 3, 1, 2)
    return images, torch.eye(8)


def test_mixup_blends_images_and_targets_by_the_same_share():
    images, targets = batch()
    torch.manual_seed(0)
    mixed, soft, told = BatchAugment(Augment(mixup=1.0))(images, targets, mix=True)
    assert torch.allclose(mixed, torch.einsum("bn,nchw->bchw", soft, images.float()), atol=1e-3)
    assert ((soft > 0).sum(dim=1) == 2).all()
    assert told


def test_cutmix_pastes_a_box_and_shares_the_target_by_its_area():
    images, targets = batch()
    torch.manual_seed(1)
    mixed, soft, told = BatchAugment(Augment(cutmix=1.0))(images, targets, mix=True)
    own = (mixed == images.float()).all(dim=1)  # (B, H, W)
    assert own.float().mean(dim=(1, 2)).tolist() == pytest.approx(soft.diagonal().tolist(), abs=0.01)
    assert 0 < soft.diagonal()[0] < 1
    assert told


def test_with_both_each_batch_draws_one_of_them():
    images, targets = batch()
    augment = BatchAugment(Augment(mixup=1.0, cutmix=1.0))
    pasted = []
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, _, _ = augment(images, targets, mix=True)
        pasted.append(bool(((mixed == images.float()) | (mixed == images.float().roll(1, 0))).all()))
    assert 3 < sum(pasted) < 17


def test_without_mixing_images_only_become_floats():
    images, targets = batch()
    same, hard, told = BatchAugment(Augment(mixup=1.0, cutmix=1.0))(images, targets, mix=False)
    assert torch.equal(same, images.float())
    assert hard is targets
    assert not told
