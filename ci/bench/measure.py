"""Measures a command from outside: wall time, memory over all of its processes, the GPU; and names the hardware."""

import datetime
import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

LOOK_S = 0.5  # between two looks at the processes
GROWN = 1.02  # RSS since the last reading of PSS, which asks for a new one
READ_S = 5.0  # or so much time: pages that forked processes shared and no longer do add to PSS alone
PACKAGES = ("torch", "torchvision", "timm", "transformers", "accelerate", "opencv-python-headless", "pillow", "numpy")
Sample = tuple[float, float | None, float]  # of the GPU: unix time, busy %, memory in MB


@dataclass(frozen=True)
class Measured:
    status: int
    output: str  # stdout and stderr
    wall_s: float
    peak_pss_mb: float  # sums over the process and all of its descendants
    peak_rss_mb: float
    gpu: list[Sample] = field(default_factory=list)
    cpu_s: float = 0.0  # user and system, of all processes that were waited for


def run(
    command: list[str],
    log: Path,
    environment: Mapping[str, str],
    watch_gpu: bool = False,
    folder: Path | None = None,
) -> Measured:
    """Runs `command` to its end, in `folder` or here, with `environment` added to this process's.

    PSS counts a page that n processes share as 1/n in each, so its sum counts it once; the sum of RSS counts it n
    times. Reading PSS takes about 40 ms a GB, so it is read where RSS has grown, and every few seconds.
    """
    gpu = _GpuWatch(log.with_suffix(".gpu")) if watch_gpu else None
    started, cpu_before = time.perf_counter(), _cpu_s()
    with log.open("w") as out:
        added = {**os.environ, **environment}
        process = psutil.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=added, cwd=folder)
        pss = rss = rss_then = read_at = 0.0
        while process.poll() is None:
            rss = max(rss, sum(_rss_mb(each) for each in _tree(process)))
            if rss > rss_then * GROWN or time.perf_counter() - read_at > READ_S:
                pss = max(pss, sum(_pss_mb(each.pid) for each in _tree(process)))
                rss_then, read_at = rss, time.perf_counter()
            _wait(process, LOOK_S)
        wall_s = time.perf_counter() - started
    samples = gpu.stop() if gpu else []
    cpu_s = _cpu_s() - cpu_before
    return Measured(process.returncode, log.read_text(errors="replace"), wall_s, pss, rss, samples, cpu_s)


def _cpu_s() -> float:
    """Of this process's ended children and theirs, so far."""
    times = os.times()
    return times.children_user + times.children_system


def _wait(process: Any, seconds: float) -> None:
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired:
        return


def _tree(process: Any) -> list[Any]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _rss_mb(process: Any) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def _pss_mb(pid: int) -> float:
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0.0  # ended meanwhile
    return int(found[1]) * 1024 / 1e6 if found else 0.0


class _GpuWatch:
    """nvidia-smi's own sampling, twice a second."""

    def __init__(self, log: Path) -> None:
        self._log = log
        query = "--query-gpu=timestamp,utilization.gpu,memory.used"
        command = ["nvidia-smi", query, "--format=csv,noheader,nounits", "-lms", "500", "-i", "0"]
        self._process = subprocess.Popen(command, stdout=log.open("w")) if shutil.which("nvidia-smi") else None

    def stop(self) -> list[Sample]:
        if self._process is None:
            return []
        self._process.terminate()
        self._process.wait()
        samples: list[Sample] = []
        for line in self._log.read_text().splitlines():
            when, *figures = (part.strip() for part in line.split(","))
            if len(figures) == 2 and figures[1].isdigit():  # a part of a GPU tells its memory only
                moment = datetime.datetime.strptime(when, "%Y/%m/%d %H:%M:%S.%f")
                busy = float(figures[0]) if figures[0].isdigit() else None
                samples.append((moment.timestamp(), busy, float(figures[1])))
        return samples


def surroundings() -> dict[str, Any]:
    """Date, hardware, versions and the command line: what a figure needs to be understood later."""
    return {
        "date": datetime.date.today().isoformat(),
        "command": shlex.join(["python", *sys.argv]),
        "hardware": _hardware(),
        "versions": _versions(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
        "load": round(os.getloadavg()[0], 1),  # of the minute before: how quiet the machine was
    }


def _hardware() -> dict[str, Any]:
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    found: dict[str, Any] = {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
    }
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        found["gpu"] = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return found


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def headline(about: dict[str, Any]) -> list[str]:
    """`surroundings` as Markdown lines."""
    hardware, versions = about["hardware"], about["versions"]
    gpu = f", {hardware['gpu']}" if hardware.get("gpu") else ""
    threads = about["OMP_NUM_THREADS"]
    return [
        f"{about['date']}: {hardware['cores']} cores of {hardware['cpu']}, {hardware['memory_gb']} GB{gpu}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f"; load {about['load']} before it began"
        + (f"; OMP_NUM_THREADS={threads}" if threads != "not set" else ""),
        "",
        f"    {about['command']}",
        "",
    ]


def median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


def markdown_table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows]]
