"""Every key of an alignment's configuration with its default, here and in `config/common.py`, which these extend."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from comp.config.common import (
    AboveZero,
    EarlyStop,
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

Baseline = Annotated[str, Field(pattern=r"^(mean|(procrustes|ridge|cca|neighbors|kernel)(-centered)?)$")]
BASELINES = ["mean", "procrustes", "ridge", "cca", "neighbors"]
LEAST_TEMPERATURE = 0.01  # that is learned, as in CLIP


class Data(Files):
    train: Place = "auto"  # the npz with captions and images; auto: train.npz, here or in train/
    test: Place = "auto"  # the npz with captions only; auto: test.npz or test.clean.npz, here or in test/
    solution: Place = "solution.npz"  # captions/ids and the images that belong to them, for comp score
    on_bad_row: Literal["error", "drop"] = "error"  # drop: bad captions train nothing; a bad test caption gets the mean
    captions: Place = "auto"  # a text file whose captions stand in for captions/text in reports; auto: captions.txt
    pictures: Place | None = None  # a folder with the images under their names, for comp verify to show


class Folds(Folding):
    kind: Literal["group", "holdout"] = "group"  # by image: its captions are in one fold, always
    join: Literal["captions", "images", "none"] = "captions"  # images that share a caption stay together; or copies


class Model(Section):
    """text → [noise] → branch, beside a linear map where there is one; the sum is the image's direction."""

    linear: bool = False  # a linear map from text to image beside the branch
    start: Literal["random", "ridge", "cca"] = "random"  # of the linear map, if any; the branch then starts as 0
    hidden: list[Positive] = [4096]  # widths of the branch; none: the linear map alone
    norm: bool = False  # LayerNorm after each of its layers, the last one too
    activation: Literal["relu", "gelu"] = "relu"
    dropout: Share = 0.2  # of the hidden units
    normalize: bool = True  # texts are brought to length 1
    basis: Positive | None = None  # so many leading directions of the images span the output; null: each number is free


class Loss(Section):
    kind: Literal["cosine", "infonce", "symmetric"] = "cosine"  # infonce: text → image; symmetric: both ways
    negatives: Literal["batch", "all"] = "batch"  # the images a caption is told from: the batch's, or all of training
    positives: Literal["image", "group"] = "image"  # which are right: its own, or all of its group (folds.join)
    temperature: AboveZero = 0.05
    learn_temperature: bool = False
    cosine: NotNegative = 0.0  # weight of 1 - cosine beside a contrastive loss


class Augment(Section):
    noise: NotNegative = 0.0  # length of the normal noise on a text, relative to the text's own
    drop: Share = 0.0  # share of a text's numbers that are set to 0
    mix: Share = 0.0  # share of texts that are mixed with another caption of the same image


class Train(Training):
    batch_size: Positive = 256  # captions per update, over all processes
    accumulate: Literal[1] = 1  # a contrastive batch cannot be cut: its other images are the negatives
    optimizer: Literal["adam", "adamw"] = "adamw"
    early_stop: EarlyStop | None = None


class Predict(Section):
    batch_size: Positive = 4096
    gallery: Literal["auto"] | Positive = "auto"  # images in the host's gallery; auto: as many as test captions


class Blend(Section):
    """For `comp blend`: the mean of the members' directions."""

    baselines: dict[Baseline, NotNegative] = {}  # that join it, fitted to each fold: weights beside the mean's 1
    # 0 takes out one that a recipe has
    members: list[Name] = []  # names of runs, or their folders; none: the members of this experiment, else all runs


class Submit(Submission):
    form: Literal["auto", "list", "columns"] = "auto"  # auto: as the sample submission shows
    postprocess: list[str] = []  # registered in custom.py


class AlignConfig(Experiment):
    task: Literal["align"] = "align"
    metric: str = "mrr"
    metrics: list[str] = ["r@1", "r@5", "r@10", "median_rank", "cosine", "skewness"]
    data: Data = Data()
    folds: Folds = Folds()
    model: Model = Model()
    loss: Loss = Loss()
    augment: Augment = Augment()
    train: Train = Train()
    predict: Predict = Predict()
    baselines: list[Baseline] = [*BASELINES, "ridge-centered", "cca-centered", "neighbors-centered", "kernel-centered"]
    # told beside the network; centered: without the mean image, which draws all rankings to the images near it
    blend: Blend = Blend()
    submit: Submit = Submit()

    @property
    def about_model(self) -> str:
        widths = "-".join(map(str, self.model.hidden))
        parts = [f"linear from {self.model.start}"] if self.model.linear else []
        return " + ".join([*parts, *([f"MLP {widths}"] if widths else [])])

    @model_validator(mode="after")
    def _there_is_a_model(self) -> "AlignConfig":
        model = self.model
        if not model.linear and not model.hidden:
            raise ValueError("model: without model.linear it needs a branch, such as 'model.hidden=[2048]'")
        if model.linear and model.start != "random" and not model.normalize:
            raise ValueError(
                f"model: start={model.start} is fitted to texts of length 1: set model.normalize=true or "
                "model.start=random"
            )
        return self

    @model_validator(mode="after")
    def _a_learned_temperature_starts_where_it_may_be(self) -> "AlignConfig":
        loss = self.loss
        if loss.learn_temperature and loss.kind != "cosine" and loss.temperature < LEAST_TEMPERATURE:
            raise ValueError(
                f"loss: a learned temperature is at least {LEAST_TEMPERATURE}, it cannot start at {loss.temperature}: "
                "set it higher, or loss.learn_temperature=false"
            )
        return self
