"""Which rows make which batch, and the batches themselves.

Everything random here is a function of (seed, epoch, position): no generator carries state from batch to batch. So the
number of workers changes nothing, all processes agree without talking, and a run can go on from any batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from comp.distributed.processes import cores
from comp.errors import CompError
from comp.vision.augment import Geometry, draw, fitted, generators, on_cpu, on_device
from comp.vision.data.samples import Samples
from comp.vision.pixels import Evaluation
from comp.vision.schema import Augment, ImageConfig

Seed = tuple[int, ...]
Key = tuple[int, int, int]  # epoch, position in the epoch, row of the table


@dataclass(frozen=True)
class Batch:
    images: Tensor  # (B, 3, H, W) uint8, channels last in memory; more with `counts`; or (B, …) features kept of them
    targets: Tensor  # (B, K) float32
    rows: Tensor  # (B,) int64, row numbers of the table
    metadata: Tensor | None = None  # (B, M) float32 of each image, as `MetadataEncoder` gives it
    draws: on_device.Draws | None = None  # what the device still has to do to the images
    counts: Tensor | None = None  # (B,) how many of the images, in order, are each row's; None: one each

    def pin_memory(self) -> "Batch":
        draws = None if self.draws is None else self.draws.pin_memory()
        metadata = None if self.metadata is None else self.metadata.pin_memory()
        targets, rows = self.targets.pin_memory(), self.rows.pin_memory()
        return Batch(self.images.pin_memory(), targets, rows, metadata, draws, self.counts)


def to_device(
    batch: Batch, device: torch.device, order: torch.memory_format = torch.preserve_format
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Images (B, 3, S, S) uint8, metadata (B, M) and targets (B, K) on `device`.

    The images are augmented there if the CPU left it to the device.
    """
    images = batch.images.to(device, non_blocking=True)
    if batch.draws is not None:
        images = on_device.applied(images, batch.draws.to(device))
    metadata = None if batch.metadata is None else batch.metadata.to(device, non_blocking=True)
    return images.to(memory_format=order), metadata, batch.targets.to(device, non_blocking=True)


def counts_of(batch: Batch) -> list[Tensor]:
    """How many images each row has, as a further argument of the model where rows have several; else none."""
    return [] if batch.counts is None else [batch.counts]


class TrainDataset(Dataset[Batch]):
    """Augmented images, each decided by its key; augmented here, or left to `to_device` with what was drawn."""

    def __init__(
        self,
        samples: Samples,
        size_px: int,
        augment: Augment,
        seed: Seed,
        on: Literal["cpu", "device"] = "cpu",
        geometry: Geometry = "squash",
    ) -> None:
        self._samples, self._size_px, self._augment, self._seed, self._on = samples, size_px, augment, seed, on
        self._geometry = geometry

    def __getitems__(self, keys: list[Key]) -> Batch:
        epochs, positions, rows = zip(*keys, strict=True)
        size_px = self._size_px
        learned = [self._samples.learned(row, epochs[0], self._seed) for row in rows]
        images, counts = [image for own in learned for image in own], [len(own) for own in learned]
        random = generators(self._seed, epochs[0], positions)  # a batch is of one epoch
        draws = [
            draw(self._augment, image.shape, size_px, rng, self._geometry)
            for own, rng in zip(learned, random, strict=True)
            for image in own
        ]
        if self._on == "device":
            canvas, tensors = on_device.packed(images, draws, size_px)
            return batch_of(_planes(canvas), self._samples, rows, tensors, counts)
        views = [on_cpu.applied(image, drawn, size_px) for image, drawn in zip(images, draws, strict=True)]
        return batch_of(_planes(np.stack(views)), self._samples, rows, counts=counts)


class EvalDataset(Dataset[Batch]):
    """The rows as they are, for validation and prediction."""

    def __init__(self, samples: Samples, evaluation: Evaluation) -> None:
        self._samples, self._evaluation = samples, evaluation

    def __getitems__(self, rows: list[int]) -> Batch:
        size_px, how = self._evaluation.size_px, self._evaluation.how
        seen = [self._samples.seen(row) for row in rows]
        counts = [len(own) for own in seen]
        images = np.empty((sum(counts), size_px, size_px, 3), np.uint8)
        for place, image in enumerate(image for own in seen for image in own):
            images[place] = self._evaluation.view(image) if how == "pretrained" else fitted(image, size_px, how)
        return batch_of(_planes(images), self._samples, rows, counts=counts)


class TrainingBatches(Sampler[list[Key]]):
    """This process's share of each global batch, cut into `accumulate` micro-batches.

    The order of an epoch is drawn for all processes alike; each takes its own slice of every batch. Rows that do not
    fill a last batch wait for the next epoch's order.

    Raises:
        CompError: the batch cannot be cut into so many equal micro-batches.
    """

    def __init__(
        self,
        rows: np.ndarray,
        batch_size: int,
        seed: Seed,
        weights: np.ndarray | None = None,
        rank: int = 0,
        processes: int = 1,
        accumulate: int = 1,
    ) -> None:
        shares = processes * accumulate
        if batch_size % shares:
            raise CompError(
                f"train.batch_size={batch_size} cannot be cut into {processes} processes × {accumulate} "
                f"accumulation steps: set it to a multiple of {shares}"
            )
        batch_size = min(batch_size, len(rows) // shares * shares)
        if batch_size == 0:
            raise CompError(f"{len(rows)} training rows are too few for {shares} processes × accumulation steps")
        self._rows, self._weights, self._seed = rows, weights, seed
        self.batch_size, self._rank, self._processes, self._accumulate = batch_size, rank, processes, accumulate
        self.updates = len(rows) // batch_size  # optimizer updates an epoch
        self._epoch, self._first = 0, 0

    def __len__(self) -> int:
        return self.updates * self._accumulate

    def set_epoch(self, epoch: int, batch: int = 0) -> None:
        """The epoch that is drawn next, and how many of its batches were seen before a restart."""
        self._epoch, self._first = epoch, batch

    def order(self, epoch: int) -> np.ndarray:
        """All rows of an epoch, shuffled, or drawn with replacement by their weights."""
        rng = np.random.default_rng((*self._seed, epoch))
        if self._weights is None:
            return rng.permutation(self._rows)
        return rng.choice(self._rows, size=len(self._rows), p=self._weights / self._weights.sum())

    def __iter__(self) -> Iterator[list[Key]]:
        order = self.order(self._epoch)
        share = self.batch_size // (self._processes * self._accumulate)
        for batch in range(self._first, len(self)):
            first = (batch * self._processes + self._rank) * share
            yield [(self._epoch, position, int(order[position])) for position in range(first, first + share)]


def balancing_weights(y: np.ndarray) -> np.ndarray:
    """(N,) sampling weights with which each class of y (N, K) is drawn equally often."""
    positives = np.maximum(y.sum(axis=0), 1)
    if y.shape[1] == 1:
        negatives = max(len(y) - positives[0], 1)
        return np.where(y[:, 0] > 0.5, 1 / positives[0], 1 / negatives)
    weight = (y / positives).sum(axis=1) / np.maximum(y.sum(axis=1), 1)
    return np.where(weight > 0, weight, 1 / len(y))


def loader(
    dataset: Dataset[Batch], batches: Any, workers: int, device: torch.device, every_epoch: bool = False
) -> DataLoader[Batch]:
    """Batches in order; decoded by `workers` processes, or in this one with 0.

    With `every_epoch` they stay for the next pass. Each pass asks `batches` anew, here, and keys name their epoch: the
    workers need not be told of it.
    """
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_as_is,  # __getitems__ makes whole batches
        pin_memory=device.type == "cuda",
        persistent_workers=every_epoch and workers > 0,
        prefetch_factor=4 if workers else None,
    )


def workers_for(config: ImageConfig, accelerator: Accelerator, streamed: bool) -> int:
    """Loader workers of this process. On the CPU none: they would take the cores that the model computes on.

    `streamed`: each image is decoded again, which is too slow to wait for.
    """
    if config.train.workers != "auto":
        return config.train.workers
    if accelerator.device.type == "cpu" and not streamed:
        return 0
    return min(8, cores())


def _as_is(batch: Any) -> Any:
    return batch


def _planes(images: np.ndarray) -> Tensor:
    """(B, H, W, 3) as (B, 3, H, W), without moving them."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def batch_of(
    images: Tensor,
    samples: Samples,
    rows: Sequence[int],
    draws: on_device.Draws | None = None,
    counts: Sequence[int] | None = None,
) -> Batch:
    """`images` (B, …) of these rows with what the samples say of them; so many `counts` of each."""
    chosen, of_images, own = list(rows), list(rows), None
    if counts is not None and len(images) > len(rows):
        own, of_images = (
            torch.tensor(counts),
            [row for row, count in zip(rows, counts, strict=True) for _ in range(count)],
        )
    metadata = None if samples.metadata is None else torch.from_numpy(samples.metadata[of_images])
    return Batch(images, torch.from_numpy(samples.y[chosen]), torch.tensor(chosen), metadata, draws, own)
