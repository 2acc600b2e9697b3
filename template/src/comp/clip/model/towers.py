"""The image tower of a CLIP model as a backbone, and other image sizes for it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ImageTower(nn.Module):
    """Normalized images (B, 3, H, W) → their embeddings (B, D), of any length.

    Images of another size than the tower's are enlarged to it.
    """

    vision: Any  # a CLIPVisionModel of transformers
    num_prefix_tokens = 1  # as timm's: the class token

    def __init__(self, vision: nn.Module, projection: nn.Linear, pretrained_cfg: dict[str, Any]) -> None:
        super().__init__()
        self.vision, self.projection, self.pretrained_cfg = vision, projection, pretrained_cfg

    @property
    def size_px(self) -> int:
        return int(self.vision.embeddings.image_size)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] != self.size_px:
            images = F.interpolate(images, size=(self.size_px, self.size_px), mode="bicubic", align_corners=False)
        embedding: Tensor = self.projection(self.vision(pixel_values=images).pooler_output)
        return embedding

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """As timm's: the layers, and how many channels each has."""
        width, count = self.vision.embeddings.embed_dim, len(self.vision.encoder.layers)
        return [{"module": f"vision.encoder.layers.{number}", "num_chs": width} for number in range(count)]

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's: what counts as a layer, for `train.layer_decay` and `train.freeze`."""
        return layers_of("vision", "post_layernorm")

    def no_weight_decay(self) -> set[str]:
        return embeddings_in(self)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        if enable:
            # The first is the lasting name; the oldest version that will do has the second alone.
            checkpoint = getattr(self.vision, "activation_checkpointing_enable", None)
            (checkpoint or self.vision.gradient_checkpointing_enable)()


def layers_of(tower: str, last_norm: str) -> dict[str, Any]:
    """timm's matcher of a tower of transformers: embeddings, layers; the last norm goes with the last layer."""
    layers = [(rf"^{tower}\.encoder\.layers\.(\d+)", None), (rf"^{tower}\.{last_norm}", (99999,))]
    return {"stem": rf"^{tower}\.(?:embeddings|pre_layrnorm)", "blocks": layers}


def embeddings_in(part: nn.Module) -> set[str]:
    """Names of weights that are looked up, not multiplied: of positions, tokens, the class token."""
    return {name for name, _ in part.named_parameters() if "embeddings." in name and "patch_embedding" not in name}


def resize_positions(vision: Any, size_px: int) -> None:
    """Resamples the position embeddings of a vision tower to images of `size_px`, in place, as transformers does."""
    embeddings, config = vision.embeddings, vision.config
    n = (size_px // embeddings.patch_size) ** 2
    if n != embeddings.num_patches:
        blank = torch.zeros(1, n + 1, embeddings.embed_dim)
        with torch.no_grad():
            resampled = embeddings.interpolate_pos_encoding(blank, size_px, size_px)[0]
        embeddings.position_embedding = nn.Embedding.from_pretrained(resampled.clone(), freeze=False)
        embeddings.num_patches, embeddings.num_positions = n, n + 1
        embeddings.position_ids = torch.arange(n + 1).expand((1, -1))
    embeddings.image_size = config.image_size = size_px


def tower_px(image_px: int, patch_px: int, pretrained_px: int, enlarge: str) -> int:
    """The size at which a tower sees images of `image_px`."""
    if enlarge == "pretrained":
        return pretrained_px
    return -(-image_px // patch_px) * patch_px if enlarge == "patches" else image_px
