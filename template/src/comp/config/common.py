"""What the configurations of all tasks have in common. A task's own schema names all the keys that it takes."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from comp.config.kaggle_image import PACKAGES
from comp.errors import CompError

EVERY = r"^[1-9]\d* (minutes?|epochs?|updates?)$"
LARGEST = 2**31 - 1  # what every library underneath takes as a count or a seed
LONGEST_NAME = 100  # bytes: file systems take 255, and endings join it
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1, le=LARGEST)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
NotNegative = Annotated[float, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]


def _no_number(name: Any) -> Any:
    if isinstance(name, float):  # 1.10 would be the run 1.1
        raise ValueError(f'{name} is a number: quote a name that looks like one, such as name: "1.10"')
    return name


def _with_tilde(place: str) -> str:
    home = str(Path.home())
    return f"~{place[len(home) :]}" if place.startswith(home + os.sep) else place


Name = Annotated[str, BeforeValidator(_no_number)]  # of a run or a member
# A file or folder; ~ is the home folder, as in a shell. It is written down as ~: elsewhere it is another folder.
Place = Annotated[str, AfterValidator(os.path.expanduser), PlainSerializer(_with_tilde)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, numbers are finite, values do not change once read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, protected_namespaces=(), allow_inf_nan=False
    )


class Recipe(Section):
    """Where an approach comes from. Read by people and by the generator, not by the code."""

    title: str
    about: str = ""
    sources: list[str] = []
    backbones: list[str] = []  # what the prompt offers first
    measured: list[str] = []  # figures of runs that were made with it; the template's docs/results.md has the commands


class Files(Section):
    root: Place = "data"  # paths below are relative to it
    work: Place | None = None  # where folds.csv and caches go; null: root (set it where root is read-only)
    sample_submission: Place = "auto"
    solution: Place = "solution.csv"  # for comp score, where there is one


class Folding(Section):
    n: Annotated[int, Field(ge=2, le=LARGEST)] = 5
    kind: str = "auto"
    # Train only these; `folds=[0,2]` on the command line.
    use: Literal["all"] | Annotated[list[Count], Field(min_length=1)] = "all"
    seed: Count = 42  # apart from the run's seed: all runs share one split
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2  # share of rows that kind=holdout validates on


class EarlyStop(Section):
    patience: Positive = 3  # epochs without improvement
    watch: Literal["metric", "loss"] = "metric"  # of the validation rows


class Plateau(Section):
    """For train.schedule=plateau: lowers the rate where the validation loss stops falling."""

    patience: Positive = 7  # epochs without a lower loss
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1  # the rate is then multiplied by it


class Training(Section):
    epochs: Positive = 10
    batch_size: Literal["auto"] | Positive = 32  # rows per update, over all processes; auto: 32, cut as it fits
    accumulate: Literal["auto"] | Positive = 1  # micro-batches that batch_size is cut into; auto: as few as fit
    lr: AboveZero = 1e-4
    weight_decay: NotNegative = 0.05
    schedule: Literal["cosine", "constant", "plateau"] = "cosine"
    plateau: Plateau = Plateau()
    schedule_epochs: Positive | None = None  # of cosine: the rate is min_lr from then on; null: falls until the end
    warmup_epochs: NotNegative = 0.0
    min_lr: NotNegative = 0.0
    clip_norm: AboveZero | None = None
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = (
        None  # average of the weights, with warm-up; for keep: ema, best
    )
    keep: Literal["last", "ema", "best"] = "last"  # best chooses the epoch on the rows that it then scores
    early_stop: EarlyStop | None = None
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    tf32: bool = (
        True  # on NVIDIA GPUs: faster products of what is fp32, with 10 bits of mantissa; rankings never use it
    )
    save_every: Annotated[str, Field(pattern=EVERY)] = "10 minutes"  # … minutes, epochs or updates; and when stopped
    checkpoint_epochs: Count = 0  # also fold<k>/epoch<n>.safetensors every so many epochs; 0: none
    log_every: Positive = 50  # updates between two readings of the loss
    processes: Literal["auto"] | Positive = "auto"  # auto: one per visible GPU

    @property
    def effective_batch_size(self) -> int:
        """`batch_size`, or what stands for auto."""
        return 32 if self.batch_size == "auto" else self.batch_size

    @property
    def micro_batches(self) -> int | None:
        """`accumulate`; None: to be found by trying what fits."""
        return None if "auto" in (self.batch_size, self.accumulate) else self.accumulate  # type: ignore[return-value]

    @property
    def chooses_on_validated_rows(self) -> str:
        """What lets the rows that a fold is scored on choose its epochs or rates, so that the score flatters; or ""."""
        choosing = {
            "keep=best": self.keep == "best",
            "early_stop": self.early_stop is not None,
            "schedule=plateau": self.schedule == "plateau",
        }
        return ", ".join(name for name, chooses in choosing.items() if chooses)

    @model_validator(mode="after")
    def _ema_is_on_where_it_is_kept(self) -> "Training":
        if self.keep == "ema" and self.ema_decay is None:
            raise ValueError("train.keep: ema needs train.ema_decay, such as 0.998")
        return self

    @model_validator(mode="after")
    def _the_schedule_fits(self) -> "Training":
        if self.min_lr > self.lr:
            raise ValueError(f"train.min_lr={self.min_lr:g} is above train.lr={self.lr:g}: set one of the two")
        if self.schedule_epochs is not None and self.schedule != "cosine":
            raise ValueError(f"train.schedule_epochs is of the schedule cosine, not of {self.schedule}: leave it out")
        if self.schedule_epochs is not None and self.warmup_epochs >= self.schedule_epochs:
            raise ValueError(
                f"train.warmup_epochs={self.warmup_epochs:g} do not fit into train.schedule_epochs="
                f"{self.schedule_epochs}: set one of the two"
            )
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"train.warmup_epochs={self.warmup_epochs:g} is longer than train.epochs={self.epochs}: set one of "
                "the two"
            )
        return self


class Tuned(Section):
    """What `comp tune` advises to write beside the values that it chose."""

    trials: Positive  # of which this is the best
    folds: Literal["all"] | Annotated[list[Count], Field(min_length=1)]  # whose rows chose it


class Submission(Section):
    digits: Annotated[int, Field(ge=1, le=17)] | None = None  # decimal places; null: as many as the number has


class KaggleTraining(Section):
    """For comp kaggle train."""

    accelerator: str = "NvidiaTeslaT4"  # as Kaggle calls it: two T4, of which comp train uses both
    # Of the private notebook: pretrained weights, and packages that its image lacks, come from the internet.
    internet: bool = True
    hours: Annotated[float, Field(gt=0, le=24)] = 11.5  # then a session stops and saves; Kaggle ends it after 12
    sessions: Positive = 4  # that one command pushes at most, each going on where the last one stopped


class Kaggle(Section):
    competition: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$")] | None = (
        None  # its slug, the last part of its address
    )
    wait: Positive = 60  # minutes that comp submit --wait waits for a score
    train: KaggleTraining = KaggleTraining()
    owner: str | None = None  # your name on Kaggle, as it stands in addresses; null: that of KAGGLE_USERNAME
    # For comp kaggle package: what a code competition allows, and what Kaggle's machines have. See its page on code.
    hours: AboveZero = 9.0  # that a notebook may take
    ram_gb: AboveZero = 30.0
    dataset_gb: AboveZero = 100.0
    python: Annotated[str, Field(pattern=r"^3\.\d+$")] = "3.12"
    image: list[str] = PACKAGES  # packages of Kaggle's image; "name==version" where the version matters
    # Packages that go along as wheels where the code imports them: the notebook installs those that are missing there.
    wheels: list[str] = ["accelerate", "iterative-stratification", "lightgbm", "narwhals", "timm"]


class Experiment(Section):
    """The keys of every task. `members` are overrides of the experiment, one model each."""

    name: Name = "baseline"  # → runs/<name>/
    parent: Name | None = None  # the run that comp board measures it against; null: the one before it, of these folds
    task: str
    recipe: Recipe | None = None
    seed: Count = 42
    metric: str  # chooses, stops and ranks
    metrics: list[str] = []  # also computed
    data: Files = Files()
    folds: Folding = Folding()
    train: Training = Training()
    members: list[dict[str, Any]] = []  # each a name and overrides of this experiment: one model of the ensemble
    member: Name | None = None  # only this one of them
    submit: Submission = Submission()
    tuned: Tuned | None = None  # its values were chosen by validated rows: a score on these folds flatters
    kaggle: Kaggle = Kaggle()  # for comp download, comp submit --send and comp kaggle
    tracker: Literal["none", "tensorboard", "wandb", "trackio"] = "none"
    steps: list[str] = ["split", "train", "submit"]

    @property
    def about_model(self) -> str:
        """What the leaderboard calls the model."""
        raise NotImplementedError

    @property
    def learns_from(self) -> list[str]:
        """Names of the runs whose weights or predictions it begins with."""
        return []

    def refuse_steps(self) -> None:
        """Raises: CompError: one of `steps` would be refused once it is reached; the task knows."""

    @model_validator(mode="after")
    def _the_name_is_a_folder(self) -> "Experiment":
        if not self.name.isprintable() or self.name in {"", ".", ".."} or set(self.name) & set('/\\:*?"<>|'):
            raise ValueError(f"name: {self.name!r} cannot be a folder name")
        if len(self.name.encode()) > LONGEST_NAME:
            raise ValueError(f"name: {self.name[:20]!r}… is longer than {LONGEST_NAME} bytes: set a shorter one")
        return self


def empty_root(config: Experiment) -> Path:
    """`data.root`, for demo data to be written to.

    Raises:
        CompError: the folder holds other files already.
    """
    root = Path(config.data.root)
    if root.exists() and any(root.iterdir()):
        raise CompError(f"{root} is not empty: the demo data would mix with what is there (data.root=… names another)")
    return root
