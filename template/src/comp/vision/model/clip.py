"""A CLIP model of transformers, from the hub or a folder, and its normalized embeddings of images and texts."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from comp.errors import CompError, one_line, shortened, shown
from comp.vision.model.hub import reachable_or_offline

INSTALL = 'pip install -e ".[synth]"'
AT_ONCE = 64
APART = 1e-4  # distance of two embeddings below which they are one


@dataclass(frozen=True)
class Clip:
    """Both towers, in fp32 and evaluation, and what they expect."""

    name: str
    model: Any
    tokenizer: Any
    size_px: int
    mean: Tensor  # (3, 1, 1)
    std: Tensor

    def tokens_of(self, texts: Sequence[str]) -> Tensor:
        """(T, L) tokens, padded to the longest text. Texts that are too long are cut before the last one, and told.

        Raises:
            CompError: two texts are the same.
        """
        twice = sorted({text for text in texts if list(texts).count(text) > 1})
        if twice:
            raise CompError(f"several classes have the prompt {twice[0]!r}: give each a name of its own (names:)")
        longest: int = self.model.config.text_config.max_position_embeddings
        lengths = [len(ids) for ids in self.tokenizer(list(texts))["input_ids"]]
        if max(lengths) > longest:
            cut = texts[lengths.index(max(lengths))]
            note_once(f"prompts of more than {longest} tokens are cut, such as {shortened(cut)!r}")
        how = {"padding": True, "truncation": True, "max_length": longest, "padding_side": "right"}
        tokens: Tensor = self.tokenizer(list(texts), **how, return_tensors="pt")["input_ids"]
        return tokens

    def of_texts(self, texts: Sequence[str]) -> Tensor:
        """(T, D) embeddings of length 1.

        Raises:
            CompError: two texts are the same, or the model does not tell them apart.
        """
        tokens = self.tokens_of(texts)  # what follows a text's end token changes nothing in it
        with torch.inference_mode():
            found = _unit(self.model.get_text_features(input_ids=tokens.to(self.model.device)))
        refuse_one_embedding(found, texts)
        return found

    def of_images(self, images: Iterator[np.ndarray]) -> Tensor:
        """(N, D) embeddings of length 1, of images (size_px, size_px, 3) uint8."""
        found, batch = [torch.zeros(0, self.model.config.projection_dim)], []
        for image in images:
            batch.append(image)
            if len(batch) == AT_ONCE:
                found.append(self._embedded(batch))
                batch = []
        return torch.cat([*found, self._embedded(batch)] if batch else found)

    def _embedded(self, images: list[np.ndarray]) -> Tensor:
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            features = self.model.get_image_features(
                pixel_values=((pixels - self.mean) / self.std).to(self.model.device)
            )
        return _unit(features).cpu()


def load_clip(name: str, device: torch.device) -> Clip:
    """The CLIP model `name`: a folder of weights, or a name on the hub.

    Raises:
        CompError: transformers is missing, or there is no such model, or it cannot be reached, is not complete, or is
            of another kind (SigLIP).
    """
    clip_config(name)  # it is one, and of the kind that is read
    with _reading(name) as (transformers, source):
        model, about = transformers.CLIPModel.from_pretrained(
            source, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    lacking = [*about["missing_keys"], *(key for key, *_ in about["mismatched_keys"])]
    if lacking:
        raise CompError(f"{name}: its weights lack or do not fit {shown(sorted(map(str, lacking)))}")
    found = normalization(name)
    mean, std = (torch.tensor(found[key]).view(3, 1, 1) for key in ("mean", "std"))
    return Clip(name, model.to(device).eval(), tokenizer, model.config.vision_config.image_size, mean, std)


def clip_config(name: str) -> Any:
    """The `CLIPConfig` of the model `name`.

    Raises:
        CompError: as `load_clip`.
    """
    with _reading(name) as (transformers, source):
        config = transformers.AutoConfig.from_pretrained(source)
    if config.model_type != "clip":
        raise CompError(f"{name} is a {config.model_type} model: only CLIP models are read")
    return config


def normalization(name: str) -> dict[str, tuple[float, ...]]:
    """The `mean` and `std` that the model `name` wants images with.

    Raises:
        CompError: as `load_clip`.
    """
    with _reading(name) as (transformers, source):
        prepared = transformers.AutoImageProcessor.from_pretrained(source)
    return {"mean": tuple(prepared.image_mean), "std": tuple(prepared.image_std)}


@contextmanager
def _reading(name: str) -> Iterator[tuple[Any, str]]:
    """transformers, and where it finds the model `name`; within the block, what it raises becomes one line."""
    try:
        import transformers
    except ImportError:
        raise CompError(f"a CLIP model needs transformers: {INSTALL}") from None
    looks_local = Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1
    folder = Path(name).expanduser()
    if looks_local and not folder.is_dir():
        raise CompError(f"{name} is no folder with a CLIP model")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with reachable_or_offline():
            yield transformers, str(folder) if folder.is_dir() else name
    except (OSError, ValueError, RuntimeError) as error:
        where = "in it" if folder.is_dir() else "on the hub, or it cannot be reached"
        raise CompError(f"{name}: there is no CLIP model {where}: {one_line(error)}") from None


def refuse_one_embedding(embeddings: Tensor, texts: Sequence[str]) -> None:
    """Raises CompError: two of (T, D) embeddings of length 1 are one."""
    apart = torch.cdist(embeddings, embeddings).fill_diagonal_(2).amin(dim=1)
    if apart.min() < APART:
        one = texts[int(apart.argmin())]
        raise CompError(f"{one!r} and another prompt have one embedding: the tokenizer does not fit the CLIP model")


@cache
def note_once(line: str) -> None:
    """Prints a note, once; of several processes, the first does."""
    if os.environ.get("RANK", "0") == "0":
        print(f"note    {line}", flush=True)


def _unit(features: Any) -> Tensor:
    """transformers 5 wraps the embedding, earlier versions do not."""
    embedding = features if isinstance(features, Tensor) else features.pooler_output
    return nn.functional.normalize(embedding.float(), dim=-1)
