"""Test-time views: each is what its name says, for a whole batch at once."""

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from comp.vision.inference.views import apply_view, check_view
from comp.vision.schema import Predict

TWELVE = [
    *("identity", "hflip", "vflip", "rotate+5", "rotate-5", "rotate+10", "rotate-10"),
    *("top_left_90", "top_right_90", "bottom_left_90", "bottom_right_90", "center_85"),
]


def pictures(size: int = 40) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)) for _ in range(3)]
    return [image.resize((size, size), Image.Resampling.BICUBIC) for image in small]


def batch(images: list[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)


@pytest.mark.parametrize("view", [*TWELVE, "rot90", "rot180", "rot270", "rotate+90", "bottom_left_10", "center_99"])
@pytest.mark.parametrize("size", [7, 16])
def test_a_view_has_the_shape_and_type_of_its_batch(view, size):
    made = apply_view(batch(pictures(size)), view)
    assert (made.shape, made.dtype) == ((3, 3, size, size), torch.uint8)
    assert Predict(views=[view]).views == [view]


def test_a_view_undone_is_the_image():
    images = torch.arange(2 * 3 * 4 * 4).view(2, 3, 4, 4)
    for there, back in [("hflip", "hflip"), ("vflip", "vflip"), ("rot180", "rot180"), ("rot90", "rot270")]:
        assert not torch.equal(apply_view(images, there), images)
        assert torch.equal(apply_view(apply_view(images, there), back), images)
    assert torch.equal(apply_view(images, "identity"), images)
    assert torch.equal(apply_view(images, "hflip")[0, 0, 0], torch.tensor([3, 2, 1, 0]))
    assert torch.equal(apply_view(apply_view(images, "hflip"), "vflip"), apply_view(images, "rot180"))


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_quarter_turn_is_a_rotation_by_90_degrees(quarters):
    images = batch(pictures())
    assert torch.equal(apply_view(images, f"rot{90 * quarters}"), apply_view(images, f"rotate+{90 * quarters}"))


@pytest.mark.parametrize("degrees", [5, -5, 10, -10])
def test_a_rotation_turns_as_pil_does(degrees):
    expected = batch([image.rotate(degrees, Image.Resampling.BILINEAR) for image in pictures()])
    y, x = torch.meshgrid(*[torch.arange(40) - 19.5] * 2, indexing="ij")
    inside = x**2 + y**2 < 18**2
    made = apply_view(batch(pictures()), f"rotate{degrees:+d}")
    assert (made.int() - expected.int()).abs()[..., inside].max() <= 2


def test_a_rotation_mirrors_the_image_in_the_corners():
    images = batch(pictures())
    framed = torch.nn.functional.pad(images.float(), (20, 20, 20, 20), mode="reflect").byte()
    expected = apply_view(framed, "rotate+10")[:, :, 20:-20, 20:-20]
    assert (apply_view(images, "rotate+10").int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("view", "box"),
    [
        ("top_left_90", (0, 0, 36, 36)),
        ("top_right_90", (4, 0, 40, 36)),
        ("bottom_left_90", (0, 4, 36, 40)),
        ("bottom_right_90", (4, 4, 40, 40)),
        ("center_85", (3, 3, 37, 37)),
    ],
)
def test_a_crop_is_enlarged_as_pil_does(view, box):
    expected = batch([image.crop(box).resize((40, 40), Image.Resampling.BILINEAR) for image in pictures()])
    assert (apply_view(batch(pictures()), view).int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize(
    "view", ["rotate5", "rotate+", "center", "top_90", "center_5", "left_top_90", "center_100", "rot45"]
)
def test_a_view_that_does_not_exist_is_refused(view):
    with pytest.raises(ValidationError):
        Predict(views=[view])


@pytest.mark.parametrize("view", ["transpose", "rot45", "center_05", "hflip ", "top_90"])
def test_what_is_no_view_is_refused_with_those_there_are(view):
    with pytest.raises(ValueError, match=r"predict\.views: .* is not a view: identity, hflip"):
        check_view(view)
    with pytest.raises(ValueError, match="is not a view"):
        apply_view(batch(pictures()), view)
