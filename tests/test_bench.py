"""The benchmark for GPUs, tiny and on the CPU: all of its parts run, and one that fails stops no other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rendering import RELEASE, ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ci/bench reads /proc")


def gpu_sh(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(ROOT / "ci" / "bench" / "gpu.sh"), "--tiny", *arguments]
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def figures_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}


def test_a_part_leaves_its_figures(tmp_path: Path):
    done = gpu_sh(str(tmp_path), "fsdp")
    assert done.returncode == 0, done.stdout + done.stderr
    assert figures_in(tmp_path) == {"fsdp/large.json"}


@RELEASE  # the quickest part runs above
def test_training_leaves_its_figures(tmp_path: Path):
    done = gpu_sh(str(tmp_path), "training")
    assert done.returncode == 0, done.stdout + done.stderr
    assert figures_in(tmp_path) == {"train.json"}
    runs = json.loads((tmp_path / "train.json").read_text(encoding="utf-8"))[0]["runs"]
    assert [run["contender"] for run in runs if run["epochs"]] == ["ours-device", "timm"]


@RELEASE  # all parts but the first, for which there is a test above
def test_a_part_that_fails_is_named_and_the_others_leave_theirs(tmp_path: Path):
    done = gpu_sh(str(tmp_path), "--contenders", "nobody")  # an option of the first part
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "error: failed: training"), done.stdout + done.stderr
    assert figures_in(tmp_path) == {"frozen/frozen.json", "clip/large.json", "fsdp/large.json", "align/align.json"}


def test_a_part_that_there_is_not_is_refused(tmp_path: Path):
    done = gpu_sh(str(tmp_path), "detect")
    assert (done.returncode, done.stderr) == (
        1,
        "error: no part is called detect: there are training frozen clip fsdp align\n",
    )
