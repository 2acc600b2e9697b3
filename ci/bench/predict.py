"""Twelve views an image: one pass of this engine over its pixel cache, and twelve passes that decode each image again.

The twelve passes are the usual loop: PIL decodes, turns or crops and resizes in loader workers, one pass a view. Both
use the same random weights, in turns, several rounds; medians. Results: OUT/predict.json and OUT/predict.md.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import engine
import torch
from dataset import ensure_dataset, image_paths
from measure import headline, markdown_table, median, surroundings
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as F

BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"
CORNERS = [f"{where}_90" for where in ("top_left", "top_right", "bottom_left", "bottom_right")]
VIEWS = ["identity", "hflip", "vflip", "rotate+5", "rotate-5", "rotate+10", "rotate-10", *CORNERS, "center_85"]


def main() -> None:
    options = _options()
    about = surroundings()
    dataset = ensure_dataset(BUILD / "data", options.images, 400)
    paths = image_paths(dataset, "train")
    for path in paths:
        Path(path).read_bytes()
    BUILD.joinpath("work").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="predict-", dir=BUILD / "work"))
    results: dict[str, dict[str, list[float]]] = {}
    try:
        for model in options.models:
            results[model] = _measured(model, paths, folder, options)
    finally:
        shutil.rmtree(folder)
    lines = [*headline(about), *_table(results, len(paths), options)]
    options.out.mkdir(parents=True, exist_ok=True)
    figures = {**about, "images": len(paths), "views": VIEWS, "size_px": options.size_px, "seconds": results}
    (options.out / "predict.json").write_text(json.dumps(figures, indent=1) + "\n")
    (options.out / "predict.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    models = ["mobilenetv3_small_050", "resnet18"]
    parser.add_argument("--models", nargs="+", default=models, help="timm's names: a light and a heavier one")
    parser.add_argument("--images", type=int, default=768, help="about")
    parser.add_argument("--size", dest="size_px", type=int, default=96, help="px, of what the model sees")
    parser.add_argument("--batch-size", type=int, default=64, help=" ")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="of the twelve passes")
    parser.add_argument("--rounds", type=int, default=3, help=" ")
    parser.add_argument("--out", type=Path, default=BUILD / "predict", help="a folder")
    return parser.parse_args()


def _measured(name: str, paths: list[str], folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds for all images and views, a round: of this engine, of the usual loop, and of the model alone."""
    ours = engine.Prediction(name, options.size_px, options.batch_size, paths, folder)
    seconds: dict[str, list[float]] = {"cache": [ours.cache_s], "ours": [], "passes": [], "model": []}
    for number in range(options.rounds):
        contenders = ["ours", "passes", "model"]
        for contender in contenders[number % 3 :] + contenders[: number % 3]:
            started = time.perf_counter()
            if contender == "ours":
                ours.run(VIEWS)
            elif contender == "passes":
                _passes(ours.model, paths, options)
            else:
                _model_alone(ours.model, len(paths), options)
            seconds[contender].append(round(time.perf_counter() - started, 3))
            print(f"{name}  round {number + 1}  {contender:<6}  {seconds[contender][-1]:.1f} s", file=sys.stderr)
    return seconds


def _passes(model: nn.Module, paths: list[str], options: argparse.Namespace) -> torch.Tensor:
    total = torch.zeros(())
    model.eval()
    with torch.inference_mode():
        for view in VIEWS:
            images = _Files(paths, view, options.size_px)
            loader = DataLoader(images, options.batch_size, num_workers=options.workers)
            outputs = [model(batch).softmax(dim=1) for batch in loader]
            total = total + torch.cat(outputs)
    return total / len(VIEWS)


def _model_alone(model: nn.Module, n: int, options: argparse.Namespace) -> None:
    images = torch.randint(0, 256, (options.batch_size, options.size_px, options.size_px, 3), dtype=torch.uint8)
    images = images.permute(0, 3, 1, 2)
    model.eval()
    with torch.inference_mode():
        for _ in VIEWS:
            for start in range(0, n, options.batch_size):
                model(images[: n - start])


class _Files(Dataset[torch.Tensor]):
    """One view of each file: (3, S, S) uint8, the model normalizes by itself."""

    def __init__(self, paths: list[str], view: str, size_px: int) -> None:
        self._paths, self._view, self._size_px = paths, view, size_px

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        image = _viewed(Image.open(self._paths[row]).convert("RGB"), self._view)
        return F.pil_to_tensor(image.resize((self._size_px, self._size_px), Image.Resampling.BILINEAR))


def _viewed(image: Image.Image, view: str) -> Any:
    if view == "identity":
        return image
    if view == "hflip":
        return F.hflip(image)
    if view == "vflip":
        return F.vflip(image)
    if view.startswith("rotate"):
        return image.rotate(int(view.removeprefix("rotate")), Image.Resampling.BILINEAR)
    *where, percent = view.split("_")
    share = int(percent) / 100
    left = {"left": 0.0, "right": 1 - share, "center": (1 - share) / 2}[where[-1]] * image.width
    top = {"top": 0.0, "bottom": 1 - share, "center": (1 - share) / 2}[where[0]] * image.height
    return image.crop((round(left), round(top), round(left + share * image.width), round(top + share * image.height)))


def _table(results: dict[str, dict[str, list[float]]], n: int, options: argparse.Namespace) -> list[str]:
    rows = []
    for name, seconds in results.items():
        ours, passes, model, cache = (median(seconds[key]) for key in ("ours", "passes", "model", "cache"))
        figures = [f"{each:.2f}" for each in (ours, cache, passes, model)]
        ratios = [f"{each:.2f}" for each in (passes / ours, passes / (ours + cache), model / ours)]
        rows.append([name, *figures, *ratios])
    header = ["model", "one pass, s", "its cache, built once, s", "12 passes, s", "the model alone, s"]
    return [
        f"{n} JPEGs of 256 px, at {options.size_px} px, {len(VIEWS)} views, fp32; {options.workers} workers a pass.",
        "",
        *markdown_table([*header, "12 passes / one", "… / (one + cache)", "model alone / one"], rows),
    ]


if __name__ == "__main__":
    main()
