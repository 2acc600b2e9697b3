"""Augmentation: what happens to each image is drawn once, and done on the CPU or, batch by batch, on the device."""

from comp.vision.augment.draw import Draw, Geometry, draw, generators
from comp.vision.augment.mix import BatchAugment
from comp.vision.augment.on_cpu import augmented, fitted
from comp.vision.augment.placement import cpu_images_per_s, where_to_augment

__all__ = [
    "BatchAugment",
    "Draw",
    "Geometry",
    "augmented",
    "cpu_images_per_s",
    "draw",
    "fitted",
    "generators",
    "where_to_augment",
]
