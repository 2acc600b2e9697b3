"""A CLIP model of transformers, from the hub or a folder, and its normalized embeddings of images and texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

    model: Any
    tokenizer: Any
    size_px: int
    mean: Tensor  # (3, 1, 1)
    std: Tensor

    def of_texts(self, texts: Sequence[str]) -> Tensor:
        """(T, D) embeddings of length 1. Texts that are too long are cut, and told.

        Raises:
            CompError: two texts are the same, or the model does not tell them apart.
        """
        twice = sorted({text for text in texts if list(texts).count(text) > 1})
        if twice:
            raise CompError(f"several classes have the prompt {twice[0]!r}: give each a name of its own (names:)")
        longest: int = self.model.config.text_config.max_position_embeddings
        lengths = [len(ids) for ids in self.tokenizer(list(texts))["input_ids"]]
        if max(lengths) > longest:
            cut = texts[lengths.index(max(lengths))]
            print(f"note    prompts of more than {longest} tokens are cut, such as {shortened(cut)!r}", flush=True)
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        with torch.inference_mode():
            found = _unit(self.model.get_text_features(**tokens.to(self.model.device)))
        apart = torch.cdist(found, found).fill_diagonal_(2).amin(dim=1)
        if apart.min() < APART:
            one = texts[int(apart.argmin())]
            raise CompError(f"{one!r} and another prompt have one embedding: the tokenizer does not fit the CLIP model")
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
    try:
        import transformers
        from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, CLIPModel
    except ImportError:
        raise CompError(f"a CLIP model needs transformers: {INSTALL}") from None
    looks_local = Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1
    folder = Path(name).expanduser()
    if looks_local and not folder.is_dir():
        raise CompError(f"{name} is no folder with a CLIP model")
    source = str(folder) if folder.is_dir() else name
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with reachable_or_offline():
            kind = AutoConfig.from_pretrained(source).model_type
            if kind != "clip":
                raise CompError(f"{name} is a {kind} model: only CLIP models are read")
            loaded: Any = CLIPModel.from_pretrained(
                source, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
            model, about = loaded
            tokenizer = AutoTokenizer.from_pretrained(source)
            prepared = AutoImageProcessor.from_pretrained(source)
    except (OSError, ValueError, RuntimeError) as error:
        where = "in it" if folder.is_dir() else "on the hub, or it cannot be reached"
        raise CompError(f"{name}: there is no CLIP model {where}: {one_line(error)}") from None
    lacking = [*about["missing_keys"], *(key for key, *_ in about["mismatched_keys"])]
    if lacking:
        raise CompError(f"{name}: its weights lack or do not fit {shown(sorted(map(str, lacking)))}")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (prepared.image_mean, prepared.image_std))
    return Clip(model.to(device).eval(), tokenizer, model.config.vision_config.image_size, mean, std)


def _unit(features: Any) -> Tensor:
    """transformers 5 wraps the embedding, earlier versions do not."""
    embedding = features if isinstance(features, Tensor) else features.pooler_output
    return nn.functional.normalize(embedding.float(), dim=-1)
