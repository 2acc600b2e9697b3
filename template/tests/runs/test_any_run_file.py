"""Any bytes in the place of a file that a run is made of: what stands in it, or a line."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import damaged, gives_a_result_or_a_line

from comp.folds import load_split, split_rows
from comp.loop.tensors import read_safetensors, read_tensors, write_tensors
from comp.readback import read_array, remembered
from comp.runs.leaderboard import read_leaderboard
from comp.runs.predictions import oof_table, read_oof, write_predictions
from comp.runs.rundir import RunDir, read_fold_metrics
from comp.tables import Tables, Targets

SCORE = {"oof": 0.5, "mean": 0.5, "std": 0.1, "folds": {"0": 0.5}}
METRICS = {"metric": "m", "rows": 3, "folds": 1, "seconds": 1.5, "flatters": False, "scores": {"m": SCORE}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*METRICS, *SCORE, "predict"]), inner),
    max_leaves=8,
)
BOARD = b"name,metric,cv,mean\na,accuracy,0.5,0.4\nb,accuracy,unscored,unscored\n"
TARGETS = Targets("multiclass", ("a", "b"))


@pytest.fixture
def run(repo):
    run = RunDir(repo / "runs" / "small")
    run.path.mkdir(parents=True)
    return run


@given(damaged(json.dumps(METRICS).encode()) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_metrics(run, content):
    run.metrics.write_bytes(content)
    gives_a_result_or_a_line(run.read_metrics)
    gives_a_result_or_a_line(lambda: read_fold_metrics(run.metrics))


@given(damaged(b"0123456789abcdef\n"))
def test_any_hash_of_folds(run, content):
    run.folds.write_bytes(content)
    gives_a_result_or_a_line(run.read_folds)


@given(damaged(BOARD))
def test_any_leaderboard(repo, content):
    (repo / "runs").mkdir(exist_ok=True)
    (repo / "runs/leaderboard.csv").write_bytes(content)
    gives_a_result_or_a_line(read_leaderboard)


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    """A predictions table, as bytes."""
    train = pd.DataFrame({"id": list("uvwxyz"), "target": list("aabbab")})
    p = np.random.default_rng(0).dirichlet((1, 1), 6)
    path = tmp_path_factory.mktemp("predictions") / "oof.parquet"
    write_predictions(path, oof_table(train, np.arange(6), np.zeros(6, int), p, TARGETS), TARGETS, "0" * 16)
    return path.read_bytes()


@given(st.data())
def test_any_predictions(run, predictions, data):
    run.oof.write_bytes(data.draw(damaged(predictions)))
    gives_a_result_or_a_line(lambda: read_oof(run.oof))


@pytest.fixture
def folds(repo, small):
    """A configuration and a table whose folds.csv stands in data/."""
    config = small.configure()
    config = config.model_copy(update={"folds": config.folds.model_copy(update={"kind": "group"})})
    ids = [f"{number:02d}" for number in range(12)]
    train = pd.DataFrame({"id": ids, "target": ["a", "b"] * 6, "group": ids})
    tables = Tables(train, train[["id"]], None, TARGETS)
    (repo / "data").mkdir()
    split_rows(config, tables, lambda _: train["group"].to_numpy())
    return config, tables, (repo / "data/folds.csv").read_bytes()


@given(st.data())
def test_any_folds(repo, folds, data):
    config, tables, valid = folds
    (repo / "data/folds.csv").write_bytes(data.draw(damaged(valid)))
    gives_a_result_or_a_line(lambda: load_split(config, tables))


@pytest.fixture
def tensors(repo):
    import torch
    from safetensors.torch import save_file

    write_tensors(repo / "state.pt", {"a": torch.ones(20), "progress": {"epoch": 1}})
    save_file({"a": torch.ones(20), "b": torch.zeros(2, 3)}, repo / "best.safetensors", {"comp": "{}"})
    return repo


@given(st.data())
def test_any_state(tensors, data):
    valid = (tensors / "state.pt").read_bytes()
    (tensors / "any.pt").write_bytes(data.draw(damaged(valid)))
    gives_a_result_or_a_line(lambda: read_tensors(tensors / "any.pt"))


@given(st.data())
def test_any_safetensors(tensors, data):
    valid = (tensors / "best.safetensors").read_bytes()
    (tensors / "any.safetensors").write_bytes(data.draw(damaged(valid)))
    gives_a_result_or_a_line(lambda: read_safetensors(tensors / "any.safetensors", "remove it"))


@given(JSON.map(json.dumps), st.binary(max_size=40))
def test_any_header_of_safetensors(repo, header, body):
    head = header.encode()
    (repo / "any.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + body)
    gives_a_result_or_a_line(lambda: read_safetensors(repo / "any.safetensors", "remove it"))


@given(st.data())
def test_any_array_that_is_remembered(repo, data):
    np.save(repo / "valid.npy", np.ones((3, 2)))
    path = repo / "any.npy"
    path.write_bytes(data.draw(damaged((repo / "valid.npy").read_bytes())))
    for shape in ((3, 2), None):
        remembered(path, lambda shape=shape: read_array(path, shape, np.dtype(np.float64), "it is made again"))
