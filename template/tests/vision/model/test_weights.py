"""Weights from local files: data, never code; and only those that fit."""

import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed

from comp.errors import CompError
from comp.vision.model import build_model, save_checkpoint
from comp.vision.model.weights import read_weights
from comp.vision.schema import Model


def pretrained(name: str = "test_resnet", **arguments) -> dict[str, torch.Tensor]:
    """What a weights file of `name` holds, its classifier of seven classes included."""
    torch.manual_seed(7)
    return timm.create_model(name, num_classes=7, **arguments).state_dict()


def loaded(path: Path, backbone: str = "test_resnet", size: int = 32) -> dict[str, torch.Tensor]:
    return build_model(Model(backbone=backbone, weights=str(path), image_size=size), 3).backbone.state_dict()


def assert_from(backbone: dict[str, torch.Tensor], source: dict[str, torch.Tensor]) -> None:
    assert backbone
    assert all(torch.equal(tensor, source[name]) for name, tensor in backbone.items())


def test_a_safetensors_file(tmp_path):
    save_file(pretrained(), tmp_path / "weights.safetensors")
    assert_from(loaded(tmp_path / "weights.safetensors"), pretrained())


def test_a_folder_as_the_hub_lays_it_out(tmp_path):
    save_file(pretrained(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    assert_from(loaded(tmp_path), pretrained())


def test_a_folder_of_several_files_asks_which(tmp_path):
    for name in ("a.safetensors", "b.safetensors"):
        save_file(pretrained(), tmp_path / name)
    with pytest.raises(CompError, match=r"has several: set it to one of '.*a\.safetensors', '.*b\.safetensors'"):
        read_weights(tmp_path)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "state_dict_ema", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module."])
def test_a_torch_file_in_any_wrapping(wrapper, prefix, tmp_path):
    tensors = {f"{prefix}{name}": tensor for name, tensor in pretrained().items()}
    torch.save(tensors if wrapper is None else {wrapper: tensors, "epoch": 3}, tmp_path / "weights.pth")
    assert_from(loaded(tmp_path / "weights.pth"), pretrained())


def test_a_checkpoint_of_this_repository_gives_its_backbone_to_another_head(tmp_path):
    model = build_model(Model(backbone="test_resnet", pretrained=False, image_size=32, head="mlp"), 9)
    save_checkpoint(model, tmp_path / "best.safetensors", {"classes": list("abcdefghi")})
    assert_from(loaded(tmp_path / "best.safetensors"), model.backbone.state_dict())


@pytest.mark.parametrize("backbone", ["test_convnext", "test_vit", "test_efficientnet"])
def test_every_kind_of_backbone_loads_its_own_weights(backbone, tmp_path):
    save_file(pretrained(backbone), tmp_path / "weights.safetensors")
    assert_from(loaded(tmp_path / "weights.safetensors", backbone, size=160), pretrained(backbone))


def test_position_embeddings_are_resampled_to_the_image_size(tmp_path):
    source = pretrained("test_vit", img_size=160)
    save_file(source, tmp_path / "weights.safetensors")
    backbone = loaded(tmp_path / "weights.safetensors", "test_vit", size=64)
    prefix = source["pos_embed"].shape[1] - 10 * 10
    expected = resample_abs_pos_embed(source["pos_embed"], new_size=[4, 4], num_prefix_tokens=prefix)
    assert backbone["pos_embed"].shape[1] == 4 * 4 + prefix
    assert torch.allclose(backbone["pos_embed"], expected, atol=1e-6)
    rest = {name: tensor for name, tensor in backbone.items() if name != "pos_embed"}
    assert_from(rest, source)


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("it-ran"),))


def test_a_pickle_with_code_is_refused_and_the_code_does_not_run(repo):
    with Path("weights.pth").open("wb") as file:
        pickle.dump({"state_dict": Malicious()}, file, protocol=2)
    torch.save({"state_dict": pretrained(), "args": Malicious()}, "weights.pt")
    for name in ("weights.pth", "weights.pt"):
        with pytest.raises(CompError, match=f"^{name} contains more than tensors and was not loaded"):
            read_weights(Path(name))
    assert not Path("it-ran").exists()


@pytest.mark.parametrize("source", ["test_vit", "test_convnext", "test_efficientnet"])
def test_weights_of_another_backbone_are_refused(source, tmp_path):
    save_file(pretrained(source), tmp_path / "weights.safetensors")
    with pytest.raises(
        CompError, match=r"weights\.safetensors do not fit model\.backbone=test_resnet: .*(such as|size mismatch)"
    ):
        loaded(tmp_path / "weights.safetensors")


def test_weights_of_another_width_are_refused(tmp_path):
    save_file(pretrained("test_vit2"), tmp_path / "weights.safetensors")
    with pytest.raises(CompError, match=r"do not fit model\.backbone=test_vit"):
        loaded(tmp_path / "weights.safetensors", "test_vit")


def test_weights_that_lack_a_layer_are_refused_and_the_layer_is_named(tmp_path):
    tensors = pretrained()
    missing = next(name for name in tensors if name.startswith("layer3") and tensors[name].ndim == 4)
    save_file({name: tensor for name, tensor in tensors.items() if name != missing}, tmp_path / "w.safetensors")
    with pytest.raises(CompError, match=rf"1 of \d+ layers are not in it, such as {missing}"):
        loaded(tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_a_truncated_file_is_one_clear_line(name, tmp_path):
    path = tmp_path / name
    save_file(pretrained(), path) if path.suffix == ".safetensors" else torch.save(pretrained(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CompError, match=f"{name} is not a readable weights file: .+"):
        read_weights(path)


def wrapped(kind: str) -> object:
    """What trainers save: the network under some name, beside what is theirs."""
    tensors = pretrained()

    def under(prefix: str) -> dict[str, torch.Tensor]:
        return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}

    head = {"head.weight": torch.ones(7, 96), "head.bias": torch.ones(7)}
    return {
        "a loss's weight": {"state_dict": {**under("model."), "criterion.pos_weight": torch.ones(7)}, "epoch": 3},
        "an average's counter": {**under("module."), "n_averaged": torch.tensor(5)},
        "a head beside it": {**{n: t for n, t in under("model.").items() if ".fc." not in n}, **head},
        "a prefix of one's own": {"state_dict": under("net.backbone_2d.")},
        "metrics of Lightning": {
            "state_dict": {**under("model.encoder."), "val_acc.total": torch.tensor(1)},
            "loops": {},
        },
        "integer keys": {**tensors, 0: torch.ones(3), 1: "x"},
        "numbers beside it": {**tensors, "epoch": 3, "best": 0.5},
        "two wrappers": {"checkpoint": {"state_dict": under("module.model.")}, "hparams": {"lr": 0.1}},
        "averaged weights": {"model_ema": under("module."), "model": {n: t * 0 for n, t in tensors.items()}},
        "the same twice": {"state_dict": {**under("model."), **under("ema.")}},
    }[kind]


KINDS = ["a loss's weight", "an average's counter", "a head beside it", "a prefix of one's own", "metrics of Lightning"]
KINDS += ["integer keys", "numbers beside it", "two wrappers", "averaged weights", "the same twice"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_trainer_saves_beside_the_network_stays_behind(kind, tmp_path):
    torch.save(wrapped(kind), tmp_path / "weights.ckpt")
    assert_from(loaded(tmp_path / "weights.ckpt"), pretrained())


def test_two_networks_that_differ_are_not_chosen_from(tmp_path):
    tensors = pretrained()
    both = {f"{prefix}.{name}": t * f for prefix, f in (("query", 1), ("key", 2)) for name, t in tensors.items()}
    torch.save(both, tmp_path / "w.pth")
    with pytest.raises(CompError, match=r"has several networks that fit, under 'key\.', 'query\.': save one of them"):
        loaded(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04", b"hello world", b"{}", bytes(range(256))])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.bin"])
def test_bytes_that_are_no_weights_are_one_line(content, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CompError, match=name) as refused:
        read_weights(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "value", [{}, {0: torch.ones(2)}, {"state_dict": {}}, {"epoch": 3}, torch.ones(3), 5, {"model": []}]
)
def test_a_file_without_named_tensors_is_refused(value, tmp_path):
    torch.save(value, tmp_path / "w.pth")
    with pytest.raises(CompError, match="has no state_dict of tensors"):
        read_weights(tmp_path / "w.pth")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(CompError, match="there is no such file or folder"):
        read_weights(tmp_path / "nothing.safetensors")
    with pytest.raises(CompError, match="has no weights file"):
        read_weights(tmp_path)


def test_a_file_of_anything_else_is_refused(tmp_path):
    torch.save([1, 2, 3], tmp_path / "numbers.pt")
    with pytest.raises(CompError, match="has no state_dict of tensors"):
        read_weights(tmp_path / "numbers.pt")


def test_a_hub_out_of_reach_names_the_offline_way(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    expected = r"^model\.backbone=test_convnext: its pretrained weights could not be fetched .* set model\.weights="
    with pytest.raises(CompError, match=expected):
        build_model(Model(backbone="test_convnext", pretrained=True, image_size=32), 3)
