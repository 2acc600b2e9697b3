"""Ranks, ties, galleries of other sizes and hubs: cases with known answers, and the same whatever the memory."""

import numpy as np
import pytest
from scipy.stats import skew

from comp.align.ranking import retrieval
from comp.align.ranking.retrieval import Ranking, find_hubs, nearest, ranked, retrieval_scores
from comp.errors import CompError


def noisy(images: int = 40, captions: int = 3, width: int = 12, noise: float = 1.0, seed: int = 0):
    """Predictions (N, D), gallery (M, D), and the image of each, out of order."""
    rng = np.random.default_rng(seed)
    gallery = rng.normal(size=(images, width)).astype(np.float32)
    image_of = rng.permutation(np.repeat(np.arange(images), captions))
    return gallery[image_of] + noise * rng.normal(size=(len(image_of), width)).astype(np.float32), gallery, image_of


def scores(*arrays, size: int | None = None, **settings) -> dict[str, float]:
    return retrieval_scores(ranked(*arrays, **settings), size)


def chance(images: int) -> float:
    return float(np.mean(1 / np.arange(1, images + 1)))


def test_the_ranks_of_a_small_case_are_those_counted_by_hand():
    gallery = np.array([[1, 0], [0, 1], [-1, 0]])
    predictions = np.array([[3, 1], [3, 1], [3, 1]])  # nearest: 0, then 1, then 2
    found = scores(predictions, gallery, np.array([0, 1, 2]))
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert found["r@1"] == pytest.approx(1 / 3)
    assert found["r@5"] == found["r@10"] == 1
    assert found["median_rank"] == 2
    assert found["cosine"] == pytest.approx((3 + 1 - 3) / 3 / 10**0.5)


def test_ranks_are_those_of_all_similarities_at_once():
    predictions, gallery, image_of = noisy()
    image_of = image_of.astype(np.int32)  # as some files have it
    similar = retrieval.unit(predictions) @ retrieval.unit(gallery).T
    rank = 1 + (similar > similar[np.arange(len(image_of)), image_of][:, None]).sum(axis=1)
    found = scores(predictions, gallery, image_of)
    assert found["mrr"] == pytest.approx((1 / rank).mean())
    assert found["median_rank"] == np.median(rank)
    assert found["r@5"] == pytest.approx((rank <= 5).mean())


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_prediction_measures_chance(value):
    _, gallery, image_of = noisy()
    found = scores(np.full((len(image_of), gallery.shape[1]), value), gallery, image_of)
    assert found["mrr"] == pytest.approx(chance(40))
    assert found["r@10"] == pytest.approx(10 / 40)
    assert found["median_rank"] == pytest.approx(20.5)


def test_equal_images_share_their_places():
    _, gallery, _ = noisy(images=7, width=640)
    gallery[:] = gallery[0]  # nothing tells them apart
    found = scores(gallery[:1], gallery, np.array([3]))
    assert found["mrr"] == pytest.approx(chance(7))
    assert found["r@1"] == pytest.approx(1 / 7)
    assert found["median_rank"] == 4


def test_two_copies_of_the_right_image_are_first_half_of_the_time():
    _, gallery, _ = noisy(images=5)
    gallery[4] = gallery[2]
    found = scores(gallery[[2]], gallery, np.array([2]))
    assert found["mrr"] == pytest.approx(3 / 4)
    assert found["r@1"] == pytest.approx(1 / 2)


def test_small_galleries_score_as_the_mean_over_many_draws_of_them():
    predictions, gallery, image_of = noisy(noise=1.5)
    expected = scores(predictions, gallery, image_of, size=12)
    rng = np.random.default_rng(0)
    drawn = []
    for query, image in enumerate(image_of):
        others = np.delete(np.arange(len(gallery)), image)
        for _ in range(15):
            of_draw = np.concatenate([[image], rng.choice(others, 11, replace=False)])
            drawn.append(scores(predictions[[query]], gallery[of_draw], np.array([0])))
    for name in ("mrr", "r@1", "r@5"):
        values = [each[name] for each in drawn]
        assert expected[name] == pytest.approx(np.mean(values), abs=4 * np.std(values) / len(values) ** 0.5)


def test_a_small_gallery_of_constant_predictions_is_chance_too():
    _, gallery, image_of = noisy()
    found = scores(np.zeros((len(image_of), gallery.shape[1])), gallery, image_of, size=9)
    assert found["mrr"] == pytest.approx(chance(9))
    assert found["r@5"] == pytest.approx(5 / 9)
    assert found["median_rank"] == pytest.approx(5)


def test_a_draw_of_everything_is_the_gallery_itself():
    ranking = ranked(*noisy())
    assert retrieval_scores(ranking, 40) == retrieval_scores(ranking)
    assert retrieval_scores(ranking)["r@5"] == pytest.approx((ranking.above < 5).mean())
    assert retrieval_scores(ranking, 1)["mrr"] == pytest.approx(1)


def test_expected_scores_of_large_galleries_are_finite_and_rise_as_they_shrink():
    above = np.array([0, 3, 300, 24_000])
    ranking = Ranking(above, np.ones(4, int), np.zeros(4, np.float32), *np.zeros((3, 25_000)))
    of_size = [retrieval_scores(ranking, size)["mrr"] for size in (25_000, 5_000, 1_000, 100)]
    assert of_size == sorted(of_size)
    assert of_size[0] == pytest.approx(np.mean(1 / (above + 1)))


def test_a_gallery_larger_than_there_is_is_refused():
    with pytest.raises(CompError, match="41 images cannot be drawn from 40"):
        retrieval_scores(ranked(*noisy()), 41)


def test_skewness_tells_a_hub_from_an_even_spread():
    predictions, gallery, image_of = noisy(images=200, width=30, noise=0.5)
    even = scores(predictions, gallery, image_of)["skewness"]
    hub = scores(predictions + 8 * gallery[:5].mean(axis=0), gallery, image_of)["skewness"]
    assert hub > even + 2


def planted_ties():
    """Images in groups of copies, some queries nearest to nothing: ties lie across the end of many lists."""
    predictions, gallery, image_of = noisy(images=60, width=6)
    gallery[::4], gallery[1::4] = gallery[0], gallery[1]
    predictions[::7] = 0
    return predictions, gallery, image_of


def test_the_skewness_of_ties_is_that_of_their_random_orders():
    predictions, gallery, image_of = planted_ties()
    similar = retrieval.unit(predictions) @ retrieval.unit(gallery).T
    rng, counts = np.random.default_rng(0), []
    for _ in range(2000):
        shuffled = similar.round(5) + rng.uniform(0, 1e-6, similar.shape)
        counts.append(np.bincount(np.argpartition(-shuffled, 10)[:, :10].ravel(), minlength=60))
    ranking = ranked(predictions, gallery, image_of)
    np.testing.assert_allclose(ranking.occurrences, np.mean(counts, axis=0), atol=0.4)
    np.testing.assert_allclose(ranking.variance, np.var(counts, axis=0), rtol=0.15, atol=0.1)
    second, third = (np.mean([((each - each.mean()) ** power).mean() for each in counts]) for power in (2, 3))
    assert retrieval_scores(ranking)["skewness"] == pytest.approx(third / second**1.5, abs=0.01)


def test_the_order_of_the_gallery_changes_no_skewness():
    predictions, gallery, image_of = planted_ties()
    order = np.random.default_rng(1).permutation(60)
    turned = scores(predictions, gallery[order], np.argsort(order)[image_of])
    assert turned["skewness"] == pytest.approx(scores(predictions, gallery, image_of)["skewness"], abs=1e-6)


def test_without_ties_the_skewness_is_scipys():
    predictions, gallery, image_of = noisy()
    similar = retrieval.unit(predictions) @ retrieval.unit(gallery).T
    counts = np.bincount(np.argsort(-similar)[:, :10].ravel(), minlength=40)
    assert scores(predictions, gallery, image_of)["skewness"] == pytest.approx(skew(counts))


def test_every_query_stands_in_ten_lists():
    ranking = ranked(*noisy())
    assert ranking.occurrences.sum() == 10 * 120


def test_the_budget_of_memory_changes_nothing_but_the_parts(monkeypatch):
    arrays = noisy()
    whole = ranked(*arrays)
    parts = []
    monkeypatch.setattr(retrieval, "COPIES", 2**20 // 40)  # a budget of 1 MB: a part is one or two rows
    real = retrieval._similarities

    def watched(*given):
        for rows, plain, similar in real(*given):
            parts.append(len(plain))
            yield rows, plain, similar

    monkeypatch.setattr(retrieval, "_similarities", watched)
    cut = ranked(*arrays, budget_mb=1)
    assert max(parts) * 40 * 4 * retrieval.COPIES <= 2**20 * 1.001 or max(parts) == 1
    assert len(parts) == 120
    for name in ("above", "equal", "occurrences"):
        assert np.array_equal(getattr(whole, name), getattr(cut, name))


@pytest.mark.parametrize("which", [0, 1])
def test_a_vector_that_is_not_finite_is_refused_with_its_row(which):
    arrays = list(noisy())
    arrays[which][17, 2] = np.nan
    with pytest.raises(CompError, match=f"{('predictions', 'gallery')[which]}: row 17 is not finite"):
        ranked(*arrays)


def test_an_image_outside_the_gallery_is_refused():
    predictions, gallery, image_of = noisy()
    with pytest.raises(CompError, match="image is number 39, but the gallery has 39 images"):
        ranked(predictions, gallery[:39], image_of)
    with pytest.raises(CompError, match="image is number -1, but"):
        ranked(predictions, gallery, np.where(image_of == 3, -1, image_of))


def test_the_nearest_are_in_order_and_the_ranks_agree():
    predictions, gallery, image_of = noisy()
    found, similarity = nearest(predictions, gallery, 7)
    assert (np.diff(similarity) <= 0).all()
    first = ranked(predictions, gallery, image_of).above == 0
    assert np.array_equal(found[:, 0] == image_of, first)


def planted_hub():
    """Each prediction leans to one image, which is nobody's nearest otherwise."""
    predictions, gallery, image_of = noisy(images=60, width=30, noise=0.6)
    keep = image_of != 7
    hub = gallery[7] / np.linalg.norm(gallery[7])
    return predictions[keep] + 7 * hub, gallery, image_of[keep]


@pytest.mark.parametrize("dynamic", [True, False])
def test_the_inverted_softmax_takes_a_hub_out_of_the_first_places(dynamic):
    predictions, gallery, image_of = planted_hub()
    bank, rest = slice(0, 60), slice(60, None)
    before = scores(predictions[rest], gallery, image_of[rest])
    hubs = find_hubs(predictions[bank], gallery, dynamic=dynamic)
    after = scores(predictions[rest], gallery, image_of[rest], hubs=hubs)
    assert hubs.penalty.argmax() == 7
    assert before["r@1"] < 0.2
    assert after["r@1"] > 0.9
    assert after["skewness"] < before["skewness"] - 1
    assert after["cosine"] == before["cosine"]


def test_the_penalty_is_the_inverted_softmax():
    predictions, gallery, _ = noisy()
    hubs = find_hubs(predictions, gallery, temperature=0.1, dynamic=False)
    odds = np.exp(retrieval.unit(predictions) @ retrieval.unit(gallery).T / 0.1)
    inverted = odds / odds.sum(axis=0)
    found, _ = nearest(predictions, gallery, 40, hubs)
    assert np.array_equal(found[:, :5], np.argsort(-inverted, axis=1)[:, :5])


def test_a_query_whose_nearest_image_is_no_hub_is_left_alone():
    gallery = np.eye(3, dtype=np.float32)
    hubs = find_hubs(np.array([[1, 0.9, 0.0]]), gallery)  # to the bank, only image 0 is nearest; 1 is near too
    query = np.array([[0.0, 1.0, 0.95]])
    assert list(hubs.known) == [True, False, False]
    assert nearest(query, gallery, 1, hubs)[0][0] == 1
    assert nearest(query, gallery, 1, find_hubs(np.array([[1, 0.9, 0.0]]), gallery, dynamic=False))[0][0] == 2
