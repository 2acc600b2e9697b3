"""How far `comp forecast` is off: `python ci/bench/forecast.py [--cpu] CONFIG …`, in a generated repository.

For each configuration the forecast is made, then the run is trained, and the test images are predicted as a hidden test
set would be. Compared are seconds by the clock, and the most memory. With `--cpu` they are seconds of CPU time: on a
machine that others use too, the time on the clock is theirs as well. OMP_NUM_THREADS=1 then.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

clock, process_time = time.perf_counter, time.process_time


def cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    return process_time() + sum(os.times()[2:4])


def main(words: list[str]) -> None:
    on_cpu = "--cpu" in words
    now = cpu_seconds if on_cpu else clock
    time.perf_counter = now  # before anything measures by it
    from comp.config import load_config
    from comp.vision.data.read import read_tables
    from comp.vision.forecast.forecast import made_forecast

    unit = "CPU time" if on_cpu else "time"
    names = [f"training, {unit}: forecast, taken", "off", "inference: forecast, taken", "off", "memory", "off"]
    print(f"| run | {' | '.join(names)} |\n|{' --- |' * (1 + len(names))}")
    for path in [word for word in words if word != "--cpu"]:
        config = load_config(Path(path))
        made = made_forecast(config)
        trained = _seconds(now, "train", path, "--fresh")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of the largest child
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(Path(each).resolve()) for each in read_tables(config.data).test["path"]]
            images = Path(folder, "images.csv")
            images.write_text("\n".join(["path", *paths, ""]), encoding="utf-8")
            predicted = _seconds(now, "predict", path, "--images", str(images), "--out", str(Path(folder, "said.csv")))
        ram = max(model.ram for model in made.models)
        both = zip((made.training(), made.inference()), (trained, predicted), strict=True)
        cells = [cell for said, taken in both for cell in (f"{said:.0f}, {taken:.0f} s", f"{said / taken - 1:+.0%}")]
        cells += [f"{ram / 1e9:.2f}, {peak / 1e9:.2f} GB", f"{ram / peak - 1:+.0%}"]
        print(f"| {config.name} | {' | '.join(cells)} |", flush=True)


def _seconds(now: Callable[[], float], *words: str) -> float:
    """That `comp` takes."""
    before = now()
    subprocess.run([sys.executable, "-m", "comp", *words], check=True, stdout=subprocess.DEVNULL)
    return now() - before


if __name__ == "__main__":
    main(sys.argv[1:])
