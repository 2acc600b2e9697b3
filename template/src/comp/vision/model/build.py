"""Builds the network that the configuration names, and keeps it in a file that needs nothing else."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired

import timm
import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file
from torch import Tensor, nn
from typing_extensions import TypedDict

import comp.vision.model.heads  # noqa: F401  (registers them)
from comp.errors import CompError, first_line
from comp.files import written_whole
from comp.loop.tensors import AGAIN, read_safetensors
from comp.readback import reading
from comp.registry import find, names
from comp.tasks import imported
from comp.vision.data.metadata import MetadataEncoder
from comp.vision.model.described import described, is_described_elsewhere
from comp.vision.model.hub import reachable_or_offline
from comp.vision.model.link import Link
from comp.vision.model.metadata_branch import MetadataBranch
from comp.vision.model.pooling import means, pools  # registers a head
from comp.vision.model.preparation import preparation
from comp.vision.model.weights import bare_names, read_weights
from comp.vision.schema import Model

Rgb = tuple[float, float, float]
METADATA = "metadata."  # what the names of its weights begin with
BLANK = 7_340_033  # a seed that no weights file was initialized with


class Facts(TypedDict):
    """What a checkpoint says beside its weights, at least."""

    classes: list[str]
    folds: NotRequired[str]
    left_out: NotRequired[list[int]]
    pixels: NotRequired[int]
    metadata: NotRequired[Any]
    link: NotRequired[Any]
    architecture: NotRequired[tuple[str, dict[str, Any]]]


class Classifier(nn.Module):
    """Images (B, 3, H, W) on a scale of 0 to 255, of any number type, and metadata (B, M) or None → logits (B, K).

    With `counts` (R,), of the images that in order are each row's, it gives logits of rows (R, K): the means, or what a
    head makes of all features of a row.

    It normalizes by itself, so a checkpoint carries what its backbone expects. `encoder` says how its metadata is made,
    `architecture` (a name of timm's, arguments) how a backbone is built that only the hub or a folder describes, `link`
    what its outputs mean where they are not the logits of classes.
    """

    architecture: tuple[str, dict[str, Any]] | None = None
    link: Link | None = None

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        mean: Rgb,
        std: Rgb,
        metadata: MetadataBranch | None = None,
        encoder: MetadataEncoder | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.metadata = metadata
        self.encoder = encoder
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, images: Tensor, metadata: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
        # One pass over the pixels: (images / 255 − mean) / std.
        features = self.backbone(torch.addcmul(-self.mean / self.std, images.float(), 1 / (255 * self.std)))
        return self.classified(features, metadata, counts)

    def after_update(self) -> None:
        """To be called after each step of the optimizer: a head may have bounds to keep."""
        after_update = getattr(self.head, "after_update", None)
        if after_update is not None:
            after_update()

    def classified(self, features: Tensor, metadata: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
        """Pooled features (B, C) of images, and their metadata (B, M) or None → logits (B, K), or (R, K) of rows."""
        if self.metadata is not None:
            features = torch.cat([features, self.metadata(metadata, len(features)).to(features.dtype)], dim=1)
        if counts is None:
            return self.head(features)
        return self.head(features, counts) if pools(self) else means(self.head(features), counts)


def build_model(settings: Model, classes: int, load: bool = True, encoder: MetadataEncoder | None = None) -> Classifier:
    """The network of `settings` with `classes` logits; with `load`, its pretrained weights.

    With an `encoder`, the metadata that it makes joins the pooled features before the head.

    Raises:
        CompError: no such backbone or head, the weights do not fit, or the hub cannot be reached.
    """
    model: Classifier = imported(settings.builder)(settings, classes, load, encoder)
    return model


def timm_classifier(settings: Model, classes: int, load: bool, encoder: MetadataEncoder | None) -> Classifier:
    """See `build_model`; of timm's networks, and those of custom.py."""
    architecture = None
    if settings.backbone in names("model"):
        backbone = find("model", settings.backbone)(settings)
    else:
        backbone, architecture = _timm_backbone(settings, load)
    features = _n_features(backbone, settings.image_size)
    branch = None
    if encoder is not None:
        try:
            branch = MetadataBranch(encoder.n_numbers, encoder.category_sizes, **settings.metadata_args)
        except TypeError as error:
            raise CompError(f"model.metadata_args: {error}") from None
        features += branch.unknown.shape[0]
    try:
        head = find("head", settings.head)(features, classes, **settings.head_args)
    except TypeError as error:
        raise CompError(f"model.head_args do not fit the head {settings.head!r}: {error}") from None
    wanted = preparation(
        settings if load else settings.model_copy(update={"weights": None}),  # else a checkpoint says it
        getattr(backbone, "pretrained_cfg", None) or {"custom": True},
    )
    model = Classifier(backbone, head, wanted["mean"], wanted["std"], branch, encoder)
    model.architecture = architecture
    return model


def save_checkpoint(model: Classifier, path: Path, facts: Mapping[str, object]) -> None:
    """Writes the weights and `facts` (JSON) as one safetensors file."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if model.encoder is not None:
        facts = {**facts, "metadata": model.encoder.facts()}
    if model.architecture is not None:
        facts = {**facts, "architecture": model.architecture}
    if model.link is not None:
        facts = {**facts, "link": model.link.facts()}
    with written_whole(path) as temporary:
        save_file(tensors, temporary, metadata={"comp": json.dumps(facts)})


def load_checkpoint(settings: Model, path: Path) -> tuple[Classifier, dict[str, Any]]:
    """The trained network at `path` and its facts; needs no hub and no other file.

    Raises:
        CompError: the file is missing or does not fit `settings`.
    """
    if not path.is_file():
        raise CompError(f"{path} does not exist: run comp train")
    tensors, metadata = _read(path)
    with reading(path, AGAIN.format(folder=path.parent)):
        facts = json.loads(metadata["comp"])
        TypeAdapter(Facts).validate_json(metadata["comp"], strict=True)
        encoder = MetadataEncoder.from_facts(facts["metadata"]) if "metadata" in facts else None
        link = Link.from_facts(facts["link"]) if "link" in facts else None
    architecture = facts.get("architecture")
    if architecture:
        settings = settings.model_copy(update={"backbone": architecture[0], "args": architecture[1]})
    model = build_model(settings, link.outputs if link else len(facts["classes"]), load=False, encoder=encoder)
    model.architecture, model.link = architecture, link
    _take(model, tensors, path)
    return model, facts


def load_weights(model: Classifier, path: Path) -> None:
    """Takes over the weights of the checkpoint at `path`; of the metadata's, those that have the same shape in both.

    Other rows may have other categories, or a text where all that this fold learns from are numbers.

    Raises:
        CompError: it is missing, or of another architecture.
    """
    own, given = model.state_dict(), _read(path)[0]
    both = {name for name in own.keys() & given.keys() if own[name].shape == given[name].shape}
    differing = {name for name in own.keys() | given.keys() if name.startswith(METADATA)} - both
    taken = {name: tensor for name, tensor in given.items() if name not in differing}
    _take(model, taken | {name: own[name] for name in differing & own.keys()}, path)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    return read_safetensors(path, AGAIN.format(folder=path.parent))


def _take(model: Classifier, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CompError(f"{path} does not fit the model: {first_line(error)}") from None


def _timm_backbone(settings: Model, load: bool) -> tuple[nn.Module, tuple[str, dict[str, Any]] | None]:
    """The backbone without a head; and how it is built again, if timm does not list it."""
    name, architecture, its_arguments = settings.backbone, None, dict[str, Any]()
    arguments: dict[str, Any] = {"num_classes": 0, **settings.args}
    if is_described_elsewhere(name):
        name, its_arguments, _ = described(name)
        arguments = {**its_arguments, **arguments}
        architecture = name, arguments
    else:
        _refuse_unknown(name)
    registered = timm.get_pretrained_cfg(name)
    fixed_size = "img_size" in its_arguments or (registered is not None and registered.fixed_input_size)
    if fixed_size and "dynamic_img_size" not in arguments:
        arguments["img_size"] = settings.image_size  # position embeddings are resampled to it
    return _with_weights(settings, arguments, load), architecture


def _with_weights(settings: Model, arguments: dict[str, Any], load: bool) -> nn.Module:
    name = settings.backbone
    if not load:
        return _created(name, arguments)
    if settings.weights is not None:
        return _with_local_weights(name, arguments, Path(settings.weights))
    if not settings.pretrained:
        return _created(name, arguments)
    try:
        with reachable_or_offline():
            return timm.create_model(name, pretrained=True, **arguments)
    except Exception as error:  # whatever the hub's client raises: network, no such file, no weights
        _created(name, arguments)  # was it the arguments?
        raise CompError(
            f"model.backbone={name}: its pretrained weights could not be fetched ({first_line(error)}). Without a "
            "network: download them elsewhere and set model.weights=<file or folder>, or model.pretrained=false"
        ) from error


def _refuse_unknown(name: str) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(name):
        near = difflib.get_close_matches(architecture, [*timm.list_models(), *names("model")], n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; see timm.list_models()"
        raise CompError(f"model.backbone={name}: timm has no such model{hint}")
    tagged = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tagged:
        near = difflib.get_close_matches(name, tagged, n=1, cutoff=0) or [architecture]
        raise CompError(f"model.backbone={name}: {architecture} has no weights {tag!r}; did you mean {near[0]}?")


def _created(name: str, arguments: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=False, **arguments)
    except (TypeError, AssertionError, ValueError, RuntimeError) as error:
        raise CompError(f"model.backbone={name} cannot be built with {arguments}: {first_line(error)}") from None


def _with_local_weights(name: str, arguments: dict[str, Any], path: Path) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(BLANK)
        model = _created(name, arguments)
        blank = dict(model.named_parameters())
        tensors = bare_names(read_weights(path), model.state_dict(), path)
        torch.manual_seed(BLANK)
        # -1: the head of the file is never the one wanted here. No source: the file comes before the hub or a folder.
        overlay = {"state_dict": tensors, "num_classes": -1, "source": None}
        try:
            backbone = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **arguments)
        except (RuntimeError, KeyError) as error:
            raise CompError(f"model.weights={path} do not fit model.backbone={name}: {first_line(error, 2)}") from None
    matrices = {key: tensor for key, tensor in backbone.named_parameters() if tensor.ndim > 1}
    untouched = [key for key, tensor in matrices.items() if torch.equal(tensor, blank[key])]
    if untouched:
        raise CompError(
            f"model.weights={path} do not fit model.backbone={name}: "
            f"{len(untouched)} of {len(matrices)} layers are not in it, such as {untouched[0]}"
        )
    return backbone


def _n_features(backbone: nn.Module, image_size: int) -> int:
    """The width of the pooled features, by trying: models of all kinds declare it differently."""
    was_training = backbone.training
    try:
        with torch.no_grad():
            features = backbone.eval()(torch.zeros(1, 3, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise CompError(f"model.image_size={image_size} does not fit the backbone: {first_line(error)}") from None
    backbone.train(was_training)
    if features.ndim != 2:
        raise CompError(f"the backbone gives features of shape {tuple(features.shape)}, expected (batch, features)")
    return features.shape[1]
