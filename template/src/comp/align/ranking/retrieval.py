"""Ranking of a gallery by predicted vectors: by cosine, a part at a time, within a budget of memory.

Ties are settled by expectation: each order of equally similar images is as likely as any other. Counted as best, a
constant prediction would look perfect; as their mean rank, worse than chance (1 / mean rank is below the mean of
1 / rank). The expectation measures exactly chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaln, logsumexp

from comp.distributed.tf32 import full_fp32
from comp.errors import CompError

BUDGET_MB = 512
COPIES = 4  # of a part's similarities that live at once: themselves, a comparison, what is added to them
SAME = 1e-6  # cosines closer than this are equal: so far do float32 products of the same vectors differ
RECALL_AT = (1, 5, 10)
EVEN = 1e-9  # a variance of occurrences below is rounding
OCCURS_AMONG = 10  # nearest images of each query, for the k-occurrence


@dataclass(frozen=True)
class Hubs:
    """What makes an image near to everything, measured on queries whose answers are not asked for.

    `penalty` (M,) is taken off each image's cosine; only for queries whose nearest image is one of `known` (M,) bool.
    """

    penalty: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """Where the right image stands, for each of N queries among M images."""

    above: np.ndarray  # (N,) images that are more similar
    equal: np.ndarray  # (N,) images as similar, itself among them
    cosine: np.ndarray  # (N,) of prediction and truth
    occurrences: np.ndarray  # (M,) in how many lists of the nearest OCCURS_AMONG each image stands, to be expected
    variance: np.ndarray  # (M,) of that number over the orders of ties: 0 where no tie lies across the end of a list
    third: np.ndarray  # (M,) its third central moment, likewise


def ranked(
    predictions: np.ndarray,
    gallery: np.ndarray,
    image_of: np.ndarray,
    hubs: Hubs | None = None,
    device: str | torch.device = "cpu",
    budget_mb: int = BUDGET_MB,
) -> Ranking:
    """Ranks the images of `gallery` (M, D) for each of `predictions` (N, D); `image_of` (N,) is the right one's row.

    Raises:
        CompError: a vector is not finite, or `image_of` points outside the gallery.
    """
    outside = image_of[(image_of < 0) | (image_of >= len(gallery))]
    if len(outside):
        raise CompError(f"a query's image is number {outside[0]}, but the gallery has {len(gallery)} images")
    above, equal = np.zeros(len(predictions), np.int64), np.zeros(len(predictions), np.int64)
    cosine = np.zeros(len(predictions), np.float32)
    occurs = np.zeros((3, len(gallery)))  # its mean, variance and third moment
    for rows, plain, similar in _similarities(predictions, gallery, hubs, device, budget_mb):
        right = torch.as_tensor(image_of[rows].astype(np.int64), device=plain.device)[:, None]
        own = similar.gather(1, right)
        above[rows] = (similar > own + SAME).sum(dim=1).cpu().numpy()
        equal[rows] = (similar >= own - SAME).sum(dim=1).cpu().numpy() - above[rows]
        cosine[rows] = plain.gather(1, right)[:, 0].cpu().numpy()
        occurs += _occurrences(similar)
    return Ranking(above, equal, cosine, *occurs)


def retrieval_scores(ranking: Ranking, gallery_size: int | None = None) -> dict[str, float]:
    """`mrr`, `r@1`, `r@5`, `r@10`, `median_rank`, and as well `cosine` and `skewness` of the k-occurrence.

    With `gallery_size`, what the first five are to be expected where the right image stands among so many images drawn
    at random from the gallery: the mean over all such draws, which is known exactly (the number of better ones in a
    draw is hypergeometric), not a mean over some.
    """
    images = len(ranking.occurrences)
    size = images if gallery_size is None else gallery_size
    if not 1 <= size <= images:
        raise CompError(f"a gallery of {size} images cannot be drawn from {images}: set it to 1 … {images}")
    better = np.arange(images)
    draws = _log_ways(np.array(images - 1), size - 1)
    # Of a better ones, X are drawn: E[1 / (1 + X)] = (M / G - C(M - 1 - a, G) / C(M - 1, G - 1)) / (a + 1).
    reciprocal = (images / size - np.exp(_log_ways(images - 1 - better, size) - draws)) / (better + 1)
    drawn = np.arange(max(RECALL_AT))[:, None]
    in_draw = np.exp(_log_ways(better, drawn) + _log_ways(images - 1 - better, size - 1 - drawn) - draws)  # (X, M)
    scores = {"mrr": _mean_over_ties(reciprocal, ranking)}
    for k in RECALL_AT:
        scores[f"r@{k}"] = _mean_over_ties(in_draw[:k].sum(axis=0), ranking)
    before = ranking.above + (ranking.equal - 1) / 2
    scores["median_rank"] = float(np.median(1 + before * (size - 1) / max(images - 1, 1)))
    scores["cosine"] = float(ranking.cosine.mean(dtype=np.float64))
    scores["skewness"] = _skewness(ranking)
    return scores


def of_queries(ranking: Ranking) -> dict[str, np.ndarray]:
    """What the scores that are means over queries are means of, (N,) each, in the whole gallery."""
    place = np.arange(len(ranking.occurrences))
    values = {"mrr": _over_ties(1 / (place + 1), ranking), "cosine": ranking.cosine.astype(np.float64)}
    return values | {f"r@{k}": _over_ties((place < k).astype(np.float64), ranking) for k in RECALL_AT}


def nearest(
    predictions: np.ndarray,
    gallery: np.ndarray,
    k: int,
    hubs: Hubs | None = None,
    device: str | torch.device = "cpu",
    budget_mb: int = BUDGET_MB,
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` nearest images of each prediction, nearest first: rows of `gallery` (N, k), and how similar (N, k)."""
    k = min(k, len(gallery))
    found, similarity = np.zeros((len(predictions), k), np.int64), np.zeros((len(predictions), k), np.float32)
    for rows, _, similar in _similarities(predictions, gallery, hubs, device, budget_mb):
        top = similar.topk(k)
        found[rows], similarity[rows] = top.indices.cpu().numpy(), top.values.cpu().numpy()
    return found, similarity


def find_hubs(
    bank: np.ndarray,
    gallery: np.ndarray,
    temperature: float = 0.05,
    dynamic: bool = True,
    device: str | torch.device = "cpu",
    budget_mb: int = BUDGET_MB,
) -> Hubs:
    """Learns from a bank of queries (B, D), such as the predictions for training captions, which images are hubs.

    The inverted softmax (Smith et al., arXiv 1702.03859) divides exp(cosine / temperature) of a query by its sum over
    the bank: in logarithms, each image has a penalty. `dynamic` (Bogolin et al., arXiv 2112.12777, whose temperature is
    the default here) leaves queries alone whose nearest image is nearest to nothing in the bank.
    """
    if not len(bank):
        raise CompError("hubs cannot be found with an empty bank of queries")
    total = np.full(len(gallery), -np.inf)
    known = np.full(len(gallery), not dynamic)
    for _, plain, _ in _similarities(bank, gallery, None, device, budget_mb):
        part = torch.logsumexp(plain.double() / temperature, dim=0).cpu().numpy()
        total = logsumexp([total, part], axis=0)
        known[plain.argmax(dim=1).cpu().numpy()] = True
    return Hubs((temperature * (total - np.log(len(bank)))).astype(np.float32), known)


def unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` (N, D) in float32 at length 1; one of length 0 stays."""
    vectors = np.asarray(vectors, np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def finite(vectors: np.ndarray) -> np.ndarray:
    """`vectors` in float32, with 0 for each number that is not finite."""
    return np.nan_to_num(np.asarray(vectors, np.float32), posinf=0, neginf=0)


def _similarities(
    predictions: np.ndarray, gallery: np.ndarray, hubs: Hubs | None, device: str | torch.device, budget_mb: int
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """For some rows at a time: the cosines (n, M), and the same less the penalty of hubs."""
    if predictions.ndim != 2 or gallery.ndim != 2 or predictions.shape[1] != gallery.shape[1]:
        raise CompError(f"predictions {predictions.shape} cannot be compared with a gallery {gallery.shape}")
    images = _finite(gallery, "gallery", 0, device).T
    step = max(1, budget_mb * 2**20 // (4 * COPIES * max(len(gallery), 1)))
    if hubs is not None:
        penalty, known = (torch.as_tensor(each, device=device) for each in (hubs.penalty, hubs.known))
    for start in range(0, len(predictions), step):
        rows = slice(start, min(start + step, len(predictions)))
        part = _finite(predictions[rows], "predictions", start, device)
        with full_fp32():  # TF32 errs by 1e-3: SAME would tell equal images apart
            plain = part @ images
        if hubs is None:
            yield rows, plain, plain
        else:
            yield rows, plain, plain - known[plain.argmax(dim=1), None] * penalty


def _finite(vectors: np.ndarray, what: str, start: int, device: str | torch.device) -> torch.Tensor:
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise CompError(f"{what}: row {start + wrong[0]} is not finite: such a vector has no place in a ranking")
    return torch.as_tensor(unit(vectors), device=device)


def _occurrences(similar: torch.Tensor) -> np.ndarray:
    """In how many lists of the nearest OCCURS_AMONG the images stand, by `similar` (n, M): moments (3, M) of each.

    Images that are equal across the end of a list are in it with the share of places that is left for them.
    """
    images = similar.shape[1]
    top = similar.topk(min(OCCURS_AMONG, images))
    end = top.values[:, -1:]
    torn = (similar >= end - SAME).sum(dim=1) > top.indices.shape[1]
    certain = torch.bincount(top.indices[~torn].ravel(), minlength=images).cpu().numpy()
    moments = np.stack([certain, np.zeros(images), np.zeros(images)])
    if torn.any():
        some, end = similar[torn], end[torn]
        inside = some > end + SAME
        tied = (some >= end - SAME) & ~inside
        share = (top.indices.shape[1] - inside.sum(dim=1, keepdim=True)) / tied.sum(dim=1, keepdim=True)
        spread = share * (1 - share)
        moments[0] += inside.sum(dim=0).cpu().numpy()
        for number, each in enumerate((share, spread, spread * (1 - 2 * share))):
            moments[number] += (tied * each).sum(dim=0).cpu().numpy()
    return moments


def _skewness(ranking: Ranking) -> float:
    """The skewness of the k-occurrence: third moment by second ** 1.5, both expected over the orders of ties.

    Over images, the mean number is the same in any order, so the expected moments are sums of each image's own. Counted
    as one order that a sort happens to give, ties would lean to whatever images stand first.
    """
    apart = ranking.occurrences - ranking.occurrences.mean()
    second = (apart**2 + ranking.variance).mean()
    third = (apart**3 + 3 * apart * ranking.variance + ranking.third).mean()
    return float(third / second**1.5) if second > EVEN else 0.0


def _mean_over_ties(value: np.ndarray, ranking: Ranking) -> float:
    """The mean over queries of `value` (M,) of a place."""
    return float(np.mean(_over_ties(value, ranking)))


def _over_ties(value: np.ndarray, ranking: Ranking) -> np.ndarray:
    """(N,) `value` (M,) of each query's place: a mean over the places that the right image can have."""
    until = np.concatenate([[0.0], np.cumsum(value, dtype=np.float64)])
    return np.asarray((until[ranking.above + ranking.equal] - until[ranking.above]) / ranking.equal)


def _log_ways(n: np.ndarray, k: np.ndarray | int) -> np.ndarray:
    """The logarithm of the binomial n over k; -inf where there is no way."""
    possible = (k >= 0) & (k <= n)
    k = np.where(possible, k, 0)
    return np.where(possible, gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0), -np.inf)
