"""What `train.cache_frozen` saves: whole epochs of `comp train` with it and without, validation included.

The same training of a network of random weights, most of whose blocks are frozen, in turns; the first epoch of a run
does not count. Beside it: training in which nothing is frozen, and what the features cost to compute. Results:
OUT/frozen.json and OUT/frozen.md.
"""

import argparse
import csv
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import engine
from dataset import ensure_dataset
from measure import headline, markdown_table, median, surroundings

BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"
EPOCH = re.compile(r"fold 0  epoch +\d+ ")
BUILT = re.compile(r"([\d,]+) views in ([\d.]+) s")
TOLD = re.compile(r"frozen  fold .*")
NOTHING = "0"  # blocks frozen: all weights learn


def main() -> None:
    options = _options()
    about = surroundings()
    dataset = ensure_dataset(BUILD / "data", options.images, options.valid, tuple(options.image_px))
    (BUILD / "work").mkdir(parents=True, exist_ok=True)
    runs: dict[str, list[dict[str, Any]]] = {}
    cases = [(NOTHING, 0), *itertools.product(options.freeze, (0, options.views))]
    for number in range(options.rounds):
        for freeze, views in cases:
            case = f"{freeze}, {views} views"
            runs.setdefault(case, []).append(_run(dataset, freeze, views, options))
            print(number + 1, case, runs[case][-1]["epoch_s"], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    lines = [*headline(about), *_table(runs, options)]
    (options.out / "frozen.json").write_text(json.dumps({**about, "runs": runs}, indent=1) + "\n")
    (options.out / "frozen.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="vit_small_patch16_224", help="timm's name")
    parser.add_argument("--task", default="classify", choices=["classify", "emotion"], help="whose commands train")
    parser.add_argument("--freeze", nargs="+", default=["10", "11", "*"], help="blocks, or a pattern of weights")
    parser.add_argument("--views", type=int, default=1, help="of each image that are kept")
    parser.add_argument("--size", dest="size_px", type=int, default=224, help="px, of what the model sees")
    parser.add_argument("--images", type=int, default=64, help="an epoch, about")
    parser.add_argument("--valid", type=int, default=16, help="validated after each, about")
    parser.add_argument("--image-px", type=int, nargs=2, default=[256, 256], help="sides of the JPEGs: from, to")
    parser.add_argument("--batch-size", type=int, default=16, help=" ")
    parser.add_argument("--epochs", type=int, default=3, help="of a run; the first does not count")
    parser.add_argument("--rounds", type=int, default=2, help=" ")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"], help=" ")
    parser.add_argument("--out", type=Path, default=BUILD / "frozen", help="a folder")
    return parser.parse_args()


def _run(dataset: Path, freeze: str, views: int, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each epoch, of its training alone, and of the features, with what was said of them."""
    folder = Path(tempfile.mkdtemp(prefix="frozen-", dir=BUILD / "work"))
    try:
        work = folder / "data"
        work.mkdir()
        shutil.copy(dataset / "folds.csv", work)
        engine.write_configuration(folder, _configuration(dataset, work.resolve(), freeze, views, options))
        lines = _lines(folder)
        ends = [when for when, line in lines if EPOCH.match(line)]
        text = "\n".join(line for _, line in lines)
        history = folder / "runs" / "baseline" / "fold0" / "history.csv"
        epochs = list(csv.DictReader(history.read_text().splitlines()))
    finally:
        shutil.rmtree(folder)
    built = BUILT.search(text)
    return {
        "epoch_s": [round(after - before, 2) for before, after in itertools.pairwise(ends)],
        "training_s": [float(epoch["seconds"]) for epoch in epochs[1:]],
        "features_s": float(built[2]) if built else 0.0,
        "told": told[0] if (told := TOLD.search(text)) else "",
        "val_loss": float(epochs[-1]["val_loss"]),
    }


def _configuration(dataset: Path, work: Path, freeze: str, views: int, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "seed": 0,
        "metrics": [],
        **engine.about_data(dataset, work),
        "task": options.task,
        "model": {"backbone": options.model, "pretrained": False, "image_size": options.size_px},
        "train": {
            "epochs": options.epochs,
            "batch_size": options.batch_size,
            "lr": 1e-3,
            "precision": options.precision,
            "freeze": int(freeze) if freeze.isdigit() else [freeze],
            "cache_frozen": views,
        },
        "augment": {**engine.AUGMENT, "on": "cpu"},
    }


def _lines(folder: Path) -> list[tuple[float, str]]:
    """What `comp train` prints, and when."""
    environment = {**engine.environment(), "PYTHONUNBUFFERED": "yes"}
    command = [sys.executable, "-m", "comp", "train"]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = [(time.perf_counter(), line.rstrip(os.linesep)) for line in process.stdout]
    if process.wait():
        raise SystemExit("\n".join(line for _, line in lines[-30:]))
    return lines


def _table(runs: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> list[str]:
    """Medians over the epochs of all rounds."""

    def of(freeze: str, views: int, what: str) -> float:
        return median([second for run in runs[f"{freeze}, {views} views"] for second in run[what]])

    everything, rows = of(NOTHING, 0, "epoch_s"), []
    for freeze in options.freeze:
        row = [freeze.replace("*", "all")]
        for what in ("epoch_s", "training_s"):
            whole, cached = of(freeze, 0, what), of(freeze, options.views, what)
            row += [f"{whole:.2f}", f"{cached:.2f}", f"{whole / cached:.2f}"]
        features = median([run["features_s"] for run in runs[f"{freeze}, {options.views} views"]])
        rows.append([*row, f"{features:.1f}", f"{everything / of(freeze, options.views, 'epoch_s'):.2f}"])
    title = f"{options.model}, {options.size_px} px, {options.precision}; frozen blocks"
    header = [title, "an epoch, s", "cached, s", "ratio", "its training alone, s", "cached, s", "ratio", "once, s"]
    header.append(f"all weights learn ({everything:.2f} s): ratio")
    told = dict.fromkeys(run["told"] for case in runs.values() for run in case if run["told"])
    return [*markdown_table(header, rows), "", *(f"    {line}" for line in told)]


if __name__ == "__main__":
    main()
