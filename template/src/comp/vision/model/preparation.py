"""How weights want their images: mean, std, and how they are resized; from timm, or from a file beside the weights."""

import json
from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError, safe_open
from timm.data import resolve_data_config

from comp.errors import CompError
from comp.registry import names
from comp.tasks import imported
from comp.vision.model.described import described, is_described_elsewhere
from comp.vision.model.weights import file_in
from comp.vision.schema import Model

KEYS = ("mean", "std", "interpolation", "crop_pct", "crop_mode")  # as timm and its files on the hub name them


def preparation(settings: Model, pretrained_cfg: dict[str, Any] | None = None) -> dict[str, Any]:
    """KEYS: what `settings` say, else the file beside `model.weights`, else timm's configuration of the backbone.

    Raises:
        CompError: that file, or the backbone's description, cannot be read.
    """
    beside = {} if settings.weights is None else beside_weights(Path(settings.weights))[0]
    told = {key: getattr(settings, key) for key in KEYS if getattr(settings, key) is not None}
    cfg = imported(settings.pretrained_cfg)(settings) if pretrained_cfg is None else pretrained_cfg
    return {key: value for key, value in resolve_data_config({**beside, **told}, cfg).items() if key in KEYS}


def timm_cfg(settings: Model) -> dict[str, Any]:
    """timm's pretrained configuration of the backbone; a little one for a model of custom.py, which has none."""
    if settings.backbone in names("model"):
        return {"custom": True}
    if is_described_elsewhere(settings.backbone):
        return described(settings.backbone)[2]
    found = timm.get_pretrained_cfg(settings.backbone)
    return {"custom": True} if found is None else dict(found.to_dict())


def beside_weights(path: Path) -> tuple[dict[str, Any], Path | None]:
    """What the weights at `path` say of KEYS, and the file that says it: itself, if it is a checkpoint of comp; else
    NAME.json or config.json beside it, whose keys may stand within `pretrained_cfg`.

    Raises:
        CompError: that file is damaged.
    """
    file = file_in(path)
    if file.suffix == ".safetensors":
        own = _of_a_checkpoint(file)
        if own:
            return own, file
    for description in (file.with_suffix(".json"), file.with_name("config.json")):
        if description.is_file():
            found = _read(description)
            if found:
                return found, description
    return {}, None


def weights_note(settings: Model) -> str | None:
    """Tells which mean and std the weights of a local file get, and why."""
    if settings.weights is None or (settings.mean and settings.std):
        return None
    beside, source = beside_weights(Path(settings.weights))
    found = preparation(settings)
    values = f"mean {_shown(found['mean'])} and std {_shown(found['std'])}"
    if "mean" in beside and "std" in beside:
        return f"weights {values}, as {source} says"
    return (
        f"weights {values}, timm's for {settings.backbone}: no file beside {settings.weights} names others. "
        "Set model.mean and model.std if they were trained with others"
    )


def _shown(values: Any) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def _of_a_checkpoint(file: Path) -> dict[str, Any]:
    try:
        with safe_open(file, framework="pt") as tensors:
            if "comp" in (tensors.metadata() or {}) and {"mean", "std"} <= set(tensors.keys()):
                return {key: tuple(tensors.get_tensor(key).flatten().tolist()) for key in ("mean", "std")}
    except SafetensorError:
        pass  # who loads it says so
    return {}


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        found = {**found, **(found.get("pretrained_cfg") or {})}
        kept = {key: found[key] for key in KEYS if found.get(key) is not None}
        for key in ("mean", "std"):
            if key in kept:
                kept[key] = tuple(float(value) for value in kept[key])
                if len(kept[key]) != 3:
                    raise ValueError(f"{key} has {len(kept[key])} numbers, not 3")
        Model.model_validate(kept)  # of the kinds that the keys of the configuration have
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()
        raise CompError(f"{file}: how images are prepared cannot be read ({' '.join(reason[:3])[:200]})") from None
    return kept
