"""Which rows make which batch: each once an epoch, the same on any number of processes and workers."""

from multiprocessing import active_children

import numpy as np
import pytest
import torch

from comp.errors import CompError
from comp.tables import Targets
from comp.vision.batches import EvalDataset, TrainDataset, TrainingBatches, balancing_weights, loader, to_device
from comp.vision.data.samples import Samples
from comp.vision.pixels import Evaluation
from comp.vision.schema import Augment, RandAugment

ROWS = np.arange(100, 123)
SEED = (42, 0)
CPU = torch.device("cpu")
VARIED = Augment(crop_scale=(0.4, 1), rotate_deg=20, erase=0.5, saturation=0.3, rand_augment=RandAugment())


def rows_of(batches: TrainingBatches, epoch: int = 0) -> list[list[int]]:
    batches.set_epoch(epoch)
    return [[row for _, _, row in keys] for keys in batches]


def images() -> list[np.ndarray]:
    return [np.random.default_rng(row).integers(0, 256, (10, 12, 3), dtype=np.uint8) for row in range(30)]


def samples(y: np.ndarray, pixels: list[np.ndarray] | None = None) -> Samples:
    """With the targets `y` (30, K)."""
    return Samples(pixels or images(), Targets("multilabel", tuple(map(str, range(y.shape[1])))), y)


def test_an_epoch_holds_each_row_once():
    rows = [row for batch in rows_of(TrainingBatches(ROWS, 1, SEED)) for row in batch]
    assert sorted(rows) == list(ROWS)


def test_rows_that_fill_no_batch_wait_for_another_epoch():
    batches = TrainingBatches(ROWS, 5, SEED)
    epochs = [{row for batch in rows_of(batches, epoch) for row in batch} for epoch in range(5)]
    assert all(len(rows) == 20 for rows in epochs)
    assert set.union(*epochs) == set(ROWS)


def test_each_epoch_has_an_order_of_its_own_and_keeps_it():
    batches = TrainingBatches(ROWS, 5, SEED)
    first, second, again = (rows_of(batches, epoch) for epoch in (0, 1, 0))
    assert first == again
    assert first != second
    assert rows_of(TrainingBatches(ROWS, 5, (43, 0))) != first


@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (1, 4), (2, 2), (4, 2)])
def test_processes_and_pieces_partition_the_batches_of_one_process(processes, accumulate):
    whole = rows_of(TrainingBatches(ROWS, 8, SEED), epoch=3)
    shares = [
        rows_of(TrainingBatches(ROWS, 8, SEED, rank=rank, processes=processes, accumulate=accumulate), epoch=3)
        for rank in range(processes)
    ]
    assert {len(share) for share in shares} == {len(whole) * accumulate}
    for number, batch in enumerate(whole):
        pieces = [share[number * accumulate : (number + 1) * accumulate] for share in shares]
        assert sorted(row for process in pieces for piece in process for row in piece) == sorted(batch)
        assert {len(piece) for process in pieces for piece in process} == {8 // processes // accumulate}


def test_weighted_processes_partition_one_draw():
    weights = np.linspace(1, 5, len(ROWS))
    [whole, *_] = rows_of(TrainingBatches(ROWS, 8, SEED, weights))
    left, right = (rows_of(TrainingBatches(ROWS, 8, SEED, weights, rank, processes=2))[0] for rank in (0, 1))
    assert left + right == whole


def test_a_row_has_the_same_view_on_any_process():
    keys = {key for batch in TrainingBatches(ROWS, 8, SEED) for key in batch}
    dealt = {
        key for rank in (0, 1) for batch in TrainingBatches(ROWS, 8, SEED, rank=rank, processes=2) for key in batch
    }
    assert keys == dealt


def test_a_batch_that_cannot_be_cut_is_one_clear_line():
    with pytest.raises(CompError, match=r"^train\.batch_size=9 cannot be cut into 2 processes × 2 .* multiple of 4$"):
        TrainingBatches(ROWS, 9, SEED, processes=2, accumulate=2)


def test_a_batch_larger_than_the_data_is_all_of_it():
    [batch] = rows_of(TrainingBatches(ROWS, 64, SEED))
    assert sorted(batch) == list(ROWS)
    with pytest.raises(CompError, match="3 training rows are too few for 4 processes"):
        TrainingBatches(ROWS[:3], 64, SEED, processes=4)


def test_weights_draw_each_class_equally_often():
    y = np.eye(3, dtype=np.float32)[[0] * 70 + [1] * 20 + [2] * 10]
    batches = TrainingBatches(np.arange(100), 100, SEED, balancing_weights(y))
    drawn = np.concatenate([y[batches.order(epoch)] for epoch in range(60)]).mean(axis=0)
    assert drawn == pytest.approx([1 / 3] * 3, abs=0.03)


def test_weights_of_a_binary_target_draw_both_sides_equally_often():
    y = np.array([[1.0]] * 5 + [[0.0]] * 95, dtype=np.float32)
    weights = balancing_weights(y)
    assert weights[:5].sum() == pytest.approx(weights[5:].sum())


def test_weights_of_labels_favor_rows_with_rare_ones_and_drop_none():
    y = np.array([[1, 0]] * 8 + [[0, 1]] * 2 + [[0, 0]] * 2, dtype=np.float32)
    weights = balancing_weights(y)
    assert weights[8] > weights[0]
    assert (weights > 0).all()


@pytest.mark.parametrize("on", ["cpu", "device"])
@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing(workers, on):
    y = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    training = TrainDataset(samples(y), 8, VARIED, SEED, on)
    batches = TrainingBatches(np.arange(30), 7, SEED)
    expected = [training.__getitems__(keys) for keys in batches]
    loaded = list(loader(training, batches, workers, CPU))
    assert len(loaded) == len(expected) == 4
    for got, wanted in zip(loaded, expected, strict=True):
        assert torch.equal(to_device(got, CPU)[0], to_device(wanted, CPU)[0])
        assert torch.equal(got.targets, wanted.targets)
        assert torch.equal(got.rows, wanted.rows)


def test_workers_stay_for_the_next_epoch_and_know_which_it_is():
    training = TrainDataset(samples(np.zeros((30, 1), np.float32)), 8, VARIED, SEED)
    batches = TrainingBatches(np.arange(30), 7, SEED)
    loading, workers = loader(training, batches, 2, CPU, every_epoch=True), []
    for epoch, first in ((0, 0), (1, 2), (1, 0)):  # an epoch that goes on in the middle, too
        batches.set_epoch(epoch, first)
        expected = [training.__getitems__(keys) for keys in batches]
        loaded = list(loading)
        assert len(loaded) == len(expected) == 4 - first
        assert all(got.images.equal(wanted.images) for got, wanted in zip(loaded, expected, strict=True))
        workers.append({process.pid for process in active_children()})
    assert len(workers[0]) == 2
    assert workers[0] == workers[1] == workers[2]


@pytest.mark.parametrize("on", ["cpu", "device"])
def test_a_view_depends_on_seed_epoch_and_position_alone(on):
    y = np.zeros((30, 1), np.float32)

    def views(seed, *keys) -> torch.Tensor:
        return to_device(TrainDataset(samples(y), 8, VARIED, seed, on).__getitems__(list(keys)), CPU)[0].int()

    batch = views(SEED, (2, 5, 9), (2, 6, 9), (2, 7, 1))
    assert (views(SEED, (2, 6, 9))[0] - batch[1]).abs().max() <= 1  # another canvas rounds otherwise
    for other in [batch[0], views(SEED, (3, 6, 9))[0], views((42, 1), (2, 6, 9))[0]]:
        assert (other - batch[1]).abs().max() > 20


def test_augmented_on_the_device_a_batch_is_what_the_cpu_makes_of_it():
    y = np.eye(30, dtype=np.float32)
    batches = [
        TrainDataset(samples(y), 12, Augment(rotate_deg=20, hflip=0.5), SEED, on).__getitems__(
            [(0, position, position) for position in range(30)]
        )
        for on in ("cpu", "device")
    ]
    assert batches[0].images.shape != batches[1].images.shape
    (finished, _, targets), (made, _, same) = (to_device(batch, CPU, torch.channels_last) for batch in batches)
    assert finished.dtype == made.dtype == torch.uint8
    assert (finished.int() - made.int()).abs().max() <= 8  # of noise; OpenCV 4 interpolates in steps of 1/32 pixel
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(targets, same)


def test_a_batch_pairs_each_image_with_its_own_target():
    y = np.arange(30, dtype=np.float32)[:, None]
    colors = [np.full((5, 6, 3), row, np.uint8) for row in range(30)]
    training = TrainDataset(samples(y, colors), 4, Augment(), SEED)
    for batch in loader(training, TrainingBatches(np.arange(30), 8, SEED), 0, CPU):
        assert batch.images.shape[1:] == (3, 4, 4)
        assert torch.equal(batch.images[:, 0, 0, 0].float(), batch.targets[:, 0])
        assert torch.equal(batch.rows.float(), batch.targets[:, 0])


def test_validation_sees_the_whole_image_as_it_is():
    batch = EvalDataset(samples(np.zeros((30, 0), np.float32)), Evaluation("squash", 10)).__getitems__([3, 1])
    assert batch.images.shape == (2, 3, 10, 10)
    assert torch.equal(batch.rows, torch.tensor([3, 1]))
    assert torch.equal(
        batch.images,
        EvalDataset(samples(np.zeros((30, 0), np.float32)), Evaluation("squash", 10)).__getitems__([3, 1]).images,
    )
