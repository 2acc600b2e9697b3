"""The machine that a run is begun on, and the packages that decide its numbers: noted with the run, for others."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PATIENCE_S = 10  # for nvidia-smi
DECIDING = (
    *("accelerate", "lightgbm", "numpy", "opencv-python-headless", "pillow", "scikit-learn", "timm", "torch"),
    *("torchvision", "transformers"),
)


def machine() -> dict[str, Any]:
    """What can be told without asking any device to work: system, Python, processor, memory, GPUs, packages."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "gpus": _gpus(),
        "packages": {name: found for name in DECIDING if (found := _version(name))},
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:  # not Linux
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _gpus() -> list[str]:
    """Name and memory of each, as NVIDIA's own program tells: the process gets no context on them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    words = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
