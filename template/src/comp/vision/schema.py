"""Every key of an image task's configuration with its default, here and in `common.py`, which these classes extend."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from comp.config.common import (
    LARGEST,
    AboveZero,
    Count,
    Experiment,
    Files,
    Folding,
    Name,
    NotNegative,
    Place,
    Positive,
    Section,
    Share,
    Submission,
    Training,
)
from comp.errors import CompError
from comp.vision.inference.views import check_view

if TYPE_CHECKING:
    from comp.tables import Tables

# identity, hflip, vflip, rot90, rot180, rot270, rotate+5 (degrees), center_85 or top_left_90 (% of each side, enlarged)
View = Annotated[str, AfterValidator(check_view)]


Finite = Annotated[float, Field(allow_inf_nan=False)]


def _rising(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] >= values[1]:
        raise ValueError("the first number must be below the second")
    return values


Range = Annotated[tuple[Finite, Finite], AfterValidator(_rising)]

Channel = Annotated[int, Field(ge=0, le=255)]
Rgb = tuple[Channel, Channel, Channel]
# Arguments of timm.create_model that other keys, or the images, decide.
NOT_ARGS = {
    "num_classes": "the data says how many classes there are (model.head)",
    "features_only": "a head needs pooled features",
    "in_chans": "images are RGB",
    "img_size": "set model.image_size",
    "pretrained": "set model.pretrained",
    "checkpoint_path": "set model.weights",
    "pretrained_cfg": "set model.weights, model.mean and model.std",
    "pretrained_cfg_overlay": "set model.weights, model.mean and model.std",
}


class Data(Files):
    reader: str = "auto"  # auto, or a reader registered in custom.py
    train: Place = "auto"  # a CSV, or a folder with a subfolder per class
    test: Place | None = "auto"  # a CSV, or a folder of images; null: there is none
    id: str = "auto"  # column names
    # A column, or a pattern such as "train/{id}.png". Of several images a row: a pattern that matches them, such as
    # "{split}_images/{id}-*.jpg", a column that lists them (separated by blanks, "," ";" or "|"), or [left, right].
    path: str | Annotated[list[str], Field(min_length=1)] = "auto"
    test_path: str | Annotated[list[str], Field(min_length=1)] = "auto"  # of the test images, where it differs
    target: str | Annotated[list[str], Field(min_length=1)] = "auto"  # a column; a list of columns for multi-label
    # auto: as the labels are (vision/data/labels.py); what could be two of them is asked. Lists of labels: multilabel
    kind: Literal["auto", "multiclass", "binary", "multilabel", "regression"] = "auto"
    classes: Annotated[list[str], Field(min_length=2)] | None = None  # all, lowest grade first; null: numbers by value
    group: str | None = None  # rows of one group stay in one fold
    time: str | None = None  # when each row is from: folds.kind=auto then validates later rows than it trains on
    time_format: str | None = None  # of its dates, such as "%d/%m/%Y"; null: as found, refused where it could be two
    on_bad_image: Literal["error", "drop"] = "error"
    background: Rgb | None = (255, 255, 255)  # behind transparent pixels; null: ignore alpha
    # What becomes black and white in images that are not 8-bit, alike for all of them; auto: decided by comp split.
    scale: Literal["auto", "8-bit", "16-bit", "unit"] | Range = "auto"  # unit: 0 to 1; or [low, high]
    fill_nan: Finite | None = None  # for NaN and inf; null: such an image is bad
    frame: Literal["none", "square", "native"] = "none"  # gray to a square; native: small images keep their scale
    cache: Literal["auto"] | bool = "auto"  # decode each image once into a memory-mapped file; auto: if it fits


class Folds(Folding):
    kind: Literal[
        "auto", "stratified", "group", "stratified_group", "multilabel", "multilabel_group", "time", "holdout"
    ] = "auto"
    near_duplicates: Annotated[int, Field(ge=0, le=16)] | None = 8  # hash bits that may differ; null: identical only
    nested: bool = False  # also a model without each two folds: what a stack with features is fitted on (nested.py)

    @model_validator(mode="after")
    def _two_can_be_left_out(self) -> "Folds":
        if self.nested and (self.n < 3 or self.kind in ("time", "holdout")):
            raise ValueError(
                f"folds.nested leaves out two folds at a time: it needs folds.n of three or more, and not folds.kind="
                f"time or holdout (here: folds.n={self.n}, folds.kind={self.kind})"
            )
        return self


class Model(Section):
    # module:function that builds the network, and one that gives what timm calls its pretrained configuration
    builder: ClassVar[str] = "comp.vision.model.build:timm_classifier"
    pretrained_cfg: ClassVar[str] = "comp.vision.model.preparation:timm_cfg"

    backbone: str = "convnext_tiny.fb_in22k"  # a timm name, or a model registered in custom.py
    pretrained: bool = True  # weights from the hub
    weights: Place | None = None  # a local file or folder instead of the hub
    args: dict[str, Any] = {}  # passed to timm.create_model
    image_size: Annotated[int, Field(ge=8, le=LARGEST)] = 224
    # linear, mlp, attention_pool (weighs the images of a row, see train.images_per_row), or a registered name
    head: str = "linear"
    head_args: dict[str, Any] = {}
    metadata: list[str] = []  # height, width, has_alpha, or columns of the tables: they join the image's features
    metadata_args: dict[str, Any] = {}  # hidden: 64, dropout: 0.1, drop: 0.15 (how often the whole vector is hidden)
    mean: tuple[float, float, float] | None = None  # null: what the backbone was trained with
    std: tuple[AboveZero, AboveZero, AboveZero] | None = None
    # The same, of predict.resize=pretrained: how images are resized, and the share of their short side that is seen.
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] | None = None
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = None
    crop_mode: Literal["center", "squash"] | None = None  # squash: both sides become as long

    @model_validator(mode="after")
    def _arguments_are_those_that_nothing_else_decides(self) -> "Model":
        for name, why in NOT_ARGS.items():
            if name in self.args:
                raise ValueError(f"model.args: {name} cannot be set there: {why}")
        return self


class Train(Training):
    optimizer: str = "adamw"  # a name that timm knows, or a registered one
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None  # each block's rate is this times the next one's
    # Never trained: the first so many blocks or stages and all before them, or patterns such as ["stages.0.*"].
    freeze: Count | list[str] = 0
    cache_frozen: Count = 0  # augmented views per image whose features at the frozen boundary are kept; 0: none
    freeze_epochs: Count = 0  # first epochs that train the head alone
    freeze_lr: AboveZero | None = None  # their rate; the schedule starts after them
    # auto; cross_entropy, bce, focal; of ordered grades also mse, huber (as numbers) and corn (2111.08851); of numbers
    # mse, huber and bce (between the least and the largest of the training rows); or a registered name
    loss: str = "auto"
    huber_delta: AboveZero = 1.0  # of train.loss=huber, in standard deviations
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of classes; numbers and grades as such have none
    focal_gamma: NotNegative = 2.0
    class_weights: Literal["none", "balanced"] = "none"
    # τ: logits learn with τ · log of each class's share of the fold's training rows, and predict without (2007.07314).
    logit_adjustment: NotNegative = 0.0
    # Where rows have several images: how many of each row an epoch shows, in turn; their logits are averaged, or what
    # model.head=attention_pool makes of them. A row counts once, however many it has, and is predicted by all of them.
    images_per_row: Positive = 1
    sampler: Literal["shuffle", "weighted"] = "shuffle"  # weighted: each class as often as the others
    channels_last: bool = True
    grad_checkpointing: bool = False
    sync_batchnorm: bool = True  # several processes: batch norm over the whole batch, as one has it; false is faster
    compile: bool | str = False  # true, or the name of a torch.compile backend
    workers: Literal["auto"] | Count = "auto"

    @model_validator(mode="after")
    def _classes_are_balanced_once(self) -> "Train":
        others = [f"train.sampler={self.sampler}"] * (self.sampler == "weighted")
        others += [f"train.class_weights={self.class_weights}"] * (self.class_weights == "balanced")
        if self.logit_adjustment and others:
            raise ValueError(
                f"train.logit_adjustment={self.logit_adjustment:g} and {others[0]} both make up for rare classes: "
                "set one of the two"
            )
        if self.logit_adjustment and self.loss == "focal":
            raise ValueError(
                f"train.logit_adjustment={self.logit_adjustment:g} is for probabilities that are true, and those of "
                "train.loss=focal are not: set one of the two"
            )
        return self

    @model_validator(mode="after")
    def _what_is_cached_stays_frozen(self) -> "Train":
        if self.cache_frozen and not self.freeze:
            raise ValueError(
                f"train.cache_frozen={self.cache_frozen} keeps what train.freeze leaves as it is, and train.freeze="
                f"{self.freeze} freezes nothing: set train.freeze, or train.cache_frozen=0"
            )
        if self.cache_frozen and self.freeze_epochs:
            raise ValueError(
                f"train.cache_frozen={self.cache_frozen} and train.freeze_epochs={self.freeze_epochs} do not go "
                "together: what is cached is frozen for good. Set one of the two to 0"
            )
        return self

    @model_validator(mode="after")
    def _the_warm_up_comes_after_the_frozen_epochs(self) -> "Train":
        if self.freeze_epochs < self.epochs < self.freeze_epochs + self.warmup_epochs:
            raise ValueError(
                f"train.warmup_epochs={self.warmup_epochs:g} do not fit into train.epochs={self.epochs} after "
                f"train.freeze_epochs={self.freeze_epochs}: set one of the three"
            )
        return self


class RandAugment(Section):
    """RandAugment (arXiv 1909.13719): each operation joins the one warp or the one color change of the image."""

    ops: Positive = 2  # operations per image
    magnitude: Annotated[float, Field(ge=0, le=10)] = 7.0
    magnitude_std: NotNegative = 0.5  # each operation's magnitude varies normally by so much
    prob: Share = 0.5  # each operation happens with this probability


class Augment(Section):
    """One affine warp and one color change per image; probabilities and ranges, 0 is off."""

    on: Literal["auto", "cpu", "device"] = "auto"  # where; auto measures which is faster

    crop_scale: tuple[Share, Share] = (0.7, 1.0)  # share of the image's area that a random crop keeps
    crop_ratio: tuple[AboveZero, AboveZero] = (0.8, 1.25)  # width by height; with resize=squash relative to the image's
    hflip: Share = 0.5
    vflip: Share = 0.0
    rotate_deg: NotNegative = 0.0
    shear_deg: NotNegative = 0.0
    translate: Share = 0.0  # largest shift, as a share of the side, in whole pixels
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    solarize: Share = 0.0  # probability: values above a random threshold are inverted
    posterize: Share = 0.0  # probability: 4 to 7 bits a color are left
    equalize: Share = 0.0  # probability: each channel's histogram is made flat
    rand_augment: RandAugment | None = None
    erase: Share = 0.0  # probability of a random rectangle of noise
    mixup: NotNegative = 0.0  # alpha of the Beta distribution
    cutmix: NotNegative = 0.0
    mix_prob: Share = 1.0  # share of batches that are mixed
    mix_off_epochs: Count = 0  # last epochs without mixing
    custom: list[str] = []  # registered in custom.py; run on the device, on whole batches

    @model_validator(mode="after")
    def _the_lower_end_comes_first(self) -> "Augment":
        for name in ("crop_scale", "crop_ratio"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"augment.{name}: [{low:g}, {high:g}] goes from high to low: set [{high:g}, {low:g}]")
        return self


class Jobs(Section):
    """Folds as processes of their own, several at once."""

    per_gpu: Literal["auto"] | Count = "auto"  # at once on each GPU (without one: on the CPU); 0: one after the other
    cluster: Literal["none", "local", "slurm"] = "none"  # each fold is a job of submitit
    cluster_args: dict[str, Any] = {}  # such as {timeout_min: 600, slurm_partition: gpu, gpus_per_node: 1}


class TakeGolden(Section):
    """For `comp golden`: which images are set aside, once, as a golden test set."""

    per_class: Positive = 150
    most: Annotated[float, Field(gt=0, lt=1)] = 0.3  # of a class that has too few for that
    seed: Count = 42


class Predict(Section):
    views: Annotated[list[View], Field(min_length=1)] = ["identity"]  # test-time augmentation (TTA), see View above
    batch_size: Positive = 64
    average: Literal["probabilities", "logits"] = "probabilities"  # over views, and over the images of a row
    # How an image becomes square, in training too: squeezed; its middle; pretrained: as timm evaluates the weights.
    resize: Literal["squash", "crop", "pretrained"] = "squash"


def _refuse_without_root(section: str, data: dict[str, Any]) -> None:
    """Raises: ValueError: the competition's own folder would be read."""
    if "root" not in data:
        raise ValueError(f"{section}.data needs root: the folder of those images")


class Pretrain(Section):
    """Training on another data set first; every fold starts from its weights."""

    # As data: above, for the other set, with its root; it needs no test. What it does not name is as in a new
    # configuration, but for background, fill_nan, frame and cache, which are the competition's.
    data: dict[str, Any]
    map: dict[str, str | None] = {}  # its labels → classes of this competition; null, or not named here: left out
    train: dict[str, Any] = {}  # as train: above, where it differs
    augment: dict[str, Any] = {}

    @model_validator(mode="after")
    def _has_a_root(self) -> "Pretrain":
        _refuse_without_root("pretrain", self.data)
        return self


class Structure(Section):
    """SSIM with the image that it was made from: below, it is another person or scene; above, nothing changed."""

    low: Annotated[float, Field(ge=-1, le=1)] = 0.3
    high: Annotated[float, Field(ge=-1, le=1)] = 0.95

    @model_validator(mode="after")
    def _there_is_something_between(self) -> "Structure":
        if self.low >= self.high:
            raise ValueError(f"synth.structure: low={self.low:g} is not below high={self.high:g}")
        return self


class Meaning(Section):
    """Cosine of a CLIP model's image embedding with that of its label's prompt."""

    model: str = "openai/clip-vit-base-patch32"  # on the hub, or a folder of weights
    prompt: str = "a photo of a {} face"
    names: dict[str, str] = {}  # class → how the prompt calls it; else its name, without underscores
    least: Literal["auto"] | Annotated[float, Field(ge=-1, le=1)] = "auto"  # auto: 95 % of the class's real images pass
    auc: Share = 0.65  # on real images; a model below it cannot tell their labels apart, so the gate is off

    @field_validator("prompt")
    @classmethod
    def _has_a_place(cls, prompt: str) -> str:
        if "{}" not in prompt:
            raise ValueError('it has no {} for the class, as in "a photo of a {} face"')
        return prompt


class Confidence(Section):
    """The label must be the first choice of a trained run's models, with so much confidence."""

    run: Name | None = None  # its name; null: this experiment's own, or its first member's
    least: Share = 0.5
    quota: Share = (
        0.25  # of each class this share is let in anyway, the surest: those that it fails at are the hard ones
    )


class Synth(Section):
    """For `comp synth`: generated images, the gates that let them in (null switches one off), what learns with them."""

    data: dict[str, Any]  # as pretrain.data, for the generated images
    parent: str = "auto"  # column: the id or file of the training image that each was made from
    map: dict[
        str, str | None
    ] = {}  # their labels → classes of this competition, where spelled otherwise; null: left out
    structure: Structure | None = Structure()
    meaning: Meaning | None = Meaning()
    classifier: Confidence | None = Confidence()
    amount: Literal["balance", "all"] = "balance"  # balance: no more of a class than it lacks of the largest one
    train: dict[str, Any] = {}  # as train: above, where it differs

    @model_validator(mode="after")
    def _has_a_root(self) -> "Synth":
        _refuse_without_root("synth", self.data)
        return self


class Synthetic(Section):
    """Written by `comp synth train` into the experiments that it makes."""

    combined: str  # the file that names the rows
    digest: str
    run: str | None  # whose models let the rows in


class Selection(Section):
    """Which test rows become training rows, and with which labels."""

    teacher: Literal["fold", "ensemble"] = "fold"  # fold: models that never saw the fold's validation rows
    threshold: Share = 0.95  # least probability
    labels: Literal["hard", "soft"] = "hard"
    temperature: AboveZero = 1.0  # of soft labels: below 1 sharpens
    quota: Positive | None = None  # at most so many rows per class, the surest ones


class Pseudo(Selection):
    """For `comp pseudo`: test rows join the training rows, and the models are trained further with them."""

    rounds: Positive = 1  # the students of one are the teachers of the next
    train: dict[str, Any] = {"epochs": 3, "lr": 1e-5}  # as train: above, where it differs; these two if not named


class Student(Selection):
    """Written by `comp pseudo` into the experiments that it makes."""

    start: str  # the run whose weights each fold starts from
    teachers: list[str]  # the runs whose test predictions are the labels


class Foreign(Section):
    """Predictions of another tool, or of a friend: tables with `id` and a column per class, p_<class> or <class>."""

    name: Name
    oof: Place  # CSV or parquet: every training row once, predicted by models that never saw it
    test: Place


class Combination(Section):
    """What `comp blend` and `comp stack` combine."""

    # Names of runs, their folders, or foreign tables; none: the members of this experiment, else all runs of its folds.
    members: list[Name | Foreign] = []


class Blend(Combination):
    """For `comp blend`: means and weights."""

    kind: Literal["mean", "geometric", "rank", "power", "hill_climbing", "weights"] = "mean"  # rank: for ROC-AUC
    power: AboveZero = 2.0  # of kind=power
    objective: Literal["log_loss", "metric"] = "log_loss"  # what hill_climbing and weights improve


class Stack(Combination):
    """For `comp stack`: learned combiners."""

    kind: Literal["lightgbm", "logistic"] = "lightgbm"
    features: list[str] = []  # image_statistics, height, width, has_alpha, or columns of the tables
    args: dict[str, Any] = {}  # of LightGBM, or of scikit-learn's LogisticRegression


class Soup(Section):
    """For `comp soup`: runs whose weights are averaged, fold by fold."""

    members: list[Name] = []


class Between(Section):
    """Values for Optuna to choose from; whole numbers where both ends are."""

    low: Finite
    high: Finite
    log: bool = False

    @model_validator(mode="after")
    def _the_lower_end_comes_first(self) -> "Between":
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"tune.keys: from {self.low:g} to {self.high:g} is no range" + " of a log" * self.log)
        return self


class Tune(Section):
    """For `comp tune`: which values are tried, and on which folds."""

    # By the dotted name of a key: a list of values, of which all combinations make a grid; or {low, high, log}
    keys: Annotated[dict[str, Between | Annotated[list[Any], Field(min_length=1)]], Field(min_length=1)]
    trials: Positive | None = None  # null: all of a grid, 16 where there is a range
    folds: Literal["all"] | Annotated[list[Count], Field(min_length=1)] = [0]  # whose rows choose


class Limits(Section):
    """For `comp forecast`: what a run has to fit into; as it stands, a Kaggle notebook with two GPUs."""

    hours: AboveZero = 9.0  # of training, and of inference on the hidden test set
    gpu_gb: AboveZero = 16.0  # of each GPU
    gpus: Count = 2
    ram_gb: AboveZero = 30.0
    cores: Positive = 4
    hidden_test: Positive | None = None  # rows of the hidden test set; null: as many as the test table has
    seconds: AboveZero = 20.0  # that each model is measured for


class Submit(Submission):
    values: Literal["auto", "labels", "probabilities"] = "auto"  # auto: as the sample submission shows
    # Of two classes, or of no and yes, the one that a single probability column is for; null: by its name, else yes.
    positive: str | None = None
    # From which probability on a label is given, or where an ordered grade begins. auto: fitted to the out-of-fold rows
    # where that helps those that it was not fitted to; one for all labels; each; none: 0.5, or the likeliest grade.
    thresholds: Literal["auto", "none", "one", "each"] | Share = "auto"
    new: str | None = None  # a label for rows of no known class: it comes before all that are less likely than …
    new_below: Share = 0.5  # … so much
    # One after the other: temperature, priors (the test rows' shares of classes), rounding (numbers to the grid of the
    # training values), each fitted to out-of-fold rows and used where that helps; or registered in custom.py
    postprocess: list[str] = []
    shares: dict[str, AboveZero] | None = None  # of priors: of each class among the test rows; null: found by EM

    @model_validator(mode="after")
    def _postprocess_is_complete(self) -> "Submit":
        if "thresholds" in self.postprocess:
            raise ValueError(
                "submit.postprocess: thresholds are a key of their own, submit.thresholds (auto, one or each), and "
                "follow all of the list: take the word out of it"
            )
        if self.shares is not None and "priors" not in self.postprocess:
            raise ValueError("submit.shares is what priors are matched to: add priors to submit.postprocess")
        return self


class ImageConfig(Experiment):
    task: str = "classify"
    metric: str = "accuracy"
    metrics: list[str] = ["log_loss"]
    data: Data = Data()
    folds: Folds = Folds()
    model: Model = Model()
    train: Train = Train()
    augment: Augment = Augment()
    predict: Predict = Predict()
    golden: TakeGolden = TakeGolden()
    jobs: Jobs = Jobs()
    pretrain: Pretrain | None = None
    pseudo: Pseudo = Pseudo()
    student: Student | None = None
    synth: Synth | None = None
    synthetic: Synthetic | None = None
    blend: Blend = Blend()
    stack: Stack = Stack()
    soup: Soup = Soup()
    submit: Submit = Submit()
    limits: Limits = Limits()
    tune: Tune | None = None

    @model_validator(mode="after")
    def _whole_batches_are_augmented_anew(self) -> "ImageConfig":
        augment, views = self.augment, self.train.cache_frozen
        for name in ("mixup", "cutmix", "custom"):
            if views and (value := getattr(augment, name)):
                raise ValueError(
                    f"train.cache_frozen={views} and augment.{name}={value} do not go together: what changes whole "
                    f"batches comes before the frozen part. Set train.cache_frozen=0, or augment.{name}={type(value)()}"
                )
        return self

    def refuse_steps(self) -> None:
        fits = {"stack": True, "blend": self.blend.kind in ("hill_climbing", "weights")}
        after = self.steps[self.steps.index("pseudo") :] if "pseudo" in self.steps else []
        after = after[: after.index("synth train")] if "synth train" in after else after  # it trains no students
        if self.pseudo.teacher == "ensemble" and (fitted := [step for step in after if fits.get(step)]):
            raise CompError(
                f"steps: {fitted[0]} after pseudo would be fitted to rows that the teachers of its members have seen "
                f"(pseudo.teacher=ensemble): set pseudo.teacher=fold, or steps without that {fitted[0]}"
            )

    def described(self, tables: Callable[[], "Tables"]) -> Self:
        """With what the network has to know of the data: of these networks, nothing."""
        return self

    @property
    def about_model(self) -> str:
        return self.model.backbone

    @property
    def learns_from(self) -> list[str]:
        teachers = [] if self.student is None else [self.student.start, *self.student.teachers]
        judge = [] if self.synthetic is None or self.synthetic.run is None else [self.synthetic.run]
        return [*teachers, *judge]
