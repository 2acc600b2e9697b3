"""Speed, time, memory and accuracy of training: this engine, timm's loop, transformers' Trainer, synthetic tensors.

Each contender trains the same model on the same JPEGs in a process of its own; they take turns, in another order in
each round. Every round has its own seed, so three rounds are three seeds. The results go to OUT/train.json after each
run; a further call with the same OUT adds to them, so that models can be measured one at a time. It needs what a
generated repository needs, and transformers for the contender hf.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE / "contenders"))
from common import Settings, write_settings  # noqa: E402
from dataset import ensure_dataset, image_paths  # noqa: E402
from measure import Measured, run, surroundings  # noqa: E402
from report import line_of, write_report  # noqa: E402

BUILD = HERE.parents[1] / "build" / "bench"
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {  # script, settings of its own
    "ours": ("ours.py", {}),
    "ours-cpu": ("ours.py", {"augment_on": "cpu"}),
    "ours-device": ("ours.py", {"augment_on": "device"}),
    "ours-2": ("ours.py", {"processes": 2}),
    "timm": ("timm_loop.py", {}),
    "hf": ("hf_trainer.py", {}),
    "synthetic": ("synthetic.py", {}),
    "synthetic-plain": ("synthetic.py", {"keep_freed_memory": False}),
}
SHARED = ("valid", "image_px", "size_px", "epochs", "batch_size", "lr", "weight_decay", "workers", "device")


def main() -> int:
    options = _options()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    sessions = _earlier_sessions(out, options)
    session: dict[str, Any] = {**surroundings(), **{name: getattr(options, name) for name in SHARED}, "runs": []}
    dataset = ensure_dataset(BUILD / "data", options.images, options.valid, tuple(options.image_px))
    _warm_up(dataset, options.contenders)
    failed = 0
    for number in range(options.rounds):
        for model, precision, compiled in itertools.product(options.models, options.precisions, options.compile):
            turn = (number + options.models.index(model)) % len(options.contenders)
            for contender in options.contenders[turn:] + options.contenders[:turn]:
                settings = Settings(
                    data=str(dataset),
                    model=model,
                    precision=precision,
                    compile=compiled,
                    seed=options.first_seed + number,
                    epochs=options.epochs,
                    batch_size=options.batch_size,
                    size_px=options.size_px,
                    workers=options.workers,
                    device=options.device,
                    lr=options.lr,
                    weight_decay=options.weight_decay,
                    **CONTENDERS[contender][1],
                )
                figures = _measured(contender, settings)
                print(line_of(number, figures), flush=True)
                failed += "error" in figures
                session["runs"].append(figures)
                (out / "train.json").write_text(json.dumps([*sessions, session], indent=1) + "\n")
    print("\n".join(write_report([*sessions, session], out)))
    return 1 if failed else 0


def _measured(contender: str, settings: Settings) -> dict[str, Any]:
    """One run's figures; of a failed one, the end of what it said."""
    (BUILD / "work").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{contender}-", dir=BUILD / "work"))
    try:
        write_settings(settings, folder / "settings.json")
        command = [sys.executable, str(HERE / "contenders" / CONTENDERS[contender][0])]
        command += [str(folder / "settings.json"), str(folder / "result.json")]
        alone = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled")}  # else who comes later compiles nothing
        measured = run(command, folder / "log", alone, watch_gpu=settings.device == "cuda")
        figures = {name: asdict(settings)[name] for name in ("model", "precision", "compile", "seed")}
        figures = {"contender": contender, **figures, "wall_s": round(measured.wall_s, 2)}
        if measured.status:
            print(measured.output[-3000:], file=sys.stderr)
            return {**figures, "error": f"status {measured.status}: {measured.output.strip().splitlines()[-1:]}"}
        result = json.loads((folder / "result.json").read_text())
        figures |= {"pss_mb": round(measured.peak_pss_mb), "rss_mb": round(measured.peak_rss_mb)}
        return {**figures, **_gpu_figures(measured, result["ended"]), "epochs": result["epochs"]}
    finally:
        shutil.rmtree(folder)


def _gpu_figures(measured: Measured, ended: list[float]) -> dict[str, Any]:
    """Peak memory above what the GPU held before, and how busy it was from the first epoch's end to the last one's."""
    if not measured.gpu:
        return {}
    steady = [busy for when, busy, _ in measured.gpu if busy is not None and ended[0] <= when <= ended[-1]]
    memory = [used for _, _, used in measured.gpu]
    busy = round(sum(steady) / len(steady), 1) if steady else None
    return {"gpu_memory_mb": max(memory) - memory[0], "gpu_busy_percent": busy}


def _earlier_sessions(out: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """What OUT holds already, if it was measured with the same settings."""
    path = out / "train.json"
    sessions: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    for session in sessions:
        for name in SHARED:
            if session[name] != getattr(options, name):
                raise SystemExit(f"{path} was measured with {name}={session[name]}: name another --out, or remove it")
    return sessions


def _warm_up(dataset: Path, contenders: list[str]) -> None:
    """So that the first contender does not pay for reading files and modules from the disk."""
    for split in ("train", "validation"):
        for path in image_paths(dataset, split):
            Path(path).read_bytes()
    more = ["transformers.trainer"] if "hf" in contenders else []
    for modules in ("torch, timm.data, cv2, sklearn.model_selection, accelerate", *more):
        subprocess.run([sys.executable, "-c", f"import {modules}"], stderr=subprocess.DEVNULL, check=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    models = ["mobilenetv3_small_050", "resnet18", "convnext_atto", "vit_tiny_patch16_224"]
    cores = len(os.sched_getaffinity(0))
    add = parser.add_argument
    add("--models", nargs="+", default=models, help="timm's names")
    add("--precisions", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"], help=" ")
    add("--compile", nargs="+", default=["no"], choices=["no", "yes"], help="torch.compile")
    add("--contenders", nargs="+", default=["ours", "timm", "hf", "synthetic"], choices=list(CONTENDERS), help=" ")
    add("--rounds", type=int, default=3, help="each with its own seed")
    add("--first-seed", type=int, default=0, help="of the first round")
    add("--epochs", type=int, default=3, help="the first is not the steady state")
    add("--images", type=int, default=512, help="training images, about; a light model needs more for a steady figure")
    add("--valid", type=int, default=256, help="validation images")
    add("--image-px", type=int, nargs=2, default=[256, 256], help="sides of the JPEGs: from, to")
    add("--size", dest="size_px", type=int, default=96, help="px, of what the model sees")
    add("--batch-size", type=int, default=64, help=" ")
    add("--lr", type=float, default=1e-3, help=" ")
    add("--weight-decay", type=float, default=0.05, help=" ")
    add("--workers", type=int, default=cores, help="loader processes of the peers; the engine decides for itself")
    add("--device", default="cpu", choices=["cpu", "cuda"], help=" ")
    add("--out", type=Path, default=BUILD / "train", help="a folder")
    add("--quick", action="store_true", help="a tiny run, to see that everything works")
    if parser.parse_args().quick:
        parser.set_defaults(models=["test_resnet"], precisions=["fp32"], rounds=1, epochs=2)
        parser.set_defaults(images=96, valid=32, batch_size=16, size_px=32, out=BUILD / "train-quick")
    options = parser.parse_args()
    options.compile = [word == "yes" for word in options.compile]
    return options


if __name__ == "__main__":
    sys.exit(main())
