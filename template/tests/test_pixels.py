"""The cache of decoded images: the same pixels, never stale, never half there."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from comp.errors import CompError
from comp.images import decode
from comp.pixels import Decoding, Streamed, open_pixels

FULL = Path("/dev/full")  # every write to it finds no space left
DECODING = Decoding(short_side_px=16, background=(255, 255, 255), frame="none", frame_px=None)


@pytest.fixture
def images(repo):
    """Paths of three images of different sizes."""
    rng = np.random.default_rng(0)
    paths = []
    for number, size in enumerate([(8, 9), (1, 30), (40, 25)]):
        paths.append(str(repo / f"{number}.png"))
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(paths[-1])
    return paths


def assert_holds(pixels, paths):
    assert len(pixels) == len(paths)
    for row, path in enumerate(paths):
        np.testing.assert_array_equal(pixels[row], decode(Path(path), DECODING.background, 16))


def test_the_cache_holds_what_decoding_gives(repo, images):
    assert_holds(open_pixels(images, repo / "cache", DECODING), images)
    assert_holds(open_pixels(images, repo / "cache", DECODING), images)


def test_without_a_cache_the_pixels_are_the_same(images):
    assert_holds(Streamed(images, DECODING), images)


def test_rows_stand_in_the_order_of_the_paths(repo, images):
    assert_holds(open_pixels(images[::-1], repo / "cache", DECODING), images[::-1])


def test_images_are_decoded_once(repo, images):
    open_pixels(images, repo / "cache", DECODING)
    [place] = (repo / "cache").iterdir()
    written = (place / "pixels.bin").stat().st_mtime_ns
    open_pixels(images, repo / "cache", DECODING)
    assert [place] == list((repo / "cache").iterdir())
    assert (place / "pixels.bin").stat().st_mtime_ns == written


def test_a_changed_image_is_decoded_again(repo, images):
    open_pixels(images, repo / "cache", DECODING)
    Image.new("RGB", (5, 5), (1, 2, 3)).save(images[1])
    assert_holds(open_pixels(images, repo / "cache", DECODING), images)


def test_another_background_is_decoded_again(repo, images):
    Image.new("RGBA", (2, 2)).save(images[0])
    for background in ((255, 255, 255), (9, 9, 9)):
        pixels = open_pixels(images, repo / "cache", Decoding(16, background, "none", None))
        assert tuple(pixels[0][0, 0]) == background


def test_more_images_than_are_decoded_at_a_time_keep_their_order(repo, images):
    assert_holds(open_pixels(images * 50, repo / "cache", DECODING), images * 50)


def test_an_unreadable_image_keeps_its_row_and_is_named(repo, images):
    Path(images[1]).write_text("no picture")
    for pixels in (open_pixels(images, repo / "cache", DECODING), Streamed(images, DECODING)):
        assert list(pixels.bad) == [1]
        assert images[1] in pixels.bad[1]
        np.testing.assert_array_equal(pixels[2], decode(Path(images[2]), DECODING.background, 16))


def test_a_missing_file_is_named(repo, images):
    Path(images[2]).unlink()
    assert images[2] in open_pixels(images, repo / "cache", DECODING).bad[2]


def test_an_error_leaves_no_half_a_cache(repo, images, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("comp.pixels.np.save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_pixels(images, repo / "cache", DECODING)
    assert list((repo / "cache").iterdir()) == []


@pytest.mark.skipif(not FULL.is_char_device(), reason="needs /dev/full")
def test_a_full_disk_leaves_no_half_a_cache(repo, images):
    open_pixels(images, repo / "cache", DECODING)
    [place] = (repo / "cache").iterdir()
    beside = repo / "full" / f".{place.name}.{os.getpid()}.tmp"
    beside.mkdir(parents=True)
    (beside / "pixels.bin").symlink_to(FULL)
    with pytest.raises(CompError, match=r"no space left for the pixel cache .*data\.cache=false"):
        open_pixels(images, repo / "full", DECODING)
    assert list((repo / "full").iterdir()) == []


def test_a_worker_gets_the_name_of_the_cache_and_not_its_bytes(repo, images):
    pixels = open_pixels(images * 50, repo / "cache", DECODING)
    message = pickle.dumps(pixels)
    assert len(message) < 1000
    np.testing.assert_array_equal(pickle.loads(message)[3], pixels[3])
