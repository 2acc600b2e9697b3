"""`comp score`: ranks the images of a local solution by a submission, beside the baselines."""

from pathlib import Path

import numpy as np

from comp.align.baselines.compare import fitted_to_all
from comp.align.data.npz import Archive
from comp.align.data.pairs import embeddings, images_of, names_of, open_competition
from comp.align.data.places import files_root
from comp.align.data.sample_submission import vectors_of
from comp.align.ranking.metrics import scores
from comp.align.ranking.retrieval import finite
from comp.align.schema import AlignConfig
from comp.errors import CompError, shown
from comp.runs.rundir import SUBMISSIONS


def score_submission(config: AlignConfig) -> dict[str, float]:
    """Prints and returns the metrics of `submissions/<experiment>.csv`; the gallery is all images of the solution.

    Raises:
        CompError: there is no submission or no solution, or they do not belong together.
    """
    path, solution = SUBMISSIONS / f"{config.name}.csv", files_root(config.data) / config.data.solution
    if not path.is_file():
        raise CompError(f"{path} does not exist: run comp submit")
    if not solution.is_file():
        raise CompError(f"{solution} does not exist: comp score needs the test images (data.solution=…)")
    ids, gallery, image_of = _solution(solution)
    rows = vectors_of(path)
    if next(rows, None) is None:
        raise CompError(f"{path} is empty: run comp submit")
    found = dict(rows)
    different = set(found) ^ set(ids)
    if different:
        raise CompError(f"submission and solution have different ids: {shown(sorted(different))}")
    vectors = np.stack([found[name] for name in ids])
    if vectors.shape[1] != gallery.shape[1]:
        raise CompError(f"{path} has vectors of {vectors.shape[1]} numbers, {solution} of {gallery.shape[1]}")
    names = [config.metric, *config.metrics]
    measured = scores(names, vectors, gallery, image_of)
    competition = open_competition(config, quiet=True)
    place = {name: row for row, name in enumerate(competition.pairs.tables.test["id"])}
    unknown = [name for name in ids if name not in place]
    if unknown:
        raise CompError(f"{solution} has ids that {config.data.root} has no test captions for: {shown(unknown)}")
    texts = finite(competition.pairs.test_texts[[place[name] for name in ids]])
    lines: dict[str, dict[str, float]] = {config.name: measured}
    for baseline in config.baselines:
        lines[baseline] = scores(names, fitted_to_all(baseline, competition)(texts), gallery, image_of)
    width = max(map(len, lines))
    print(f"{len(ids)} captions among {len(gallery)} images ({path})")
    print(f"{'on the solution':<{width}}  {'  '.join(f'{name:>11}' for name in measured)}")
    for name, values in sorted(lines.items(), key=lambda line: line[1][config.metric]):
        print(f"{name:<{width}}  {'  '.join(f'{value:>11.4f}' for value in values.values())}")
    for name, value in measured.items():
        print(f"score   {name} {value:.4f}")
    return measured


def _solution(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The ids (T,) of the captions, the images (M, D), and which one belongs to each (T,).

    Without captions/label, row t belongs to caption t; an image that stands there several times is one.
    """
    archive = Archive(path)
    ids = archive.texts("captions/ids").ravel().tolist()
    images = np.asarray(embeddings(archive, "images/embeddings"), dtype=np.float32)
    if not np.isfinite(images).all():
        raise CompError(f"{path}: images/embeddings holds what is no number")
    if "captions/label" in archive:
        return ids, images, images_of(archive, len(ids), names_of(archive, len(images)))
    if len(images) != len(ids):
        raise CompError(f"{path} has {len(ids)} captions and {len(images)} images: it needs captions/label")
    gallery, image_of = np.unique(images, axis=0, return_inverse=True)
    return ids, gallery, image_of.ravel()
