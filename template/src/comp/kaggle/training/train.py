"""`comp kaggle train`: pushes, follows, goes on where a session stopped, and fetches the run."""

import sys
from dataclasses import replace
from pathlib import Path

from comp.config import Experiment
from comp.config.load import members_of
from comp.errors import CompError, shown
from comp.files.lock import locked
from comp.kaggle.client import Refused, competition
from comp.kaggle.publish import is_gone, owner_here
from comp.kaggle.training.fetch import fetch_runs
from comp.kaggle.training.packed import fetches_weights, pack
from comp.kaggle.training.pushed import Pushed, folder_of, output_of, read_pushed, write_pushed
from comp.kaggle.training.sessions import Job, followed, push
from comp.runs.rundir import RunDir

OPEN = {"pushed", "unfinished", "done"}


def kaggle_train(config: Experiment, arguments: list[str], follow: bool = False, fresh: bool = False) -> int:
    """Trains as `comp train` would with these ARGUMENTS, on Kaggle, and fetches the run; the exit status.

    What is pushed already is followed instead. With `follow` nothing is pushed; with `fresh` nothing is gone on with,
    and the run here is replaced in the end.

    Raises:
        CompError: what is wrong here, or with Kaggle's answer; what was pushed goes on.
    """
    competition(config)
    with locked(folder_of(config.name), "kaggle train"):
        pushed = read_pushed(config.name)
        try:
            return _follow(config, pushed) if follow else _train(_job(config, arguments), pushed, fresh)
        except Refused:
            _refuse_what_is_gone(config)
            raise
        except KeyboardInterrupt:
            pushed = read_pushed(config.name)
            if pushed is None or pushed.state != "pushed":
                raise
            print(
                f"\nkaggle  {pushed.notebook} goes on without this: the same command follows it again, or comp kaggle "
                f"train --follow; {pushed.notebook.page} shows and stops it",
                file=sys.stderr,
            )
            return 130


def _refuse_what_is_gone(config: Experiment) -> None:
    """Raises: CompError, where the notebook was deleted on Kaggle: it is not followed or fetched any more."""
    pushed = read_pushed(config.name)
    if pushed is not None and pushed.state != "failed" and is_gone(pushed.notebook, owner_here(config)):
        write_pushed(config.name, replace(pushed, state="failed", after=0))
        raise CompError(f"{pushed.notebook} is not on Kaggle any more: comp kaggle train pushes it again") from None


def _follow(config: Experiment, pushed: Pushed | None) -> int:
    if pushed is None or pushed.state == "failed":
        what = "was pushed from here" if pushed is None else f"is at work: {pushed.notebook} has failed"
        raise CompError(f"nothing of {config.name} {what}; comp kaggle train pushes it")
    if pushed.state == "pushed":
        pushed = followed(config.name, pushed)
    if pushed.state == "unfinished":
        print(f"kaggle  session {pushed.session} has stopped before the end: comp kaggle train goes on from there")
        return 0
    _fetch(config, pushed)
    return 0


def _train(job: Job, pushed: Pushed | None, fresh: bool) -> int:
    name, most = job.config.name, job.config.kaggle.train.sessions
    same = pushed is not None and _is_same(job, pushed)
    if pushed is not None and pushed.state == "pushed" and not (same and fresh == pushed.replaces):
        raise CompError(
            f"{pushed.notebook} still trains {name} as it was: comp kaggle train --follow fetches it, "
            f"{pushed.notebook.page} stops it"
        )
    if fresh and not (same and pushed is not None and pushed.replaces and pushed.state in OPEN):
        pushed = None
    elif pushed is not None and pushed.state in {"done", "fetched"} and same:
        return _fetch(job.config, pushed)
    if not fresh:
        _refuse_other_runs(job, pushed)
    for _ in range(most):
        if pushed is None or pushed.state != "pushed":
            pushed = push(job, pushed, fresh)
        pushed = followed(name, pushed)
        if pushed.state == "done":
            return _fetch(job.config, pushed)
        print(f"kaggle  session {pushed.session} has stopped in time, its state is saved", flush=True)
    raise CompError(f"{name} is not done after {most} sessions (kaggle.train.sessions): the same command goes on")


def _is_same(job: Job, pushed: Pushed) -> bool:
    told = pushed.command, pushed.code
    return told == (job.command, job.packed.code) and pushed.folds in {"", job.packed.folds}


def _fetch(config: Experiment, pushed: Pushed) -> int:
    names = _names(config)
    if pushed.state == "fetched" and all(RunDir.of_name(name).metrics.is_file() for name in names):
        print(f"kaggle  {shown(names)} was trained on Kaggle and fetched already")
        return 0
    fetch_runs(config, names, pushed.notebook, output_of(config.name, pushed.session), pushed.replaces)
    write_pushed(config.name, replace(pushed, state="fetched", folds=RunDir.of_name(names[0]).read_folds() or ""))
    return 0


def _job(config: Experiment, arguments: list[str]) -> Job:
    """Raises: CompError, where something that the training needs does not go along."""
    path = Path(arguments[1])
    if path.is_absolute() or path.parts[0] != "conf":
        raise CompError(f"{path} does not go along: on Kaggle only what lies in conf/ is there")
    for key in ("pretrain", "student"):
        if getattr(config, key, None) is not None:
            raise CompError(f"{key}: on Kaggle there is the competition's data alone: train this here, with comp train")
    if fetches_weights(getattr(config, "model", None)) and not config.kaggle.train.internet:
        raise CompError(
            "kaggle.train.internet=false, and model.pretrained fetches weights from the internet: set "
            "kaggle.train.internet=true, or model.weights to a file below this folder, which goes along"
        )
    packed = pack(config, folder_of(config.name) / "code")
    return Job(config, owner_here(config), ["train", path.as_posix(), *arguments[2:]], packed)


def _names(config: Experiment) -> list[str]:
    """Of the runs that it trains."""
    return [each.name for each in members_of(config)] if config.members else [config.name]


def _refuse_other_runs(job: Job, pushed: Pushed | None) -> None:
    """Raises: CompError, where a run of this name is here that was not trained on Kaggle, or with other settings."""
    for each in members_of(job.config) if job.config.members else [job.config]:
        here = RunDir.of(each)
        here.refuse_another(each, settled=False)
        if here.started and pushed is None:
            raise CompError(
                f"{here.path} is trained here: comp train goes on with it; for Kaggle give this one another name "
                "(name=…), or run comp kaggle train --fresh to have what Kaggle trains instead"
            )
