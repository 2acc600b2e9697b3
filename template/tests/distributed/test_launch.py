"""One process or several: the same rows, and one line where something is wrong. Here on the CPU, through gloo."""

import pandas as pd
import pytest

from comp.distributed.launch import processes_wanted


def test_one_process_a_visible_gpu_unless_told(small, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert processes_wanted(small.configure()) == 4
    assert processes_wanted(small.configure(train={"processes": 2})) == 2
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert processes_wanted(small.configure()) == 1


@pytest.mark.release  # each task is started so by ci/variants.py as well
def test_two_processes_predict_each_row_once(repo, small, comp, comp_process):
    small.write(repo / "data")
    small.configure()
    assert comp("split")[0] == 0
    finished = comp_process("train", "train.processes=2", "folds=[0]")
    assert finished.returncode == 0, finished.stderr
    for once in ("launch  2 processes", "fold 0  done", "next    "):
        assert finished.stdout.count(once) == 1
    folds = pd.read_csv(repo / "data/folds.csv", dtype={"id": str}, skiprows=1)
    oof = pd.read_parquet(repo / "runs/small/fold0/oof.parquet")
    assert sorted(oof["id"]) == sorted(folds["id"][folds["fold"] == 0])


def test_what_is_wrong_is_one_line_before_any_process_starts(repo, small, comp):
    small.write(repo / "data")
    small.configure()
    assert comp("split")[0] == 0
    status, out, err = comp("train", "train.processes=2", "metric=mine")
    assert (status, err.count("\n")) == (1, 1)
    assert "no metric is called 'mine'" in err
    assert "launch" not in out
