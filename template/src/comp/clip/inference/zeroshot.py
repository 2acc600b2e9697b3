"""`comp zeroshot`: what a CLIP model says before any training, from the classes' names alone.

A run like any other, `<name>-zeroshot`: it can be submitted, be a member of blends and stacks, and is what training has
to beat. It keeps no checkpoints, since nothing was trained.
"""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from comp.clip.model.build import assembled, towers
from comp.clip.model.heads import TextTower, as_asked, unit
from comp.clip.schema import ClipConfig
from comp.config.load import changed, members_of
from comp.distributed.launch import Work, on_all_devices
from comp.errors import shown
from comp.files import write_json, write_text
from comp.registry import metrics_for
from comp.runs.members import for_each_member
from comp.runs.predictions import oof_table, test_table, write_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets, number_of
from comp.vision.data.competition import Competition, open_competition
from comp.vision.data.settle import settled
from comp.vision.inference.collect import collect
from comp.vision.inference.how_predicted import how_predicted
from comp.vision.inference.predict_rows import averaged, outputs_of_rows
from comp.vision.metrics import score
from comp.vision.model import Classifier
from comp.vision.model.link import link_of

ALL = "all of them"
SHOWN = 12  # classes and prompts that are printed; the file has all


@dataclass(frozen=True)
class Untrained:
    """A model that nothing was trained of, and what each of its prompts says."""

    model: Classifier
    texts: Tensor  # (T, K, D), of length 1


@for_each_member
def zeroshot(config: ClipConfig, arguments: list[str]) -> int:
    """Writes the run `<name>-zeroshot`; the exit status.

    Raises:
        CompError: whatever is wrong with the configuration, the data or the model.
    """
    if not config.model.is_clip:
        print(f"model.backbone={config.model.backbone} is no CLIP model: there is nothing to do without training")
        return 0
    experiment = settled(_untrained(config))
    run = RunDir.of(experiment)

    def work(competition: Competition, accelerator: Accelerator) -> None:
        started = time.perf_counter()
        untrained = untrained_model(experiment, len(competition.tables.targets.classes), accelerator.device)
        _predict(experiment, competition, untrained, run, accelerator, started)

    def prepare() -> None:
        run.start(experiment, fresh=True)
        note = _note_on_numbers(experiment.model.names)
        if note:
            print(note)

    return on_all_devices(
        experiment,
        arguments,
        Work(
            open=lambda quiet: open_competition(experiment, quiet),
            prepare=prepare,
            do=work,
        ),
    )


def untrained(config: ClipConfig) -> list[ClipConfig]:
    """The experiments that `comp zeroshot` writes runs of."""
    return [_untrained(each) for each in members_of(config) or [config] if each.model.is_clip]


def untrained_model(config: ClipConfig, classes: int, device: torch.device) -> Untrained:
    """On the device, in evaluation."""
    both, tokens = towers(config.model)
    with torch.no_grad():
        every = TextTower(both.text_model, both.text_projection).eval()(tokens)
    model = assembled(config.model, both, tokens, classes)
    return Untrained(model.to(device).eval(), every)


def _untrained(config: ClipConfig) -> ClipConfig:
    schedule = "cosine" if config.train.schedule == "plateau" else config.train.schedule
    never = {"keep": "last", "early_stop": None, "schedule": schedule}  # so no row chooses anything
    return changed(
        config, name=f"{config.name}-zeroshot", members=[], pretrain=None, student=None, synthetic=None, train=never
    )


def _note_on_numbers(names: dict[str, str]) -> str | None:
    """Tells that classes are called by numbers, which say little to a text tower."""
    if all(number_of(text) is not None for text in names.values()):
        return f"note    classes are called by numbers ({shown(names.values())}): model.names gives them words"
    return None


def _predict(
    config: ClipConfig,
    competition: Competition,
    untrained: Untrained,
    run: RunDir,
    accelerator: Accelerator,
    started: float,
) -> None:
    split, targets, tables = competition.split, competition.tables.targets, competition.tables
    run.bind_to_folds(split.digest)
    features = {}
    for which, rows in (("train", len(tables.train)), ("test", len(tables.test))):
        features[which] = _features(config, competition, untrained.model, which, rows, accelerator)
    if not accelerator.is_main_process:
        return
    p, p_test = (_probabilities(untrained.model, features[which], config, targets) for which in ("train", "test"))
    seconds = (time.perf_counter() - started) / split.n
    names = metrics_for([config.metric, *config.metrics], targets.kind)
    for k in range(split.n):
        train_rows, valid_rows = competition.rows(k)
        prior = competition.y[train_rows].mean(axis=0)
        test = p_test.copy()
        test[list(competition.test_pixels.bad)] = prior
        folder = run.fold(k)
        folder.mkdir(parents=True, exist_ok=True)
        table = oof_table(tables.train, valid_rows, split.fold[valid_rows], p[valid_rows], targets)
        write_predictions(folder / "oof.parquet", table, targets, split.digest)
        write_predictions(folder / "test.parquet", test_table(tables.test, test, targets), targets, split.digest)
        metrics = {name: score(name, competition.y[valid_rows], p[valid_rows], targets) for name in names}
        about = {"rows": len(valid_rows), "seconds": round(seconds, 1), "predict": how_predicted(config)}
        write_json(folder / "metrics.json", {**metrics, **about})
    readable = np.setdiff1d(np.arange(len(p)), list(competition.train_pixels.bad))
    table = _by_prompt(config, untrained, features["train"][readable, 0], competition.y[readable], targets)
    write_text(run.path / "zeroshot.csv", table.to_csv(index=False, lineterminator="\n"))
    _print(table, run)
    collect(config, tables.train["id"], run, {})


def _features(
    config: ClipConfig, competition: Competition, model: Classifier, which: str, rows: int, accelerator: Accelerator
) -> np.ndarray:
    """(N, V, D) what the head gets of each row in each view."""
    head, model.head = model.head, nn.Identity()
    samples = competition.samples(which, None)  # type: ignore[arg-type]
    views, width = config.predict.views, int(model.backbone.projection.out_features)  # type: ignore[union-attr,arg-type]
    found = outputs_of_rows(
        model, samples, np.arange(rows), config, accelerator, views, lambda each: torch.cat(each, 1), len(views) * width
    )
    model.head = head
    return found.reshape(rows, len(views), width)


def _probabilities(model: Classifier, features: np.ndarray, config: ClipConfig, targets: Targets) -> np.ndarray:
    """(N, K) as `predict_rows` gives them."""
    device = model.mean.device
    with torch.inference_mode():
        outputs = [model.head(torch.from_numpy(view).to(device)) for view in features.transpose(1, 0, 2)]
        return averaged(outputs, link_of(model, targets), config.predict.average).cpu().numpy()


def _by_prompt(
    config: ClipConfig, untrained: Untrained, features: np.ndarray, y: np.ndarray, targets: Targets
) -> pd.DataFrame:
    """prompt, class, rows, accuracy: of each prompt and of all together; class "all of them" is the accuracy."""
    images, texts = unit(torch.from_numpy(features)), untrained.texts.cpu()
    each = [*zip(config.model.prompts, texts, strict=True)]
    if len(each) > 1:
        each.append((ALL, unit(texts.mean(dim=0))))
    names, label = list(config.model.names.values()), y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)
    lines = []
    for prompt, embeddings in each:
        logits = as_asked(images @ embeddings.T, y.shape[1])
        right = (logits.argmax(dim=1) if y.shape[1] > 1 else logits[:, 0] > 0).numpy().astype(int) == label
        lines.append((prompt, ALL, len(label), right.mean()))
        lines += [(prompt, name, (label == k).sum(), right[label == k].mean()) for k, name in enumerate(names)]
    return pd.DataFrame(lines, columns=["prompt", "class", "rows", "accuracy"])


def _print(table: pd.DataFrame, run: RunDir) -> None:
    whole = table[table["class"] == ALL].iloc[::-1]  # all prompts together first
    for line in whole.head(SHOWN).itertuples():
        print(f"zeroshot  {line.accuracy:.4f}  {line.prompt}")
    of_best = table[(table["prompt"] == whole["prompt"].iloc[0]) & (table["class"] != ALL)].sort_values("accuracy")
    for line in of_best.head(SHOWN).itertuples():
        print(f"          {line.accuracy:.4f}  {line._2} ({line.rows} images)")
    print(f"wrote   {run.path / 'zeroshot.csv'}")
