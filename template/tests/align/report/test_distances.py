"""Distances of pairs that belong together against pairs that do not, and the pictures of both."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from comp.align.ranking.retrieval import unit
from comp.align.report.distances import (
    DISTANCES,
    another_image,
    draw_distances,
    draw_neighbors,
    print_verified,
    verify,
)
from comp.errors import CompError


def made(noise: float, images: int = 30, captions: int = 5, width: int = 16):
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(images, width)) + 1
    image_of = rng.permutation(np.repeat(np.arange(images), captions))
    return gallery[image_of] + noise * rng.normal(size=(len(image_of), width)), gallery, image_of


def test_the_three_distances_are_those_of_unit_vectors():
    predictions, images, image_of = made(noise=0.5)
    one, two = unit(predictions), unit(images)[image_of]
    found = verify(predictions, images, image_of)
    assert found["euclidean"].mean[0] == pytest.approx(np.sqrt(((one - two) ** 2).sum(axis=1)).mean(), rel=1e-5)
    assert found["manhattan"].mean[0] == pytest.approx(np.abs(one - two).sum(axis=1).mean(), rel=1e-5)
    assert found["cosine"].mean[0] == pytest.approx(1 - (one * two).sum(axis=1).mean(), rel=1e-5)


def test_the_truth_itself_is_better_by_all_there_is():
    found = verify(*made(noise=0))
    assert set(found) == set(DISTANCES)
    for each in found.values():
        assert each.mean[0] == pytest.approx(0, abs=1e-3)
        assert each.improvement_percent[1:] == pytest.approx([100, 100], abs=0.1)


def test_a_prediction_that_ignores_the_text_is_no_better_than_shuffled():
    _, images, image_of = made(noise=0)
    found = verify(np.tile(images.mean(axis=0), (len(image_of), 1)), images, image_of)
    for each in found.values():
        assert each.improvement_percent[1] == pytest.approx(0, abs=1e-3)
    assert found["cosine"].improvement_percent[2] > 20  # nearer to any image than images are to each other


def test_improvement_is_the_share_of_the_distance_that_is_gone():
    found = verify(*made(noise=0.8))["manhattan"]
    assert found.improvement_percent[1] == pytest.approx(100 * (found.mean[1] - found.mean[0]) / found.mean[1])


@pytest.mark.parametrize("seed", range(5))
def test_shuffling_gives_nobody_his_own_image_and_keeps_their_frequencies(seed):
    image_of = np.random.default_rng(seed).permutation(np.repeat(np.arange(6), [5, 1, 3, 9, 1, 2]))
    other = another_image(image_of, seed)
    assert (other != image_of).all()
    assert np.array_equal(np.sort(other), np.sort(image_of))


def test_what_cannot_be_shuffled_is_refused():
    with pytest.raises(CompError, match="3 of 4 captions are one image's"):
        another_image(np.array([0, 0, 0, 1]))


def test_a_prediction_that_is_not_finite_is_named():
    predictions, images, image_of = made(noise=0.5)
    predictions[11, 3] = np.nan
    with pytest.raises(CompError, match="prediction 11"):
        verify(predictions, images, image_of)


def test_histograms_hold_every_pair():
    found = verify(*made(noise=0.5))
    for each in found.values():
        assert each.counts.sum(axis=1).tolist() == [150, 150, 150]


def test_the_histograms_are_drawn_and_the_figures_printed(capsys):
    found = verify(*made(noise=0.5))
    print_verified(found)
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == list(DISTANCES)
    draw_distances(found, Path("distances.png"))
    with Image.open("distances.png") as image:
        assert image.width > 1000
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 50


def test_the_grid_shows_the_pictures_and_frames_the_right_one():
    files = [Path(f"{color}.png") for color in ("red", "green", "blue")]
    for file in files:
        Image.new("RGB", (20, 18), file.stem).save(file)
    captions, found = ["a red thing", "a blue thing $\\frac{ or $ 5", "grün"], np.array([[0, 1], [1, 0], [2, 0]])
    draw_neighbors(captions, found, np.array([0, 2, 1]), [*files, Path("gone.png")], Path("grid.png"))
    with Image.open("grid.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    frames = (np.abs(pixels.astype(int) - [42, 157, 74]).max(axis=1) < 3).sum()
    assert frames > 100  # of the one right answer
    draw_neighbors(captions[:1], found[:1, 1:], np.array([0]), files, Path("none.png"))
    with Image.open("none.png") as image:
        assert not (np.abs(np.asarray(image.convert("RGB")).astype(int) - [42, 157, 74]).max(axis=2) < 3).any()


def test_a_missing_picture_is_shown_by_its_name():
    draw_neighbors(["a"], np.array([[1]]), np.array([0]), [Path("no.png"), Path("$\\frac{$.png")], Path("grid.png"))
    assert Path("grid.png").stat().st_size > 1000
