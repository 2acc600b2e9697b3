"""What `auto` and null stand for where files decide it: once for a competition and its runs.

A run's own config.yaml has it settled. So a run that is copied elsewhere prepares images as it did here.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from comp.errors import CompError
from comp.files import digest
from comp.registry import names
from comp.tables import Tables
from comp.vision.data.paths import all_paths
from comp.vision.data.read import read_tables
from comp.vision.pixels.scale import scale_of
from comp.vision.schema import Data, ImageConfig, Model

AnyConfig = TypeVar("AnyConfig", bound=ImageConfig)
PREPARATION = ("background", "frame", "scale", "fill_nan")  # keys of `data` that decide what a file's pixels become


def settled(config: AnyConfig, tables: Tables | None = None, quiet: bool = True) -> AnyConfig:
    """`config` with data.scale, what the network has to know and, with predict.resize=pretrained, how to resize.

    `tables` are read where they are not given.

    Raises:
        CompError: the files contradict each other, or nothing says how the weights want their images.
    """
    data = config.data

    @cache
    def read() -> Tables:
        return read_tables(data) if tables is None else tables

    config = config.described(read)
    if data.scale == "auto":
        paths = all_paths(read().train)
        config = config.model_copy(update={"data": settled_data(data, paths, quiet)})
    return settled_resize(config)


def settled_resize(config: AnyConfig) -> AnyConfig:
    """`config` with, for predict.resize=pretrained, how the weights want their images resized; no table is read."""
    if config.predict.resize != "pretrained":
        return config
    return config.model_copy(update={"model": _settled_model(config.model)})


def settled_data(data: Data, paths: Sequence[str], quiet: bool = True) -> Data:
    """`data` with the scale of its training images at `paths`."""
    if data.scale != "auto":
        return data
    table = digest([data.root, data.reader, data.train])
    scale, note = scale_of(paths, Path(data.work or data.root) / "cache" / f"scale-{table}.json")
    if not quiet:
        print(note, flush=True)
    return data.model_copy(update={"scale": scale})


def as_trained(config: AnyConfig, trained: ImageConfig) -> AnyConfig:
    """`config` with the network and the pixels of a run trained as `trained` says; views and devices stay its own."""
    data = config.data.model_copy(update={key: getattr(trained.data, key) for key in PREPARATION})
    predict = config.predict.model_copy(update={"resize": trained.predict.resize})
    kept = {"model": trained.model, "data": data, "augment": trained.augment, "predict": predict}
    return config.model_copy(update=kept)


def _settled_model(model: Model) -> Model:
    from comp.vision.model.preparation import preparation  # only here: timm is large

    keys = ("interpolation", "crop_pct", "crop_mode")
    if model.backbone in names("model") and (model.interpolation is None or model.crop_pct is None):
        raise CompError(
            f"predict.resize=pretrained: nothing says how {model.backbone} of custom.py wants its images: set "
            "model.interpolation and model.crop_pct"
        )
    found: dict[str, Any] = preparation(model)
    if found["crop_mode"] not in {"center", "squash"}:
        raise CompError(
            f"predict.resize=pretrained: {model.backbone} wants crop_mode={found['crop_mode']}, "
            "which is not made here: set predict.resize=squash"
        )
    return model.model_copy(update={key: found[key] for key in keys})
