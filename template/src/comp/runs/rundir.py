"""`runs/<experiment>/`: what one experiment leaves behind. Complete in itself: copied elsewhere, it still predicts."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NotRequired

import yaml
from typing_extensions import TypedDict

from comp.config import Experiment, load_config, to_yaml
from comp.errors import CompError, first_line, shown
from comp.files import write_json, write_text
from comp.files.lock import LOCK
from comp.readback import read_json, read_text, reading
from comp.runs.fingerprint import differ, fingerprint_of
from comp.runs.machine import machine
from comp.updating.origin import Origin

RUNS = Path("runs")
SUBMISSIONS = Path("submissions")
FORMAT = 1  # of a run's folder; a release that changes what is in it counts on, and still reads all below
# What a trained model depends on; the rest of the configuration may change between two commands on one run.
TRAINING_KEYS = (
    "task",
    "seed",
    "metric",
    "data",
    "folds",
    "model",
    "train",
    "loss",
    "augment",
    "pretrain",
    "student",
    "synthetic",
)
TRAINING_ALSO = {"predict.resize"}  # training and prediction see the same part of an image, in the same shape
FREE_KEYS = {"folds.use", "train.workers", "train.processes", "data.root", "data.work", "data.cache", "data.test"}
FREE_KEYS |= {
    "data.test_path",
    "data.sample_submission",
    "data.pictures",
    "data.captions",
    "data.solution",
    "train.save_every",
    "train.log_every",
    "folds.nested",
}
DIVERGED = "diverged"  # in the folder of a fold, or of the pretraining: its loss became NaN, so it has no end
OF_A_TRAINING = ("fold*/history.csv", "fold*/last", "fold*/*.safetensors", "pretrain/*")
END = "...\n"  # YAML's mark of it; a file that breaks off would take defaults for what it lacks
RESTORE = "restore it from a copy, or run comp train --fresh to train again"


class Score(TypedDict):
    oof: float
    mean: float
    std: float | None  # of one fold nothing is known
    folds: dict[str, float]
    interval: NotRequired[list[float]]  # of 95 %, over rows; of the metric that ranks


class RunMetrics(TypedDict):
    """What `metrics.json` of a run holds at least."""

    metric: str
    rows: int
    folds: int
    seconds: float
    flatters: str  # why, or empty
    unscored: str  # likewise
    scores: dict[str, Score]
    views: NotRequired[list[str]]
    combines: NotRequired[dict[str, Any]]
    baselines: NotRequired[dict[str, dict[str, float]]]
    galleries: NotRequired[dict[str, dict[str, float]]]
    distances: NotRequired[dict[str, dict[str, dict[str, float]]]]


class FoldMetrics(TypedDict):
    """What `metrics.json` of a fold holds at least, beside a score for each metric."""

    rows: int
    seconds: float
    predict: NotRequired[dict[str, Any]]
    prior: NotRequired[list[float]]  # what a test row without a readable image gets
    trained: NotRequired[str]  # when it was, see `now`; of what is made of others, when the last of those was


class MadeWith(TypedDict):
    """What `made_with.json` holds."""

    format: int
    template: str
    machine: NotRequired[dict[str, Any]]  # that it was begun on


@dataclass(frozen=True)
class RunDir:
    path: Path

    @classmethod
    def of(cls, config: Experiment) -> "RunDir":
        return cls(RUNS / config.name)

    @classmethod
    def of_name(cls, name: str) -> "RunDir":
        return cls(RUNS / name)

    @property
    def is_own(self) -> bool:
        """Whether its folder is in `runs/`: members of other folders are called by their paths."""
        return self.path.parent == RUNS

    @property
    def oof(self) -> Path:
        return self.path / "oof.parquet"

    @property
    def test(self) -> Path:
        return self.path / "test.parquet"

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def folds(self) -> Path:
        return self.path / "folds.txt"

    @property
    def made_with(self) -> Path:
        return self.path / "made_with.json"

    @property
    def pretrained(self) -> Path:
        return self.path / "pretrain" / "best.safetensors"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    def fold(self, *numbers: int) -> Path:
        """The folder of the model that leaves these folds out: `fold0`, or `fold0+1` of a nested one."""
        return self.path / f"fold{'+'.join(map(str, numbers))}"

    def is_done(self, *numbers: int) -> bool:
        return (self.fold(*numbers) / "metrics.json").exists()

    def done_folds(self) -> list[int]:
        numbers = [path.name.removeprefix("fold") for path in self.path.glob("fold*") if path.is_dir()]
        return sorted(int(number) for number in numbers if number.isdigit() and self.is_done(int(number)))

    def read_metrics(self) -> dict[str, Any]:
        """What `metrics.json` says, see `RunMetrics`."""
        way_out = f"remove it and run comp train name={self.path.name}, or the command that made this run, again"
        return read_json(self.metrics, RunMetrics, f"{way_out} (no finished fold is trained again)")

    def read_fold_metrics(self, *numbers: int) -> dict[str, Any]:
        """What `metrics.json` of a fold says, see `FoldMetrics`."""
        return read_fold_metrics(self.fold(*numbers) / "metrics.json")

    def trained_at(self) -> str:
        """When the first of its folds was trained, see `now`; "" where one does not say, or nothing was trained."""
        return min((self.fold_trained_at(k) for k in self.done_folds()), default="")

    def fold_trained_at(self, *numbers: int) -> str:
        """When one was, or of what is made of others the last of those; "" where it does not say, or is not done."""
        return self.read_fold_metrics(*numbers).get("trained", "") if self.is_done(*numbers) else ""

    def predicts(self) -> str:
        """A fingerprint of what it says of the test rows; "" where it has not said anything."""
        return fingerprint_of(self.test)

    def has_changed(self, predicted: str, since: str) -> bool:
        """Whether it was trained since that time, or predicts something else than what has the fingerprint `predicted`.

        Where none was noted, or nothing is predicted now, the time alone tells.
        """
        return "" < since < self.trained_at()[: len(since)] or differ(predicted, self.predicts())

    def diverged(self) -> bool:
        """Whether one of its trainings ended as its loss became NaN: a status of other processes does not tell why."""
        return any(self.path.glob(f"*/{DIVERGED}"))

    def forget_divergence(self) -> None:
        """What is trained next may end otherwise."""
        for mark in self.path.glob(f"*/{DIVERGED}"):
            mark.unlink(missing_ok=True)

    def read_folds(self) -> str | None:
        """The hash of the folds that the run began with, if it has begun."""
        way_out = "remove it if folds.csv is still what the run began with, else run comp train --fresh"
        return read_text(self.folds, "[0-9a-f]{16}", way_out) if self.folds.exists() else None

    def write_config(self, config: Experiment) -> None:
        """Writes `config.yaml`, and `made_with.json` where none is kept."""
        write_text(self.config, to_yaml(config) + END)
        if not self.made_with.is_file():
            made = {"format": FORMAT, "template": _template_version(), "machine": machine()}
            write_json(self.made_with, made)

    def clear(self) -> None:
        """Removes all that is in the folder, but for the lock that the running command holds."""
        for inside in self.path.iterdir() if self.path.is_dir() else ():
            if inside.name != LOCK:
                shutil.rmtree(inside) if inside.is_dir() else inside.unlink()

    def start(self, config: Experiment, fresh: bool = False) -> None:
        """Makes the folder, or goes on in it.

        Raises:
            CompError: it holds a run of another configuration; the differences are named.
        """
        if fresh:
            self.clear()
        if self.metrics.is_file() and "combines" in self.read_metrics():
            raise CompError(f"{self.path} is made of other runs: give this one another name (name=…)")
        self.refuse_another(config)
        if not self.started:
            self.made_with.unlink(missing_ok=True)
        self.write_config(config)

    @property
    def is_trained(self) -> bool:
        """Whether it was trained itself, though its models may be gone; what is made of others can be made again."""
        if self.metrics.is_file():
            return "combines" not in self.read_metrics()
        return any(self._holds(each) for each in OF_A_TRAINING)

    @property
    def started(self) -> bool:
        """Whether something was trained."""
        return self._trained() or self._holds("pretrain/*")

    def refuse_another(self, config: Experiment, settled: bool = True) -> None:
        """Looks whether the folder holds what was trained with `config`, or nothing.

        Raises:
            CompError: with another one; the differences are named.
        """
        if what := self.differences(config, settled):
            raise CompError(
                f"{self.path} was trained with another configuration ({what}): "
                "give this one another name (name=…), or run comp train --fresh to train it again"
            )

    def differences(self, config: Experiment, settled: bool = True) -> str:
        """What was another setting, of those that matter, when the folder's models were trained; "" if nothing was.

        `settled`: `config` says what files decide; else what it leaves open is not compared.
        """
        if not (self.config.is_file() and self.started):  # nothing was trained with it
            return ""
        # Read by today's schema: what a newer template added has its default there, which keeps the old behavior.
        before = flat(yaml.safe_load(to_yaml(self.trained_config())))
        now = flat(yaml.safe_load(to_yaml(config)))
        changed = [key for key in sorted(before.keys() | now.keys()) if _matters(key, before, now)]
        changed = [key for key in changed if settled or now.get(key) not in ("auto", None, {})]
        what = "; ".join(f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in changed[:4])
        return f"{what} …" if len(changed) > 4 else what

    def bind_to_folds(self, digest: str) -> None:
        """Remembers the hash of the folds that the run is trained with.

        Raises:
            CompError: it began with other folds; going on would train on rows that are validated now.
        """
        began_with = self.read_folds() or digest
        if began_with != digest and self._trained():
            raise CompError(
                f"{self.path} was started with other folds than folds.csv has now: "
                "give this one another name (name=…), or run comp train --fresh to train it again"
            )
        if began_with != digest or not self.folds.is_file():
            write_text(self.folds, digest + "\n")

    def _trained(self) -> bool:
        """Whether folds were started; what failed at once has left nothing but its log, and why."""
        return self._holds("fold*/*")

    def _holds(self, pattern: str) -> bool:
        return any(path.name not in ("train.log", DIVERGED) for path in self.path.glob(pattern))

    def read_made_with(self) -> dict[str, Any]:
        """What `made_with.json` says, see `MadeWith`."""
        return read_json(self.made_with, MadeWith, "copy it from another run of this repository")

    def trained_config(self) -> Any:
        """The configuration that the run was trained with."""
        if not self.config.exists():
            known = sorted(path.parent.name for path in RUNS.glob("*/config.yaml"))
            raise CompError(f"there is no run {self.path} (there are {shown(known) or 'none yet'}): run comp train")
        made = self.read_made_with()
        if made["format"] > FORMAT:
            raise CompError(f"{self.path} was trained with a newer template ({made['template']}): run comp update")
        with reading(self.config, RESTORE):
            if not self.config.read_text(encoding="utf-8").rstrip().endswith(END.strip()):
                raise ValueError("its end is missing")
        try:
            return load_config(self.config)
        except CompError as error:
            raise CompError(f"{first_line(error)}: {RESTORE}") from None


def now() -> str:
    """UTC, such as 2026-11-29 17:50:00.123; times are compared as text."""
    return datetime.now(UTC).isoformat(" ", "milliseconds")[:-6]


def read_fold_metrics(path: Path) -> dict[str, Any]:
    """What `metrics.json` of a fold says, see `FoldMetrics`."""
    return read_json(path, FoldMetrics, "remove it and run comp train, which trains this fold again")


def _template_version() -> str:
    """The template's version that this repository has, as `comp update` knows it."""
    try:
        return Origin.of(Path()).version
    except CompError:  # the code alone, without the file that says it
        return "unknown"


def _matters(key: str, before: dict[str, Any], now: dict[str, Any]) -> bool:
    of_training = key in TRAINING_ALSO or (key.partition(".")[0] in TRAINING_KEYS and key not in FREE_KEYS)
    return of_training and before.get(key) != now.get(key)


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """`section.key` → value. What is nested deeper, such as `model.head_args`, is one value."""
    flat: dict[str, Any] = {}
    for section, value in values.items():
        inside = {f"{section}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {}
        flat |= inside or {section: value}
    return flat
