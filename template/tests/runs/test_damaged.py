"""Files of a finished run that come back damaged: one line that names the file and the way out, or made again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from comp.runs.rundir import RunDir

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda whole: whole[: len(whole) // 2],
    "empty": lambda _: b"",
    "noise": lambda whole: np.random.default_rng(1).bytes(max(64, len(whole))),
    "another type": lambda _: b'["it", 2]\n',
}
READ_BY = {  # the way out is part of the line
    "runs/small/metrics.json": ("report", "remove it and run comp train"),
    "runs/small/made_with.json": ("predict", "copy it from another run"),
    "runs/small/config.yaml": ("predict", "restore it from a copy"),
    "runs/small/folds.txt": ("train", "remove it if folds.csv is still what the run began with"),
    "data/folds.csv": ("train", "comp split"),
    "runs/leaderboard.csv": ("train", "move it away and run comp train"),
    "runs/small/fold0/oof.parquet": ("train", "run comp predict"),
    "runs/small/fold1/test.parquet": ("train", "run comp predict"),
    "runs/small/test.parquet": ("submit", "run comp predict"),
    "runs/small/fold0/metrics.json": ("predict", "remove it and run comp train, which trains this fold again"),
    "runs/small/fold1/best.safetensors": ("predict", "and run comp train, which trains this fold again"),
}
_finished: dict[str, Path] = {}


@pytest.fixture
def finished(small, repo, comp, tmp_path_factory) -> Path:
    """A repository with a finished run of the task, trained once."""
    if small.task not in _finished:
        small.write(repo / "data")
        small.configure()
        assert comp("split")[0] == comp("train")[0] == 0
        _finished[small.task] = tmp_path_factory.mktemp(small.task)
        shutil.copytree(repo, _finished[small.task], dirs_exist_ok=True)
    shutil.copytree(_finished[small.task], repo, dirs_exist_ok=True)
    return repo


def damage(path: Path, how: str) -> None:
    path.write_bytes(DAMAGES[how](path.read_bytes()))


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", READ_BY)
def test_a_damaged_file_is_one_line_with_its_name_and_the_way_out(file, how, finished, comp):
    command, way_out = READ_BY[file]
    damage(finished / file, how)
    status, _, errors = comp(command)
    assert (status, errors.count("\n")) == (1, 1), errors
    assert errors.startswith("error: ")
    assert file in errors
    assert way_out in errors


@pytest.mark.parametrize("file", READ_BY)
def test_a_folder_in_the_place_of_a_file_is_one_line(file, finished, comp):
    (finished / file).unlink()
    (finished / file).mkdir()
    status, _, errors = comp(READ_BY[file][0])
    assert (status, errors.count("\n")) == (1, 1), errors
    assert file in errors


@pytest.mark.parametrize(
    ("file", "by"),
    [
        ("runs/small/metrics.json", "train"),
        ("runs/small/fold0/oof.parquet", "predict"),
        ("runs/small/fold1/test.parquet", "predict"),
        ("runs/small/test.parquet", "predict"),
        ("runs/leaderboard.csv", "train"),
        ("runs/small/fold0/metrics.json", "train"),
        ("runs/small/folds.txt", "train"),
    ],
)
def test_the_way_out_leads_out(file, by, finished, comp):
    before = (finished / file).read_bytes()
    damage(finished / file, "noise")
    if by == "train":
        (finished / file).unlink()
    assert comp(by)[0] == 0
    if not file.endswith("metrics.json"):  # it holds seconds
        assert (finished / file).read_bytes() == before or file == "runs/leaderboard.csv"
    assert comp("report")[0] == comp("submit")[0] == 0


@pytest.mark.parametrize("how", DAMAGES)
def test_a_page_without_a_readable_history_lacks_its_curve(how, finished, comp):
    damage(finished / "runs/small/fold0/history.csv", how)
    status, printed, errors = comp("report")
    assert (status, errors) == (0, "")
    told = [line for line in printed.splitlines() if line.startswith("note ")]
    assert len(told) == (0 if how == "half" and not told else 1)
    assert all("fold0/history.csv is damaged" in line for line in told)


@pytest.mark.parametrize("file", ["oof.parquet", "fold0/test.parquet"])
def test_a_flipped_bit_in_predictions_is_found(file, finished, comp):
    """Between the marks of a parquet file stand pages, and each has its sum."""
    path = finished / "runs/small" / file
    whole = bytearray(path.read_bytes())
    whole[60] ^= 4
    path.write_bytes(whole)
    status, _, errors = comp("train" if "fold" in file else "blend", *([] if "fold" in file else ["name=both"]))
    assert (status, errors.count("\n")) == (1, 1), errors
    assert f"{path.relative_to(finished)} is damaged" in errors


def test_a_configuration_that_breaks_off_does_not_take_defaults_for_the_rest(finished, comp):
    path = finished / "runs/small/config.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-2]), encoding="utf-8")  # still YAML, still valid
    status, _, errors = comp("predict")
    assert status == 1
    assert "runs/small/config.yaml is damaged (its end is missing): restore it from a copy" in errors


def test_another_runs_damage_does_not_end_a_blend_of_the_others(finished, comp):
    shutil.copytree(RunDir(finished / "runs/small").path, finished / "runs/other")
    (finished / "runs/other/folds.txt").write_text("?", encoding="utf-8")
    status, _, errors = comp("train")
    assert (status, errors) == (0, "")
