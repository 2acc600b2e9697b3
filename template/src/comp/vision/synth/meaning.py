"""The gate of meaning: how well a generated image fits the prompt of its label, as a CLIP model sees it.

The model first proves itself on real training images. One that cannot tell their labels apart judges nothing.
"""

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from comp.errors import CompError
from comp.vision.augment import fitted
from comp.vision.model.clip import Clip, load_clip
from comp.vision.pixels import Images
from comp.vision.schema import Meaning

PROVED_ON = 100  # real images of each class, at most
PASSING = 0.95  # share of a class's real images that the automatic threshold lets through


def cosines(
    settings: Meaning,
    classes: tuple[str, ...],
    real: tuple[Images, np.ndarray, np.ndarray],
    generated: tuple[Images, np.ndarray],
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Of generated images (N,) the cosine with their label's prompt; the least cosine (K,) of each class; in words.

    `real` and `generated`: images, and the class of each, of which a negative number is none; `real` also has the rows
    that are looked at. None where the gate is off; the reason is printed.
    """
    try:
        clip = load_clip(settings.model, device)
    except CompError as error:
        print(f"synth   the gate of meaning is off, the others go on: {error}", flush=True)
        return None
    prompts = [settings.prompt.format(settings.names.get(name, name.replace("_", " "))) for name in classes]
    texts = clip.of_texts(prompts).cpu()
    images, rows, label = real
    rows, label = _some(rows, label)
    known = (_of(clip, images, rows) @ texts.T).numpy()
    proof = proved(known, label)
    if not proof >= settings.auc:
        print(
            f"synth   the gate of meaning is off: {settings.model} tells the labels of {len(rows)} real images apart "
            f"with an AUC of {proof:.3f}, below synth.meaning.auc={settings.auc:g}",
            flush=True,
        )
        return None
    least = np.full(len(classes), -1.0 if settings.least == "auto" else settings.least)
    if settings.least == "auto":
        for number in np.unique(label):
            least[number] = np.quantile(known[label == number, number], 1 - PASSING)
    others, theirs = generated
    own = (_of(clip, others, np.arange(len(theirs))) @ texts.T).numpy()[np.arange(len(theirs)), np.maximum(theirs, 0)]
    about = f"{settings.model}, AUC {proof:.3f} on {len(rows)} real images"
    return np.where(theirs >= 0, own, np.nan), least, about


def proved(cosine: np.ndarray, label: np.ndarray) -> float:
    """Mean over classes of the AUC with which a class's prompt tells its images from others; `cosine` is (N, K)."""
    found = [roc_auc_score(label == number, cosine[:, number]) for number in np.unique(label)]
    return float(np.mean(found)) if len(found) > 1 else float("nan")


def _some(rows: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most PROVED_ON of each class, drawn evenly."""
    chosen = []
    for number in np.unique(label):
        own = np.flatnonzero(label == number)
        chosen.append(own[np.unique(np.linspace(0, len(own) - 1, min(len(own), PROVED_ON)).astype(int))])
    kept = np.sort(np.concatenate(chosen))
    return rows[kept], label[kept]


def _of(clip: Clip, images: Images, rows: np.ndarray) -> torch.Tensor:
    def views() -> Iterator[np.ndarray]:
        for row in rows:
            yield fitted(images[int(row)], clip.size_px, "crop")

    return clip.of_images(views())
