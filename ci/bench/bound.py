"""The engine's loop beside the bare step of the same model, in turns of an epoch within one process.

On a machine whose speed changes from half a minute to the next, two processes measure the machine rather than the loop;
train.py needs many rounds for a difference of a few percent. Here `comp train` runs as it is, but for the validation:
in its place as many bare steps on tensors that lie there already are timed (contenders/synthetic.py). Each epoch after
the first gives a ratio. Results: OUT/bound.json and OUT/bound.md.
"""

import argparse
import itertools
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE / "contenders"))
from common import Settings, write_settings  # noqa: E402
from dataset import ensure_dataset  # noqa: E402
from measure import headline, markdown_table, median, run, surroundings  # noqa: E402

BUILD = HERE.parents[1] / "build" / "bench"
Pair = tuple[float, float]  # images/s of two epochs next to each other: the engine's, the bound's


def main() -> None:
    options = _options()
    about = surroundings()
    dataset = ensure_dataset(BUILD / "data", options.images, 64)
    (BUILD / "work").mkdir(parents=True, exist_ok=True)
    measured: dict[str, list[Pair]] = {}
    options.out.mkdir(parents=True, exist_ok=True)
    for model, precision in itertools.product(options.models, options.precisions):
        folder = Path(tempfile.mkdtemp(prefix="bound-", dir=BUILD / "work"))
        try:
            case = f"{model} {precision}"
            measured[case] = _measured(model, precision, dataset, folder, options)
        finally:
            shutil.rmtree(folder)
        print(case, f"{median(_ratios(measured[case])):.3f}", flush=True)
        lines = [*headline(about), *_table(measured, options)]
        (options.out / "bound.json").write_text(json.dumps({**about, "images_per_s": measured}, indent=1) + "\n")
        (options.out / "bound.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    models = ["mobilenetv3_small_050", "resnet18", "convnext_atto", "vit_tiny_patch16_224"]
    parser.add_argument("--models", nargs="+", default=models, help="timm's names")
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"], help=" ")
    parser.add_argument("--epochs", type=int, default=13, help="the first does not count")
    parser.add_argument("--images", type=int, default=512, help="an epoch, about")
    parser.add_argument("--size", dest="size_px", type=int, default=96, help="px, of what the model sees")
    parser.add_argument("--batch-size", type=int, default=64, help=" ")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help=" ")
    parser.add_argument("--out", type=Path, default=BUILD / "bound", help="a folder")
    return parser.parse_args()


def _measured(model: str, precision: str, dataset: Path, folder: Path, options: argparse.Namespace) -> list[Pair]:
    settings = Settings(
        data=str(dataset),
        model=model,
        precision=precision,
        compile=False,
        seed=0,
        epochs=options.epochs,
        batch_size=options.batch_size,
        size_px=options.size_px,
        workers=0,
        device=options.device,
        lr=1e-3,
        weight_decay=0.05,
    )
    write_settings(settings, folder / "settings.json")
    command = [sys.executable, str(HERE / "contenders" / "beside_bound.py")]
    done = run([*command, str(folder / "settings.json"), str(folder / "result.json")], folder / "log", {})
    if done.status:
        raise SystemExit(done.output[-3000:])
    epochs: list[dict[str, Any]] = json.loads((folder / "result.json").read_text())["epochs"]
    bound, ours = ([epoch["images"] / epoch["seconds"] for epoch in epochs[first::2]] for first in (0, 1))
    return list(zip(ours, bound, strict=True))[1:]


def _ratios(pairs: list[Pair]) -> list[float]:
    """The engine's speed as a share of the bound's, an epoch."""
    return [ours / bound for ours, bound in pairs]


def _table(measured: dict[str, list[Pair]], options: argparse.Namespace) -> list[str]:
    rows = []
    for case, pairs in measured.items():
        speeds = [median([pair[place] for pair in pairs]) for place in (0, 1)]
        low, middle, high = statistics.quantiles(_ratios(pairs), n=4)
        rows.append([case, *(f"{each:.0f}" for each in speeds), f"{middle:.3f}", f"{low:.3f} to {high:.3f}"])
    return markdown_table(["model", "engine, images/s", "bound, images/s", "to the bound", "half of the epochs"], rows)


if __name__ == "__main__":
    main()
