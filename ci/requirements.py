"""Prints what a generated repository declares to need, with any tracker: `python ci/requirements.py [TASK …]`.

Without a TASK, that of all: one environment serves them.
"""

import sys
import tempfile
import tomllib
from itertools import product
from pathlib import Path

import copier
from questions import ROOT, constants_of

TRACKERS = ("none", "tensorboard")  # wandb and trackio: large, and only the user's account makes them useful


def requirements(tasks: list[str]) -> list[str]:
    """The dependencies of all variants of these tasks, each once; twice where two tasks bound it differently."""
    found: set[str] = set()
    for task, tracker in product(tasks, TRACKERS):
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, "made")
            copier.run_copy(
                str(ROOT), made, data={"task": task, "tracker": tracker}, defaults=True, quiet=True, vcs_ref="HEAD"
            )
            project = tomllib.loads((made / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        found |= {*project["dependencies"], *project["optional-dependencies"]["dev"]}
    return sorted(found)


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:] or list(constants_of()["parts"]))))
