"""Closed-form maps: they find the map that made the data, and no caption helps to judge those of its own image."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Ridge

from comp.align.baselines import closed_form
from comp.align.baselines.closed_form import (
    Captions,
    Chosen,
    fit_cca,
    fit_mean,
    fit_neighbors,
    fit_procrustes,
    fit_ridge,
    image_parts,
    moments,
)
from comp.align.baselines.kernel import fit_kernel_ridge
from comp.align.ranking.retrieval import ranked, retrieval_scores, unit

FITS = {"ridge": fit_ridge, "procrustes": fit_procrustes, "cca": fit_cca, "neighbors": fit_neighbors}
FITS["kernel"] = fit_kernel_ridge


def pairs(images: int = 150, noise: float = 0.1, width: tuple[int, int] = (10, 14), seed: int = 0):
    """Texts (N, 10), images (M, 14) and the image of each text, out of order: both see one latent of 6 numbers."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(images, 6))
    image_of = rng.permutation(np.repeat(np.arange(images), 3))
    to_text, to_image = rng.normal(size=(6, width[0])), rng.normal(size=(6, width[1]))
    texts = latent[image_of] @ to_text + noise * rng.normal(size=(len(image_of), width[0]))
    return texts.astype(np.float32), (latent @ to_image + 1.5).astype(np.float32), image_of


def mrr(fitted: Chosen, texts, images, image_of) -> float:
    return retrieval_scores(ranked(fitted.model.predict(texts), images, image_of))["mrr"]


def halves(texts, images, image_of):
    """The same, twice: the first images with their captions, and the others."""
    for part in (np.arange(len(images)) < len(images) // 2, np.arange(len(images)) >= len(images) // 2):
        rows = part[image_of]
        yield texts[rows], images[part], (np.cumsum(part) - 1)[image_of[rows]]


@pytest.mark.parametrize("name", FITS)
def test_each_baseline_ranks_unseen_images_far_better_than_the_mean(name):
    train, held_out = halves(*pairs())
    assert mrr(FITS[name](Captions(*train)), *held_out) > 4 * mrr(fit_mean(Captions(*train)), *held_out)


def test_the_mean_counts_an_image_as_often_as_it_has_captions():
    images = np.array([[2.0, 0], [0, 3.0]])
    found = fit_mean(Captions(np.ones((4, 5)), images, np.array([0, 0, 0, 1]))).model.predict(np.zeros((2, 5)))
    np.testing.assert_allclose(found, [[0.75, 0.25]] * 2)


@pytest.mark.parametrize("alpha", [0.01, 3.0])
def test_ridge_is_that_of_scikit_learn(alpha):
    texts, images, image_of = pairs()
    inputs = unit(texts).astype(np.float64)
    expected = Ridge(alpha=alpha).fit(inputs, unit(images)[image_of]).predict(inputs)
    found = fit_ridge(Captions(texts, images, image_of), alphas=[alpha])
    assert found.setting == alpha
    np.testing.assert_allclose(found.model.predict(texts), expected, atol=1e-5)


def test_moments_of_parts_add_up_to_those_of_everything():
    texts, images, image_of = pairs()
    parts = image_parts(Captions(texts, images, image_of), seed=0)
    added = sum(
        (moments(Captions(texts, images, image_of), np.flatnonzero(parts == k)) for k in range(1, 5)),
        moments(Captions(texts, images, image_of), np.flatnonzero(parts == 0)),
    )
    picture = unit(images)[image_of]
    np.testing.assert_allclose(added.text_image, unit(texts).T @ picture, atol=1e-4)
    np.testing.assert_allclose(added.image_image, picture.T @ picture, atol=1e-3)
    np.testing.assert_allclose(added.centered()[2], np.cov(unit(texts).T, bias=True), atol=1e-6)


@pytest.mark.parametrize("width", [(8, 8), (8, 13), (13, 8)])
def test_procrustes_finds_a_planted_rotation_whatever_the_widths(width):
    rng = np.random.default_rng(1)
    small, large = sorted(width)
    isometry = np.linalg.qr(rng.normal(size=(large, large)))[0][:small]  # (small, large), orthonormal rows
    seen = unit(rng.normal(size=(80, small)))
    texts, images = (seen, seen @ isometry) if width[0] == small else (seen @ isometry, seen)
    fitted = fit_procrustes(Captions(texts, images, np.arange(80)))
    np.testing.assert_allclose(fitted.model.predict(texts), images, atol=1e-4)


def test_cca_with_everything_kept_and_no_shrinkage_is_linear_regression(monkeypatch):
    monkeypatch.setattr(closed_form, "SHRINKAGE", 1e-9)
    texts, images, image_of = pairs(noise=0.5)
    captions = Captions(texts, images + 0.3 * np.random.default_rng(0).normal(size=images.shape), image_of)
    found, linear = fit_cca(captions, shares=[1.0]), fit_ridge(captions, [1e-6])
    np.testing.assert_allclose(found.model.predict(texts), linear.model.predict(texts), atol=1e-3)


def test_cca_sees_through_strong_noise_that_has_nothing_to_do_with_the_text():
    texts, images, image_of = pairs(images=400, noise=0.3)
    loud = np.random.default_rng(0).normal(size=(len(texts), 40)).astype(np.float32) * 6
    train, held_out = halves(np.hstack([texts, loud]), images, image_of)
    assert mrr(fit_cca(Captions(*train)), *held_out) > 2 * mrr(fit_procrustes(Captions(*train)), *held_out)


def test_one_neighbor_gives_the_image_of_the_caption_itself():
    texts, images, image_of = pairs()
    found = fit_neighbors(Captions(texts, images, image_of), ks=[1])
    np.testing.assert_allclose(found.model.predict(texts), unit(images)[image_of], atol=1e-6)


def test_neighbors_are_weighted_by_their_cosine():
    texts = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    model = closed_form.Neighbors(texts.astype(np.float32), np.eye(2, dtype=np.float32), np.array([1, 0]), 2)
    np.testing.assert_allclose(model.predict(np.array([[0.8, 0.4, 0.2]])), [[1 / 3, 2 / 3]], atol=1e-6)


@pytest.mark.parametrize("name", FITS)
def test_centered_predictions_are_the_others_less_the_mean(name):
    texts, images, image_of = pairs()
    settings = {
        "ridge": {"alphas": [1.0]},
        "kernel": {"alphas": [1.0]},
        "cca": {"shares": [0.5]},
        "neighbors": {"ks": [3]},
    }
    captions = Captions(texts, images, image_of)
    plain, centered = (FITS[name](captions, centered=each, **settings.get(name, {})) for each in (False, True))
    mean = fit_mean(captions)
    np.testing.assert_allclose(
        centered.model.predict(texts), plain.model.predict(texts) - mean.model.predict(texts), atol=1e-5
    )


def test_without_the_mean_unsure_predictions_are_not_drawn_to_hubs():
    texts, images, image_of = pairs(images=300)
    images = 4 + images + 6 * np.random.default_rng(1).normal(size=images.shape)  # most of them cannot be known
    train, held_out = halves(texts, images, image_of)
    plain, centered = (mrr(fit_ridge(Captions(*train), centered=centered), *held_out) for centered in (False, True))
    assert centered > 1.2 * plain


def test_a_kernel_with_every_caption_is_kernel_ridge_regression():
    texts, images, image_of = pairs(images=40)
    found = fit_kernel_ridge(Captions(texts, images, image_of), alphas=[1e-3], width=0.5)
    mean = unit(texts).mean(axis=0)
    kernel = np.exp((unit(texts) @ unit(texts).T - 1) / (0.5 * (1 - mean @ mean))).astype(np.float64)
    center = np.eye(len(texts)) - 1 / len(texts)
    target = unit(images)[image_of]
    weight = np.linalg.solve(center @ kernel @ center + 1e-3 * np.eye(len(texts)), center @ target)
    np.testing.assert_allclose(
        found.model.predict(texts), target.mean(axis=0) + center @ kernel @ center @ weight, atol=1e-3
    )


def test_a_kernel_finds_what_no_straight_map_can():
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(900, 3))
    images = np.stack([np.sin(4 * unit(texts) @ axis) for axis in rng.normal(size=(8, 3))], axis=1)
    train, held_out = halves(texts, images, np.arange(900))
    assert mrr(fit_kernel_ridge(Captions(*train), landmarks=300), *held_out) > 2 * mrr(
        fit_ridge(Captions(*train)), *held_out
    )


def memorable(images: int = 120, captions: int = 4, seed: int = 0):
    """Texts that tell a little of the image, and above all which one it is: a leak rewards whoever remembers."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(images, 5))
    image_of = np.repeat(np.arange(images), captions)
    hint = latent[image_of] + rng.normal(size=(len(image_of), 5))
    texts = np.hstack([hint, 3 * np.eye(images)[image_of]])
    return texts, np.hstack([latent @ rng.normal(size=(5, 8)), rng.normal(size=(images, 40))]), image_of


@pytest.mark.parametrize("kind", ["one image", "one group"])
def test_a_leak_over_the_parts_would_choose_the_alpha_that_remembers(kind):
    texts, images, image_of = memorable()
    if kind == "one image":  # the leak: each caption counts as an image of its own
        honest = fit_ridge(Captions(texts, images, image_of))
        leaking = fit_ridge(Captions(texts, images[image_of], np.arange(len(texts))))
    else:  # several pictures of one thing, each with one caption
        honest = fit_ridge(Captions(texts, images[image_of], np.arange(len(texts)), image_of))
        leaking = fit_ridge(Captions(texts, images[image_of], np.arange(len(texts))))
    assert leaking.setting < honest.setting
    assert max(leaking.mrr.values()) > 1.3 * max(honest.mrr.values())


@pytest.mark.parametrize("seed", range(3))
def test_parts_keep_images_and_groups_whole_and_are_even(seed):
    group = np.random.default_rng(seed).integers(0, 50, 300).astype(str)
    alone = Captions(np.zeros((0, 1)), np.zeros((300, 1)), np.zeros(0, dtype=int))
    part = image_parts(replace(alone, group_of=group), seed)
    assert all(len(set(part[group == name])) == 1 for name in set(group))
    assert set(np.bincount(image_parts(alone, seed))) == {60}


def test_neighbors_of_the_same_group_do_not_choose_how_many():
    texts, images, image_of = memorable()
    assert fit_neighbors(Captions(texts, images[image_of], np.arange(len(texts)))).setting <= 3
    assert fit_neighbors(Captions(texts, images[image_of], np.arange(len(texts)), image_of)).setting > 3


def test_the_scores_of_all_settings_are_told():
    found = fit_ridge(Captions(*pairs()), alphas=[0.1, 10.0, 1000.0])
    assert set(found.mrr) == {0.1, 10.0, 1000.0}
    assert found.mrr[found.setting] == max(found.mrr.values())


def test_two_images_are_enough_to_fit_everything():
    texts, images, image_of = np.eye(4)[:, :3], np.eye(5)[:2], np.array([0, 0, 1, 1])
    for fit in FITS.values():
        assert np.isfinite(fit(Captions(texts, images, image_of)).model.predict(texts)).all()


@pytest.mark.parametrize("width", [(14, 6), (6, 14), (9, 9)], ids=["to narrow", "to wide", "as wide"])
def test_the_scale_of_procrustes_is_the_one_of_least_squares(width):
    texts, images, image_of = pairs(width=width, noise=0.5)
    fitted = fit_procrustes(Captions(texts, images, image_of)).model
    x, y = (each - each.mean(axis=0) for each in (unit(texts), unit(images)[image_of]))

    def error(factor: float) -> float:
        return float(((factor * x @ fitted.weight - y) ** 2).sum())

    assert minimize_scalar(error).x == pytest.approx(1, abs=1e-3)
