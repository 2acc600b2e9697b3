"""Heat of the rows that are shown, each by the model of its own fold: the one that was not trained on it."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from comp.errors import CompError, first_line
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.batches import Batch, EvalDataset, to_device
from comp.vision.data.metadata import read_metadata
from comp.vision.data.samples import Samples
from comp.vision.inference.of_fold import refuse_copied
from comp.vision.model import Classifier, load_checkpoint
from comp.vision.model.link import Link, link_of
from comp.vision.pixels import Evaluation
from comp.vision.report.gallery.cases import Answers, Case
from comp.vision.report.gallery.heat import feature_maps, heat_of
from comp.vision.report.gallery.rows import Shown
from comp.vision.report.gallery.thumbnails import overlaid

AT_ONCE = 4  # images: with gradients, each takes the memory of a training image
MOST_WEIGHTS = 150_000_000  # of a network that a CPU has to go through for each picture


def heat_pictures(
    rows: Shown, run: RunDir, answers: Answers, place: Mapping[Case, int]
) -> tuple[dict[Case, bytes], list[str]]:
    """JPEGs of the cases, which are at `place` in `rows`, and what to say of those without.

    What stands in the way, such as checkpoints that were not copied, is told once, and is no error.
    """
    of_fold: dict[int, list[Case]] = {}
    for case in place:
        of_fold.setdefault(int(answers.oof["fold"].iloc[case.row]), []).append(case)
    without = [k for k in of_fold if not (run.fold(k) / "best.safetensors").is_file()]
    if without:
        combines = run.read_metrics().get("combines")
        why = f"a {combines['kind']} has no models of its own" if combines else "the models of its folds are not here"
        return {}, [f"Without heat: {why}"]
    pictures: dict[Case, bytes] = {}
    for k in sorted(of_fold):
        try:
            model = _model_of(rows, run, k, answers.targets)
            pictures |= _of_model(model, rows, answers.targets, {case: place[case] for case in of_fold[k]})
        except CompError as error:
            return pictures, [f"Without heat: {first_line(error)}"]
    return pictures, []


def _model_of(rows: Shown, run: RunDir, k: int, targets: Targets) -> Classifier:
    """Raises: CompError: it is another fold's, or none whose heat can be had."""
    path = run.fold(k) / "best.safetensors"
    model, facts = load_checkpoint(rows.config.model, path)
    refuse_copied(path, facts, (k,))
    if facts["classes"] != list(targets.classes) or facts.get("folds", run.read_folds()) != run.read_folds():
        raise CompError(f"{path} was trained for other classes or folds than those of the predictions")
    backbone = rows.config.model.backbone
    if not feature_maps(model.backbone):
        raise CompError(f"{backbone} does not name its feature maps (feature_info, as timm's networks have it)")
    size = sum(weight.numel() for weight in model.parameters())
    if size > MOST_WEIGHTS and not torch.cuda.is_available():
        raise CompError(f"{backbone} has {size / 1e6:.0f} million weights, which takes a GPU")
    return model


def _of_model(model: Classifier, rows: Shown, targets: Targets, place: Mapping[Case, int]) -> dict[Case, bytes]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    evaluation, link = Evaluation.of(rows.config), link_of(model, targets)
    dataset = EvalDataset(_samples(model, rows, targets), evaluation)
    model, cases, pictures = model.to(device), list(place), dict[Case, bytes]()
    for start in range(0, len(cases), AT_ONCE):
        own = cases[start : start + AT_ONCE]
        batch: Batch = dataset.__getitems__([place[case] for case in own])
        images, metadata, _ = to_device(batch, device)
        weights = torch.stack([weights_of(case, link, targets) for case in own]).to(device)
        heat = heat_of(model, images, metadata, weights)
        if heat is None:
            raise CompError(f"no feature map of {rows.config.model.backbone} tells places of an image apart")
        seen = list(batch.images.permute(0, 2, 3, 1).numpy())
        if evaluation.geometry == "squash":  # all of the image was seen: it is shown in its own proportions
            seen = [rows.pixels[place[case]] for case in own]
        pictures |= {case: overlaid(*each) for case, *each in zip(own, seen, heat.cpu().numpy(), strict=True)}
    return pictures


def _samples(model: Classifier, rows: Shown, targets: Targets) -> Samples:
    metadata = None
    if model.encoder is not None:
        metadata = model.encoder.encode(read_metadata(rows.table, rows.config.model.metadata, "train"))
    return Samples(rows.pixels, targets, np.zeros((len(rows.table), 0), np.float32), metadata)


def weights_of(case: Case, link: Link, targets: Targets) -> Tensor:
    """(outputs,) which outputs of a network speak for the case's answer, and which against it."""
    weights = torch.zeros(link.outputs)
    if link.kind in {"grade", "corn"}:  # outputs that rise with the grade
        assert case.down is not None
        order = np.argsort(targets.positions) if targets.positions is not None else np.arange(len(targets.classes))
        rank = {int(k): place for place, k in enumerate(order)}
        return weights + (1.0 if rank[case.up] > rank[case.down] else -1.0)
    weights[case.up] = case.sign
    if case.down is not None:
        weights[case.down] = -1.0
    return weights
