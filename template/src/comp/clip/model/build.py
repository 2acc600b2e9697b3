"""Builds the network of a CLIP model: from the hub or a folder, from its description alone, or for a checkpoint."""

import math
from typing import Any

import torch
from torch import Tensor

from comp.clip.model.heads import FixedPromptHead, PromptHead, TextLinear, TextTower, unit
from comp.clip.model.known import KNOWN, MEAN, STD
from comp.clip.model.towers import ImageTower, resize_positions, tower_px
from comp.clip.schema import ClipModel
from comp.errors import CompError
from comp.vision.data.metadata import MetadataEncoder
from comp.vision.model import Classifier
from comp.vision.model.build import timm_classifier
from comp.vision.model.clip import Clip, clip_config, load_clip, normalization, note_once, refuse_one_embedding
from comp.vision.model.preparation import preparation, timm_cfg

CPU = torch.device("cpu")
START = math.log(1 / 0.07)  # of the temperature, before anything is learned


def clip_classifier(settings: ClipModel, classes: int, load: bool, encoder: MetadataEncoder | None) -> Classifier:
    """See `comp.vision.model.build_model`. A CLIP model's logits are, before training, its zero-shot ones.

    Raises:
        CompError: as `load_clip`; or the class names are not known, or do not go with the model.
    """
    if not settings.is_clip:
        return timm_classifier(settings, classes, load, encoder)
    return assembled(settings, *towers(settings, load), classes, load)


def towers(settings: ClipModel, load: bool = True) -> tuple[Any, Tensor]:
    """A `CLIPModel` with its pretrained weights, or without, and the tokens (T, K, L) of the prompts."""
    clip = load_clip(settings.backbone, CPU) if load and settings.pretrained else None
    model = _blank(settings) if clip is None else clip.model
    return model, _tokens(settings, model, clip)


def assembled(settings: ClipModel, model: Any, tokens: Tensor, classes: int, load: bool = True) -> Classifier:
    """The network of both towers in `model`, whose classes are called as `tokens` (T, K, L) say; it takes them over.

    Without `load`, weights are about to come, so that nothing is told, and texts are not read.
    """
    vision, patch_px, cfg = model.vision_model, model.config.vision_config.patch_size, clip_cfg(settings)
    size_px = tower_px(settings.image_size, patch_px, model.config.vision_config.image_size, settings.enlarge)
    if size_px < patch_px:
        raise CompError(f"model.image_size={settings.image_size} is less than a patch of {patch_px} px: set it higher")
    resize_positions(vision, size_px)
    model.config.vision_config.image_size = size_px
    if load:
        _tell(size_px, patch_px)
    tower, text = ImageTower(vision, model.visual_projection, cfg), TextTower(model.text_model, model.text_projection)
    unknown = model.logit_scale.is_meta or "tokens" in settings.args
    scale = START if unknown else float(model.logit_scale.detach())
    blank = torch.zeros(tokens.shape[1], model.config.projection_dim)
    texts = _embeddings(text, tokens, settings) if load else blank
    head: PromptHead | FixedPromptHead | TextLinear
    if settings.head == "prompts" and settings.text_tower == "trained":
        head = PromptHead(text, tokens, classes, scale)
    else:
        head = (TextLinear if settings.head == "linear" else FixedPromptHead)(texts, classes, scale)
    wanted = preparation(settings, cfg)
    built = Classifier(tower, head, wanted["mean"], wanted["std"])
    built.architecture = (
        settings.backbone,
        {
            "config": model.config.to_dict(),
            "tokens": list(tokens.shape),
            "cfg": cfg,
        },
    )
    return built


def clip_cfg(settings: ClipModel) -> dict[str, Any]:
    """What timm would call its pretrained configuration: how the weights want their images."""
    if not settings.is_clip:
        return timm_cfg(settings)
    if "cfg" in settings.args:
        return dict(settings.args["cfg"])
    found = {"mean": MEAN, "std": STD} if settings.backbone in KNOWN else normalization(settings.backbone)
    size = (3, settings.image_size, settings.image_size)
    return {"input_size": size, "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "center", **found}


def prompts_of(settings: ClipModel) -> list[list[str]]:
    """Of each template, the prompts of all classes.

    Raises:
        CompError: the classes are not named yet.
    """
    if not settings.names:
        raise CompError("model.names: which classes are there? The command that opened the data names them")
    return [[template.format(name) for name in settings.names.values()] for template in settings.prompts]


def _tokens(settings: ClipModel, model: Any, clip: Clip | None) -> Tensor:
    if "tokens" in settings.args:  # of a checkpoint, which brings them
        return torch.zeros(settings.args["tokens"], dtype=torch.int64)
    prompts = prompts_of(settings)
    rows = [text for texts in prompts for text in texts]
    if clip is not None:
        return clip.tokens_of(rows).unflatten(0, (len(prompts), -1))
    return _as_bytes(rows, model.config.text_config).unflatten(0, (len(prompts), -1))


def _as_bytes(texts: list[str], config: Any) -> Tensor:
    """Weights that know no words yet are as good with bytes as with a vocabulary: (T, L), without any file."""
    most = config.max_position_embeddings - 2
    spelled = [[byte % (config.vocab_size - 2) for byte in text.encode()][:most] for text in texts]
    longest = max(map(len, spelled))
    begin, end = config.vocab_size - 2, config.eos_token_id
    return torch.tensor([[begin, *one, *[end] * (longest - len(one) + 1)] for one in spelled])


def _blank(settings: ClipModel) -> Any:
    """Both towers with random weights, as the checkpoint, the table of known models, a folder or the hub describes."""
    from transformers import CLIPConfig, CLIPModel

    if "config" in settings.args:
        return _unfilled(CLIPConfig.from_dict(settings.args["config"]))
    known = KNOWN.get(settings.backbone)
    return CLIPModel(clip_config(settings.backbone) if known is None else CLIPConfig.from_dict(known))


def _unfilled(config: Any) -> Any:
    """For weights that are about to come: to draw random ones takes a large model a minute."""
    from transformers import CLIPModel

    with torch.device("meta"):
        model = CLIPModel(config)
    model.to_empty(device=CPU)
    for part in (model.vision_model, model.text_model):
        part.embeddings.position_ids = torch.arange(part.embeddings.position_ids.shape[1]).expand((1, -1))
    return model


def _embeddings(text: TextTower, tokens: Tensor, settings: ClipModel) -> Tensor:
    """(K, D) of length 1: the mean over templates."""
    with torch.no_grad():
        every = text.eval()(tokens)
    if settings.pretrained:
        for texts, embeddings in zip(prompts_of(settings), every, strict=True):
            refuse_one_embedding(embeddings, texts)
    return unit(every.mean(dim=0))


def _tell(size_px: int, patch_px: int) -> None:
    used = size_px // patch_px * patch_px
    if used < size_px:
        share = (used / size_px) ** 2
        note_once(
            f"patches of {patch_px} px see {used}×{used} of {size_px}×{size_px} px, {share:.0%} of the image: "
            f"model.enlarge=patches shows them all"
        )
