"""From how fast a model is and how much there is to do, how long that takes; and what it is worth to do less."""

import math
from dataclasses import dataclass, replace

from comp.vision.forecast.measure import Speed

GRID_PX = 16  # image sizes are multiples of it
Seconds = dict[str, float]  # by what takes them


@dataclass(frozen=True)
class Plan:
    """What one model has to do. Rows are those of the training and the validation of each fold, nested ones too."""

    epochs: int
    freeze_epochs: int
    trainings: tuple[tuple[int, int], ...]
    folds: int  # whose models predict
    test_rows: int
    hidden_rows: int
    images_each: float  # images of a row
    image_size: int
    views: int
    at_once: int = 1  # folds on GPUs of their own
    cache_frozen: int = 0
    save_every: tuple[float, str] = (10.0, "minutes")
    student_epochs: int = 0  # of all rounds of pseudo-labels
    nested: bool = False


def of_training(plan: Plan, speed: Speed) -> Seconds:
    """What `comp train` and the students of `comp pseudo` take, without decoding."""
    found: Seconds = {}

    def add(what: str, seconds: float) -> None:
        found[what] = found.get(what, 0.0) + seconds

    for trained, validated in plan.trainings:
        for epochs, frozen, rows in (
            (plan.epochs, plan.freeze_epochs, trained),
            (plan.student_epochs, 0, trained + plan.test_rows),
        ):
            if not epochs:
                continue
            updates, frozen = max(1, rows // max(1, speed.batch)), min(frozen, epochs)
            add("start of each fold", speed.start + speed.first_epoch)
            steps = updates * (frozen * speed.frozen_update + (epochs - frozen) * speed.update)
            add("training steps", steps)
            add("validation", epochs * speed.validation(validated))
            add("features of what is frozen", speed.feature * (plan.cache_frozen * rows + validated))
            add("prediction", speed.prediction(validated) + speed.prediction(plan.test_rows))
            add("saving", speed.saving * (1 + _saves(plan, steps, updates, epochs)))
    waves = math.ceil(len(plan.trainings) / plan.at_once) / max(1, len(plan.trainings))
    return {what: waves * seconds for what, seconds in found.items()}


def _saves(plan: Plan, seconds: float, updates: int, epochs: int) -> float:
    amount, unit = plan.save_every
    return {"minute": seconds / 60, "epoch": epochs, "update": updates * epochs}[unit.rstrip("s")] / amount


def of_inference(plan: Plan, speed: Speed, process: float) -> Seconds:
    """What `comp predict --images` takes of hidden images: decoded once, and predicted by each fold's model."""
    rows = plan.hidden_rows
    return {
        "start": process + plan.folds * speed.start,
        "decoding": rows * plan.images_each * speed.decoding,
        "prediction": plan.folds * speed.prediction(rows),
    }


def less(plan: Plan, speed: Speed) -> dict[str, tuple[Plan, Speed]]:
    """What may be halved, and what is to do then: `train.epochs 10 → 5`."""
    found: dict[str, tuple[Plan, Speed]] = {}
    if plan.epochs > 1:
        epochs = (plan.epochs + 1) // 2
        found[f"train.epochs {plan.epochs} → {epochs}"] = replace(plan, epochs=epochs), speed
    kept = (plan.folds + 1) // 2
    if plan.folds > 1:
        some = plan.trainings[: math.ceil(len(plan.trainings) * kept / plan.folds)]
        found[f"{plan.folds} → {kept} folds (folds.use)"] = replace(plan, folds=kept, trainings=some), speed
    if plan.views > 1:
        views = (plan.views + 1) // 2
        prediction = replace(speed.prediction, each=speed.prediction.each * views / plan.views)
        found[f"{plan.views} → {views} predict.views"] = (
            replace(plan, views=views),
            replace(speed, prediction=prediction),
        )
    size = max(GRID_PX, round(plan.image_size / math.sqrt(2) / GRID_PX) * GRID_PX)
    if size < plan.image_size:
        found[f"model.image_size {plan.image_size} → {size}"] = plan, _of_size(speed, (size / plan.image_size) ** 2)
    if plan.nested:
        found["folds.nested=false"] = replace(plan, trainings=plan.trainings[: plan.folds], nested=False), speed
    return found


def _of_size(speed: Speed, share: float) -> Speed:
    """With so many of the pixels: networks take about as much less time."""
    return replace(
        speed,
        update=share * speed.update,
        frozen_update=share * speed.frozen_update,
        feature=share * speed.feature,
        validation=replace(speed.validation, each=share * speed.validation.each),
        prediction=replace(speed.prediction, each=share * speed.prediction.each),
    )


def peak_ram(speed: Speed, cached: int) -> int:
    """Bytes: what was held, and the rest of the decoded images, which an epoch goes through all of; 0: not measured."""
    return speed.ram and speed.ram + max(0, cached - speed.cached)
