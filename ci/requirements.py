"""Prints what a generated repository declares to need, of any task, with any tracker: one environment serves all."""

import re
import tempfile
import tomllib
from itertools import product
from pathlib import Path

import copier
from questions import ROOT, constants_of

TRACKERS = ("none", "tensorboard")  # wandb and trackio: large, and only the user's account makes them useful


def requirements() -> list[str]:
    """The dependencies of all variants, each once."""
    found: dict[str, str] = {}
    for task, tracker in product(constants_of()["parts"], TRACKERS):
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, "made")
            copier.run_copy(
                str(ROOT), made, data={"task": task, "tracker": tracker}, defaults=True, quiet=True, vcs_ref="HEAD"
            )
            project = tomllib.loads((made / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
            found[re.split(r"[<>=!~\[ ]", requirement)[0].lower()] = requirement
    return sorted(found.values())


if __name__ == "__main__":
    print("\n".join(requirements()))
