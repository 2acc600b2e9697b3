"""Where images are augmented: on the CPU, or on the device where the CPU would keep it waiting."""

import time
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

from comp.vision.augment.draw import Geometry, generators
from comp.vision.augment.on_cpu import augmented
from comp.vision.pixels import Images
from comp.vision.schema import Augment

ENOUGH = 1.3  # times what the model eats: a loader is not as regular as a measurement
SOME = 48  # images that are measured


def where_to_augment(
    wanted: Literal["auto", "cpu", "device"],
    device: torch.device,
    supply_per_s: Callable[[], float],
    demand_per_s: Callable[[], float],
) -> Literal["cpu", "device"]:
    """Where `augment.on` says; with `auto` on a GPU only if the CPU is too slow for it.

    Without a GPU it is the CPU: the device would be the same cores, and OpenCV is faster on them. On a Mac it is the
    CPU too: its GPU does not know all of the operations.

    Args:
        supply_per_s: measures how many images all cores of this process augment; called only where it matters.
        demand_per_s: measures how many images the model trains on, given them for nothing; likewise.
    """
    if wanted != "auto":
        return wanted
    if device.type != "cuda":
        return "cpu"
    return "cpu" if supply_per_s() >= ENOUGH * demand_per_s() else "device"


def cpu_images_per_s(
    pixels: Images, size_px: int, settings: Augment, geometry: Geometry = "squash", rounds: int = 3
) -> float:
    """Images that one core reads and augments in a second: the best round over a few dozen of them, after a warm-up."""
    rows = np.linspace(0, len(pixels) - 1, SOME).astype(int).tolist()
    fastest_s = float("inf")
    for epoch in range(rounds + 1):
        began = time.perf_counter()
        for row, rng in zip(rows, generators((0,), epoch, range(SOME)), strict=True):
            augmented(pixels[row], size_px, settings, rng, geometry)
        if epoch > 0:
            fastest_s = min(fastest_s, time.perf_counter() - began)
    return SOME / fastest_s
