"""`comp interpolate`: weights between the zero-shot model and the fine-tuned ones (WiSE-FT, arXiv 2109.01903).

One share for all folds, the one with the best out-of-fold score. That score would flatter, as the same rows chose the
share; so what is recorded is cross-fitted: each part of a fold with the share that the fold's other parts choose. With
folds over time the folds before choose, and for the first of them the share is one half. So it is for all rows of an
unscored run, which have no score to go by.
"""

import os
import time

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from comp.clip.model.build import clip_classifier
from comp.clip.schema import ClipConfig
from comp.config.load import changed, members_of
from comp.distributed.launch import QUIET, Work, on_all_devices
from comp.errors import CompError
from comp.files import write_json
from comp.registry import greater_is_better, metrics_for
from comp.runs.flags import flags_of, flags_of_members
from comp.runs.members import for_each_member
from comp.runs.predictions import oof_table, write_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.competition import Competition, open_competition
from comp.vision.data.settle import as_trained, settled
from comp.vision.ensemble.combiners import Combiner, Fit
from comp.vision.ensemble.crossfit import Known, Predicted, Scheme, cross_fitted, parts_of_folds
from comp.vision.inference.collect import collect
from comp.vision.inference.of_fold import model_of_fold
from comp.vision.inference.predict_fold import predict_fold, remembered_of
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.metrics import score
from comp.vision.model import Classifier, save_checkpoint

State = dict[str, Tensor]
HALF = 0.5  # the paper's default: of shares that score alike, the nearest to it


@for_each_member
def interpolate(config: ClipConfig, arguments: list[str]) -> int:
    """Writes the run `<name>-interpolated` from the trained one; the exit status.

    Raises:
        CompError: the run is not trained, or is of no CLIP model.
    """
    tuned = RunDir.of(config)
    trained: ClipConfig = tuned.trained_config()
    if not trained.model.is_clip:
        raise CompError(f"{tuned.path} is a run of {trained.model.backbone}, which has no zero-shot model")
    if not tuned.done_folds():
        raise CompError(f"no fold of {tuned.path} has finished training: run comp train")
    experiment = settled(as_trained(_interpolated(config), trained))
    run = RunDir.of(experiment)

    def work(competition: Competition, accelerator: Accelerator) -> None:
        _write(experiment, competition, tuned, run, accelerator)

    def prepare() -> None:
        if QUIET not in os.environ:  # else the starter has, and the others read what it wrote
            run.start(experiment, fresh=True)

    return on_all_devices(
        experiment,
        [arguments[0], str(run.config), f"name={config.name}"],  # all is settled there: overrides, and which member
        Work(
            open=lambda quiet: open_competition(experiment, quiet),
            prepare=prepare,
            do=work,
        ),
    )


def interpolated(config: ClipConfig) -> list[ClipConfig]:
    """The experiments that `comp interpolate` writes runs of."""
    return [_interpolated(each) for each in members_of(config) or [config]]


def _interpolated(config: ClipConfig) -> ClipConfig:
    return changed(config, name=f"{config.name}-interpolated", members=[])


def _write(config: ClipConfig, competition: Competition, tuned: RunDir, run: RunDir, accelerator: Accelerator) -> None:
    zero = clip_classifier(config.model, len(competition.tables.targets.classes), True, None).state_dict()
    folds = tuned.done_folds()
    found = [_predicted(config, competition, k, zero, tuned, accelerator) for k in folds]
    oof = Predicted(*(np.concatenate([getattr(each, name) for each in found]) for name in ("rows", "fold", "p")))
    unscored = flags_of(tuned).unscored
    scheme: Scheme = "nothing" if unscored else _scheme(competition)
    chosen, honest, curve = chosen_share(config, competition, oof, scheme)
    alpha = config.interpolate.alphas[chosen]
    for k in folds:
        own = oof.fold == k
        _write_fold(config, competition, k, zero, alpha, (oof.rows[own], honest[own]), tuned, run, accelerator)
    if not accelerator.is_main_process:
        return
    if unscored:
        print(f"alpha   {alpha:g}, for all folds; no score may choose it, as {tuned.path} is unscored: {unscored}")
    for share, value in curve:
        print(f"alpha   {share:<4g}  {config.metric} {value:.4f}{'  chosen, for all folds' if share == alpha else ''}")
    run.bind_to_folds(competition.split.digest)
    combines = {
        "kind": f"interpolate, alpha {alpha:g},",
        "members": [f"{tuned.path.name}-zeroshot", tuned.path.name],
        "fitted_on": scheme,
        "met_scored_fold": not unscored,
        "weights": [round(1 - alpha, 4), alpha],
        **({"curve": curve} if curve else {}),
    }
    collect(
        config, competition.tables.train["id"], run, {"combines": combines, **vars(flags_of_members([flags_of(tuned)]))}
    )


def _predicted(
    config: ClipConfig, competition: Competition, k: int, zero: State, tuned: RunDir, accelerator: Accelerator
) -> Predicted:
    """What each share says of the validation rows of fold `k`; the shares stand as members do."""
    rows, alphas = competition.rows(k)[1], config.interpolate.alphas
    model, _ = model_of_fold(config.model, tuned, (k,), competition)
    end, samples = _copied(model), competition.samples("train", None)
    model.to(accelerator.device)
    said = []
    for alpha in alphas:
        model.load_state_dict(between(zero, end, alpha))
        said.append(predict_rows(model, samples, rows, config, accelerator, config.predict.views))
    return Predicted(rows, np.full(len(rows), k), np.stack(said, axis=1))


def _write_fold(
    config: ClipConfig,
    competition: Competition,
    k: int,
    zero: State,
    alpha: float,
    honest: tuple[np.ndarray, np.ndarray],
    tuned: RunDir,
    run: RunDir,
    accelerator: Accelerator,
) -> None:
    """The fold's model at `alpha`, and what it predicts; out of fold, `honest`: rows, cross-fitted predictions."""
    started, folder, targets = time.perf_counter(), run.fold(k), competition.tables.targets
    model, facts = model_of_fold(config.model, tuned, (k,), competition)
    model.load_state_dict(between(zero, _copied(model), alpha))
    predict_fold(config, competition, (k,), model.to(accelerator.device), folder, accelerator)
    if not accelerator.is_main_process:
        return
    rows, p = honest
    table = oof_table(competition.tables.train, rows, competition.split.fold[rows], p, targets)
    write_predictions(folder / "oof.parquet", table, targets, competition.split.digest)
    save_checkpoint(model, folder / "best.safetensors", facts)
    names = metrics_for([config.metric, *config.metrics], targets.kind)
    seconds = round(time.perf_counter() - started, 1)
    about = {"rows": len(rows), "seconds": seconds, "trained": tuned.fold_trained_at(k)}
    about |= remembered_of(config, competition, (k,))
    write_json(
        folder / "metrics.json", {**{name: score(name, competition.y[rows], p, targets) for name in names}, **about}
    )


def chosen_share(
    config: ClipConfig, competition: Competition, oof: Predicted, scheme: Scheme
) -> tuple[int, np.ndarray, list[tuple[float, float]]]:
    """The share of all folds (by `nothing`: a half), cross-fitted predictions (N, K), and the score of each share."""
    targets, split, alphas = competition.tables.targets, competition.split, config.interpolate.alphas
    y, half = competition.y, nearest_to_half(alphas)
    if scheme == "nothing":
        return half, oof.p[:, half], []
    parts = np.zeros((1, len(y)), dtype=np.int64)
    if scheme == "own fold":
        parts = parts_of_folds(competition.tables.train, targets, split)
    known = Known(np.zeros((len(y), 0)), y, parts)
    fit = share_fit(alphas, config.metric, targets)
    honest, _ = cross_fitted(oof, scheme, fit, known, unfitted=lambda p, x: p[:, half])
    scores = scores_of(oof.p, y[oof.rows], config.metric, targets)
    return best_share(scores, alphas, config.metric), honest, list(zip(alphas, scores, strict=True))


def share_fit(alphas: list[float], metric: str, targets: Targets) -> Fit:
    """Fits a combiner that takes what the best share says."""

    def fit(p: np.ndarray, x: np.ndarray, y: np.ndarray) -> Combiner:
        best = best_share(scores_of(p, y, metric, targets), alphas, metric)
        return lambda p, x: p[:, best]

    return fit


def scores_of(p: np.ndarray, y: np.ndarray, metric: str, targets: Targets) -> list[float]:
    """Of each share, in p (N, A, K)."""
    return [score(metric, y, p[:, number], targets) for number in range(p.shape[1])]


def best_share(scores: list[float], alphas: list[float], metric: str) -> int:
    """The number of the best score; of equals, the share that is nearest to one half."""
    sign = 1 if greater_is_better(metric) else -1
    return max(range(len(scores)), key=lambda number: (sign * scores[number], -abs(alphas[number] - HALF)))


def nearest_to_half(alphas: list[float]) -> int:
    return min(range(len(alphas)), key=lambda number: abs(alphas[number] - HALF))


def between(zero: State, tuned: State, alpha: float) -> State:
    """(1 − alpha) · zero + alpha · tuned, exactly the one or the other at the ends; counters are those of `tuned`."""
    return {
        name: torch.lerp(zero[name], tensor, alpha) if tensor.is_floating_point() else tensor
        for name, tensor in tuned.items()
    }


def _copied(model: Classifier) -> State:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def _scheme(competition: Competition) -> Scheme:
    return "past" if competition.split.kind == "time" else "own fold"
