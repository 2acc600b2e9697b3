"""What `train.cache_frozen` costs in accuracy: few fixed views of each image, instead of another one in each epoch.

A network learns the digits zero to four from nothing; then, with its first blocks frozen, five to nine from few images:
with views drawn anew in each epoch, and with K of them kept. Scores are those of the validation rows after the last
epoch, a seed a training. Results: OUT/views.json and OUT/views.md.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import engine
from measure import headline, markdown_table, surroundings

BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"
FIRST = ("zero", "one", "two", "three", "four")
AUGMENT = {"hflip": 0, "rotate_deg": 15, "translate": 0.1, "crop_scale": [0.6, 1.0]}
Scores = dict[str, float]


def main() -> None:
    options = _options()
    about = surroundings()
    (BUILD / "work").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="views-", dir=BUILD / "work"))
    found: dict[int, list[Scores]] = {views: [] for views in options.views}
    try:
        engine.write_digits(folder / "digits")
        weights = _learned(folder, options)
        for seed in range(options.seeds):
            for views in options.views:
                found[views].append(_fine_tuned(folder, weights, views, seed, options))
                print(f"seed {seed}, {views} views", found[views][-1], flush=True)
    finally:
        shutil.rmtree(folder)
    options.out.mkdir(parents=True, exist_ok=True)
    lines = [*headline(about), *_table(found, options)]
    (options.out / "views.json").write_text(json.dumps({**about, "scores": found}, indent=1) + "\n")
    (options.out / "views.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="test_resnet", help="timm's name")
    parser.add_argument("--freeze", type=int, default=2, help="blocks")
    parser.add_argument("--views", type=int, nargs="+", default=[0, 1, 2, 4, 8], help="0: drawn anew in each epoch")
    parser.add_argument("--seeds", type=int, default=3, help=" ")
    parser.add_argument("--epochs", type=int, default=20, help="of both trainings")
    parser.add_argument("--holdout", type=float, default=0.7, help="share of the second digits that is validated on")
    parser.add_argument("--out", type=Path, default=BUILD / "frozen", help="a folder")
    return parser.parse_args()


def _learned(folder: Path, options: argparse.Namespace) -> Path:
    """The weights of a network that knows the first digits."""
    place = _competition(folder, "first", first=True)
    _train(place, {"holdout": 0.1}, {"backbone": options.model, "pretrained": False}, {"lr": 3e-3}, 0, options)
    return (place / "runs/baseline/fold0/best.safetensors").resolve()


def _fine_tuned(folder: Path, weights: Path, views: int, seed: int, options: argparse.Namespace) -> Scores:
    place = _competition(folder, f"seed{seed}-views{views}", first=False)
    model = {"backbone": options.model, "weights": str(weights), "mean": [0.5] * 3, "std": [0.5] * 3}
    train = {"lr": 3e-3, "freeze": options.freeze, "cache_frozen": views}
    _train(place, {"holdout": options.holdout}, model, train, seed, options)
    (*_, last) = csv.DictReader((place / "runs/baseline/fold0/history.csv").read_text().splitlines())
    return {name: float(last[name]) for name in ("accuracy", "val_loss", "train_loss")}


def _competition(folder: Path, name: str, first: bool) -> Path:
    """A competition of the first digits, or of the others, whose images it shares."""
    place, digits = folder / name, folder / "digits"
    for shared in ("train", "test"):
        shutil.copytree(digits / shared, place / "data" / shared, copy_function=os.link)
    with (digits / "train.csv").open(newline="") as file:
        rows = [row for row in csv.reader(file) if row[1] == "label" or (row[1] in FIRST) == first]
    with (place / "data" / "train.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return place


def _train(
    place: Path,
    folds: dict[str, Any],
    model: dict[str, Any],
    train: dict[str, Any],
    seed: int,
    options: argparse.Namespace,
) -> None:
    values = {
        "task": "classify",
        "seed": seed,
        "folds": {"kind": "holdout", "near_duplicates": None, **folds},
        "model": {"image_size": 32, **model},
        "train": {"epochs": options.epochs, "batch_size": 32, **train},
        "augment": AUGMENT,
    }
    engine.write_configuration(place, values)
    for command in ("split", "train"):
        done = engine.comp(place, command)
        if done.returncode:
            raise SystemExit(f"{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _table(found: dict[int, list[Scores]], options: argparse.Namespace) -> list[str]:
    rows = []
    for views, scores in found.items():
        row = [str(views) if views else "anew in each epoch"]
        for name, digits in (("accuracy", 4), ("val_loss", 3), ("train_loss", 3)):
            values = [each[name] for each in scores]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            row.append(f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}")
        rows.append(row)
    title = f"{options.model}, {options.freeze} blocks frozen; views"
    return markdown_table([title, "accuracy", "validation loss", "training loss"], rows)


if __name__ == "__main__":
    main()
