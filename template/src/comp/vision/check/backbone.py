"""What the configured backbone sees in train and test, where its weights lie on this machine."""

import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from comp.distributed.accelerator import keep_freed_memory
from comp.errors import CompError
from comp.vision.check.seen import Seen
from comp.vision.model.build import build_model
from comp.vision.model.described import is_described_elsewhere
from comp.vision.parallel import in_parallel
from comp.vision.pixels.decoding import values_of
from comp.vision.pixels.image_file import decode
from comp.vision.schema import ImageConfig

SECONDS, MOST, BATCH = 25.0, 2000, 16  # at most so long, and so many images of each table
LEAST = 40  # images of each table, below which features of hundreds of numbers tell nothing


def backbone_features(seen: Seen, rows: np.ndarray) -> tuple[np.ndarray | None, str, np.ndarray]:
    """Features (R, C) of some of `rows`, why there are none, and which rows (R,)."""
    why_not = _not_here(seen.config)
    if why_not:
        return None, why_not, rows
    try:
        model = _headless(seen.config, seen)
    except CompError as error:
        return None, str(error), rows
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    random, is_test = np.random.default_rng(0), rows >= seen.n
    train, test = (random.permutation(rows[mask])[:MOST] for mask in (~is_test, is_test))
    count = min(len(train), len(test))
    if count < LEAST:
        return None, f"{count} rows of one of the tables are too few", rows
    in_turn = np.stack([train[:count], test[:count]], axis=1).ravel()  # whenever time is up, as many of each
    features = _features(seen, model.to(device), in_turn, device)
    if len(features) < 2 * LEAST:
        return None, f"the backbone takes too long here: {len(features)} images in {SECONDS:.0f} s", rows
    return features, "", in_turn[: len(features)]


def _not_here(config: ImageConfig) -> str:
    """Why the backbone's weights are not at hand without a download; "" if they are."""
    model = config.model
    if model.weights is not None:
        return "" if Path(model.weights).exists() else f"model.weights={model.weights} does not exist"
    folder = model.backbone.removeprefix("local-dir:") if is_described_elsewhere(model.backbone) else model.backbone
    if model.pretrained and Path(folder).expanduser().is_dir():
        return ""
    return f"no weights of {model.backbone} on this disk (model.weights names a file)"


def _headless(config: ImageConfig, seen: Seen) -> nn.Module:
    """The network, whose output are its pooled features."""
    settings = config.described(lambda: seen.tables).model.model_copy(update={"metadata": []})
    model = build_model(settings, max(2, len(seen.tables.targets.classes)))
    model.head = nn.Identity()
    return model.eval()


def _features(seen: Seen, model: nn.Module, rows: np.ndarray, device: torch.device) -> np.ndarray:
    """(R, C) of the first of `rows`, as many as there is time for: always as many of both tables."""
    keep_freed_memory()
    config, found, start = seen.config, list[np.ndarray](), time.monotonic()
    side, data, values = config.model.image_size, config.data, values_of(config.data)

    def square(row: int) -> np.ndarray:
        image = decode(Path(seen.paths[seen.first[row]]), data.background, side, values)
        return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)

    with closing(in_parallel(square, rows.tolist(), "features")) as squares:
        while images := list(islice(squares, BATCH)):
            with torch.inference_mode():
                batch: Tensor = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(device)
                found.append(model(batch).float().cpu().numpy())
            if time.monotonic() - start > SECONDS:
                break
    return np.nan_to_num(np.concatenate(found))
