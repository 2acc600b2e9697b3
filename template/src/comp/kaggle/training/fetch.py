"""What a session has left in its output, fetched into `runs/` as if it was trained here."""

import re
import shutil
from pathlib import Path

from comp.config import Experiment
from comp.config.load import changed
from comp.errors import CompError, shown
from comp.files import write_text
from comp.files.lock import locked
from comp.folds import digest_in, folds_path
from comp.kaggle.client import competition
from comp.kaggle.publish import Notebook, fetch_output
from comp.runs.leaderboard import leaderboard_line, note_in_leaderboard
from comp.runs.rundir import RUNS, RunDir


def fetch_runs(config: Experiment, names: list[str], notebook: Notebook, folder: Path, fresh: bool) -> None:
    """Downloads the runs `names` into `folder`, which may have parts of them, and moves them into `runs/`.

    Raises:
        CompError: something lacks; or `runs/` has other runs of these names, which stay.
    """
    print(f"kaggle  fetching {shown(names)} from {notebook}", flush=True)
    pattern = rf"^(folds\.csv|runs/({'|'.join(map(re.escape, names))})/.*)$"
    fetch_output(notebook, folder, pattern)
    fetched = [RunDir(folder / RUNS / name) for name in names]
    for run in fetched:
        if not (run.config.is_file() and run.metrics.is_file() and run.done_folds()):
            raise CompError(f"{run.path.name} is not whole in the output of {notebook}: look at {notebook.page}")
        _refuse_what_is_here(RunDir.of_name(run.path.name), run, fresh)
    _put_folds_in_place(config, fetched, folder / "folds.csv")
    for run in fetched:
        run.write_config(changed(run.trained_config(), data=_data_here(config)))
        _move(run.path, RUNS / run.path.name)
        _note(RunDir.of_name(run.path.name))
    shutil.rmtree(folder)


def _refuse_what_is_here(here: RunDir, fetched: RunDir, fresh: bool) -> None:
    if fresh:
        return
    here.refuse_another(fetched.trained_config())
    more = sorted(set(here.done_folds()) - set(fetched.done_folds()))
    if more:
        raise CompError(
            f"{here.path} has fold {more[0]}, which was not trained on Kaggle: give this one another name (name=…), or "
            "run comp kaggle train --fresh to have what Kaggle trains instead"
        )


def _put_folds_in_place(config: Experiment, runs: list[RunDir], fetched: Path) -> None:
    """Raises: CompError, where `folds.csv` here has other folds than the runs were trained with."""
    path = folds_path(config)
    if not path.is_file():
        write_text(path, fetched.read_text(encoding="utf-8"))
        print(f"folds   {path} fetched: Kaggle has made it")
    for run in runs:
        if run.read_folds() != digest_in(path):
            raise CompError(
                f"{path} has other folds than {run.path.name} was trained with: move it away and run comp kaggle train "
                "--follow, which fetches those"
            )


def _data_here(config: Experiment) -> dict[str, str | None]:
    """Where this machine has what the run was trained on: `comp download` unpacks into a folder of its own."""
    inner = Path(config.data.root) / competition(config)
    root = inner.as_posix() if inner.is_dir() else config.data.root
    return {"root": root, "work": config.data.work or (config.data.root if inner.is_dir() else None)}


def _move(fetched: Path, place: Path) -> None:
    """Puts a folder in another's place; the older one is gone once the new one is there."""
    with locked(place, "kaggle train"):
        pass  # nobody trains there
    before = fetched.with_name(f"{fetched.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    place.replace(before)
    fetched.replace(place)
    shutil.rmtree(before)


def _note(run: RunDir) -> None:
    config, metrics = run.trained_config(), run.read_metrics()
    board = note_in_leaderboard(leaderboard_line(config, metrics))
    score = metrics["scores"][config.metric]["oof"]
    told = "unscored" if metrics["unscored"] else f"{config.metric} {score:.4f} out of fold"
    print(f"kaggle  {run.path}: {told}, {metrics['folds']} folds; {board}", flush=True)
