"""CLIP models of tiny size, in folders as transformers writes them; one that was taught knows colors."""

from pathlib import Path

import numpy as np
import torch
from vision.small import COLORS

WORDS = ["<|startoftext|>", "a", "photo", "of", "red", "green", "blue", "face", "drawing", ".", "<|endoftext|>"]


def write_clip(folder: Path, trained: bool, layers: int = 1) -> Path:
    """A CLIP model of 16 px with a vocabulary of a few words; `trained`: it knows colors by their names."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    ends = {"bos_token_id": 0, "eos_token_id": len(WORDS) - 1, "pad_token_id": len(WORDS) - 1}
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": layers, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**size, "vocab_size": len(WORDS), "max_position_embeddings": 16, **ends},
        vision_config={**size, "image_size": 16, "patch_size": 8},
        projection_dim=16,
    )
    model = CLIPModel(config)
    tokens = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="a"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>",
        special_tokens=[("<|startoftext|>", 0), ("<|endoftext|>", len(WORDS) - 1)],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens, bos_token=WORDS[0], eos_token=WORDS[-1], pad_token=WORDS[-1]
    )
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if trained:
        _teach(model, tokenizer)
    model.save_pretrained(folder)
    return folder


def _teach(model, tokenizer) -> None:
    prompts = tokenizer([f"a photo of a {name} face" for name in COLORS], return_tensors="pt")
    flat = np.stack([np.array(color) for color in COLORS.values()])
    random, optimizer = np.random.default_rng(0), torch.optim.AdamW(model.parameters(), 3e-3)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)))
    for _ in range(60):
        label = random.integers(0, 3, 32)
        noise = random.normal(0, 25, (32, 16, 16, 3))
        pixels = torch.from_numpy(np.clip(flat[label][:, None, None] + noise, 0, 255) / 255).permute(0, 3, 1, 2).float()
        said = model(pixel_values=(pixels - mean) / std, **prompts)
        torch.nn.functional.cross_entropy(said.logits_per_image, torch.from_numpy(label)).backward()
        optimizer.step()
        optimizer.zero_grad()
