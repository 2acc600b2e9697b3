"""How far `comp forecast` is off: `python ci/bench/forecast.py CONFIG …`, in a generated repository.

For each configuration the forecast is made, then the run is trained, and both are compared: seconds of CPU time, since
on a machine that others use too, the time on the clock is theirs as well, and the most memory. One thread.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

process_time = time.process_time


def cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    return process_time() + sum(os.times()[2:4])


def main(configs: list[str]) -> None:
    time.perf_counter = cpu_seconds  # before anything measures by it
    from comp.config import load_config
    from comp.vision.forecast.forecast import made_forecast

    print("| run | CPU time, forecast | CPU time, trained | off | memory, forecast | memory, trained | off |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for path in configs:
        config = load_config(Path(path))
        made = made_forecast(config)
        forecast, ram = made.training(), max(model.ram for model in made.models)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "comp", "train", path, "--fresh"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        trained = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        peak = after.ru_maxrss * 1024  # of the largest child
        print(
            f"| {config.name} | {forecast:.0f} s | {trained:.0f} s | {forecast / trained - 1:+.0%} "
            f"| {ram / 1e9:.2f} GB | {peak / 1e9:.2f} GB | {ram / peak - 1:+.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
