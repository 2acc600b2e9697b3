"""Backbones that timm does not list: described by a repository of the hub (`hf-hub:…`) or a folder (`local-dir:…`)."""

from typing import Any

from comp.errors import CompError, first_line
from comp.vision.model.hub import reachable_or_offline

SCHEMES = ("hf-hub", "hf_hub", "local-dir")


def is_described_elsewhere(backbone: str) -> bool:
    return backbone.partition(":")[0] in SCHEMES


def described(backbone: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """timm's name of the architecture, the arguments to build it with, and its pretrained configuration.

    Raises:
        CompError: the hub or the folder cannot be read.
    """
    # Of these two, timm.models has only the first one.
    from timm.models._hub import load_model_config_from_hf, load_model_config_from_path

    scheme, _, place = backbone.partition(":")
    read = load_model_config_from_path if scheme == "local-dir" else load_model_config_from_hf
    try:
        with reachable_or_offline():
            pretrained_cfg, name, arguments = read(place)
    except KeyError as error:
        raise CompError(
            f"model.backbone={backbone}: its config.json describes no model of timm (no {error})"
        ) from error
    except Exception as error:  # whatever the hub's client raises, or what a file that is no description leads to
        raise CompError(
            f"model.backbone={backbone}: its config.json could not be read ({first_line(error)}). Without a network: "
            "download the repository elsewhere and set model.backbone=local-dir:<folder>"
        ) from error
    return name, dict(arguments or {}), dict(pretrained_cfg)
