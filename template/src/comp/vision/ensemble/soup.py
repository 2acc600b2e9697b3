"""`comp soup`: the mean of several runs' weights, fold by fold (Wortsman et al., arXiv 2203.05482).

Within a fold only: the mean over folds would have seen every row. It suits runs that began with the same weights, such
as seeds of one pretrained network; a run that keeps its averaged weights (train.keep=ema) is as good a member.
"""

import time
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from comp.distributed.launch import Work, on_all_devices
from comp.errors import CompError
from comp.files import write_json
from comp.runs.flags import flags_of, flags_of_members
from comp.runs.rundir import RunDir
from comp.vision.data.competition import Competition, open_competition
from comp.vision.data.settle import PREPARATION, as_trained, settled
from comp.vision.folds.fold import fold_name
from comp.vision.folds.nested import done_pairs, write_inner
from comp.vision.inference.collect import collect
from comp.vision.inference.of_fold import model_of_fold
from comp.vision.inference.predict_fold import predict_fold, remembered_of
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.model import Classifier, save_checkpoint
from comp.vision.schema import ImageConfig

ORIGIN = {"pretrained", "weights"}  # of a network; these settings may differ


def soup(config: ImageConfig, arguments: list[str]) -> int:
    """Writes a run whose models are the members' means, and what they predict; the exit status.

    Raises:
        CompError: the members are not of one architecture, one set of folds and one preparation of images.
    """
    runs = [RunDir.of_name(name) for name in config.soup.members]
    _refuse_unlike(config, runs)
    first = runs[0].trained_config()
    merged = settled(as_trained(config, first))
    flags = flags_of_members(map(flags_of, runs))
    run = RunDir.of(config)
    stated = {"name": config.name, "soup": config.soup, "predict": merged.predict}
    combines = {"kind": "soup", "members": config.soup.members, "fitted_on": "nothing", "met_scored_fold": False}

    def work(competition: Competition, accelerator: Accelerator) -> None:
        if accelerator.is_main_process:
            run.clear()  # a soup that was here may have had other members, or more folds
            run.write_config(first.model_copy(update=stated))
        accelerator.wait_for_everyone()
        pairs = [set(done_pairs(each, competition.split)) for each in runs]
        for left_out in [*((k,) for k in runs[0].done_folds()), *sorted(set.intersection(*pairs))]:
            _average_fold(merged, competition, left_out, runs, run, accelerator)
        if accelerator.is_main_process:
            write_inner(run, competition.split)
            run.bind_to_folds(competition.split.digest)
            collect(merged, competition.tables.train["id"], run, {"combines": combines, **vars(flags)})

    return on_all_devices(
        merged,
        arguments,
        Work(
            open=lambda quiet: open_competition(merged, quiet),
            check=lambda competition, _: _refuse_other_folds(runs[0], competition),
            do=work,
        ),
    )


def _refuse_unlike(config: ImageConfig, runs: list[RunDir]) -> None:
    names = [run.path.name for run in runs]
    if len(set(names)) < 2 or config.name in names:
        raise CompError("soup.members needs two runs or more, and name= another name than theirs: 'soup.members=[a,b]'")
    first, *others = [(run, _likeness(run)) for run in runs]
    for run, likeness in others:
        differing = [what for what, value in likeness.items() if value != first[1][what]]
        if differing:
            raise CompError(f"{run.path} and {first[0].path} differ in {', '.join(differing)}: they cannot be averaged")
    own = RunDir.of(config)
    if (own.config.is_file() or own.is_trained) and not _holds_soup(own):
        raise CompError(f"{own.path} is another run: give the soup a name of its own (name=…)")


def _holds_soup(run: RunDir) -> bool:
    """Whether a soup is in its folder, or what one left that was stopped."""
    if run.metrics.is_file():
        return run.read_metrics().get("combines", {}).get("kind") == "soup"
    trained = any(run.path.glob("fold*/history.csv"))  # the configuration of a trained run may name members too
    return run.config.is_file() and bool(run.trained_config().soup.members) and not trained


def _refuse_other_folds(run: RunDir, competition: Competition) -> None:
    """Raises: CompError: nothing that the members have learned is out of fold any more. They have the same folds."""
    if run.read_folds() not in (None, competition.split.digest):
        raise CompError(f"{run.path} was trained with other folds than folds.csv has now: train the members again")


def _likeness(run: RunDir) -> dict[str, Any]:
    """What all members have in common."""
    trained = run.trained_config()
    folds = run.done_folds()
    if not folds:
        raise CompError(f"no fold of {run.path} has finished training: run comp train name={run.path.name}")
    model = {f"model.{key}": value for key, value in trained.model.model_dump(exclude=ORIGIN).items()}
    data = {f"data.{key}": getattr(trained.data, key) for key in PREPARATION}
    rows, resize = run.read_folds() or "", trained.predict.resize
    return {**model, **data, "predict.resize": resize, "the folds that are trained": folds, "folds.csv": rows}


def _average_fold(
    config: ImageConfig,
    competition: Competition,
    left_out: tuple[int, ...],
    runs: list[RunDir],
    run: RunDir,
    accelerator: Accelerator,
) -> None:
    started = time.perf_counter()
    loaded = [model_of_fold(config.model, each, left_out, competition) for each in runs]
    (model, facts), folder = loaded[0], run.fold(*left_out)
    if any(other != facts for _, other in loaded):
        raise CompError(f"{fold_name(left_out)} of {', '.join(config.soup.members)}: other classes, folds or metadata")
    model.load_state_dict(mean_weights([each for each, _ in loaded]))
    model.to(accelerator.device)
    _refresh_batch_statistics(model, config, competition, left_out, accelerator)
    scores = predict_fold(config, competition, left_out, model, folder, accelerator)
    if accelerator.is_main_process:
        save_checkpoint(model, folder / "best.safetensors", facts)
        rows, seconds = len(competition.rows(*left_out)[1]), round(time.perf_counter() - started, 1)
        trained = max(each.fold_trained_at(*left_out) for each in runs)
        about = {"rows": rows, "seconds": seconds, "trained": trained, **remembered_of(config, competition, left_out)}
        write_json(folder / "metrics.json", {**scores, **about})
        score = f"{config.metric} {scores[config.metric]:.4f}"
        print(f"{fold_name(left_out)}  mean of {len(runs)} models: {score}", flush=True)


def mean_weights(models: list[nn.Module]) -> dict[str, Tensor]:
    """The mean of each tensor; counters are those of the first model."""
    states = [model.state_dict() for model in models]
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if tensor.is_floating_point() else tensor
        for name, tensor in states[0].items()
    }


def _refresh_batch_statistics(
    model: Classifier,
    config: ImageConfig,
    competition: Competition,
    left_out: tuple[int, ...],
    accelerator: Accelerator,
) -> None:
    """Measures the statistics of batch norm layers again: the mean of several networks' is not that of their mean.

    On the fold's training rows, without augmentation.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return
    hooks = []
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        hooks.append(norm.register_forward_pre_hook(_measure))
    rows = np.random.default_rng(config.seed).permutation(competition.rows(*left_out)[0])  # each batch: of all classes
    at_once = config.predict.batch_size * accelerator.num_processes
    whole = rows[: max(1, len(rows) // at_once) * at_once]  # whole batches: all count alike, and none is one image
    predict_rows(model, competition.samples("train", model.encoder), whole, config, accelerator, ["identity"])
    for norm, hook in zip(norms, hooks, strict=True):
        hook.remove()
        statistics = dict(norm.named_buffers())
        for measured in (statistics["running_mean"], statistics["running_var"]):
            measured.copy_(accelerator.reduce(measured, "mean"))


def _measure(norm: nn.Module, _: object) -> None:
    norm.train()
