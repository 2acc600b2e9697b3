"""What training a CLIP ViT-L/14 needs of a GPU's memory, computed: `python ci/bench/clip_memory.py [--out FOLDER]`.

Weights, gradients and AdamW's two moments in fp32 (16 bytes a parameter; 20 with an average), the 16-bit copies of
weights that autocast keeps until the backward pass, and what autograd keeps of a batch of 8, counted by its hooks. The
allocator and the CUDA context come on top.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

from measure import headline, markdown_table, surroundings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backbones import clip_model, kept_bytes

NAME, BATCH = "openai/clip-vit-large-patch14", 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/bench/clip-memory"), help="a folder")
    options = parser.parse_args()
    rows = []
    for (head, prompts), size_px in product((("linear", 50), ("prompts", 50)), (64, 224)):
        names = {str(k): f"class number {k}" for k in range(prompts)}
        model = clip_model(NAME, head=head, image_size=size_px, names=names)
        parameters = sum(each.numel() for each in model.parameters())
        kept = kept_bytes(model, BATCH, size_px)
        plain, averaged = ((each * parameters + kept) / 1e9 for each in (16, 20))
        about = [head, str(prompts), str(size_px), f"{parameters / 1e6:.0f} M"]
        rows.append([*about, f"{kept / 1e9:.1f}", f"{plain:.1f}", f"{averaged:.1f}"])
        print(*rows[-1], flush=True)
    columns = ["head", "prompts", "px", "parameters", "activations and copies, GB", "in all, GB", "with EMA, GB"]
    options.out.mkdir(parents=True, exist_ok=True)
    text = "\n".join([*headline(surroundings()), *markdown_table(columns, rows)])
    (options.out / "memory.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
