"""What starting costs: CPU time of `comp --help`, and wall time of `comp train` up to its first optimizer step.

The pixel cache is warm. `python -X importtime` tells which packages the time goes to. Results: OUT/start.json and
OUT/start.md.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import engine
from dataset import ensure_dataset
from measure import headline, markdown_table, median, surroundings

BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"
HELP_CPU_S = 0.3  # at most
SHOWN = 12  # packages
# Ends `comp train` where the first optimizer step has been done, and says when that was.
TO_FIRST_STEP = """
import os, runpy, sys, time
began = time.time()
from torch.optim.optimizer import register_optimizer_step_post_hook
def first_step(*arguments):
    print(f"first step {time.time()!r}", flush=True)
    sys.stdout.flush(); sys.stderr.flush()
    os._exit(0)
register_optimizer_step_post_hook(first_step)
print(f"torch imported {time.time()!r}", flush=True)
sys.argv = ["comp", "train", "--fresh"]
runpy.run_module("comp", run_name="__main__")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="mobilenetv3_small_050", help="timm's name")
    parser.add_argument("--images", type=int, default=768, help="about")
    parser.add_argument("--rounds", type=int, default=7, help=" ")
    parser.add_argument("--out", type=Path, default=BUILD / "start", help="a folder")
    options = parser.parse_args()
    about = surroundings()
    dataset = ensure_dataset(BUILD / "data", options.images, 400)
    (BUILD / "work").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="start-", dir=BUILD / "work"))
    try:
        _prepare(folder, dataset, options.model)
        figures: dict[str, Any] = {
            "help_cpu_s": [_cpu_s(folder, ["-m", "comp", "--help"]) for _ in range(options.rounds)],
            "python_cpu_s": [_cpu_s(folder, ["-c", "pass"]) for _ in range(options.rounds)],
            "train": [_to_first_step(folder) for _ in range(options.rounds)],
            "imports_of_help_ms": _imports_ms(folder, ["-m", "comp", "--help"]),
            "imports_of_train_ms": _imports_ms(folder, ["-c", TO_FIRST_STEP]),
        }
    finally:
        shutil.rmtree(folder)
    lines = [*headline(about), *_report(figures)]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "start.json").write_text(json.dumps({**about, **figures}, indent=1) + "\n")
    (options.out / "start.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _prepare(folder: Path, dataset: Path, model: str) -> None:
    """A repository whose cache is built and whose modules are compiled."""
    work = folder / "data"
    work.mkdir()
    shutil.copy(dataset / "folds.csv", work)
    values = {
        **engine.about_data(dataset, work),
        "model": {"backbone": model, "pretrained": False, "image_size": 96},
        "train": {"epochs": 1, "batch_size": 64, "precision": "fp32"},
        "augment": engine.AUGMENT,
    }
    engine.write_configuration(folder, values)
    _to_first_step(folder)


def _cpu_s(folder: Path, arguments: list[str]) -> float:
    """User and system time of one Python process and all that it started."""
    before = os.times()
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=engine.environment(), check=True, stdout=subprocess.DEVNULL
    )
    after = os.times()
    return round(after.children_user + after.children_system - before.children_user - before.children_system, 3)


def _to_first_step(folder: Path) -> dict[str, float]:
    """Seconds from the start of Python to torch being imported, and to the first optimizer step."""
    began = time.time()
    command = [sys.executable, "-c", TO_FIRST_STEP]
    result = subprocess.run(command, cwd=folder, env=engine.environment(), capture_output=True, text=True)
    moments = dict(re.findall(r"^(torch imported|first step) ([\d.]+)$", result.stdout, re.MULTILINE))
    if "first step" not in moments:
        raise SystemExit(f"comp train took no optimizer step in its own process:\n{result.stdout}{result.stderr}")
    return {name.replace(" ", "_") + "_s": round(float(moment) - began, 3) for name, moment in moments.items()}


def _imports_ms(folder: Path, arguments: list[str]) -> dict[str, float]:
    """Own time of all modules of a package, summed, the largest first. Being watched makes them slower."""
    command = [sys.executable, "-X", "importtime", *arguments]
    result = subprocess.run(command, cwd=folder, env=engine.environment(), capture_output=True, text=True)
    found: dict[str, float] = defaultdict(float)
    for own_us, module in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", result.stderr, re.MULTILINE):
        found[module.partition(".")[0]] += int(own_us) / 1000
    largest = sorted(found.items(), key=lambda each: -each[1])
    return {"all": round(sum(found.values()), 1), **{name: round(own, 1) for name, own in largest[:SHOWN]}}


def _report(figures: dict[str, Any]) -> list[str]:
    help_s, python_s = median(figures["help_cpu_s"]), median(figures["python_cpu_s"])
    torch_s = median([each["torch_imported_s"] for each in figures["train"]])
    step_s = median([each["first_step_s"] for each in figures["train"]])
    met = "met" if help_s < HELP_CPU_S else "**MISSED**"
    lines = [
        f"- {met}: `comp --help` takes {help_s:.2f} s of CPU time (< {HELP_CPU_S}), Python alone {python_s:.2f} s",
        f"- `comp train` with a warm cache: the first optimizer step is done after {step_s:.1f} s, torch is imported "
        f"after {torch_s:.1f} s",
        "",
    ]
    for command in ("help", "train"):
        imports = figures[f"imports_of_{command}_ms"]
        lines += [f"Imports of `comp {command}`, own time of each package's modules:", ""]
        lines += markdown_table(["package", "ms"], [[name, f"{own:.0f}"] for name, own in imports.items()])
        lines += [""]
    return lines[:-1]


if __name__ == "__main__":
    main()
