"""timm: train.py and inference.py of its repository, on folders of links that are made for them."""

import csv
import shlex
import subprocess
import sys
from pathlib import Path

from task import CROP_RATIO, CROP_SCALE, HFLIP, JITTER, Answer, Task, lines_of, main, write_predictions


def fine_tune(task: Task) -> Answer:
    folder, checkout = Path(task.folder), Path(task.timm)
    if not (folder / "images").is_dir():
        arrange(task, folder / "images")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in task.classes), encoding="utf-8")
    train, predict = ["train.py", *_training(task)], ["inference.py", *_inference(task)]
    for script, *options in (train, predict):
        subprocess.run([sys.executable, str(checkout / script), *options], cwd=folder, check=True)
    version = (checkout / "timm" / "version.py").read_text(encoding="utf-8").split("'")[1]
    return Answer(
        predictions=write_predictions(task, labels_of(task, folder / f"{task.start}-found.csv")),
        version=f"timm {version}, its repository",
        augmentation=f"--scale, --ratio, --hflip, --color-jitter {JITTER}",
        commands=["python arrange.py", *(_typed(task, each) for each in (train, predict)), "python join.py"],
        lines=lines_of(arrange, labels_of, write_predictions),
    )


def arrange(task: Task, folder: Path) -> None:
    """`train/<class>/`, `validation/<class>/` and `test/`, as ImageFolder reads them."""
    for part in ("train", "validation", "test"):
        for row, path in zip(task.rows(part), task.paths(part), strict=True):
            place = folder / part / row.get("label", "") / (row["id"] + path.suffix)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)


def labels_of(task: Task, found: Path) -> list[str]:
    """The class of each row of test.csv, of what inference.py wrote."""
    with found.open(newline="", encoding="utf-8") as file:
        index = {Path(row["filename"]).stem: int(row["index"]) for row in csv.DictReader(file)}
    return [task.classes[index[row["id"]]] for row in task.rows("test")]


def _training(task: Task) -> list[str]:
    """In the contender's folder. Without a list the classes are not in the order of the alphabet."""
    return [
        *("--data-dir", "images", "--class-map", "classes.txt", *_network(task)),
        *("--pretrained", "--pretrained-path", task.weights),
        *("--epochs", str(task.epochs), "--batch-size", str(task.batch_size)),
        *("--validation-batch-size", str(2 * task.batch_size)),
        *("--opt", "adamw", "--lr", str(task.lr), "--weight-decay", str(task.weight_decay)),
        *("--sched", "cosine", "--sched-on-updates", "--warmup-epochs", "0", "--smoothing", "0"),
        *("--scale", *map(str, CROP_SCALE), "--ratio", *map(str, CROP_RATIO)),
        *("--hflip", str(HFLIP), "--color-jitter", str(JITTER)),
        *("--seed", str(task.seed), "--output", "output", "--experiment", task.start),
    ]


def _inference(task: Task) -> list[str]:
    return [
        *("--data-dir", "images/test", *_network(task), "--batch-size", str(2 * task.batch_size)),
        *("--checkpoint", f"output/{task.start}/last.pth.tar"),
        *("--label-type", "none", "--include-index", "--no-console-results"),
        *("--results-dir", ".", "--results-file", f"{task.start}-found.csv"),
    ]


def _network(task: Task) -> list[str]:
    """What both scripts have to be told."""
    arguments = [f"{name}={value}" for name, value in task.model_args.items()]
    return [
        *("--model", task.backbone, "--num-classes", str(len(task.classes)), "--img-size", str(task.image_size)),
        *(["--model-kwargs", *arguments] if arguments else []),
        *("--mean", *map(str, task.mean), "--std", *map(str, task.std), "--crop-pct", "1.0", "--channels-last"),
        *("--device", task.device, "--workers", str(task.workers)),
    ]


def _typed(task: Task, words: list[str]) -> str:
    return shlex.join(["python", *words]).replace(task.weights, "WEIGHTS")


if __name__ == "__main__":
    main(fine_tune)
