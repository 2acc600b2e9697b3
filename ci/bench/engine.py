"""How the benchmarks reach the engine: its command line, and all that they import from it, stand here and nowhere else.

The engine runs as in a generated repository: in a folder with `conf/baseline.yaml`, its source on PYTHONPATH. It is the
template's; COMP_SOURCE names another one, to compare two states of it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(os.environ.get("COMP_SOURCE", Path(__file__).resolve().parents[2] / "template" / "src"))
CROP_SCALE, CROP_RATIO, HFLIP = (0.08, 1.0), (3 / 4, 4 / 3), 0.5  # timm's train.py by default
AUGMENT: dict[str, Any] = {
    "crop_scale": list(CROP_SCALE),
    "crop_ratio": list(CROP_RATIO),
    "hflip": HFLIP,
    "rand_augment": {"ops": 2, "magnitude": 7, "magnitude_std": 0.5, "prob": 0.5},  # timm: rand-m7-mstd0.5-inc1
}
Result = subprocess.CompletedProcess[str]


def comp(folder: Path, *arguments: str) -> Result:
    """Runs `comp ARGUMENTS` in `folder`; its words are kept, not shown."""
    command = [sys.executable, "-m", "comp", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)


def environment() -> dict[str, str]:
    """This process's environment for one that runs the engine."""
    return {**os.environ, "PYTHONPATH": str(SOURCE)}


def train_with(folder: Path, instead_of_validation: Callable[[], None]) -> None:
    """`comp train` in this process, with something else to do after each epoch than to predict the validation rows."""
    import numpy as np

    import comp.vision.training.fit
    from comp.cli import main

    def predict_rows(model: Any, samples: Any, rows: Any, *others: Any) -> Any:
        instead_of_validation()
        classes = len(samples.targets.classes)
        return np.full((len(rows), classes), 1 / classes)

    comp.vision.training.fit.predict_rows = predict_rows
    os.chdir(folder)
    if main(["train"]):
        raise SystemExit("comp train failed")


def write_configuration(folder: Path, values: dict[str, Any]) -> None:
    """Makes `folder` a competition repository with this `conf/baseline.yaml`."""
    (folder / "conf").mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "baseline.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def about_data(data: Path, work: Path) -> dict[str, Any]:
    """The task and the sections `data` and `folds` for a data set of dataset.py; folds.csv and caches go to `work`."""
    return {
        "task": "classify",
        "data": {"root": str(data), "work": str(work), "path": "path", "id": "id", "target": "label"},
        "folds": {"kind": "holdout", "holdout": float((data / "holdout.txt").read_text())},
    }


def write_digits(root: Path) -> None:
    """The demonstration's handwritten digits: `train.csv` (id, label), `train/` and `test/`."""
    from comp.vision.demo import write_demo
    from comp.vision.schema import ImageConfig

    write_demo(ImageConfig.model_validate({"data": {"root": str(root)}}))


def write_blank_clip(folder: Path) -> Path:
    """A folder that describes a tiny CLIP model, without weights."""
    from transformers import CLIPConfig, CLIPImageProcessor

    size_px, tokens = 32, 300
    tower = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": tokens - 2, "eos_token_id": tokens - 1, "pad_token_id": tokens - 1}
    text = {**tower, **ends, "vocab_size": tokens}
    vision = {**tower, "image_size": size_px, "patch_size": 8}
    CLIPConfig(text_config=text, vision_config=vision, projection_dim=64).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": size_px}, crop_size=size_px).save_pretrained(folder)
    return folder


def keep_freed_memory() -> None:
    """The engine's setting of the memory allocator, for the bound that it is measured against."""
    from comp.distributed.accelerator import keep_freed_memory

    keep_freed_memory()


def augment_settings(rand_augment: bool = True) -> Any:
    """The section `augment` as the engine's own object."""
    from comp.vision.schema import Augment

    return Augment.model_validate(AUGMENT if rand_augment else {**AUGMENT, "rand_augment": None})


def augment(images: list[Any], size_px: int, settings: Any, epoch: int) -> list[Any]:
    """A random view (size_px, size_px, 3) uint8 of each image (H, W, 3) uint8, as training makes them on the CPU."""
    from comp.vision.augment import augmented, generators

    random = generators((0,), epoch, range(len(images)))
    return [augmented(image, size_px, settings, rng) for image, rng in zip(images, random, strict=True)]


def decoding(size_px: int) -> Any:
    """`path` → (H, W, 3) uint8, as the pixel cache keeps it for training at `size_px`."""
    from comp.vision.pixels import Decoding
    from comp.vision.schema import ImageConfig

    about = {"data": {"scale": "8-bit"}, "model": {"image_size": size_px}, "augment": AUGMENT}
    return Decoding.of(ImageConfig.model_validate(about))


class Prediction:
    """What `comp predict` does: one model (of random weights) over one pixel cache, built at once in `folder`."""

    def __init__(self, backbone: str, size_px: int, batch_size: int, paths: list[str], folder: Path) -> None:
        import numpy as np
        import torch

        from comp.distributed.accelerator import accelerator_for
        from comp.tables import Targets
        from comp.vision.data.samples import Samples
        from comp.vision.model import build_model
        from comp.vision.pixels import Decoding, open_pixels
        from comp.vision.schema import ImageConfig

        about_model = {"backbone": backbone, "pretrained": False, "image_size": size_px}
        rest = {"data": {"scale": "8-bit"}, "train": {"precision": "fp32"}, "predict": {"batch_size": batch_size}}
        self._config = ImageConfig.model_validate({"model": about_model, **rest})
        self._accelerator = accelerator_for(self._config)
        started = time.perf_counter()
        pixels = open_pixels(paths, folder / backbone, Decoding.of(self._config))
        self.cache_s = time.perf_counter() - started
        self._rows = np.arange(len(paths))
        targets = Targets("multiclass", tuple("0123456789"))
        self._samples = Samples(pixels, targets, np.zeros((len(paths), 0), np.float32))
        model = build_model(self._config.model, len(targets.classes))
        self.model = model.to(memory_format=torch.channels_last)

    def run(self, views: list[str]) -> Any:
        """Probabilities (N, K) of all images, averaged over `views`."""
        from comp.vision.inference.predict_rows import predict_rows

        return predict_rows(self.model, self._samples, self._rows, self._config, self._accelerator, views)


if str(SOURCE) not in sys.path:
    sys.path.insert(0, str(SOURCE))
