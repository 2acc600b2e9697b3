"""OpenAI's CLIP models as `CLIPConfig` describes them: they can be built without their weights and a network."""

from typing import Any

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
ENDS = {"bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}


def _described(image: int, patch: int, width: int, layers: int, text_width: int, projection: int) -> dict[str, Any]:
    def tower(width: int, layers: int) -> dict[str, Any]:
        heads = {"num_hidden_layers": layers, "num_attention_heads": width // 64, "hidden_act": "quick_gelu"}
        return {"hidden_size": width, "intermediate_size": 4 * width, "projection_dim": projection, **heads}

    text = {**tower(text_width, 12), "vocab_size": 49408, "max_position_embeddings": 77, **ENDS}
    vision = {**tower(width, layers), "image_size": image, "patch_size": patch}
    return {"text_config": text, "vision_config": vision, "projection_dim": projection}


KNOWN = {
    "openai/clip-vit-base-patch32": _described(224, 32, 768, 12, 512, 512),
    "openai/clip-vit-base-patch16": _described(224, 16, 768, 12, 512, 512),
    "openai/clip-vit-large-patch14": _described(224, 14, 1024, 24, 768, 768),
    "openai/clip-vit-large-patch14-336": _described(336, 14, 1024, 24, 768, 768),
}
