"""The basis of the outputs: it holds what images are made of, and weighs its directions as it says."""

import numpy as np
import pytest

from comp.align.ranking.retrieval import unit
from comp.align.training.basis import output_basis


def flat_images(rank: int = 5, width: int = 20) -> np.ndarray:
    """(200, 20), in a subspace of 5 dimensions, the first of them the largest."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(width, rank)))[0].T
    strength = np.array([9, 4, 2, 1, 0.5])[:rank]
    return (rng.normal(size=(200, rank)) * strength + strength[0] * 2 * np.eye(rank)[0]) @ axes


def test_images_of_a_subspace_are_combinations_of_as_many_rows():
    images = unit(flat_images())
    basis = output_basis(images, 5)
    weights = np.linalg.lstsq(basis.T, images.T, rcond=None)[0]
    np.testing.assert_allclose(weights.T @ basis, images, atol=1e-5)
    short = output_basis(images, 3)
    assert np.abs(np.linalg.lstsq(short.T, images.T, rcond=None)[0].T @ short - images).max() > 1e-3


@pytest.mark.parametrize("whitening", [0.0, 0.5, 1.0])
def test_a_row_moves_the_cosines_by_its_spread_less_the_whitening(whitening):
    images = unit(flat_images())
    basis = output_basis(images, 5, whitening)
    spread = np.sqrt(((images @ basis.T) ** 2).mean(axis=0))
    plain = np.linalg.svd(images, compute_uv=False)[:5]
    np.testing.assert_allclose(spread / spread[1], (plain / plain[1]) ** (1 - whitening), rtol=1e-3)
    assert np.linalg.norm(basis[1]) == pytest.approx(1, abs=1e-5)


def test_there_are_no_more_rows_than_images_or_numbers():
    assert output_basis(flat_images(), 500).shape == (20, 20)
    assert output_basis(flat_images()[:4], 500).shape == (4, 20)


def test_directions_without_images_do_not_explode():
    assert np.linalg.norm(output_basis(flat_images(), 20, whitening=1.0), axis=1).max() < 1001
