"""The engine: `comp train` of one fold, from no pixel cache to the last prediction."""

import csv
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from common import Clock, Settings, engine, main

NAME = "bench"


def train(settings: Settings, folder: Path) -> Clock:
    competition = write_competition(settings, folder)
    clock = Clock(settings.device)
    history = competition / "runs" / NAME / "fold0" / "history.csv"
    over = threading.Event()
    watch = threading.Thread(target=_note_epochs, args=(history, clock.ended, over))
    watch.start()
    try:
        command = [sys.executable, "-m", "comp", "train"]
        subprocess.run(command, cwd=competition, env=engine.environment(), check=True)
    finally:
        over.set()
        watch.join()
    clock.epochs += epochs_of(settings, competition)
    return clock


def write_competition(settings: Settings, folder: Path) -> Path:
    """A competition repository in `folder` that trains as the settings say, with the folds there already."""
    competition = folder / "competition"
    work = competition / "data"
    work.mkdir(parents=True)
    shutil.copy(Path(settings.data) / "folds.csv", work)
    engine.write_configuration(competition, configuration(settings, work))
    return competition


def epochs_of(settings: Settings, competition: Path) -> list[dict[str, float | None]]:
    """The epochs that were trained, from the engine's own history."""
    epochs: list[dict[str, float | None]] = []
    history = competition / "runs" / NAME / "fold0" / "history.csv"
    for row in csv.DictReader(history.read_text().splitlines()):
        seconds = float(row["seconds"])
        images = settings.batch_size * round(float(row["images_per_s"]) * seconds / settings.batch_size)
        epochs.append({"images": images, "seconds": seconds, "accuracy": float(row["accuracy"])})
    return epochs


def configuration(settings: Settings, work: Path) -> dict[str, Any]:
    """`conf/baseline.yaml`: what the others do, in the engine's words."""
    return {
        "name": NAME,
        "seed": settings.seed,
        "metrics": [],
        **engine.about_data(Path(settings.data), work.resolve()),
        "model": {"backbone": settings.model, "pretrained": False, "image_size": settings.size_px},
        "train": {
            "epochs": settings.epochs,
            "batch_size": settings.batch_size,
            "optimizer": "adamw",
            "lr": settings.lr,
            "weight_decay": settings.weight_decay,
            "schedule": "cosine",
            "precision": settings.precision,
            "channels_last": True,
            "compile": settings.compile,
            "processes": settings.processes,
        },
        "augment": {**engine.AUGMENT, "on": settings.augment_on},
        "predict": {"batch_size": 2 * settings.batch_size},
    }


def _note_epochs(history: Path, ended: list[float], over: threading.Event) -> None:
    """Notes when the history changes: after each epoch."""
    before = 0
    while not over.wait(0.1):
        now = history.stat().st_mtime_ns if history.is_file() else 0
        if now != before:
            ended.append(time.time())
            before = now


if __name__ == "__main__":
    main(train)
