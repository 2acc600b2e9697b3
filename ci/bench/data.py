"""The data path alone, on one core: images/s from files or cached pixels to augmented views, ours and the usual chains.

Each chain runs over the same JPEGs of 256 px, in turns, several rounds; medians. Results: OUT/data.json, OUT/data.md.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import engine
import numpy as np
import torch
from dataset import ensure_dataset, image_paths
from measure import headline, markdown_table, median, surroundings
from PIL import Image
from timm.data import create_transform
from torchvision.transforms import v2

BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"
BATCH = 64
Chain = Callable[[list[int], int], Any]  # row numbers, epoch → whatever; called with BATCH rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 224], help="px, of the views")
    parser.add_argument("--images", type=int, default=768, help="in the data set, about")
    parser.add_argument("--seconds", type=float, default=1.5, help="that a chain runs in a round")
    parser.add_argument("--rounds", type=int, default=5, help=" ")
    parser.add_argument("--out", type=Path, default=BUILD / "data-path", help="a folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    about = surroundings()
    paths = image_paths(ensure_dataset(BUILD / "data", options.images, 400), "train")
    for path in paths:
        Path(path).read_bytes()
    found = {size: _measured(_chains(paths, size), len(paths), options) for size in options.sizes}
    options.out.mkdir(parents=True, exist_ok=True)
    lines = [*headline(about), *_table(found)]
    (options.out / "data.json").write_text(json.dumps({**about, "images_per_s": found}, indent=1) + "\n")
    (options.out / "data.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _measured(chains: dict[str, Chain], n: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """images/s of each chain in each round; the first round warms up and does not count."""
    found: dict[str, list[float]] = {name: [] for name in chains}
    for number in range(options.rounds + 1):
        for name, chain in chains.items():
            started, done = time.perf_counter(), 0
            while time.perf_counter() - started < options.seconds:
                chain([row % n for row in range(done, done + BATCH)], number)
                done += BATCH
            if number:
                found[name].append(round(done / (time.perf_counter() - started), 1))
    return found


def _chains(paths: list[str], size: int) -> dict[str, Chain]:
    decode = engine.decoding(size)
    cached = [decode(path) for path in paths]

    def from_file(transform: Callable[[Image.Image], Any]) -> Chain:
        return lambda rows, epoch: [transform(Image.open(paths[row]).convert("RGB")) for row in rows]

    def from_cache(transform: Callable[[Image.Image], Any]) -> Chain:
        return lambda rows, epoch: [transform(Image.fromarray(cached[row])) for row in rows]

    def ours(rand_augment: bool, image: Callable[[int], np.ndarray]) -> Chain:
        settings = engine.augment_settings(rand_augment)
        return lambda rows, epoch: engine.augment([image(row) for row in rows], size, settings, epoch)

    crop, full = _timm(size, None), _timm(size, "rand-m7-mstd0.5-inc1")
    return {
        "PIL decode alone": from_file(np.asarray),
        "this engine's decode alone": lambda rows, epoch: [decode(paths[row]) for row in rows],
        "PIL decode, timm's crop and flip": from_file(crop),
        "PIL decode, timm's crop, flip and RandAugment": from_file(full),
        "PIL decode, torchvision v2 crop, flip and RandAugment to float32": from_file(_torchvision(size)),
        "decode, this engine's crop, flip and RandAugment": ours(True, lambda row: decode(paths[row])),
        "cached pixels, timm's crop and flip": from_cache(crop),
        "cached pixels, timm's crop, flip and RandAugment": from_cache(full),
        "cached pixels, this engine's crop and flip": ours(False, cached.__getitem__),
        "cached pixels, this engine's crop, flip and RandAugment": ours(True, cached.__getitem__),
    }


def _timm(size: int, rand_augment: str | None) -> Any:
    """As timm's loader with its prefetcher has it: uint8, normalized later."""
    return create_transform(
        size,
        is_training=True,
        scale=engine.CROP_SCALE,
        ratio=engine.CROP_RATIO,
        hflip=engine.HFLIP,
        color_jitter=0.0,
        auto_augment=rand_augment,
        interpolation="random",
        use_prefetcher=True,
    )


def _torchvision(size: int) -> v2.Compose:
    rand_augment = v2.RandAugment(num_ops=1, magnitude=7, num_magnitude_bins=11)  # 7 of 10, as timm counts
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=engine.CROP_SCALE, ratio=engine.CROP_RATIO),
            v2.RandomHorizontalFlip(engine.HFLIP),
            v2.RandomApply([rand_augment], 0.5),
            v2.RandomApply([rand_augment], 0.5),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )


def _table(found: dict[int, dict[str, list[float]]]) -> list[str]:
    """Medians, and how many times the usual chain each is: PIL and timm, with RandAugment."""
    rows = []
    for name in next(iter(found.values())):
        row = [name]
        for chains in found.values():
            usual = median(chains["PIL decode, timm's crop, flip and RandAugment"])
            row.append(f"{median(chains[name]):.0f} ({median(chains[name]) / usual:.2f}×)")
        rows.append(row)
    return markdown_table(["one core, images/s", *(f"to {size} px" for size in found)], rows)


if __name__ == "__main__":
    main()
