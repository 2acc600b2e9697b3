"""The releases of this repository, which are its tags `v1.2.3`. Needs git alone: `ci/release` runs outside of .venv."""

import re
import subprocess
from pathlib import Path

VERSION = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
NEXT = "v999.0.0"  # what is not released yet, where it has to be the newest


def last_release(root: Path) -> str | None:
    """The tag of the highest version; None as long as there is none."""
    command = ["git", "tag", "--list", "v*"]
    tags = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split()
    return max((tag for tag in tags if re.fullmatch(f"v{VERSION}", tag)), key=numbers, default=None)


def numbers(version: str) -> tuple[int, ...]:
    """Of a version or its tag."""
    return tuple(int(part) for part in version.removeprefix("v").split("."))
