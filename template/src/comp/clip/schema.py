"""What the configuration of a CLIP model has beside the keys of every image task (`comp.vision.schema`)."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from comp.config.common import Section, Share
from comp.errors import CompError, shown
from comp.vision.kinds import OTHER_OUTPUTS, refuse_kind
from comp.vision.schema import ImageConfig, Model

if TYPE_CHECKING:
    from comp.tables import Tables

HEADS = ("prompts", "linear")  # of a CLIP model
LEAST_CONTRASTED = 64  # images a batch: in fewer, most classes are not there to be told from


def _with_place(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError(repr(template) + ' has not one {} for the class, as in "a photo of a {}."')
    return template


class ClipModel(Model):
    """Of timm's networks, which may be members too, it is what `comp.vision.schema` says."""

    builder: ClassVar[str] = "comp.clip.model.build:clip_classifier"
    pretrained_cfg: ClassVar[str] = "comp.clip.model.build:clip_cfg"

    # A CLIP model: its name on the hub, or a folder as transformers writes it. Else a network as for other image tasks.
    backbone: str = "openai/clip-vit-large-patch14"
    # prompts: logits of image and text, and the text tower learns too. linear: a layer on the image's embedding, which
    # begins as the prompts' embeddings; the text tower is dropped.
    head: str = "linear"
    text_tower: Literal["trained", "frozen"] = "trained"  # of head=prompts; frozen: its embeddings are computed once
    prompts: Annotated[list[Annotated[str, AfterValidator(_with_place)]], Field(min_length=1)] = ["a photo of a {}."]
    names: dict[str, str] = {}  # class → how prompts call it; else its name, without underscores
    names_column: str | None = None  # the column of the training table that says it
    # Images go through the tower as they are (position embeddings are resampled), or are enlarged on the device: to a
    # multiple of its patches, so that none of their pixels is left out, or to what it was pretrained with.
    enlarge: Literal["no", "patches", "pretrained"] = "no"

    @property
    def is_clip(self) -> bool:
        return is_clip(self.backbone)

    @model_validator(mode="after")
    def _timm_builds_nothing_of_it(self) -> "ClipModel":
        if not self.is_clip:
            return self
        if self.head not in HEADS:
            raise ValueError(f"model.head={self.head} is not for CLIP models: set it to {' or '.join(HEADS)}")
        for name in ("args", "head_args", "metadata"):
            if getattr(self, name):
                raise ValueError(f"model.{name} is not for CLIP models: leave it out")
        if self.weights is not None:
            raise ValueError("model.weights is not for CLIP models: set model.backbone to the folder of weights")
        return self


def is_clip(backbone: str) -> bool:
    """Whether it names a CLIP model: on the hub `owner/name`, or a folder; timm's have `hf-hub:` or `local-dir:`."""
    return ":" not in backbone and ("/" in backbone or Path(backbone).expanduser().is_dir())


class Interpolate(Section):
    """For `comp interpolate`: weights between the zero-shot and the fine-tuned model (WiSE-FT, arXiv 2109.01903)."""

    alphas: Annotated[list[Share], Field(min_length=2)] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


class ClipConfig(ImageConfig):
    task: str = "clip"
    model: ClipModel = ClipModel()
    interpolate: Interpolate = Interpolate()

    @model_validator(mode="after")
    def _there_is_something_to_contrast(self) -> "ClipConfig":
        train = self.train
        if train.loss != "label_contrast":
            return self
        if train.batch_size == "auto" or train.batch_size < LEAST_CONTRASTED:
            raise ValueError(
                f"train.loss=label_contrast tells each class from the others of a batch: it needs train.batch_size of "
                f"{LEAST_CONTRASTED} or more (here: {train.batch_size}); below it, set train.loss=cross_entropy"
            )
        if train.accumulate != 1:
            raise ValueError(
                f"train.loss=label_contrast compares all images of a batch, and train.accumulate={train.accumulate} "
                "cuts it: set train.accumulate=1"
            )
        return self

    def described(self, tables: Callable[[], "Tables"]) -> Self:
        """With a text for each class in `model.names`, in the order of classes.

        Raises:
            CompError: the labels are not one class an image, or say nothing that could stand in a prompt.
        """
        if not self.model.is_clip:
            return self
        read = tables()
        targets, model = read.targets, self.model
        refuse_kind("the task clip", targets)
        if self.train.loss in OTHER_OUTPUTS and targets.kind == "multiclass":
            raise CompError(f"train.loss={self.train.loss} is not for CLIP's logits of classes: set train.loss=auto")
        if targets.kind == "multilabel":
            raise CompError(
                "a CLIP model tells classes apart that exclude each other, and here an image has several labels: "
                "task=classify trains them, with CLIP's image tower too (vit_base_patch16_clip_224.openai)"
            )
        if targets.kind == "binary" and self.train.loss == "label_contrast":
            raise CompError("train.loss=label_contrast is for classes, not for one 0/1 column: set train.loss=auto")
        classes = ("0", "1") if targets.kind == "binary" else targets.classes
        column = {} if model.names_column is None else named_in(read, model.names_column)
        unknown = sorted(set(model.names) - set(classes))
        if unknown:
            raise CompError(f"model.names: there is no class {shown(unknown)}: there are {shown(classes)}")
        names = {name: model.names.get(name) or column.get(name) or readable(name) for name in classes}
        empty = [name for name, text in names.items() if not text.strip()]
        if empty:
            raise CompError(f"the class {empty[0]!r} has no text for its prompt: set model.names.{empty[0]}=…")
        twice = [name for name, text in names.items() if list(names.values()).count(text) > 1]
        if twice:
            raise CompError(
                f"the classes {shown(twice)} have one text, {names[twice[0]]!r}: give each its own (model.names)"
            )
        if targets.kind == "binary" and not (set(classes) <= set(model.names) or column):
            raise CompError(
                f"labels are 0 and 1 of {targets.classes[0]!r}, which no prompt can say: set "
                "'model.names={0: a photo without it, 1: a photo with it}', in words"
            )
        return self.model_copy(update={"model": model.model_copy(update={"names": names})})


def readable(name: str) -> str:
    """`red_circle` → red circle."""
    return " ".join(name.replace("_", " ").split())


def named_in(tables: "Tables", column: str) -> dict[str, str]:
    """What a column of the training table calls each class.

    Raises:
        CompError: there is no such column, or it calls a class in several ways.
    """
    from comp.vision.data.own_columns import own_column  # has pandas, without which a configuration loads quickly

    table = tables.train
    own = own_column(table, column)
    if own not in table:
        raise CompError(f"model.names_column={column}: the training table has no such column")
    found: dict[str, Any] = {}
    for label, texts in table.groupby(table["target"].astype(str))[own]:
        different = sorted(set(texts))
        if len(different) > 1:
            raise CompError(f"model.names_column={column} calls the class {label!r} {shown(different)}: one is needed")
        found[str(label)] = different[0]
    return found
