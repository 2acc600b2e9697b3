"""`comp demo-data`: captions and images as noisy, non-linear views of one latent, written offline in seconds."""

import json
from pathlib import Path

import numpy as np

from comp.config import Experiment
from comp.config.common import empty_root
from comp.files import write_text, written_whole

LATENT, TEXT, IMAGE = 24, 96, 160  # numbers
IMAGES, TEST_IMAGES, CAPTIONS = 1500, 400, 5
SHARED = 0.5  # share of the latent that one caption tells


def write_demo(config: Experiment) -> Path:
    """Writes `train/train.npz`, `test/test.clean.npz`, the sample submission and `solution.npz` into `data.root`.

    Raises:
        CompError: the folder holds other files already.
    """
    root = empty_root(config)
    rng = np.random.default_rng(42)
    latent = rng.normal(size=(IMAGES + TEST_IMAGES, LATENT))
    images = _view(latent, IMAGE, rng, noise=0.2)
    mask = rng.random((len(latent), CAPTIONS, LATENT)) < SHARED  # each caption mentions some of what is to be seen
    texts = _view((latent[:, None] * mask).reshape(-1, LATENT), TEXT, rng, noise=0.2)
    names = np.array([f"{number:05d}.jpg" for number in range(len(latent))])
    wording = np.array([f"caption {n} of {name}" for name in names for n in range(CAPTIONS)])

    of_image = np.repeat(np.arange(len(latent)), CAPTIONS)
    train = rng.permutation(np.flatnonzero(of_image < IMAGES))
    _write(
        root / "train" / "train.npz",
        {
            "captions/embeddings": texts[train],
            "captions/text": wording[train],
            "captions/label": of_image[train],
            "images/embeddings": images[:IMAGES],
            "images/names": names[:IMAGES],
        },
    )
    test = np.flatnonzero(of_image >= IMAGES)[::CAPTIONS]  # one caption an image
    ids = np.array([f"{number}" for number in range(1, len(test) + 1)])
    captions = {"captions/ids": ids, "captions/text": wording[test], "captions/embeddings": texts[test]}
    _write(root / "test" / "test.clean.npz", captions)
    _write(root / "solution.npz", {"captions/ids": ids, "images/embeddings": images[of_image[test]]})
    nothing = json.dumps([0.0] * IMAGE)
    rows = "".join(f'{name},"{nothing}"\n' for name in ids)
    write_text(root / "sample_submission.csv", f"id,embedding\n{rows}")
    print(f"wrote   {root}: {len(train)} captions of {IMAGES} images to learn from, {len(test)} test captions")
    return root


def _view(latent: np.ndarray, width: int, rng: np.random.Generator, noise: float) -> np.ndarray:
    """(N, width) float16: two random layers see the latent, and not exactly."""
    first = rng.normal(size=(latent.shape[1], 2 * width)) / latent.shape[1] ** 0.5
    second = rng.normal(size=(2 * width, width)) / (2 * width) ** 0.5
    seen = np.tanh(2.0 * latent @ first + 0.3) @ second
    return (seen + noise * rng.normal(size=seen.shape)).astype(np.float16)


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
