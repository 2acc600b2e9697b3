"""The three gates, one after the other, and whose training an image that passes them may join."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from accelerate import Accelerator

from comp.distributed.accelerator import accelerator_for
from comp.folds import folds_to_train
from comp.tables import Targets
from comp.vision.data.competition import Competition
from comp.vision.pixels import Pixels, Streamed
from comp.vision.schema import ImageConfig, Synth
from comp.vision.synth import meaning
from comp.vision.synth.classifier import confidences, judge_of, passing
from comp.vision.synth.generated import settings_of
from comp.vision.synth.structure import similarities


@dataclass(frozen=True)
class Candidates:
    """N generated images. `table` gets the scores, `gate` and `why` of those that are shut out, and `folds`."""

    config: ImageConfig
    competition: Competition
    accelerator: Accelerator
    table: pd.DataFrame
    pixels: Pixels | Streamed
    label: np.ndarray  # (N,) number of the class; -1: none
    kin: list[list[int]]  # of each, the rows of the training table that it comes from or resembles

    @classmethod
    def of(
        cls, config: ImageConfig, competition: Competition, table: pd.DataFrame, pixels: Pixels | Streamed
    ) -> "Candidates":
        """Those that cannot be read are shut out."""
        train, has_class = competition.tables.train, (table["target"] != "").to_numpy()
        label = np.full(len(table), -1)
        label[has_class] = _index(table["target"][has_class], competition.tables.targets)
        place = dict(zip(train["id"], range(len(train)), strict=True))
        both = zip(table["parent"], table["alike"], strict=True)
        kin = [[place[each] for each in dict.fromkeys([parent, *alike]) if each in place] for parent, alike in both]
        found = cls(config, competition, accelerator_for(config), table, pixels, label, kin)
        found.shut(np.isin(np.arange(len(table)), list(pixels.bad)), "unreadable", "it cannot be read")
        return found

    @property
    def synth(self) -> Synth:
        return settings_of(self.config)

    @property
    def open(self) -> np.ndarray:
        """(N,) which no gate has shut out so far."""
        return (self.table["gate"] == "").to_numpy()

    def shut(self, rows: np.ndarray, gate: str, why: str) -> None:
        """Shuts out those of `rows` (N,) bool that are still open."""
        self.table.loc[rows & self.open, ["gate", "why"]] = gate, why

    def note(self, column: str, score: np.ndarray) -> None:
        """Writes scores (N,) into the table; NaN is none."""
        self.table[column] = [f"{value:.4f}" if np.isfinite(value) else "" for value in score]


def judge(candidates: Candidates) -> None:
    """Asks every gate that is switched on."""
    _structure(candidates)
    _meaning(candidates)
    _classifier(candidates)


def names_of(targets: Targets) -> tuple[str, ...]:
    """The labels as the table has them."""
    return ("0", "1") if targets.kind == "binary" else targets.classes


def _structure(candidates: Candidates) -> None:
    settings, ssim = candidates.synth.structure, np.full(len(candidates.kin), np.nan)
    if settings is not None:
        rows = np.array([row for row in np.flatnonzero(candidates.open) if candidates.kin[row]], dtype=int)
        parents = np.array([candidates.kin[row][0] for row in rows], dtype=int)
        ssim[rows] = similarities(candidates.competition.train_pixels, parents, candidates.pixels, rows)
        candidates.shut(ssim < settings.low, "structure", f"SSIM with its parent is below {settings.low:g}")
        candidates.shut(
            ssim > settings.high, "structure", f"SSIM with its parent is above {settings.high:g}: unchanged"
        )
    candidates.note("ssim", ssim)


def _meaning(candidates: Candidates) -> None:
    settings, cosine = candidates.synth.meaning, np.full(len(candidates.kin), np.nan)
    if settings is not None:
        competition, targets = candidates.competition, candidates.competition.tables.targets
        rows = np.setdiff1d(np.arange(len(competition.y)), list(competition.train_pixels.bad))
        real = competition.train_pixels, rows, _index(competition.tables.train["target"].iloc[rows], targets)
        generated = candidates.pixels, candidates.label
        found = meaning.cosines(settings, names_of(targets), real, generated, candidates.accelerator.device)
        if found is not None:
            cosine, least, about = found
            print(f"synth   meaning: {about}", flush=True)
            candidates.shut(
                cosine < least[candidates.label], "meaning", "its label's prompt fits it worse than real images"
            )
    candidates.note("cosine", cosine)


def _classifier(candidates: Candidates) -> None:
    """Also decides on the folds: an image joins no training that is validated on what it comes from."""
    settings, competition, label = candidates.synth.classifier, candidates.competition, candidates.label
    says: dict[int, np.ndarray] = {}
    if settings is not None:
        run = judge_of(candidates.config, settings)
        print(f"synth   classifier: the models of {run.path}", flush=True)
        says = confidences(run, candidates.pixels, competition, candidates.accelerator)
    folds = list(says) or folds_to_train(candidates.config, competition.split)
    may, does = {}, {}
    for fold in folds:
        learned = set(competition.rows(fold)[0].tolist())
        may[fold] = candidates.open & np.array([learned.issuperset(own) for own in candidates.kin], dtype=bool)
        does[fold] = may[fold]
        if settings is not None:
            does[fold] = passing(says[fold], label, may[fold], settings)
            candidates.note(f"confidence_{fold}", says[fold][np.arange(len(label)), label])
    candidates.table["folds"] = [" ".join(str(fold) for fold in folds if does[fold][row]) for row in range(len(label))]
    candidates.shut(
        ~np.any(list(may.values()), axis=0),
        "validation",
        "what it was made from is validated, or not trained on, in each fold",
    )
    candidates.shut(~np.any(list(does.values()), axis=0), "classifier", "no model is sure enough of its label")


def _index(labels: pd.Series, targets: Targets) -> np.ndarray:
    """(N,) class numbers of `labels`."""
    if targets.kind == "binary":
        return labels.astype(float).to_numpy().astype(int)
    return targets.index(labels)
