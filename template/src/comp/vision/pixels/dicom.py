"""DICOM files as 8-bit images: what a viewer shows that takes the file's first window, or all values without one."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from comp.errors import CompError

SUFFIXES = (".dcm", ".dicom")
INSTALL = "pip install pydicom"
DECODERS = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"
COLORS = ("RGB", "YBR", "PALETTE")


def is_dicom(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def dicom_image(path: Path) -> Image.Image:
    """In mode L or RGB. All files are read by one rule: rescaled by slope and intercept, then by their own window or
    look-up table; MONOCHROME1 is inverted, so that high values are bright.

    Raises:
        CompError: pydicom is not installed.
        ValueError: the file is no DICOM, is damaged, has several frames, or is compressed in a way that is not read.
    """
    dataset = _dataset(path)
    from pydicom.pixels import pixel_array  # there, as the line before has read the file

    if "PixelData" not in dataset:
        raise ValueError("a DICOM file without pixels, or none at all")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise ValueError(f"a DICOM file with {dataset.NumberOfFrames} frames: save one image a row")
    try:
        stored = pixel_array(dataset)
    except RuntimeError as error:  # no decoder for this kind of compression
        if "missing dependencies" not in str(error) and "not support" not in str(error):
            raise
        raise ValueError(f"its compression needs a decoder: {DECODERS}") from error
    if str(dataset.PhotometricInterpretation).startswith(COLORS):
        return Image.fromarray(_colors(stored, dataset))
    return Image.fromarray(_gray(stored, dataset))


def dicom_size(path: Path) -> tuple[int, int]:
    """Width and height, by the header alone.

    Raises:
        CompError: pydicom is not installed.
        ValueError: the file has no such header.
    """
    dataset = _dataset(path, stop_before_pixels=True)
    if not dataset.get("Columns") or not dataset.get("Rows"):
        raise ValueError("a DICOM file without pixels, or none at all")
    return int(dataset.Columns), int(dataset.Rows)


def _dataset(path: Path, **options: Any) -> Any:
    try:
        from pydicom import dcmread
    except ImportError:
        raise CompError(f"{path} is a DICOM file, which pydicom reads: {INSTALL}") from None
    return dcmread(path, force=True, **options)  # some have lost the bytes in front


def _gray(stored: np.ndarray, dataset: Any) -> np.ndarray:
    """(H, W) uint8."""
    from pydicom.pixels import apply_modality_lut

    values = apply_modality_lut(stored, dataset)
    if dataset.get("VOILUTSequence"):
        shown = _looked_up(values, dataset)
    elif dataset.get("WindowCenter") not in (None, "") and dataset.get("WindowWidth") not in (None, ""):
        shown = _window(values, dataset)
    else:
        shown = _between(values, *_ends(dataset))
    return 255 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def _looked_up(values: np.ndarray, dataset: Any) -> np.ndarray:
    """By the first table of the file. pydicom's own function counts entries in 8 bits where the table holds 8 bits."""
    item = dataset.VOILUTSequence[0]
    _, first, bits = (int(value) for value in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        little = dataset.original_encoding[1]
        data = np.frombuffer(data, "<u2" if little or little is None else ">u2")
    table = np.atleast_1d(np.asarray(data, np.int64))
    return _between(table[np.clip(values.astype(np.int64) - first, 0, len(table) - 1)], 0, 2**bits - 1)


def _window(values: np.ndarray, dataset: Any) -> np.ndarray:
    """By the first of the file's windows (DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    center, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
    how = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if how == "SIGMOID":
        return _between(1 / (1 + np.exp(-4 * (values - center) / max(width, 1e-6))), 0, 1)
    if how == "LINEAR":
        center, width = center - 0.5, width - 1
    return _between(values, center - width / 2, center + width / 2)


def _first(value: Any) -> float:
    return float(value if isinstance(value, (int, float, str)) else value[0])


def _ends(dataset: Any) -> tuple[float, float]:
    """The least and the largest value that such a file can hold, rescaled."""
    bits, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation) == 1
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if dataset.get("ModalityLUTSequence"):
        return 0, 2 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    low, high = sorted(end * slope + intercept for end in ends)
    return low, high


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """`values` as uint8; `low` and below is 0, `high` and above 255."""
    wide = values.astype(np.float64)
    if high <= low:
        return np.where(wide > high, 255, 0).astype(np.uint8)
    return np.clip(np.rint((wide - low) * (255 / (high - low))), 0, 255).astype(np.uint8)


def _colors(stored: np.ndarray, dataset: Any) -> np.ndarray:
    """(H, W, 3) uint8; pydicom has made RGB of other colors, but for a palette."""
    from pydicom.pixels import apply_color_lut

    if str(dataset.PhotometricInterpretation).startswith("PALETTE"):
        bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
        return _between(apply_color_lut(stored, dataset)[..., :3], 0, 2**bits - 1)
    return _between(stored, 0, 2 ** int(dataset.BitsStored) - 1)
