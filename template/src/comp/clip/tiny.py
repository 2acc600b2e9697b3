"""A tiny CLIP model of 32 px: written as transformers writes one, and pretrained on pictures and captions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from comp.clip.model.heads import LARGEST_SCALE
from comp.clip.model.known import MEAN, STD
from comp.clip.shapes import SIDE_PX

WORDINGS = ("a photo of a {}.", "a drawing of a {}.", "a {}.")
CONTEXT = 24  # tokens
WIDTH, HEADS, LAYERS, DIM = 64, 4, 3, 64
STEPS, BATCH, LR, DECAY, WARM = 600, 96, 2e-3, 0.05, 0.1


def write_tiny_clip(folder: Path, images: np.ndarray, names: Sequence[str], steps: int = STEPS, seed: int = 0) -> Path:
    """Writes tokenizer, image processor and weights of a CLIP model that learned `names[i]` from `images[i]`.

    Args:
        images: (N, 32, 32, 3) uint8.
    """
    from transformers import CLIPImageProcessor
    from transformers.utils import logging

    logging.disable_progress_bar()  # of one file
    tokenizer = tokenizer_of([wording.format(name) for wording in WORDINGS for name in sorted(set(names))])
    tokenizer.save_pretrained(folder)  # before its use: padding would be saved with it
    CLIPImageProcessor(size={"shortest_edge": SIDE_PX}, crop_size=SIDE_PX).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = tiny_clip(tokenizer)
        teach(model, tokenizer, images, names, steps, seed)
    model.save_pretrained(folder)
    return folder


def tokenizer_of(texts: Sequence[str]) -> Any:
    """Knows each word of the texts as one token, and any other text by its pieces or bytes: nothing is unknown.

    The end of a text has the highest id, which is where CLIP models look for a text's embedding.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokens = Tokenizer(models.BPE())
    tokens.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    letters = pre_tokenizers.ByteLevel.alphabet()
    tokens.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=1000, initial_alphabet=letters, show_progress=False)
    )
    begin, end = "<|startoftext|>", "<|endoftext|>"
    tokens.add_special_tokens([begin, end])
    ids = [(name, tokens.token_to_id(name)) for name in (begin, end)]
    tokens.post_processor = processors.TemplateProcessing(single=f"{begin} $A {end}", special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokens, bos_token=begin, eos_token=end, pad_token=end, model_max_length=CONTEXT
    )


def tiny_clip(tokenizer: Any) -> Any:
    """A CLIPModel with random weights, for the tokenizer."""
    from transformers import CLIPConfig, CLIPModel

    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    tower = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
    }
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT, "pad_token_id": ids["eos_token_id"]}
    return CLIPModel(
        CLIPConfig(
            text_config={**tower, **text, **ids},
            vision_config={**tower, "image_size": SIDE_PX, "patch_size": 8},
            projection_dim=DIM,
        )
    )


def teach(
    model: Any, tokenizer: Any, images: np.ndarray, names: Sequence[str], steps: int = STEPS, seed: int = 0
) -> None:
    """Trains both towers so that an image (of N, 32, 32, 3 uint8) is nearest to captions with its own name.

    Each step words the names of its images anew. Images with one name share a caption, so that none of them is told
    apart from its own words.
    """
    rng = np.random.default_rng(seed)
    kinds, kind = np.unique(np.array(names), return_inverse=True)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    step = Contrast(model, tokenizer, steps, LR, DECAY)
    for _ in range(steps):
        rows = rng.integers(len(pixels), size=BATCH)
        present, place = np.unique(kind[rows], return_inverse=True)
        captions = [str(rng.choice(WORDINGS)).format(name) for name in kinds[present]]
        batch = pixels[rows]
        step(batch.flip(3) if rng.random() < 0.5 else batch, captions, place)
    model.eval()


class Contrast:
    """Steps of a CLIPModel's contrastive pretraining, over a cycle of so many of them."""

    def __init__(self, model: Any, tokenizer: Any, steps: int, lr: float, weight_decay: float) -> None:
        self._model, self._tokenizer = model.train(), tokenizer
        self._optimizer = torch.optim.AdamW(model.parameters(), lr, betas=(0.9, 0.98), weight_decay=weight_decay)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimizer, lr, total_steps=steps, pct_start=WARM)

    def __call__(self, pixels: Tensor, captions: Sequence[str], place: np.ndarray) -> float:
        """The loss of (N, 3, H, W) uint8 images, of which the n-th has the caption number `place[n]`; then a step."""
        longest = self._model.config.text_config.max_position_embeddings
        cut = {"padding": True, "truncation": True, "max_length": longest}
        tokens = self._tokenizer(list(captions), **cut, return_tensors="pt")["input_ids"]
        logits = self._model(pixel_values=_prepared(pixels), input_ids=tokens).logits_per_image
        loss = contrast(logits, torch.from_numpy(place))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        with torch.no_grad():
            self._model.logit_scale.clamp_(max=LARGEST_SCALE)
        return float(loss.detach())


def _prepared(pixels: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 → normalized as CLIP's image processor does."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (pixels / 255 - mean) / std


def contrast(logits: Tensor, place: Tensor) -> Tensor:
    """The mean cross-entropy from images to captions and back.

    Args:
        logits: (N, K) of N images and K different captions, each of at least one image.
        place: (N,) the caption of each image.
    """
    own = nn.functional.one_hot(place, logits.shape[1]).T.float()  # (K, N)
    back = nn.functional.cross_entropy(logits.T, own / own.sum(dim=1, keepdim=True))
    return (nn.functional.cross_entropy(logits, place) + back) / 2
