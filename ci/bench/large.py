"""What large networks need of a GPU: CLIP's ViT-L/14 at 64 px in 16 bits; a ViT-B/16, whole and as FSDP cuts it.

Random weights, images that dataset.py draws, `comp train` of one fold. Memory is what torch allocated and what it took
from the GPU, at most, in the process that needed most. Two processes cannot share a card through NCCL: with one card,
or none, FSDP has one process, which shows that it works and what it costs, not what it saves. Results: OUT/large.json
and OUT/large.md.
"""

import argparse
import csv
import json
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import engine
import yaml
from dataset import ensure_dataset
from measure import headline, markdown_table, median, run, surroundings

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "bench"
LAUNCHER = engine.SOURCE.parent / "conf" / "launch" / "multi-node-fsdp.yaml"
PEAK = re.compile(r"process \d+ at most ([\d.]+) GB allocated, ([\d.]+) GB reserved")


@dataclass(frozen=True)
class Case:
    backbone: str
    size_px: int
    batch_size: int
    precision: str
    model: dict[str, Any] = field(default_factory=dict)
    task: str = "classify"
    sharded: bool = False


CLIP = Case("openai/clip-vit-large-patch14", 64, 64, "fp16", {"head": "linear", "enlarge": "patches"}, task="clip")
VIT = Case("vit_base_patch16_224", 224, 64, "bf16")
CASES = {
    "clip-linear": CLIP,
    "clip-prompts": Case(**{**vars(CLIP), "model": {**CLIP.model, "head": "prompts"}}),
    "vit": VIT,
    "vit-fsdp": Case(**{**vars(VIT), "sharded": True}),
}
TINY_CLIP = "tiny clip"  # a folder that is written
TINY = {  # fp16 needs a GPU
    "clip": {"backbone": TINY_CLIP, "size_px": 32, "batch_size": 8, "precision": "fp32"},
    "classify": {"backbone": "test_vit", "size_px": 32, "batch_size": 8, "precision": "fp32"},
}


def main() -> int:
    options = _options()
    about = surroundings()
    dataset = ensure_dataset(BUILD / "data", options.images, options.valid, tuple(options.image_px))
    found: dict[str, dict[str, Any]] = {}
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.cases:
        case = CASES[name]
        case = Case(**{**vars(case), **TINY[case.task]}) if options.tiny else case
        network = {"network": case.backbone, "px": case.size_px, "precision": case.precision}
        found[name] = {**network, **_measured(case, dataset, options.epochs)}
        print(name, json.dumps(found[name]), flush=True)
        (options.out / "large.json").write_text(json.dumps({**about, "cases": found}, indent=1) + "\n")
    lines = [*headline(about), *_table(found)]
    (options.out / "large.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 1 if any("error" in each for each in found.values()) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=list(CASES), help=" ")
    parser.add_argument("--images", type=int, default=2048, help="an epoch, about")
    parser.add_argument("--valid", type=int, default=256, help="validated after each, about")
    parser.add_argument("--image-px", type=int, nargs=2, default=[256, 256], help="sides of the JPEGs: from, to")
    parser.add_argument("--epochs", type=int, default=3, help="the first is not the steady state")
    parser.add_argument("--tiny", action="store_true", help="small networks, to see that everything works")
    parser.add_argument("--out", type=Path, default=BUILD / "large", help="a folder")
    return parser.parse_args()


def _measured(case: Case, dataset: Path, epochs: int) -> dict[str, Any]:
    """One training's figures; of a failed one, the end of what it said."""
    (BUILD / "work").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="large-", dir=BUILD / "work"))
    try:
        engine.write_configuration(folder, _configuration(case, dataset, folder, epochs))
        shutil.copy(dataset / "folds.csv", folder / "data")
        processes, command = _command(case, folder)
        command += [str(HERE / "contenders" / "watched.py"), "train"]
        done = run(command, folder / "log", {"PYTHONPATH": str(engine.SOURCE)}, folder=folder)
        if done.status:
            print(done.output[-3000:], file=sys.stderr)
            return {"error": f"status {done.status}: {done.output.strip().splitlines()[-1:]}"}
        history = (folder / "runs" / "large" / "fold0" / "history.csv").read_text(encoding="utf-8")
        rows = list(csv.DictReader(history.splitlines()))
        peaks = [(float(allocated), float(reserved)) for allocated, reserved in PEAK.findall(done.output)]
    finally:
        shutil.rmtree(folder)
    return {
        "processes": processes,
        "images_per_s": round(median([float(row["images_per_s"]) for row in rows[1:]]), 1),
        "wall_s": round(done.wall_s, 1),
        "pss_mb": round(done.peak_pss_mb),
        **({"gpu_gb": max(peaks)[0], "gpu_reserved_gb": max(peaks)[1]} if peaks else {}),
    }


def _configuration(case: Case, dataset: Path, folder: Path, epochs: int) -> dict[str, Any]:
    work = folder / "data"
    work.mkdir()
    backbone = case.backbone
    if backbone == TINY_CLIP:
        backbone = str(engine.write_blank_clip(folder / "clip"))
    return {
        "name": "large",
        **engine.about_data(dataset, work),
        "task": case.task,
        "model": {"backbone": backbone, "pretrained": False, "image_size": case.size_px, **case.model},
        "train": {
            "epochs": epochs,
            "batch_size": case.batch_size,
            "lr": 1e-4,
            "precision": case.precision,
            "processes": 1,
        },
        "predict": {"batch_size": 2 * case.batch_size},
    }


def _command(case: Case, folder: Path) -> tuple[int, list[str]]:
    """How many processes, and what starts them: this Python, or accelerate's launcher with the template's own file."""
    if not case.sharded:
        return 1, [sys.executable]
    import torch

    processes = max(1, min(2, torch.cuda.device_count()))
    settings = yaml.safe_load(LAUNCHER.read_text(encoding="utf-8"))
    settings |= {"num_machines": 1, "num_processes": processes, "main_process_port": 0}
    (folder / "fsdp.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    launch = ["-m", "accelerate.commands.launch", "--config_file", str(folder / "fsdp.yaml")]
    return processes, [sys.executable, *launch]


def _table(found: dict[str, dict[str, Any]]) -> list[str]:
    rows = []
    for name, each in found.items():
        about = [name, each["network"], str(each["px"]), each["precision"]]
        if "error" in each:
            rows.append([*about, "failed", "", "", "", "", each["error"]])
            continue
        gpu = [f"{each[key]:.2f}" if key in each else "" for key in ("gpu_gb", "gpu_reserved_gb")]
        speed = f"{each['images_per_s']:.0f}"
        rows.append([*about, str(each["processes"]), speed, *gpu, f"{each['pss_mb'] / 1000:.2f}", ""])
    header = ["case", "network", "px", "", "processes", "images/s", "allocated, GB", "from the GPU, GB", "PSS GB", ""]
    return markdown_table(header, rows)


if __name__ == "__main__":
    sys.exit(main())
