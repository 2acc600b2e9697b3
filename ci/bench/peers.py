"""The same fine-tuning by this project and by its peers, from the competition's files to predictions.

DATA is a folder with `train.csv` (id, path, label), `test.csv` (id, path) and the images; its labels of the test rows
(id, label) lie in --solution. Each contender is a process of its own in a folder of its own, and is started twice:
cold, and once more with what the first start left there (pixel cache, folds, folders). They take turns, in another
order in each round; each start has its own seed. The rows to validate are those that `comp split` chooses: this project
does that again within its time, the others are given them. Results, after each start: OUT/peers.json and OUT/peers.md.
"""

import argparse
import csv
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE / "contenders" / "peers"))
import engine  # noqa: E402
from measure import headline, markdown_table, median, run, surroundings  # noqa: E402
from task import Task, table  # noqa: E402

BUILD = HERE.parents[1] / "build" / "bench"
CONTENDERS = {"ours": "comp_run.py", "timm": "timm_script.py", "fastai": "fastai_learner.py", "trainer": "trainer.py"}
NAMES = {
    "ours": "this project, `comp run`",
    "timm": "timm's train.py and inference.py",
    "fastai": "fastai's Learner",
    "trainer": "transformers' Trainer",
}
STARTS = ("first", "second")


def main() -> int:
    options = _options()
    contenders, skipped = _installed(options)
    if not contenders:
        raise SystemExit("error: none of the contenders can run here")
    solution = {row["id"]: row["label"] for row in table(options.solution)}
    shared = {name: _bare(value) for name, value in vars(options).items() if name not in ("out", "work")}
    about = {**surroundings(), "command": shlex.join(["python", "ci/bench/peers.py", *map(_bare, sys.argv[1:])])}
    session: dict[str, Any] = {**about, "settings": shared, "skipped": skipped, "runs": []}
    options.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="peers-", dir=options.work)).resolve()
    try:
        task = _prepared(folder, options)
        _warm_up(task, options, contenders)
        for number in range(options.rounds):
            turn = number % len(contenders)
            for contender in contenders[turn:] + contenders[:turn]:
                for place, start in enumerate(STARTS):
                    mine = replace(
                        task, folder=str(folder / f"{contender}{number}"), start=start, seed=2 * number + place
                    )
                    figures = {"round": number + 1, **_measured(contender, mine, options, solution)}
                    print(_line(figures), flush=True)
                    session["runs"].append(figures)
                    (options.out / "peers.json").write_text(json.dumps(session, indent=1) + "\n")
                    lines = [*headline(session), *_report(session, task)]
                    (options.out / "peers.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
                    if "error" in figures:
                        break  # there is nothing to start from a second time
                shutil.rmtree(mine.folder)
    finally:
        shutil.rmtree(folder)
    print("\n".join(lines))
    return 1 if any("error" in figures for figures in session["runs"]) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("data", type=Path, help="a folder")
    add("--weights", type=Path, required=True, help="of the backbone, a file")
    add("--solution", type=Path, help="default: solution.csv in DATA, or DATA_solution.csv beside it")
    add("--contenders", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS), help=" ")
    add("--timm", type=Path, help="a checkout of timm's repository: its package has no train.py")
    add("--fastai", default=sys.executable, help="a Python that can import fastai, timm and torch")
    add("--backbone", default="mobilenetv2_100", help="timm's name")
    add("--model-args", type=json.loads, default={}, help='of timm.create_model, as JSON: \'{"pad_type": "same"}\'')
    add("--mean", type=float, nargs=3, default=[0.5, 0.5, 0.5], help="that the weights were trained with")
    add("--std", type=float, nargs=3, default=[0.5, 0.5, 0.5], help=" ")
    add("--image-size", type=int, default=128, help="px")
    add("--rows", type=int, help="training rows, drawn at random; default: all")
    add("--epochs", type=int, default=4, help=" ")
    add("--batch-size", type=int, default=32, help=" ")
    add("--lr", type=float, default=1e-3, help=" ")
    add("--weight-decay", type=float, default=0.05, help=" ")
    add("--rounds", type=int, default=2, help="of two starts each")
    add("--workers", type=int, default=len(os.sched_getaffinity(0)), help="loader processes of the peers")
    add("--device", default="cpu", choices=["cpu", "cuda"], help=" ")
    add("--work", type=Path, default=BUILD / "work", help="a folder for what the contenders write; removed at the end")
    add("--out", type=Path, default=BUILD / "peers", help="a folder")
    options = parser.parse_args()
    if options.solution is None:
        inside = options.data / "solution.csv"
        options.solution = inside if inside.is_file() else options.data.with_name(f"{options.data.name}_solution.csv")
    for path in (options.weights, options.solution, options.data / "train.csv", options.data / "test.csv"):
        if not path.is_file():
            parser.error(f"{path} is missing")
    return options


def _bare(value: Any) -> str:
    """Of a path its last part: where things lie on this machine is no part of the figures."""
    return str(value).rstrip("/").rpartition("/")[2]


def _python_of(contender: str, options: argparse.Namespace) -> str:
    return options.fastai if contender == "fastai" else sys.executable


def _installed(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """The contenders that can run here, and why the others cannot."""
    skipped = {}
    if options.timm is None:
        skipped["timm"] = "--timm names no checkout of its repository"
    elif not (options.timm / "train.py").is_file():
        skipped["timm"] = f"{options.timm.name} has no train.py"
    for contender, package in (("fastai", "fastai"), ("trainer", "transformers")):
        python = _python_of(contender, options)
        if contender in options.contenders and subprocess.run([python, "-c", _HAS.format(package)]).returncode:
            hint = " (--fastai names another Python)" if contender == "fastai" else ""
            skipped[contender] = f"{_bare(python)} cannot import {package}{hint}"
    skipped = {name: why for name, why in skipped.items() if name in options.contenders}
    for name, why in skipped.items():
        print(f"skipped {NAMES[name]}: {why}", flush=True)
    return [name for name in options.contenders if name not in skipped], skipped


_HAS = "import importlib.util, sys; sys.exit(importlib.util.find_spec('{}') is None)"


def _prepared(folder: Path, options: argparse.Namespace) -> Task:
    """The data set of `--rows` rows in `folder`, and which of them are validated, as `comp split` says."""
    data = folder / "data"
    leave_out = shutil.ignore_patterns("train.csv", "solution.csv")
    shutil.copytree(options.data, data, ignore=leave_out)
    rows = table(options.data / "train.csv")
    if options.rows and options.rows < len(rows):
        rows = random.Random(0).sample(rows, options.rows)
    _write(data / "train.csv", [{name: row[name] for name in ("id", "path", "label")} for row in rows])
    task = Task(
        data=str(data),
        split=str(folder / "split.csv"),
        folder=str(folder / "split"),
        start="",
        weights=str(options.weights.resolve()),
        holdout=0.2,
        seed=0,
        timm=str(options.timm.resolve()) if options.timm else "",
        **{name: getattr(options, name) for name in ("backbone", "model_args", "mean", "std", "image_size", "epochs")},
        **{name: getattr(options, name) for name in ("batch_size", "lr", "weight_decay", "workers", "device")},
    )
    from comp_run import configuration

    engine.write_configuration(Path(task.folder), configuration(task))
    done = engine.comp(Path(task.folder), "split")
    if done.returncode:
        raise SystemExit(f"comp split ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    lines = (Path(task.folder) / "data" / "folds.csv").read_text(encoding="utf-8").splitlines()
    fold = {row["id"]: row["fold"] for row in csv.DictReader(lines[1:])}  # the first one is a comment
    parts = ({**row, "part": "validation" if fold[row["id"]] == "0" else "train"} for row in table(data / "train.csv"))
    _write(Path(task.split), list(parts))
    return task


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _warm_up(task: Task, options: argparse.Namespace, contenders: list[str]) -> None:
    """So that the first contender does not pay for reading images and modules from the disk."""
    for part in ("train", "validation", "test"):
        for path in task.paths(part):
            path.read_bytes()
    modules = {"ours": "torch, timm, cv2, accelerate", "timm": "torch, timm.data", "fastai": "fastai.vision.all"}
    for contender in contenders:
        command = [_python_of(contender, options), "-c", f"import {modules.get(contender, 'transformers.trainer')}"]
        subprocess.run(command, stderr=subprocess.DEVNULL, check=False)


def _measured(contender: str, task: Task, options: argparse.Namespace, solution: dict[str, str]) -> dict[str, Any]:
    """One start's figures; of a failed one, the end of what it said."""
    folder = Path(task.folder)
    folder.mkdir(exist_ok=True)
    given, result = folder / f"{task.start}-task.json", folder / f"{task.start}-result.json"
    given.write_text(json.dumps(asdict(task)), encoding="utf-8")
    script = HERE / "contenders" / "peers" / CONTENDERS[contender]
    command = [_python_of(contender, options), str(script), str(given), str(result)]
    began = time.time()
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if task.device == "cpu" else {}
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    measured = run(command, folder / f"{task.start}.log", {**hidden, **offline}, watch_gpu=task.device == "cuda")
    figures: dict[str, Any] = {"contender": contender, "start": task.start, "seed": task.seed}
    if measured.status:
        print(measured.output[-3000:], file=sys.stderr)
        return {**figures, "error": f"status {measured.status}: {measured.output.strip().splitlines()[-1:]}"}
    answer = json.loads(result.read_text(encoding="utf-8"))
    predictions = Path(answer.pop("predictions"))
    found = {row["id"]: row["label"] for row in table(predictions)}
    return {
        **figures,
        **_scores(found, solution),
        "predicted_s": round(predictions.stat().st_mtime - began, 2),
        "wall_s": round(measured.wall_s, 2),
        "cpu_s": round(measured.cpu_s, 2),
        "pss_mb": round(measured.peak_pss_mb),
        "rss_mb": round(measured.peak_rss_mb),
        **({"gpu_memory_mb": max(used for _, _, used in measured.gpu)} if measured.gpu else {}),
        **answer,
    }


def _scores(found: dict[str, str], solution: dict[str, str]) -> dict[str, float]:
    """Accuracy, and its mean over the classes, on the held-back labels."""
    right = defaultdict(list)
    for row, label in solution.items():
        right[label].append(found[row] == label)
    every = [each for rows in right.values() for each in rows]
    balanced = sum(sum(rows) / len(rows) for rows in right.values()) / len(right)
    return {"accuracy": round(sum(every) / len(every), 4), "balanced_accuracy": round(balanced, 4)}


def _line(figures: dict[str, Any]) -> str:
    case = f"round {figures['round']}  {figures['contender']:<8}{figures['start']:<7}"
    if "error" in figures:
        return f"{case} FAILED {figures['error']}"
    return (
        f"{case} {figures['predicted_s']:6.1f} s to predictions, {figures['cpu_s']:6.1f} s of CPU, "
        f"{figures['pss_mb'] / 1000:.2f} GB PSS, accuracy {figures['accuracy']:.3f}"
    )


def _report(session: dict[str, Any], task: Task) -> list[str]:
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for figures in session["runs"]:
        if "error" not in figures:
            runs[figures["contender"]].append(figures)
    header = ["", "accuracy", "balanced", "cold, s", "second start, s", "CPU s, cold", "CPU s, second"]
    header += ["PSS GB", "RSS GB", "commands", "lines to write", "starts"]
    with_gpu = any("gpu_memory_mb" in each for found in runs.values() for each in found)
    rows = [_row(name, runs[name], with_gpu) for name in CONTENDERS if runs[name]]
    counts = {part: len(task.rows(part)) for part in ("train", "validation", "test")}
    failed = [figures for figures in session["runs"] if "error" in figures]
    return [
        f"{task.backbone} from {Path(task.weights).name}, {task.image_size} px, {task.epochs} epochs of "
        f"{counts['train']} images ({session['settings']['data']}), {counts['validation']} validated after "
        f"each, {counts['test']} predicted; fp32, batch {task.batch_size}, AdamW at {task.lr:g} with weight decay "
        f"{task.weight_decay:g}, half a cosine without warm-up, last weights, one view; {task.workers} workers for the "
        "peers. Medians over the starts. Accuracy: on the held-back labels, all starts, least to most in brackets. "
        "Seconds: from the process's start to the file of predictions. Memory: the peak of the sum over all processes. "
        "Files and modules had been read before, so cold is not from the disk.",
        "",
        *markdown_table([*header, "GPU GB"] if with_gpu else header, rows),
        "",
        *(f"- {NAMES[name]}: skipped, {why}" for name, why in session["skipped"].items()),
        *(f"- {NAMES[each['contender']]}, {each['start']} start: failed, {each['error']}" for each in failed),
        *(line for name in CONTENDERS if runs[name] for line in _about(name, runs[name][0])),
    ]


def _row(name: str, found: list[dict[str, Any]], with_gpu: bool) -> list[str]:
    def of(what: str, start: str) -> str:
        return f"{median([each[what] for each in found if each['start'] == start]):.1f}"

    def accuracy(what: str) -> str:
        values = sorted(each[what] for each in found)
        return f"{median(values):.3f} ({values[0]:.3f}–{values[-1]:.3f})"

    row = [NAMES[name], accuracy("accuracy"), accuracy("balanced_accuracy")]
    row += [of(what, start) for what in ("predicted_s", "cpu_s") for start in STARTS]
    row += [f"{median([each[what] for each in found]) / 1000:.2f}" for what in ("pss_mb", "rss_mb")]
    row += [str(len(found[0]["commands"])), str(found[0]["lines"]), str(len(found))]
    return [*row, f"{median([each['gpu_memory_mb'] for each in found]) / 1000:.1f}"] if with_gpu else row


def _about(name: str, figures: dict[str, Any]) -> list[str]:
    """Its version, what it does to images, and what is typed."""
    notes = "".join(f"; {note}" for note in figures["notes"])
    return [
        f"- {NAMES[name]} ({figures['version']}): {figures['augmentation']}{notes}",
        *(f"  - `{command}`" for command in figures["commands"]),
    ]


if __name__ == "__main__":
    sys.exit(main())
