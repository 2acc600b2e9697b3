"""The gate of meaning, with real CLIP models of tiny size: one that was never trained, and one that knows colors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from vision.small import picture
from vision.tiny_clip import write_clip

from comp.errors import CompError
from comp.vision.model.clip import load_clip
from comp.vision.synth.meaning import proved

pytest.importorskip("transformers")


def test_a_model_that_knows_the_labels_judges(competition, configure, comp, generated, tmp_path):
    write_clip(tmp_path / "clip", trained=True)
    generated(
        [(picture("red", 900), "red", ""), (picture("green", 901), "red", ""), (picture("blue", 902), "blue", "")]
    )
    meaning = {"model": "./clip", "prompt": "a photo of a {} face"}
    configure(
        synth={"data": {"root": "made", "train": "made.csv"}, "structure": None, "classifier": None, "meaning": meaning}
    )
    comp("split")
    status, out, err = comp("synth", "guard")
    assert status == 0, err
    assert "meaning: ./clip, AUC 1.000 on 36 real images" in out
    table = Path("runs/small-synth/synthetic.csv").read_text().splitlines()
    assert ",meaning," in table[3]
    assert ",meaning," not in table[2] + table[4]


def test_a_model_that_cannot_tell_the_labels_apart_is_switched_off(competition, configure, comp, generated, tmp_path):
    write_clip(tmp_path / "clip", trained=False)
    generated([(picture("green", 901), "red", "")])
    meaning = {"model": "./clip", "auc": 0.99}
    configure(
        synth={"data": {"root": "made", "train": "made.csv"}, "structure": None, "classifier": None, "meaning": meaning}
    )
    comp("split")
    status, out, err = comp("synth", "guard")
    assert status == 0, err
    assert "the gate of meaning is off: ./clip tells the labels of 36 real images apart with an AUC of 0." in out
    assert "below synth.meaning.auc=0.99" in out


def test_an_incomplete_model_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_clip(tmp_path / "clip", trained=False)
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CompError, match=r"its weights lack or do not fit 'visual_projection\.weight'"):
        load_clip(str(folder), torch.device("cpu"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(CompError, match="there is no CLIP model in it"):
        load_clip(str(folder), torch.device("cpu"))


def test_embeddings_are_those_of_the_library(tmp_path):
    folder = write_clip(tmp_path / "clip", trained=True)
    clip = load_clip(str(folder), torch.device("cpu"))
    prompts = ["a photo of a red face", "a photo"]
    image = np.asarray(picture("red", 5, (16, 16)))
    tokens = clip.tokenizer(prompts, padding=True, return_tensors="pt")
    pixels = ((torch.from_numpy(image).permute(2, 0, 1) / 255 - clip.mean) / clip.std)[None]
    with torch.no_grad():
        known = clip.model(pixel_values=pixels, **tokens)
    ours = clip.of_images(iter([image])) @ clip.of_texts(prompts).T
    torch.testing.assert_close(ours, known.image_embeds @ known.text_embeds.T, atol=1e-6, rtol=0)
    assert not torch.allclose(*clip.of_texts(prompts))


def test_another_kind_of_model_is_refused_by_name(tmp_path):
    from transformers import SiglipConfig, SiglipModel

    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**size, "image_size": 16, "patch_size": 8}
    SiglipModel(SiglipConfig(text_config={**size, "vocab_size": 50}, vision_config=vision)).save_pretrained(tmp_path)
    with pytest.raises(CompError, match="is a siglip model: only CLIP models are read"):
        load_clip(str(tmp_path), torch.device("cpu"))


def test_prompts_that_are_one_are_refused_and_long_ones_told(tmp_path, capsys):
    clip = load_clip(str(write_clip(tmp_path / "clip", trained=False)), torch.device("cpu"))
    with pytest.raises(CompError, match="several classes have the prompt 'a photo'"):
        clip.of_texts(["a photo", "a photo"])
    with pytest.raises(CompError, match="and another prompt have one embedding"):
        clip.of_texts(["a puma", "a lynx"])  # words that its vocabulary has not
    assert clip.of_texts(["photo " * 100, "a face"]).shape == (2, 16)
    assert "prompts of more than 16 tokens are cut, such as 'photo photo" in capsys.readouterr().out


def test_the_auc_of_chance_is_a_half_and_of_knowledge_one():
    random, label = np.random.default_rng(0), np.repeat([0, 1, 2], 400)
    assert proved(random.random((1200, 3)), label) == pytest.approx(0.5, abs=0.03)
    assert proved(np.eye(3)[label], label) == 1
    assert np.isnan(proved(np.eye(3)[label[:5]], label[:5]))
