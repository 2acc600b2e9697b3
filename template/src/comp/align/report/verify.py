"""`comp verify`: is what was predicted nearer to the truth than chance, and how does it rank in which gallery?"""

from pathlib import Path

import numpy as np

from comp.align.baselines.compare import print_table, with_baselines
from comp.align.data.fold import unit_images
from comp.align.data.pairs import EMBEDDING, Competition, open_competition
from comp.align.ranking.retrieval import find_hubs, nearest, ranked, retrieval_scores
from comp.align.report.distances import draw_distances, draw_neighbors, print_verified, verify
from comp.align.schema import AlignConfig
from comp.errors import CompError
from comp.files import write_json
from comp.runs.predictions import read_oof, values_of
from comp.runs.rundir import RunDir

CAPTIONS, NEIGHBORS = 8, 6  # of the grid of pictures
HUBNESS = 0.05  # temperature of the inverted softmax


def verify_run(config: AlignConfig) -> None:
    """Prints and records the run's distances, galleries and baselines; writes `distances.png`, and a grid of pictures.

    Raises:
        CompError: nothing is trained yet, or with other folds.
    """
    run = RunDir.of(config)
    oof, _, folds = read_oof(run.oof)
    competition = open_competition(config)
    if folds != competition.split.digest:
        raise CompError(f"{run.path} was trained with other folds than folds.csv has now: train it again")
    pairs = competition.pairs
    place = {name: row for row, name in enumerate(pairs.names)}
    images, found = unit_images(competition), values_of(oof, EMBEDDING)
    image_of, fold = oof["target"].map(place).to_numpy(copy=True), oof["fold"].to_numpy()

    distances = verify(found, images, image_of, config.seed)
    print(f"verify  {len(found)} out-of-fold predictions, vectors of length 1")
    print_verified(distances)
    draw_distances(distances, run.path / "distances.png")
    galleries = _galleries(config, found, images, image_of, fold, len(pairs.test_texts))
    for what, values in galleries.items():
        print(f"        {what:<34} " + "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
    print_table(config, with_baselines(config, competition, run))
    metrics = run.read_metrics()
    summary = {}
    for name, each in distances.items():
        mean = dict(zip(("truth", "shuffled", "random"), each.mean.tolist(), strict=True))
        percent = dict(zip(("shuffled", "random"), each.improvement_percent[1:].tolist(), strict=True))
        summary[name] = {"mean": mean, "improvement_percent": percent}
    write_json(run.metrics, {**metrics, "distances": summary, "galleries": galleries})
    wrote = [run.path / "distances.png", run.metrics]
    if config.data.pictures is not None:
        _draw_grid(config, competition, found, images, image_of, run.path / "neighbors.png")
        wrote.append(run.path / "neighbors.png")
    print(f"wrote   {', '.join(map(str, wrote))}")


def _galleries(
    config: AlignConfig, found: np.ndarray, images: np.ndarray, image_of: np.ndarray, fold: np.ndarray, tests: int
) -> dict[str, dict[str, float]]:
    """The ranking among all images, at the host's size, and in each fold with and without a correction for hubs."""
    every = ranked(found, images, image_of)
    host = min(tests if config.predict.gallery == "auto" else config.predict.gallery, len(images))
    table = {
        f"all {len(images)} images": retrieval_scores(every),
        f"{host} drawn at random, as the host's": retrieval_scores(every, host),
    }
    plain, corrected = [], []
    for k in np.unique(fold):
        in_fold = fold == k
        gallery = np.unique(image_of[in_fold])
        own = np.searchsorted(gallery, image_of[in_fold])
        plain.append(retrieval_scores(ranked(found[in_fold], images[gallery], own)))
        if not in_fold.all():
            # A bank of queries whose answers nobody asks for: what other folds' models say of their own captions.
            hubs = find_hubs(found[~in_fold], images[gallery], HUBNESS)
            corrected.append(retrieval_scores(ranked(found[in_fold], images[gallery], own, hubs)))
    tables = {"in each fold": plain, **({"in each fold, hubs corrected": corrected} if corrected else {})}
    for what, each in tables.items():
        table[what] = {name: float(np.mean([scored[name] for scored in each])) for name in each[0]}
    return table


def _draw_grid(
    config: AlignConfig,
    competition: Competition,
    found: np.ndarray,
    images: np.ndarray,
    image_of: np.ndarray,
    path: Path,
) -> None:
    pairs = competition.pairs
    folder = Path(config.data.root) / str(config.data.pictures)
    if not folder.is_dir():
        raise CompError(f"data.pictures={config.data.pictures}: {folder} is not a folder")
    chosen = np.random.default_rng(config.seed).choice(len(found), min(CAPTIONS, len(found)), replace=False)
    row_of = {name: row for row, name in enumerate(pairs.tables.train["id"])}
    rows = [row_of[name] for name in read_oof(RunDir.of(config).oof)[0]["id"].iloc[chosen]]
    captions = [str(pairs.captions[row]) if pairs.captions is not None else f"caption {row}" for row in rows]
    near, _ = nearest(found[chosen], images, NEIGHBORS)
    draw_neighbors(captions, near, image_of[chosen], [folder / str(name) for name in pairs.names], path)
