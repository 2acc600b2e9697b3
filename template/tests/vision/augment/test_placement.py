"""Where images are augmented: what was asked for, or where it does not hold up the model."""

import time

import numpy as np
import pytest
import torch

from comp.vision.augment import cpu_images_per_s, where_to_augment
from comp.vision.schema import Augment

GPU, CPU = torch.device("cuda"), torch.device("cpu")


def never() -> float:
    raise AssertionError("measured for nothing")


@pytest.mark.parametrize(
    ("supply", "expected"), [(1000.0, "device"), (1290.0, "device"), (1310.0, "cpu"), (9e9, "cpu")]
)
def test_a_gpu_augments_by_itself_where_the_cpu_would_keep_it_waiting(supply, expected):
    assert where_to_augment("auto", GPU, lambda: supply, lambda: 1000.0) == expected


@pytest.mark.parametrize("wanted", ["cpu", "device"])
def test_what_is_asked_for_is_done_unmeasured(wanted):
    assert where_to_augment(wanted, GPU, never, never) == wanted
    assert where_to_augment(wanted, CPU, never, never) == wanted


@pytest.mark.parametrize("device", [CPU, torch.device("mps")])
def test_without_a_gpu_of_nvidia_the_cpu_augments(device):
    assert where_to_augment("auto", device, never, never) == "cpu"


def test_the_speed_of_reading_is_measured_too():
    class Slow(list):
        def __getitem__(self, row):
            time.sleep(0.002)
            return super().__getitem__(row)

    images = [np.zeros((16, 16, 3), np.uint8)] * 5
    slow, fast = (cpu_images_per_s(pixels, 8, Augment(), rounds=1) for pixels in (Slow(images), images))
    assert 50 < slow < 500 < fast
