"""Pretrains a small CLIP model on pictures and texts: `python ci/clip_from_pairs.py TABLE.csv OUT [--epochs 40]`.

The table has columns `path` (below its folder) and `text`, "name: keyword, keyword …". Each epoch words an image as its
name in one of CLIP's sentences, or as a draw of its keywords. For measuring: see docs/results.md.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "template/src"))

from comp.clip.tiny import WORDINGS, Contrast, tokenizer_of

BATCH, LR, DECAY = 128, 1e-3, 0.1
CONTEXT = 32  # tokens
KEYWORDS = 3  # of an image, at most, where its name is not said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path, help="a folder")
    parser.add_argument("--epochs", type=int, default=40, help=" ")
    parser.add_argument("--size", type=int, default=64, help="px")
    parser.add_argument("--width", type=int, default=192, help="of both towers")
    parser.add_argument("--layers", type=int, default=4, help=" ")
    options = parser.parse_args()
    table = pd.read_csv(options.table, dtype=str)
    pictures = np.stack([picture(options.table.parent / path, options.size) for path in table["path"]])
    names = [text.partition(":")[0].strip() for text in table["text"]]
    keywords = [[word.strip() for word in text.partition(":")[2].split(",")] for text in table["text"]]
    words = sorted({word for name, some in zip(names, keywords, strict=True) for word in [name, *some]})
    tokenizer = tokenizer_of([wording.format(word) for word in words for wording in WORDINGS])
    tokenizer.save_pretrained(options.out)
    CLIPImageProcessor(size={"shortest_edge": options.size}, crop_size=options.size).save_pretrained(options.out)
    torch.manual_seed(0)
    model = small_clip(tokenizer, options.size, options.width, options.layers)
    teach(model, tokenizer, pictures, names, keywords, options.epochs)
    model.save_pretrained(options.out)
    print(f"wrote   {options.out}: {sum(each.numel() for each in model.parameters()) / 1e6:.1f} M parameters")


def picture(path: Path, size_px: int) -> np.ndarray:
    """(size_px, size_px, 3) uint8, on white."""
    image = Image.open(path).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return np.asarray(flat.resize((size_px, size_px), Image.Resampling.BICUBIC))


def small_clip(tokenizer: Any, size_px: int, width: int, layers: int) -> CLIPModel:
    """With random weights, and patches of 8 px."""
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    tower = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers}
    tower |= {"num_attention_heads": 4}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT, "pad_token_id": ids["eos_token_id"]}
    vision = {**tower, "image_size": size_px, "patch_size": 8}
    return CLIPModel(CLIPConfig(text_config={**tower, **text, **ids}, vision_config=vision, projection_dim=128))


def teach(
    model: Any, tokenizer: Any, pictures: np.ndarray, names: list[str], keywords: list[list[str]], epochs: int
) -> None:
    """Contrast over epochs; images whose words are the same share them."""
    rng, pixels = np.random.default_rng(0), torch.from_numpy(pictures).permute(0, 3, 1, 2)
    each = len(pixels) // BATCH
    step, started = Contrast(model, tokenizer, epochs * each, LR, DECAY), time.perf_counter()
    for epoch in range(epochs):
        for rows in rng.permutation(len(pixels))[: each * BATCH].reshape(each, BATCH):
            captions, place = np.unique([worded(names[row], keywords[row], rng) for row in rows], return_inverse=True)
            loss = step(shifted(pixels[rows], rng), captions.tolist(), place)
        print(f"epoch {epoch + 1}, loss {loss:.3f}, {time.perf_counter() - started:.0f} s", flush=True)
    model.eval()


def worded(name: str, keywords: list[str], rng: np.random.Generator) -> str:
    """A sentence of the name, or of some keywords."""
    said = name
    if keywords[0] and rng.random() < 0.5:
        said = " ".join(rng.permutation(keywords)[: rng.integers(1, KEYWORDS + 1)])
    return str(rng.choice(WORDINGS)).format(said)


def shifted(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Mirrored, or moved by some pixels: what a picture shows stays."""
    if rng.random() < 0.5:
        pixels = pixels.flip(3)
    return pixels.roll([int(each) for each in rng.integers(-4, 5, 2)], [2, 3])


if __name__ == "__main__":
    main()
