"""The gate of the classifier: what the models of a trained run say of the generated images, fold by fold.

The models of fold k judge for the training of fold k alone: the others have seen rows that it is validated on.
"""

import math

import numpy as np
from accelerate import Accelerator

from comp.config.load import members_of
from comp.errors import CompError
from comp.runs.rundir import RunDir
from comp.vision.data.competition import Competition
from comp.vision.data.samples import Samples
from comp.vision.data.settle import settled
from comp.vision.inference.of_fold import model_of_fold
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.pixels import Images
from comp.vision.schema import Confidence, ImageConfig


def judge_of(config: ImageConfig, settings: Confidence) -> RunDir:
    """The run whose models judge."""
    members = [member.name for member in members_of(config)]
    return RunDir.of_name(settings.run or (members or [config.name])[0])


def confidences(
    run: RunDir, images: Images, competition: Competition, accelerator: Accelerator
) -> dict[int, np.ndarray]:
    """By fold, the probabilities (N, K) of `images`.

    Raises:
        CompError: the run is not trained, or with other folds or classes.
    """
    if not run.done_folds():
        raise CompError(f"no fold of {run.path} has finished training, and its models are to judge: run comp train")
    config: ImageConfig = settled(run.trained_config())
    if config.model.metadata:
        raise CompError(f"synth.classifier: {run.path} has metadata, generated images have none: name another run")
    targets = competition.tables.targets
    samples = Samples(images, targets, np.zeros((len(images), 0), np.float32))
    found = {}
    for fold in run.done_folds():
        model, _ = model_of_fold(config.model, run, (fold,), competition)
        model.to(accelerator.device)
        p = predict_rows(model, samples, np.arange(len(images)), config, accelerator, config.predict.views)
        found[fold] = p if p.shape[1] > 1 else np.concatenate([1 - p, p], axis=1)
    return found


def passing(p: np.ndarray, label: np.ndarray, candidates: np.ndarray, settings: Confidence) -> np.ndarray:
    """(N,) which `candidates` (N,) the model is sure of, by its p (N, K); of each class the share `quota` anyway."""
    own = p[np.arange(len(p)), label]
    passes = candidates & (p.argmax(axis=1) == label) & (own >= settings.least)
    for number in np.unique(label[candidates]):
        rows = np.flatnonzero(candidates & (label == number))
        surest = rows[np.argsort(-own[rows], kind="stable")]
        passes[surest[: math.ceil(settings.quota * len(rows))]] = True
    return passes
