"""`runs/<experiment>/`: what one experiment leaves behind. Complete in itself: copied elsewhere, it still predicts."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from comp.config import Experiment, load_config, to_yaml
from comp.errors import CompError, shown
from comp.files import write_json, write_text
from comp.updating.origin import Origin

RUNS = Path("runs")
SUBMISSIONS = Path("submissions")
FORMAT = 1  # of a run's folder; a release that changes what is in it counts on, and still reads all below
# What a trained model depends on; the rest of the configuration may change between two commands on one run.
TRAINING_KEYS = ("task", "seed", "metric", "data", "folds", "model", "train", "loss", "augment", "pretrain", "student")
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
        return (self.fold(*numbers) / "metrics.json").is_file()

    def done_folds(self) -> list[int]:
        numbers = [path.name.removeprefix("fold") for path in self.path.glob("fold*") if path.is_dir()]
        return sorted(int(number) for number in numbers if number.isdigit() and self.is_done(int(number)))

    def start(self, config: Experiment, fresh: bool = False) -> None:
        """Makes the folder, or goes on in it.

        Raises:
            CompError: it holds a run of another configuration; the differences are named.
        """
        if fresh and self.path.exists():
            shutil.rmtree(self.path)
        if self.metrics.is_file() and "combines" in json.loads(self.metrics.read_text(encoding="utf-8")):
            raise CompError(f"{self.path} is made of other runs: give this one another name (name=…)")
        started = self._trained() or any(self.path.glob("pretrain/*"))
        if self.config.is_file() and started:  # else nothing was trained with it
            # Read by today's schema: what a newer template added has its default there, which keeps the old behavior.
            before = _flat(yaml.safe_load(to_yaml(self.trained_config())))
            now = _flat(yaml.safe_load(to_yaml(config)))
            changed = [key for key in sorted(before.keys() | now.keys()) if _matters(key, before, now)]
            if changed:
                what = "; ".join(f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in changed[:4])
                raise CompError(
                    f"{self.path} was trained with another configuration ({what}{' …' if len(changed) > 4 else ''}): "
                    "give this one another name (name=…), or run comp train --fresh to train it again"
                )
        if started and self.made_with.is_file():
            write_text(self.config, to_yaml(config))
        else:
            self.record(config)

    def record(self, config: Experiment) -> None:
        """Writes the configuration of a new run, and which template makes it."""
        write_text(self.config, to_yaml(config))
        write_json(self.made_with, {"format": FORMAT, "template": _template_version()})

    def bind_to_folds(self, digest: str) -> None:
        """Remembers the hash of the folds that the run is trained with.

        Raises:
            CompError: it began with other folds; going on would train on rows that are validated now.
        """
        began_with = self.folds.read_text(encoding="utf-8").strip() if self.folds.is_file() else digest
        if began_with != digest and self._trained():
            raise CompError(
                f"{self.path} was started with other folds than folds.csv has now: "
                "give this one another name (name=…), or run comp train --fresh to train it again"
            )
        if began_with != digest or not self.folds.is_file():
            write_text(self.folds, digest + "\n")

    def _trained(self) -> bool:
        """Whether folds were started; a job that failed at once has left nothing but its log."""
        return any(path.name != "train.log" for path in self.path.glob("fold*/*"))

    def trained_config(self) -> Any:
        """The configuration that the run was trained with."""
        if not self.config.is_file():
            known = sorted(path.parent.name for path in RUNS.glob("*/config.yaml"))
            raise CompError(f"there is no run {self.path} (there are {shown(known) or 'none yet'}): run comp train")
        made = json.loads(self.made_with.read_text(encoding="utf-8"))
        if made["format"] > FORMAT:
            raise CompError(f"{self.path} was trained with a newer template ({made['template']}): run comp update")
        return load_config(self.config)


def _template_version() -> str:
    """The template's version that this repository has, as `comp update` knows it."""
    try:
        return Origin.of(Path()).version
    except CompError:  # the code alone, without the file that says it
        return "unknown"


def _matters(key: str, before: dict[str, Any], now: dict[str, Any]) -> bool:
    of_training = key in TRAINING_ALSO or (key.partition(".")[0] in TRAINING_KEYS and key not in FREE_KEYS)
    return of_training and before.get(key) != now.get(key)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """`section.key` → value. What is nested deeper, such as `model.head_args`, is one value."""
    flat: dict[str, Any] = {}
    for section, value in values.items():
        inside = {f"{section}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {}
        flat |= inside or {section: value}
    return flat
