"""Augmentation: what happens to each image is drawn once, and done on the CPU or, batch by batch, on the device."""

from comp.augment.choose import cores, cpu_images_per_s, where_to_augment
from comp.augment.draw import Draw, draw, generators
from comp.augment.mix import OnDevice
from comp.augment.on_cpu import augmented, fitted

__all__ = [
    "Draw",
    "OnDevice",
    "augmented",
    "cores",
    "cpu_images_per_s",
    "draw",
    "fitted",
    "generators",
    "where_to_augment",
]
