"""The benchmark for GPUs, tiny and on the CPU: all of its parts run, and one that fails stops no other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rendering import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ci/bench reads /proc")


def gpu_sh(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(ROOT / "ci" / "bench" / "gpu.sh"), "--tiny", *arguments]
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_each_part_leaves_its_figures(tmp_path: Path):
    done = gpu_sh(str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")}
    assert found == {"train.json", "frozen/frozen.json", "clip/large.json", "fsdp/large.json", "align/align.json"}
    assert "error" not in (tmp_path / "train.json").read_text()


def test_a_part_that_fails_is_named_and_the_next_one_runs(tmp_path: Path):
    done = gpu_sh(str(tmp_path), "training", "align", "--contenders", "nobody")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "error: failed: training")
    assert (tmp_path / "align" / "align.json").is_file()


def test_a_part_that_there_is_not_is_refused(tmp_path: Path):
    done = gpu_sh(str(tmp_path), "detect")
    assert (done.returncode, done.stderr) == (
        1,
        "error: no part is called detect: there are training frozen clip fsdp align\n",
    )
