"""The network: head, image size, names, and a checkpoint that needs nothing else."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support import SOURCE
from timm.models import save_for_hf
from torch import nn

from comp.errors import CompError
from comp.registry import find
from comp.vision.data.metadata import MetadataEncoder
from comp.vision.model import build_model, load_checkpoint, load_weights, save_checkpoint
from comp.vision.schema import Model


def build(backbone: str = "test_resnet", classes: int = 4, **settings) -> nn.Module:
    return build_model(Model(backbone=backbone, pretrained=False, **{"image_size": 32, **settings}), classes)


def test_the_linear_head_is_one_layer_on_the_pooled_features():
    model = build("test_convnext")
    assert isinstance(model.head, nn.Linear)
    assert (model.head.in_features, model.head.out_features) == (model.backbone.num_features, 4)
    assert not model.head.bias.any()
    assert isinstance(build(head_args={"dropout": 0.3}).head[0], nn.Dropout)


def test_the_mlp_head_is_that_of_pixelplay():
    head = find("head", "mlp")(768, 50, hidden=512, dropout=0.6)
    assert [type(layer) for layer in head] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout, nn.Linear]
    assert (head[0].in_features, head[0].out_features) == (768, 512)
    assert head[1].num_features == 512
    assert head[3].p == 0.6
    assert (head[4].in_features, head[4].out_features) == (512, 50)


@pytest.mark.parametrize("backbone", ["test_convnext", "test_efficientnet", "test_resnet", "test_vit", "test_vit2"])
@pytest.mark.parametrize("size", [32, 64])
def test_any_backbone_gives_a_logit_a_class_at_any_size(backbone, size):
    model = build(backbone, classes=5, image_size=size, head="mlp").eval()
    with torch.no_grad():
        logits = model(torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8))
    assert logits.shape == (2, 5)


def test_images_are_normalized_as_the_backbone_expects():
    model = build("test_vit").eval()
    config = timm.get_pretrained_cfg("test_vit")
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.mean, config.std))
    with torch.no_grad():
        expected = model.head(model.backbone((images / 255 - mean) / std))
        assert torch.allclose(model(images), expected, atol=1e-5)


def test_mean_and_std_can_be_set():
    model = build(mean=(0.0, 0.0, 0.0), std=(1.0, 0.5, 0.25))
    assert model.mean.flatten().tolist() == [0, 0, 0]
    assert model.std.flatten().tolist() == [1, 0.5, 0.25]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("convnxt_tiny", "convnext_tiny"), ("resnet_18", "resnet18"), ("convnext_tiny.fb_in2k", "convnext_tiny.fb_in")],
)
def test_an_unknown_backbone_names_the_nearest(name, nearest):
    with pytest.raises(CompError, match=rf"^model\.backbone={name}: .*did you mean .*{nearest}"):
        build(name)


def test_an_unknown_head_names_the_nearest():
    with pytest.raises(CompError, match="no head is called 'liner': did you mean 'linear'"):
        build(head="liner")


def test_arguments_that_do_not_fit_are_named():
    with pytest.raises(CompError, match=r"model\.head_args do not fit the head 'linear': .*'hidden'"):
        build(head_args={"hidden": 3})
    with pytest.raises(CompError, match=r"model\.backbone=test_resnet cannot be built with .*depth_of_soul"):
        build(args={"depth_of_soul": 3})


def test_an_image_size_that_does_not_suit_is_one_clear_line():
    with pytest.raises(CompError, match=r"^model\.image_size=50 does not fit the backbone: .*patch size \(16\)\.$"):
        build("test_vit", image_size=50)


def test_arguments_reach_timm():
    assert build("test_vit", args={"global_pool": "avg"}).backbone.global_pool == "avg"


def test_a_checkpoint_holds_weights_normalization_and_classes(tmp_path):
    settings = Model(backbone="test_resnet", pretrained=False, image_size=32, mean=(0.1, 0.2, 0.3))
    model = build_model(settings, 2).to(memory_format=torch.channels_last).eval()
    path = tmp_path / "best.safetensors"
    save_checkpoint(model, path, {"kind": "multiclass", "classes": ["cat", "köttur"]})
    with safe_open(path, framework="pt") as file:
        assert {"mean", "std"} <= set(file.keys())
        assert json.loads(file.metadata()["comp"])["classes"] == ["cat", "köttur"]
    loaded, facts = load_checkpoint(settings.model_copy(update={"mean": None, "pretrained": True}), path)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.allclose(loaded.eval()(images), model(images), atol=1e-6)
    assert facts == {"kind": "multiclass", "classes": ["cat", "köttur"]}


def test_a_backbone_that_a_folder_describes_is_built_again_without_it(tmp_path):
    torch.manual_seed(7)
    arguments = {"global_pool": "avg", "img_size": 64}
    source = timm.create_model("test_vit", num_classes=3, **arguments)
    save_for_hf(source, tmp_path / "source", model_args=arguments)
    settings = Model(backbone=f"local-dir:{tmp_path / 'source'}", pretrained=True, image_size=32)
    model = build_model(settings, 2).eval()
    assert torch.equal(model.backbone.state_dict()["blocks.0.attn.qkv.weight"], source.blocks[0].attn.qkv.weight)
    assert model.backbone.pos_embed.shape[1] < source.pos_embed.shape[1]  # resampled from 64 px to 32 px
    path, images = tmp_path / "best.safetensors", torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    other = timm.create_model("test_vit", num_classes=3, **arguments).state_dict()
    save_file(other, tmp_path / "other.safetensors")
    told = build_model(settings.model_copy(update={"weights": str(tmp_path / "other.safetensors")}), 2)
    assert torch.equal(told.backbone.state_dict()["blocks.0.attn.qkv.weight"], other["blocks.0.attn.qkv.weight"])
    shutil.rmtree(tmp_path / "source")
    for _ in range(2):  # what was loaded can be saved and loaded again
        save_checkpoint(model, path, {"classes": ["a", "b"]})
        loaded, _ = load_checkpoint(settings, path)
        with torch.no_grad():
            assert torch.equal(loaded.eval()(images), model(images))
        model = loaded
    with pytest.raises(
        CompError, match=r"^model\.backbone=local-dir:.*: its config\.json could not be read \(Config file"
    ):
        build_model(settings, 2)


def test_a_folder_of_another_library_is_one_clear_line(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["ViTModel"], "pretrained_cfg": {}}')
    with pytest.raises(CompError, match=r"config\.json describes no model of timm \(no 'architecture'\)"):
        build_model(Model(backbone=f"local-dir:{tmp_path}", image_size=32), 2)


def test_a_checkpoint_of_another_backbone_is_refused(tmp_path):
    path = tmp_path / "best.safetensors"
    save_checkpoint(build("test_resnet"), path, {"classes": ["a", "b", "c", "d"]})
    with pytest.raises(CompError, match="does not fit the model"):
        load_checkpoint(Model(backbone="test_vit", image_size=32), path)


def test_a_start_whose_metadata_is_encoded_otherwise_gives_all_else(tmp_path):
    """With other rows, a column has more categories, or is one where it would be a number."""
    settings = Model(backbone="test_resnet", pretrained=False, image_size=32, metadata=["site", "age"])
    rows = pd.DataFrame({"site": ["a", "b", "c", "d"], "age": ["1", "2", "3", "old"]})
    start, model = (build_model(settings, 3, encoder=MetadataEncoder.fitted(each)) for each in (rows, rows[:3]))
    save_checkpoint(start, tmp_path / "start.safetensors", {"classes": ["a", "b", "c"]})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    load_weights(model, tmp_path / "start.safetensors")
    for name, tensor in model.state_dict().items():
        of_both = name in start.state_dict() and start.state_dict()[name].shape == tensor.shape
        assert tensor.equal(start.state_dict()[name] if of_both else before[name]), name
    assert model.head.weight.equal(start.head.weight)


def test_a_damaged_checkpoint_is_one_clear_line(tmp_path):
    path = tmp_path / "best.safetensors"
    save_checkpoint(build(), path, {"classes": ["a"]})
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CompError, match=r"best\.safetensors is damaged"):
        load_checkpoint(Model(backbone="test_resnet", image_size=32), path)
    with pytest.raises(CompError, match="does not exist: run comp train"):
        load_checkpoint(Model(backbone="test_resnet", image_size=32), tmp_path / "other.safetensors")


OFFLINE = """
import time
from comp.errors import CompError
from comp.vision.model import build_model
from comp.vision.schema import Model

for backbone in ("resnet18.a1_in1k", "hf-hub:timm/resnet18.a1_in1k"):
    started = time.perf_counter()
    try:
        build_model(Model(backbone=backbone), 2)
    except CompError as error:
        print(round(time.perf_counter() - started, 1), error)
"""


def test_without_a_network_it_says_so_within_seconds(repo):
    """Nothing listens at this endpoint; the hub's client alone tries for 48 seconds and more."""
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(repo), "PYTHONPATH": str(SOURCE)}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-c", OFFLINE]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=True).stdout
    first, second = told.splitlines()
    for line in (first, second):
        assert float(line.split()[0]) < 10
        assert "Without a network" in line
    assert "set model.weights=<file or folder>" in first
