"""What it takes to look: `comp check` of many images, `comp report` and `comp board` of runs with many rows.

The images are noise in the color of their class; the runs are predictions with some truth in them, which nobody
trained. Results: OUT/insight.json and OUT/insight.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from measure import headline, markdown_table, surroundings

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
CLASSES = 10
RUNS = 4
MAKE_RUNS = """
import sys
sys.path.insert(0, {tests!r})
from comp.config import load_config
from pathlib import Path
from vision.made_runs import make_run
config = load_config(Path("conf.yaml"))
for number in range({runs}):
    make_run(config, f"run{{number}}", seed=number, skill=0.5 + 0.1 * number)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="training and test images of 32 px")
    parser.add_argument("--large", type=int, default=10_000, help="images of 256 px, for comp check alone")
    parser.add_argument("--out", type=Path, default=BUILD / "insight", help="a folder")
    options = parser.parse_args()
    about, figures = surroundings(), []
    (BUILD / "work").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="insight-", dir=BUILD / "work"))
    try:
        _competition(folder / "large", options.large, 256)
        figures.append({"what": f"comp check, {options.large} images of 256 px", **_taken(folder / "large", "check")})
        many = folder / "many"
        _competition(many, options.rows, 32)
        figures.append({"what": f"comp check, {options.rows} images of 32 px", **_taken(many, "check")})
        _run(many, ["-m", "comp", "split", "conf.yaml"])
        _run(many, ["-c", MAKE_RUNS.format(tests=str(ROOT / "template" / "tests"), runs=RUNS)])
        figures.append({"what": f"comp report, {options.rows * 4 // 5} rows", **_taken(many, "report", "name=run0")})
        figures.append({"what": f"comp board, {RUNS} runs of them", **_taken(many, "board", config="")})
        sizes = {path.name: path.stat().st_size for path in [*many.rglob("*.html")]}
    finally:
        shutil.rmtree(folder)
    options.out.mkdir(parents=True, exist_ok=True)
    values = {"surroundings": about, "figures": figures, "pages_bytes": sizes}
    (options.out / "insight.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    rows = [[each["what"], f"{each['wall_s']:.0f}", f"{each['cpu_s']:.0f}"] for each in figures]
    table = markdown_table(["", "s", "s of CPU"], rows)
    pages = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sorted(sizes.items()))
    text = "\n".join([*headline(about), *table, "", f"Pages: {pages}.", ""])
    (options.out / "insight.md").write_text(text, encoding="utf-8")
    print(text)


def _competition(folder: Path, images: int, side: int) -> None:
    random = np.random.default_rng(0)
    colors = random.integers(60, 196, (CLASSES, 3))
    rows = []
    for split, count in (("train", images * 4 // 5), ("test", images // 5)):
        (folder / "data" / split).mkdir(parents=True)
        for number in range(count):
            label = int(random.integers(CLASSES))
            noise = random.integers(-40, 41, (32, 32, 3)) + colors[label]  # as fine as what tells photographs apart
            picture = cv2.resize(noise.astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / "data" / split / f"{number:06d}.jpg"), picture)
            rows.append((split, f"{number:06d}", f"class{label}"))
    table = pd.DataFrame(rows, columns=["split", "id", "label"])
    table[table["split"] == "train"][["id", "label"]].to_csv(folder / "data" / "train.csv", index=False)
    (folder / "conf.yaml").write_text(
        "name: run0\ntask: classify\nmetric: accuracy\nmetrics: [log_loss]\nfolds: {n: 5}\n"
        "model: {backbone: test_resnet, pretrained: false, image_size: 32}\n",
        encoding="utf-8",
    )


def _taken(folder: Path, command: str, *words: str, config: str = "conf.yaml") -> dict[str, Any]:
    """Seconds by the clock and of CPU of a command."""
    before, started = os.times(), time.perf_counter()
    _run(folder, ["-m", "comp", command, *([config] if config else []), *words])
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall_s": time.perf_counter() - started, "cpu_s": cpu}


def _run(folder: Path, words: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "template" / "src")}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(words[:3])}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
