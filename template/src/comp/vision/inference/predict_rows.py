"""Predicts rows with a trained model: each exactly once, in order, on however many processes."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from comp.tables import Targets
from comp.vision.batches import PlainImages, loader, to_device, workers_for
from comp.vision.inference.views import viewed
from comp.vision.pixels import Images
from comp.vision.schema import ImageConfig

NOBODY = -1  # fills up the shares of processes that have a row less


def predict_rows(
    model: nn.Module,
    pixels: Images,
    rows: np.ndarray,
    targets: Targets,
    config: ImageConfig,
    accelerator: Accelerator,
    views: Sequence[str],
    metadata: np.ndarray | None = None,
) -> np.ndarray:
    """Probabilities (N, K) float32 of `rows` (N,), in their order, averaged over `views`.

    `metadata` (all rows, M) is of all rows of `pixels`.

    Each image is decoded and sent to the device once; its views are made there, one after the other.
    The rows are dealt out to the processes and come back by their place, each exactly once, whatever the number of
    processes and the batch size.
    """
    world, rank = accelerator.num_processes, accelerator.process_index
    places = np.arange(len(rows))[rank::world]
    images = PlainImages(pixels, config.model.image_size, config.predict.resize, metadata)
    batches = _Cut(rows[places].tolist(), config.predict.batch_size)
    loading = loader(images, batches, workers_for(config, accelerator, pixels.streamed), accelerator.device)
    collected: list[Tensor] = []
    model.train().eval()  # some backbones keep what they derive from their weights until they are in training again
    with torch.inference_mode(), accelerator.autocast():
        for batch in loading:
            inputs, beside, _ = to_device(batch, accelerator.device)
            outputs = [model(viewed(inputs, view), *([] if beside is None else [beside])).float() for view in views]
            collected.append(_averaged(outputs, targets, config.predict.average))
    mine = torch.cat(collected) if collected else torch.zeros(0, len(targets.classes), device=accelerator.device)
    return _gathered(mine, places, len(rows), accelerator)


class _Cut:
    """Consecutive pieces of a list of rows."""

    def __init__(self, rows: list[int], size: int) -> None:
        self._rows, self._size = rows, size

    def __len__(self) -> int:
        return -(-len(self._rows) // self._size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, len(self._rows), self._size):
            yield self._rows[start : start + self._size]


def _averaged(outputs: list[Tensor], targets: Targets, average: str) -> Tensor:
    def to_probabilities(logits: Tensor) -> Tensor:
        return logits.softmax(dim=1) if targets.kind == "multiclass" else logits.sigmoid()

    if average == "logits":
        return to_probabilities(torch.stack(outputs).mean(dim=0))
    return torch.stack([to_probabilities(logits) for logits in outputs]).mean(dim=0)


def _gathered(mine: Tensor, places: np.ndarray, n: int, accelerator: Accelerator) -> np.ndarray:
    """All processes' predictions, each at its row's place. `gather` needs equal shapes: shorter ones are filled up."""
    share = -(-n // accelerator.num_processes)
    where = torch.full((share,), NOBODY, dtype=torch.int64, device=accelerator.device)
    where[: len(places)] = torch.from_numpy(places).to(accelerator.device)
    filled = torch.zeros(share, mine.shape[1], device=accelerator.device)
    filled[: len(mine)] = mine
    every_place = accelerator.gather(where).cpu().numpy()
    every_row = accelerator.gather(filled).cpu().numpy()
    result = np.full((n, mine.shape[1]), np.nan, dtype=np.float32)
    known = every_place != NOBODY
    result[every_place[known]] = every_row[known]
    return result
