"""Two towers as a classifier: the same numbers as transformers, before and after images change their size."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel
from vision.tiny_clip import write_clip

from comp.clip.model.build import clip_classifier, prompts_of
from comp.clip.model.heads import LARGEST_SCALE, PromptHead
from comp.clip.model.known import KNOWN
from comp.clip.schema import ClipModel
from comp.errors import CompError
from comp.vision.model import build_model, load_checkpoint, save_checkpoint
from comp.vision.model.clip import load_clip
from comp.vision.report.gallery.heat import heat_of
from comp.vision.schema import Train
from comp.vision.training.optimizer import build_optimizer

CPU = torch.device("cpu")
NAMES = {"red": "red", "green": "green", "blue": "blue"}
TEMPLATES = ["a photo of a {} face", "a {} photo"]


def settings(**changes) -> ClipModel:
    values = {"backbone": "./clip", "image_size": 16, "prompts": TEMPLATES[:1], "names": NAMES, "head": "prompts"}
    return ClipModel(**{**values, **changes})


def pixels(n: int = 5, size: int = 16) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, 3, size, size))).float()


def logits_of_transformers(images: torch.Tensor, folder: str = "./clip", resampled: bool = False) -> torch.Tensor:
    clip = load_clip(folder, CPU)
    tokens = clip.tokens_of([TEMPLATES[0].format(name) for name in NAMES])
    both = CLIPModel.from_pretrained(folder)
    with torch.no_grad():
        said = both(
            input_ids=tokens, pixel_values=(images / 255 - clip.mean) / clip.std, interpolate_pos_encoding=resampled
        )
    return said.logits_per_image


@pytest.mark.parametrize("head", ["prompts", "linear", "frozen"])
def test_before_the_first_step_each_head_says_what_transformers_says(head):
    how = {"head": "prompts", "text_tower": "frozen"} if head == "frozen" else {"head": head}
    for folder in ("./clip", "./new"):
        model = build_model(settings(backbone=folder, **how), 3).eval()
        with torch.no_grad():
            torch.testing.assert_close(model(pixels()), logits_of_transformers(pixels(), folder), atol=1e-5, rtol=1e-5)


def test_the_image_tower_names_its_layers_for_heat():
    """The last layer's patches have no part in the class token any more: what is found is of the layer before it."""
    write_clip(Path("deep"), trained=False, layers=2)
    model = build_model(settings(backbone="./deep", image_size=48), 3)
    heat = heat_of(model, pixels(2, size=48).byte(), None, torch.tensor([[1.0, -1.0, 0.0]]))
    assert heat is not None
    assert heat.shape == (2, 6, 6)
    assert heat.max() == 1


def test_in_training_too():
    model = build_model(settings(), 3).train()
    torch.testing.assert_close(model(pixels()).detach(), logits_of_transformers(pixels()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [24, 40])
def test_position_embeddings_are_resampled_once_as_transformers_does_at_each_call(size):
    model = build_model(settings(image_size=size), 3).eval()
    with torch.no_grad():
        expected = logits_of_transformers(pixels(size=size), resampled=True)
        torch.testing.assert_close(model(pixels(size=size)), expected, atol=1e-5, rtol=1e-5)


def test_small_images_are_enlarged_to_what_the_weights_or_the_patches_want(capsys):
    assert build_model(settings(image_size=12, enlarge="pretrained"), 3).backbone.size_px == 16
    assert build_model(settings(image_size=20, enlarge="patches"), 3).backbone.size_px == 24
    capsys.readouterr()
    model = build_model(settings(image_size=21), 3)
    assert model.backbone.size_px == 21
    assert "patches of 8 px see 16×16 of 21×21 px, 58% of the image" in capsys.readouterr().out
    torch.testing.assert_close(
        model(pixels(size=21)), model(torch.nn.functional.pad(pixels(size=21)[..., :16, :16], (0, 5, 0, 5)))
    )


@pytest.mark.parametrize("how", [{"head": "prompts"}, {"head": "linear"}, {"text_tower": "frozen"}])
def test_a_checkpoint_needs_neither_hub_nor_folder(how, tmp_path, clip):
    model = build_model(settings(image_size=24, prompts=TEMPLATES, **how), 3).eval()
    with torch.no_grad():
        expected = model(pixels(size=24))
    save_checkpoint(model, tmp_path / "one.safetensors", {"classes": list(NAMES)})
    clip.rename(tmp_path / "gone")
    told = settings(image_size=24, prompts=TEMPLATES, **how)
    loaded, _ = load_checkpoint(told, tmp_path / "one.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(loaded.eval()(pixels(size=24)), expected, atol=0, rtol=0)


def test_two_classes_of_one_column_have_one_logit_whose_sigmoid_is_their_softmax():
    names = {"0": "red", "1": "blue"}
    both = build_model(settings(names=names), 2).eval()
    for head in ("prompts", "linear"):
        one = build_model(settings(names=names, head=head), 1).eval()
        with torch.no_grad():
            torch.testing.assert_close(
                one(pixels()).sigmoid()[:, 0], both(pixels()).softmax(1)[:, 1], atol=1e-5, rtol=1e-4
            )


def test_templates_take_turns_in_training_and_are_averaged_afterwards():
    model = build_model(settings(prompts=TEMPLATES), 3)
    head = model.head
    assert isinstance(head, PromptHead)
    first = head.train().of_classes()
    model.after_update()
    second = head.of_classes()
    assert not torch.allclose(first, second)
    model.after_update()
    torch.testing.assert_close(head.of_classes(), first)
    mean = torch.nn.functional.normalize(first + second, dim=-1)
    torch.testing.assert_close(head.eval().of_classes(), mean, atol=1e-6, rtol=1e-6)


def test_the_next_template_is_found_without_asking_the_device_for_its_number():
    """A GPU would be waited for in each step. Tensors on no device have none to give."""
    head = build_model(settings(prompts=TEMPLATES), 3).head.to("meta").train()
    assert head(torch.zeros(5, head.tower.projection.out_features, device="meta")).shape == (5, 3)


def test_what_texts_say_is_known_until_they_learn_again():
    head = build_model(settings(), 3).head.eval()
    with torch.no_grad():
        before = head.of_classes()
        assert head.of_classes() is before
        for weight in head.tower.parameters():
            weight.mul_(1.1).add_(0.01)
    assert not torch.equal(head.train().eval().of_classes(), before)


def test_the_temperature_stays_below_a_hundred():
    model = build_model(settings(), 3)
    with torch.no_grad():
        model.head.log_scale += 5
    model.after_update()
    assert float(model.head.log_scale.detach()) == pytest.approx(math.log(100)) == LARGEST_SCALE


def test_rates_differ_by_layer_in_both_towers_and_what_is_looked_up_is_not_decayed():
    model = build_model(settings(), 3)
    optimizer = build_optimizer(model, Train(layer_decay=0.5, weight_decay=0.1))
    of = {id(weight): group for group in optimizer.param_groups for weight in group["params"]}
    scale = {name: of[id(weight)]["lr_scale"] for name, weight in model.named_parameters()}
    vision, text = "backbone.vision", "head.tower.text"
    assert scale[f"{vision}.embeddings.position_embedding.weight"] == 0.5**3
    assert [scale[f"{vision}.encoder.layers.{k}.mlp.fc1.weight"] for k in (0, 1)] == [0.5**2, 0.5]
    assert scale[f"{vision}.post_layernorm.weight"] == 0.5
    assert scale["backbone.projection.weight"] == scale["head.tower.projection.weight"] == scale["head.log_scale"] == 1
    assert scale[f"{text}.embeddings.token_embedding.weight"] == 0.5**3
    assert [scale[f"{text}.encoder.layers.{k}.self_attn.q_proj.weight"] for k in (0, 1)] == [0.5**2, 0.5]
    decayed = {name for name, weight in model.named_parameters() if of[id(weight)]["weight_decay"]}
    assert not [name for name in decayed if name.endswith("bias") or "norm" in name or "scale" in name]
    assert not [
        name for name in decayed if "position_embedding" in name or "token_embedding" in name or "class_" in name
    ]
    assert f"{vision}.embeddings.patch_embedding.weight" in decayed


def test_bf16_costs_the_logits_nothing_above_the_towers():
    model = build_model(settings(head="linear"), 3).eval()
    features = torch.randn(4, 16)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model.head(features)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, model.head(features), atol=0, rtol=0)


def test_openais_models_are_built_without_weights_or_network():
    sizes = {"openai/clip-vit-large-patch14": 427_616_513, "openai/clip-vit-base-patch32": 151_277_313}
    assert set(sizes) < set(KNOWN)
    for name, expected in sizes.items():
        with torch.device("meta"):
            model = build_model(settings(backbone=name, pretrained=False, image_size=224), 3, load=False)
        assert sum(weight.numel() for weight in model.parameters()) == expected
        with torch.device("meta"):
            small = build_model(settings(backbone=name, pretrained=False, image_size=64, head="linear"), 3, load=False)
        assert small.head.weight.shape[0] == 3


def test_a_batch_goes_through_a_model_of_real_size_forward_and_backward():
    names = {name: name for name in ("cat", "dog", "red panda")}
    about = {"backbone": "openai/clip-vit-base-patch32", "pretrained": False, "image_size": 64, "names": names}
    model = build_model(settings(**about, text_tower="trained"), 3).train()
    loss = torch.nn.functional.cross_entropy(model(pixels(2, 64)), torch.tensor([0, 2]))
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad is not None for name, weight in model.named_parameters())


def test_a_prompt_that_is_too_long_is_cut_before_its_end_token(capsys):
    clip = load_clip("./clip", CPU)
    long = "a photo of a red face " * 9
    tokens = clip.tokens_of([long, "a red face"])
    end = clip.tokenizer.eos_token_id
    assert tokens.shape == (2, 16)
    assert tokens[0, -1] == end
    assert (tokens[0] == end).sum() == 1
    assert "prompts of more than 16 tokens are cut" in capsys.readouterr().out


@pytest.mark.parametrize("head", ["prompts", "linear"])
def test_two_prompts_that_share_an_embedding_are_refused(head, clip):
    """As with a configuration whose end token is not the tokenizer's: all texts then are their first token."""
    config = json.loads((clip / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 0
    (clip / "config.json").write_text(json.dumps(config))
    with pytest.raises(CompError, match="have one embedding: the tokenizer does not fit"):
        build_model(settings(head=head), 3)


def test_prompts_of_no_names_are_refused():
    with pytest.raises(CompError, match=r"model\.names"):
        prompts_of(settings(names={}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "mlp"}, "model.head=mlp is not for CLIP models"),
        ({"metadata": ["height"]}, "model.metadata is not for CLIP models"),
        ({"weights": "x"}, "set model.backbone to the folder"),
        ({"prompts": ["a photo"]}, "has not one"),
    ],
)
def test_settings_of_other_networks_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_a_network_of_timm_may_stand_beside():
    plain = ClipModel(backbone="test_vit", pretrained=False, image_size=32)
    assert clip_classifier(plain, 3, True, None)(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_openais_own_vocabulary_gives_the_known_tokens():
    tokenizer = pytest.importorskip("open_clip").get_tokenizer("ViT-L-14")
    assert tokenizer(["a photo of a cat"])[0][:7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]


def in_the_old_layout(folder: Path) -> None:
    """As transformers 4 wrote it: vocabulary and merges apart, another kind of image processor, positions saved."""
    weights = load_file(folder / "model.safetensors")
    positions = {f"{tower}_model.embeddings.position_ids": torch.arange(5)[None] for tower in ("vision", "text")}
    save_file({**weights, **positions}, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    letters = [chr(code) for code in range(33, 127)]
    words = [*(f"{letter}</w>" for letter in letters), *letters, "<|startoftext|>", "<|endoftext|>"]
    size = config["text_config"]["vocab_size"]
    kept = [*words[: size - 2], *words[-2:]]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(kept)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    about = {"do_resize": True, "size": 16, "crop_size": 16, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**about, "feature_extractor_type": "CLIPFeatureExtractor"})
    )
    for old in folder.glob("processor_config.json"):
        old.unlink()


def test_folders_of_the_old_layout_are_read(clip):
    in_the_old_layout(clip)
    model = load_clip("./clip", CPU)
    assert model.mean.flatten().tolist() == [0.5] * 3
    assert model.std.flatten().tolist() == [0.25] * 3
    tokens = model.tokens_of(["!", '"'])
    assert tokens.shape == (2, 3)
    assert not torch.equal(tokens[0], tokens[1])
