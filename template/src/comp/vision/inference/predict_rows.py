"""Predicts rows with a trained model: each exactly once, in order, on however many processes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import Dataset

from comp.vision.batches import Batch, EvalDataset, loader, to_device, workers_for
from comp.vision.data.samples import Samples
from comp.vision.inference.pooling import outputs_of, pooled, whole_rows
from comp.vision.inference.views import apply_view
from comp.vision.model.link import Link, link_of
from comp.vision.pixels import Evaluation, Several
from comp.vision.schema import ImageConfig

PADDING = -1  # a row that is none, in the shares of processes that have one less


def predict_rows(
    model: nn.Module,
    samples: Samples,
    rows: np.ndarray,
    config: ImageConfig,
    accelerator: Accelerator,
    views: Sequence[str],
    kept: Dataset[Batch] | None = None,
) -> np.ndarray:
    """Probabilities (N, K) float32 of `rows` (N,) of `samples`, in their order, averaged over `views` (TTA) and images.

    Each image is decoded and sent to the device once; its views are made there, one after the other. With `kept`, which
    holds batches of features, `model` is what lies above them, and there is no view but `identity`.
    The rows are divided among the processes and come back by their place, each exactly once, whatever the number of
    processes and the batch size.
    """

    link = link_of(model, samples.targets)

    def finish(outputs: list[Tensor]) -> Tensor:
        return averaged(outputs, link, config.predict.average)

    width = len(samples.targets.classes)
    return outputs_of_rows(model, samples, rows, config, accelerator, views, finish, width, kept)


def outputs_of_rows(
    model: nn.Module,
    samples: Samples,
    rows: np.ndarray,
    config: ImageConfig,
    accelerator: Accelerator,
    views: Sequence[str],
    finish: Callable[[list[Tensor]], Tensor],
    width: int,
    kept: Dataset[Batch] | None = None,
) -> np.ndarray:
    """As `predict_rows`, but what `finish` makes of the model's outputs for each view, (B, …) to (B, width)."""
    world, rank = accelerator.num_processes, accelerator.process_index
    places = np.arange(len(rows))[rank::world]
    dataset = EvalDataset(samples, Evaluation.of(config)) if kept is None else kept
    own_rows, size = rows[places], config.predict.batch_size
    batches: Any = _Chunks(own_rows.tolist(), size)
    if isinstance(samples.pixels, Several):
        batches = whole_rows(own_rows, samples.pixels, size)
    loading = loader(dataset, batches, workers_for(config, accelerator, samples.pixels.streamed), accelerator.device)
    collected: list[Tensor] = []
    model.train().eval()  # some backbones keep what they derive from their weights until they are in training again
    with torch.inference_mode(), accelerator.autocast():
        for batch in loading:
            inputs, metadata, _ = to_device(batch, accelerator.device)
            outputs = [outputs_of(model, apply_view(inputs, view), metadata, batch.counts, size) for view in views]
            collected.append(pooled(outputs, batch.counts, finish, config.predict.average))
    own = torch.cat(collected) if collected else torch.zeros(0, width, device=accelerator.device)
    return _gathered(own, places, len(rows), accelerator)


class _Chunks:
    """Consecutive parts of a list of rows."""

    def __init__(self, rows: list[int], size: int) -> None:
        self._rows, self._size = rows, size

    def __len__(self) -> int:
        return -(-len(self._rows) // self._size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, len(self._rows), self._size):
            yield self._rows[start : start + self._size]


def averaged(outputs: list[Tensor], link: Link, average: str) -> Tensor:
    """Outputs (B, outputs) of each view → predictions (B, K)."""
    if average == "logits":
        return link.predictions(torch.stack(outputs).mean(dim=0))
    return torch.stack([link.predictions(logits) for logits in outputs]).mean(dim=0)


def _gathered(own: Tensor, places: np.ndarray, n: int, accelerator: Accelerator) -> np.ndarray:
    """All processes' predictions, each at its row's place. `gather` needs equal shapes: shorter ones are filled up."""
    share = -(-n // accelerator.num_processes)
    where = torch.full((share,), PADDING, dtype=torch.int64, device=accelerator.device)
    where[: len(places)] = torch.from_numpy(places).to(accelerator.device)
    filled = torch.zeros(share, own.shape[1], device=accelerator.device)
    filled[: len(own)] = own
    every_place = accelerator.gather(where).cpu().numpy()
    every_row = accelerator.gather(filled).cpu().numpy()
    result = np.full((n, own.shape[1]), np.nan, dtype=np.float32)
    known = every_place != PADDING
    result[every_place[known]] = every_row[known]
    return result
