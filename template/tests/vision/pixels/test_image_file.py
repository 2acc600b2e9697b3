"""Every kind of image that competitions hold becomes RGB as a viewer shows it; what is none is named."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from comp.runs.predictions import read_predictions
from comp.runs.rundir import RunDir
from comp.vision.pixels.image_file import AS_16_BIT, FRAME, BadImage, decode, framed
from comp.vision.pixels.numbers import Values

BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


@pytest.fixture
def decoded(tmp_path):
    """The pixels of an image that was saved and read again."""

    def save_and_decode(image, suffix=".png", background=WHITE, short_side_px=None, values=AS_16_BIT, **options):
        path = tmp_path / f"image{suffix}"
        image.save(path, **options)
        return decode(path, background, short_side_px, values)

    return save_and_decode


def test_rgb_stays_what_it_is(decoded):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(Image.fromarray(pixels)), pixels)


@pytest.mark.parametrize("background", [WHITE, BLACK, (10, 200, 30)])
def test_alpha_lies_over_the_background(decoded, background):
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 255))
    assert decoded(image, background=background).tolist() == [[list(background), list(RED)]]


def test_half_transparent_red_over_white_is_pink(decoded):
    [[pixel]] = decoded(Image.new("RGBA", (1, 1), (255, 0, 0, 128)))
    np.testing.assert_allclose(pixel, (255, 127, 127), atol=1)


def test_without_a_background_hidden_colors_stand_as_they_are(decoded):
    image = Image.new("RGBA", (2, 1))
    image.putdata([(10, 20, 30, 0), (*RED, 128)])
    assert decoded(image, background=None).tolist() == [[[10, 20, 30], list(RED)]]


def test_gray_with_alpha_lies_over_the_background(decoded):
    image = Image.new("LA", (2, 1), (90, 0))
    image.putpixel((1, 0), (90, 255))
    assert decoded(image, background=RED).tolist() == [[list(RED), [90, 90, 90]]]


def palette():
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 255, 0, 255, 0])
    image.putpixel((1, 0), 1)
    return image


def test_a_palette_becomes_its_colors(decoded):
    assert decoded(palette()).tolist() == [[[0, 0, 255], [0, 255, 0]]]


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_the_transparent_color_of_a_palette_shows_the_background(decoded, suffix):
    assert decoded(palette(), suffix, RED, transparency=0).tolist() == [[list(RED), [0, 255, 0]]]


def test_gray_gets_three_equal_channels(decoded):
    assert decoded(Image.new("L", (1, 1), 77)).tolist() == [[[77, 77, 77]]]


def test_black_and_white_is_black_and_white(decoded):
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert decoded(image).tolist() == [[list(BLACK), list(WHITE)]]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_gray_keeps_its_shades(decoded, suffix):
    shades = (np.arange(256, dtype=np.uint16) * 257)[None]
    assert decoded(Image.fromarray(shades), suffix)[0, :, 0].tolist() == list(range(256))


def test_floats_from_0_to_1_keep_their_shades(decoded):
    shades = np.array([[0.0, 0.2, 1.0]], dtype=np.float32)
    assert decoded(Image.fromarray(shades), ".tif", values=Values("unit"))[0, :, 0].tolist() == [0, 51, 255]


def test_cmyk_becomes_its_color(decoded):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan, all magenta and yellow
    np.testing.assert_allclose(decoded(image, ".jpg", quality=100)[8, 8], RED, atol=6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_stands_as_its_exif_says(decoded, orientation):
    upright = Image.new("RGB", (4, 2))
    upright.putpixel((0, 0), RED)
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation → the transposition that undoes it
    stored = upright.transpose(Image.Transpose(turns[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decoded(stored, exif=exif)
    assert pixels.shape == (2, 4, 3)
    assert tuple(pixels[0, 0]) == RED


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_an_image_may_be_a_pixel_wide_or_tall(decoded, size):
    assert decoded(Image.new("RGB", size, RED), short_side_px=32).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_large_image_shrinks_to_its_short_side_and_keeps_its_proportions(decoded, suffix):
    pixels = decoded(Image.new("RGB", (3000, 1500), RED), suffix, short_side_px=50)
    assert pixels.shape == (50, 100, 3)
    np.testing.assert_allclose(pixels[25, 50], RED, atol=3)


def test_a_small_image_is_not_enlarged(decoded):
    assert decoded(Image.new("RGB", (8, 6)), short_side_px=32).shape == (6, 8, 3)


def truncated_jpeg(path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:1500])


@pytest.mark.parametrize("short_side_px", [None, 16])
def test_a_truncated_jpeg_is_named(tmp_path, short_side_px):
    truncated_jpeg(tmp_path / "cut.jpg")
    with pytest.raises(BadImage, match=r"cut\.jpg"):
        decode(tmp_path / "cut.jpg", short_side_px=short_side_px)


@pytest.mark.parametrize("content", [b"", b"this is no picture"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    (tmp_path / "text.png").write_bytes(content)
    with pytest.raises(BadImage, match=r"text\.png"):
        decode(tmp_path / "text.png")


def test_an_unreadable_image_stops_the_run_and_is_named(competition, configure, comp):
    truncated_jpeg(competition / "train" / "0003.png")
    configure()
    comp("split")
    status, _, err = comp("train")
    assert (status, err.count("\n")) == (1, 1)
    assert "0003.png" in err
    assert "data.on_bad_image=drop" in err


@pytest.mark.parametrize("cache", [True, False])
def test_dropped_images_are_left_out_of_training_and_get_the_prior_in_the_test(competition, configure, comp, cache):
    truncated_jpeg(competition / "train" / "0003.png")
    (competition / "test" / "05001.png").write_text("no picture")
    config = configure(data={"on_bad_image": "drop", "cache": cache}, folds={"kind": "holdout"})
    comp("split")
    status, out, _ = comp("train")
    assert status == 0
    assert "left out of training, unreadable: " in out
    assert "gets the training prior, unreadable: " in out
    oof, targets, _ = read_predictions(RunDir.of(config).oof)
    test, _, _ = read_predictions(RunDir.of(config).test)
    folds = pd.read_csv(competition / "folds.csv", dtype={"id": str}, skiprows=1)
    train = pd.read_csv(competition / "train.csv", dtype=str).set_index("id")["label"]
    trained = folds["id"][(folds["fold"] != 0) & (folds["id"] != "0003")]
    prior = train[trained].value_counts(normalize=True)[list(targets.classes)]
    assert "0003" not in set(oof["id"])
    assert list(test["id"]) == sorted(test["id"])
    np.testing.assert_allclose(test.set_index("id").loc["05001"].to_numpy(dtype=float), prior, atol=1e-6)


def test_a_square_frame_keeps_the_whole_image_in_its_middle():
    image = np.zeros((4, 10, 3), np.uint8)
    square = framed(image)
    assert square.shape == (10, 10, 3)
    np.testing.assert_array_equal(square[3:7], image)
    assert (square[:3] == FRAME).all()
    assert (square[7:] == FRAME).all()


def test_a_native_frame_shrinks_large_images_and_leaves_small_ones_as_they_are():
    small, large = np.zeros((4, 6, 3), np.uint8), np.zeros((40, 80, 3), np.uint8)
    assert (framed(small, side_px=16) == 0).all(axis=2).sum() == 4 * 6
    shrunk = framed(large, side_px=16)
    assert shrunk.shape == (16, 16, 3)
    assert (shrunk == 0).all(axis=2).sum() == 8 * 16
