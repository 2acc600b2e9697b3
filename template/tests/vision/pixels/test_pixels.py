"""The images of a table: the same pixels from the cache and as a stream, never stale, never half there."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from comp.errors import CompError
from comp.vision.pixels import Decoding, Pixels, Streamed, open_pixels
from comp.vision.pixels.cached import build
from comp.vision.pixels.decoding import states
from comp.vision.pixels.image_file import decode

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


def cached(paths, folder=Path("cache"), decoding=DECODING):
    pixels = open_pixels(paths, folder, decoding, cache=True)
    assert isinstance(pixels, Pixels)
    return pixels


def streamed(paths):
    pixels = open_pixels(paths, Path("cache"), DECODING, cache=False)
    assert isinstance(pixels, Streamed)
    return pixels


def places(folder=Path("cache")):
    """What stands in the folder of the caches, besides the lock."""
    return sorted(path for path in folder.iterdir() if path.name != ".lock")


def assert_holds(pixels, paths):
    assert len(pixels) == len(paths)
    for row, path in enumerate(paths):
        np.testing.assert_array_equal(pixels[row], decode(Path(path), DECODING.background, 16))


def test_the_cache_holds_what_decoding_gives(images):
    assert_holds(cached(images), images)
    assert_holds(cached(images), images)


def test_a_stream_gives_what_the_cache_holds_pixel_for_pixel(images):
    kept, stream = cached(images), streamed(images)
    assert (kept.streamed, stream.streamed) == (False, True)
    assert len(stream) == len(kept) == 3
    for row in range(3):
        np.testing.assert_array_equal(stream[row], kept[row])


def test_rows_stand_in_the_order_of_the_paths(images):
    assert_holds(cached(images[::-1]), images[::-1])


def test_more_images_than_are_decoded_at_a_time_keep_their_order(images):
    assert_holds(cached(images * 50), images * 50)


def test_another_background_is_decoded_again(images):
    Image.new("RGBA", (2, 2)).save(images[0])
    for background in ((255, 255, 255), (9, 9, 9)):
        pixels = cached(images, decoding=Decoding(16, background, "none", None))
        assert tuple(pixels[0][0, 0]) == background


@pytest.mark.parametrize("opened", [cached, streamed])
def test_an_unreadable_image_keeps_its_row_and_is_named(images, opened):
    data = Path(images[1]).read_bytes()
    Path(images[1]).write_bytes(data[: len(data) // 2])
    Path(images[0]).unlink()
    pixels = opened(images)
    assert list(pixels.bad) == [0, 1]
    assert all(images[row] in pixels.bad[row] for row in (0, 1))
    assert pixels[1].shape == (1, 1, 3)
    np.testing.assert_array_equal(pixels[2], decode(Path(images[2]), DECODING.background, 16))


def test_an_error_leaves_no_half_a_cache(images, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("comp.vision.pixels.cached.np.save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cached(images)
    assert places() == []


@pytest.mark.skipif(not FULL.is_char_device(), reason="needs /dev/full")
def test_a_full_disk_leaves_no_half_a_cache(repo, images):
    place = repo / "cache" / "images-key-files"
    beside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    beside.mkdir(parents=True)
    (beside / "pixels.bin").symlink_to(FULL)
    with pytest.raises(CompError, match=r"no space left for the pixel cache .*data\.cache=false"):
        build(states(images), place, DECODING)
    assert places() == []


def test_a_worker_gets_the_name_of_the_cache_and_not_its_bytes(images):
    pixels = cached(images * 50)
    message = pickle.dumps(pixels)
    assert len(message) < 1000
    np.testing.assert_array_equal(pickle.loads(message)[3], pixels[3])


@pytest.mark.parametrize("file", ["pixels.bin", "index.npy", "bad.json", "files.json"])
@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY\x01\x00noise", b"[1, 2]"])
def test_a_damaged_cache_is_made_again(images, file, content, capsys):
    before = [np.array(image) for image in cached(images)]
    [place] = places()
    whole = (place / file).read_bytes()
    (place / file).write_bytes(whole[: len(whole) // 2] if content is None else content)
    capsys.readouterr()
    again = cached(images)
    assert all(np.array_equal(image, old) for image, old in zip(again, before, strict=True))
    if file != "files.json":  # what is known of the contents: only those that come later miss it
        assert f"{file} is damaged" in capsys.readouterr().out or file == "pixels.bin"
        assert (place / file).read_bytes() == whole
    assert places() == [place]


def test_a_damaged_memory_of_bad_images_is_made_again(images, capsys):
    Path(images[1]).write_text("no picture")
    before = streamed(images).bad
    [memory] = places()
    for content in ("", "[1]", '{"99": "no such row"}', '{"x": 1}', "{"):
        memory.write_text(content)
        assert streamed(images).bad == before
        assert f"{memory.name} is damaged" in capsys.readouterr().out


def test_a_stream_checks_its_files_once(images, monkeypatch):
    Path(images[1]).write_text("no picture")
    before = streamed(images).bad
    with monkeypatch.context() as patch:
        patch.setattr("comp.vision.pixels.decoding.decode", None)  # whoever decodes now, fails
        assert streamed(images).bad == before
    Image.new("RGB", (4, 4)).save(images[1])
    assert streamed(images).bad == {}
    [memory] = places()  # the older one has gone
    assert json.loads(memory.read_text()) == {}


def test_a_stream_needs_no_folder_that_can_be_written(repo, images):
    (repo / "cache").write_text("a file in the place of the folder")
    Path(images[1]).write_text("no picture")
    assert list(streamed(images).bad) == [1]
