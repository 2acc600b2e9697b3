"""How files become pixels, several at a time."""

import math
import os
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from comp.files import digest
from comp.vision.pixels.evaluation import Evaluation
from comp.vision.pixels.image_file import AS_16_BIT, PIXELS_VERSION, Rgb, decode, framed, rgb_image, shrunk
from comp.vision.pixels.numbers import Values
from comp.vision.schema import Data, ImageConfig

UNREADABLE = np.zeros((1, 1, 3), np.uint8)  # keeps the row of a bad image
State = tuple[str, int, int]  # path, bytes, time of its last change in ns; -1 and 0 of a missing file


@dataclass(frozen=True)
class Decoding:
    """How files become pixels; two caches with the same files and the same decoding are the same."""

    short_side_px: int
    background: Rgb | None
    frame: str
    frame_px: int | None
    values: Values = AS_16_BIT
    evaluation: Evaluation | None = None  # set where the pixels must be those that timm resizes

    @classmethod
    def of(cls, config: ImageConfig) -> "Decoding":
        """Of a configuration that is settled: as large as a typical random crop needs it not to be blurred, half as
        large again at most. With predict.resize=pretrained, as large as timm resizes it, and by the same filter.
        """
        size, smallest = config.model.image_size, config.augment.crop_scale[0]
        margin = min(1.5, max(1.15, 1 / math.sqrt(max(smallest, 0.01))))
        data, evaluation = config.data, Evaluation.of(config)
        exact = evaluation.how == "pretrained" and data.frame == "none"
        short_side_px = evaluation.resized_px if exact else max(round(size * margin), evaluation.resized_px)
        frame_px = size if data.frame == "native" else None
        own = evaluation if exact else None
        return cls(short_side_px, data.background, data.frame, frame_px, values_of(data), own)

    def __call__(self, path: str) -> np.ndarray:
        """(H, W, 3) uint8.

        Raises:
            BadImage: the file cannot be read.
        """
        if self.evaluation is not None:
            whole = rgb_image(Path(path), self.background, self.values)
            return np.asarray(self.evaluation.resized(whole))
        image = decode(Path(path), self.background, self.short_side_px, self.values)
        return image if self.frame == "none" else framed(image, self.frame_px)

    def n_bytes(self, width: int, height: int) -> int:
        """Of an image whose file has this size in pixels, once it is decoded."""
        width, height = shrunk((width, height), self.short_side_px)
        if self.frame != "none":
            width = height = self.frame_px or max(width, height)
        return width * height * 3

    @property
    def key(self) -> str:
        return digest([PIXELS_VERSION, *astuple(self)])


def values_of(data: Data) -> Values:
    """Of data that is settled."""
    assert data.scale != "auto", "this configuration is not settled"
    return Values(data.scale, data.fill_nan)


def states(paths: list[str]) -> list[State]:
    """What tells that a file is still the one that was read. Not seen: another content of equal size and time."""
    return [_state(path) for path in paths]


def _state(path: str) -> State:
    try:
        stat = os.stat(path)  # noqa: PTH116, half as long as Path.stat, for each image of each start
    except OSError:
        return path, -1, 0
    return path, stat.st_size, stat.st_mtime_ns
