"""train.cache_frozen: the frozen part computes once, and the training is the one that it would be without."""

import pickle
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import DistributedType
from processes import comp_ranks
from safetensors.torch import load_file
from torch import nn

from comp.errors import CompError
from comp.registry import register
from comp.vision.model import build_model
from comp.vision.model.cut import find_cut
from comp.vision.model.frozen import freeze
from comp.vision.pixels import open as opening
from comp.vision.schema import ImageConfig, Model
from comp.vision.training.feature_file import CachedDataset, FeatureFile
from comp.vision.training.losses import cross_entropy
from comp.vision.training.setup import Setup

FAMILIES = [
    ("test_vit", 2, "blocks.1"),
    ("test_convnext", 2, "stages.1"),
    ("test_resnet", 2, "layer2"),
    ("test_efficientnet", 3, "blocks.2"),
]
PLAIN = {"epochs": 3, "batch_size": 6, "lr": 0.01, "optimizer": "momentum", "schedule": "constant", "freeze": 2}
STILL = {"crop_scale": [1, 1], "crop_ratio": [1, 1], "hflip": 0}
VIT = {"backbone": "test_vit", "image_size": 32}
MANY = {
    "ema_decay": 0.5,
    "keep": "ema",
    "layer_decay": 0.5,
    "clip_norm": 1.0,
    "accumulate": 2,
    "save_every": "1 update",
}
TIMES = ["seconds", "images_per_s"]


def small(backbone: str, what: int | list[str]) -> nn.Module:
    torch.manual_seed(0)
    model = build_model(Model(backbone=backbone, pretrained=False, image_size=32), 3)
    freeze(model.backbone, what, torch.zeros(1, 3, 32, 32))
    return model


def images(count: int) -> torch.Tensor:
    return torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def same(one: nn.Module, other: nn.Module, tolerance: float) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.allclose(mine, yours, rtol=0, atol=tolerance) for mine, yours in pairs)


@pytest.mark.parametrize(("backbone", "what", "at"), FAMILIES)
def test_what_lies_above_the_cut_gives_the_logits_and_needs_nothing_below(backbone, what, at):
    model = small(backbone, what)
    before = {module: module.training for module in model.train().modules()}
    cut = find_cut(model, images(3))
    assert cut.at == f"backbone.{at}"
    assert before == {module: module.training for module in model.modules()}
    with torch.no_grad():
        features, expected = cut.features(model.eval(), images(5)), model(images(5))
        for weight in model.parameters():
            if not weight.requires_grad and weight is not getattr(model.backbone, "cls_token", None):
                weight.fill_(torch.nan)
        assert features.shape == (5, *cut.shape)
        torch.testing.assert_close(cut.tail(model)(features), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("args", [{}, {"qk_norm": True, "init_values": 0.5}, {"scale_attn_norm": True}])
def test_of_the_last_block_of_a_vit_only_the_class_token_is_computed_where_only_it_is_pooled(args):
    torch.manual_seed(0)
    model = build_model(Model(backbone="test_vit", pretrained=False, image_size=32, args=args), 3)
    freeze(model.backbone, 2, torch.zeros(1, 3, 32, 32))
    cut = find_cut(model, images(3))
    assert cut.short
    whole, short = (replace(cut, short=short).tail(model.train()) for short in (False, True))
    sizes = []
    short.model.backbone.norm.register_forward_pre_hook(lambda _, given: sizes.append(tuple(given[0].shape)))
    gradients = []
    for tail in (whole, short):
        model.zero_grad()
        torch.manual_seed(0)
        tail(cut.features(model.eval(), images(5)).detach()).square().sum().backward()
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.requires_grad])
    assert sizes == [(5, 1, 64)]
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_where_the_mean_over_tokens_is_pooled_all_are_computed():
    model = build_model(Model(backbone="test_vit", pretrained=False, image_size=32, args={"global_pool": "avg"}), 3)
    freeze(model.backbone, 2, torch.zeros(1, 3, 32, 32))
    tail = find_cut(model, images(3)).tail(model)
    sizes = []
    tail.model.backbone.blocks[-1].norm2.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[1]))
    tail(torch.rand(2, *find_cut(model, images(3)).shape))
    assert sizes[0] > 1


def test_the_weights_above_the_cut_are_those_of_the_model():
    model = small("test_resnet", 2)
    cut = find_cut(model, images(3))
    tail = cut.tail(model.train())
    tail(torch.rand(4, *cut.shape)).sum().backward()
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {name for name, weight in model.named_parameters() if weight.grad is not None} == learning
    assert model.backbone.layer3[0].bn1.num_batches_tracked == 1
    assert model.backbone.bn1.num_batches_tracked == 0


def test_where_all_is_frozen_the_pooled_features_are_kept():
    for what in (6, ["*"]):
        cut = find_cut(small("test_vit", what), images(3))
        assert (cut.at, cut.shape) == ("backbone", (64,))


def test_blanks_may_be_written_to():
    class Shared(nn.Sequential):  # one activation, below and above
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            act = self[0]
            return act(self[3](act(self[2](act(self[1](inputs)))))).mean(dim=(2, 3))

    model = small("test_vit", 0)
    model.backbone = Shared(nn.ReLU(inplace=True), nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 64, 3))
    model.backbone[1:3].requires_grad_(False)
    cut = find_cut(model, images(3))
    assert (cut.at, cut.spread) == ("backbone.2", True)


@pytest.mark.parametrize(("backbone", "what", "_"), FAMILIES)
def test_without_augmentation_the_training_is_that_of_the_whole_network(backbone, what, _, fit_fold):
    train = {**PLAIN, "freeze": what}
    options = {"model": {**VIT, "backbone": backbone}, "augment": STILL}
    whole, expected = fit_fold(**options, train=train)
    trained, history = fit_fold(**options, train={**train, "cache_frozen": 1})
    assert list(history.columns) == list(expected.columns)
    for column in ("train_loss", "val_loss"):
        np.testing.assert_allclose(history[column], expected[column], atol=3e-3)
    assert same(trained, whole, 1e-2)
    frozen = {name for name, weight in small(backbone, what).named_parameters() if not weight.requires_grad}
    assert all(torch.equal(trained.get_parameter(name), whole.get_parameter(name)) for name in frozen)


@pytest.mark.parametrize(
    "train",
    [
        {"freeze": ["*"]},
        {"precision": "bf16"},
        {"grad_checkpointing": True},
        {"compile": "eager"},
        {"channels_last": False, "sampler": "weighted", "workers": 1},
        MANY,
    ],
)
def test_it_goes_with_other_settings(train, fit_fold):
    settings = {**PLAIN, "epochs": 2, **train}
    model = {
        **VIT,
        "backbone": "test_vit" if {"grad_checkpointing", "compile"} & set(train) else "test_resnet",
        "metadata": ["height"],
    }
    _, expected = fit_fold(model=model, augment=STILL, train=settings)
    _, history = fit_fold(model=model, augment=STILL, train={**settings, "cache_frozen": 2})
    np.testing.assert_allclose(history["train_loss"], expected["train_loss"], atol=1e-2)
    np.testing.assert_allclose(history["val_loss"], expected["val_loss"], atol=1e-2)


def test_epochs_take_the_views_in_turn_and_each_is_another(fit_fold):
    fit_fold(model=VIT, train={**PLAIN, "epochs": 1, "cache_frozen": 3})
    rows = np.arange(18)
    file = FeatureFile(Path("runs/fit0/frozen/training.bin"), rows, 3, (5, 64))
    assert file.is_whole()
    assert Path("runs/fit0/frozen/validation.bin").stat().st_size == 18 * 5 * 64 * 2
    views = np.fromfile(file.path, np.float16).reshape(3, 18, 5, 64)
    assert not any(np.array_equal(views[one], views[other]) for one, other in [(0, 1), (0, 2), (1, 2)])
    samples = SimpleNamespace(y=np.zeros((18, 3), np.float32), metadata=None)
    for epoch in range(7):
        dataset = pickle.loads(pickle.dumps(CachedDataset(file, samples)))  # as a worker process gets it
        batch = dataset.__getitems__([(epoch, 0, 5), (epoch, 1, 2)])
        assert np.array_equal(batch.images.numpy(), views[epoch % 3][[5, 2]])
        assert batch.rows.tolist() == [5, 2]


@register("loss", "cut_short")
def cut_short(settings, class_weights):
    """A loss that stops the program at a batch of the second epoch, once."""
    calls, loss = iter(range(1000)), cross_entropy(settings, class_weights)

    def stopping(logits, targets):
        if next(calls) == 9 and not Path("resumed").exists():
            raise KeyboardInterrupt
        return loss(logits, targets)

    return stopping


@pytest.mark.parametrize("left", ["whole", "half", "none"])
def test_resumed_is_bit_equal_whatever_is_left_of_the_features(left, fit_fold, capsys):
    options = {"model": VIT, "train": {**PLAIN, **MANY, "loss": "cut_short", "cache_frozen": 2}}
    with pytest.raises(KeyboardInterrupt):
        fit_fold(**options)
    Path("resumed").touch()
    shutil.copytree("runs/fit0", "runs/fit1")
    frozen = Path("runs/fit1/frozen")
    if left == "half":
        (frozen / "made.json").unlink()
        (frozen / "training.bin").write_bytes((frozen / "training.bin").read_bytes()[:-100])
    elif left == "none":
        shutil.rmtree(frozen)
    capsys.readouterr()
    resumed, history = fit_fold(**options)
    out = capsys.readouterr().out
    assert "resume  runs/fit1 after epoch 1 and" in out
    assert ("runs/fit1/frozen, found" in out) == (left == "whole")
    undisturbed, expected = fit_fold(**options)
    pd.testing.assert_frame_equal(history.drop(columns=TIMES), expected.drop(columns=TIMES), check_exact=True)
    assert same(resumed, undisturbed, 0.0)


def test_killed_while_the_features_are_computed_it_computes_them_again(fit_fold, monkeypatch, capsys):
    options = {"model": VIT, "train": {**PLAIN, "cache_frozen": 2}, "predict": {"batch_size": 5}}
    write, calls = FeatureFile.write, iter(range(100))

    def killed(self, *arguments):
        if next(calls) == 3:
            raise KeyboardInterrupt
        write(self, *arguments)

    monkeypatch.setattr(FeatureFile, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        fit_fold(**options)
    shutil.copytree("runs/fit0", "runs/fit1")
    assert not Path("runs/fit1/frozen/made.json").exists()
    _, history = fit_fold(**options)
    assert "found" not in capsys.readouterr().out
    _, expected = fit_fold(**options)
    pd.testing.assert_frame_equal(history.drop(columns=TIMES), expected.drop(columns=TIMES), check_exact=True)
    for name in ("training.bin", "validation.bin"):
        assert Path("runs/fit1/frozen", name).read_bytes() == Path("runs/fit2/frozen", name).read_bytes()


@pytest.mark.parametrize("other", [{"seed": 1}, {"augment": {"vflip": 0.5}}, {"train": {"cache_frozen": 3}}])
def test_features_of_other_settings_are_not_taken(other, fit_fold, capsys):
    train = {**PLAIN, "epochs": 1, "cache_frozen": 2}
    fit_fold(model=VIT, train=train)
    shutil.copytree("runs/fit0/frozen", "runs/fit1/frozen")
    fit_fold(**{"model": VIT, **other, "train": {**train, **other.get("train", {})}})
    assert "found" not in capsys.readouterr().out


def test_what_it_takes_is_told_and_refused_where_the_disk_is_full(fit_fold, monkeypatch, capsys):
    train = {**PLAIN, "epochs": 1, "cache_frozen": 4}
    fit_fold(model=VIT, train=train)
    expected = "frozen  fold 0: 18 images × 4 views, 18 to validate, 0.6 kB each: 58 kB in runs/fit0/frozen\n"
    assert expected in capsys.readouterr().out
    full = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=10**9 + 1000, total=10**10))
    monkeypatch.setattr(opening, "shutil", full)
    line = (
        r"train\.cache_frozen=4: 18 images × 4 views, .*: 58 kB, and the disk of runs/fit1/frozen has 1.0 kB to spare"
    )
    with pytest.raises(CompError, match=line):
        fit_fold(model=VIT, train=train)


class TwoWays(nn.Module):
    """One of them adds nothing at first, as with LayerScale or a zero-initialized batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        one, other = self.one(inputs), self.other(inputs)
        return self.last(one + other).mean(dim=(2, 3)) + self.scale * one.mean(dim=(2, 3))


def test_other_ways_around_the_boundary_are_refused(fit_fold):
    register("model", "two_ways")(lambda _: TwoWays())
    line = (
        r"train\.cache_frozen=1: what train\.freeze=\['one\.\*', 'other\.\*'\] freezes of two_ways does not end at one"
    )
    with pytest.raises(CompError, match=line):
        fit_fold(model={"backbone": "two_ways"}, train={**PLAIN, "freeze": ["one.*", "other.*"], "cache_frozen": 1})


def test_features_beyond_float16_are_refused(fit_fold):
    class Large(nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self[1](self[0](inputs)).mean(dim=(2, 3))

    def build(_: Model) -> nn.Module:
        model = Large(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
        nn.init.constant_(model[0].bias, 1e5)
        return model

    register("model", "large")(build)
    with pytest.raises(CompError, match=r"train\.cache_frozen: the features .* train\.freeze are .*float16"):
        fit_fold(model={"backbone": "large"}, train={**PLAIN, "freeze": ["0.*"], "cache_frozen": 1})


@pytest.mark.parametrize(
    ("sections", "keys"),
    [
        ({"train": {"cache_frozen": 2}}, ["train.cache_frozen=2", "train.freeze=0"]),
        ({"train": {"cache_frozen": 2, "freeze": []}}, ["train.cache_frozen=2", "train.freeze=[]"]),
        ({"train": {"cache_frozen": 2, "freeze": 1, "freeze_epochs": 1}}, ["train.cache_frozen=2", "freeze_epochs=1"]),
        ({"augment": {"mixup": 0.2}}, ["train.cache_frozen=2", "augment.mixup=0.2"]),
        ({"augment": {"cutmix": 1.0}}, ["train.cache_frozen=2", "augment.cutmix=1"]),
        ({"augment": {"custom": ["mine"]}}, ["train.cache_frozen=2", "augment.custom=['mine']"]),
    ],
)
def test_what_does_not_go_together_is_refused(sections, keys):
    values = {"train": {"cache_frozen": 2, "freeze": 1}, **sections}
    with pytest.raises(ValueError, match=r"train\.cache_frozen") as refused:
        ImageConfig.model_validate(values)
    assert all(key in str(refused.value) for key in keys)


def test_fsdp_is_refused():
    config = ImageConfig.model_validate({"train": {"cache_frozen": 2, "freeze": 1}})
    with pytest.raises(CompError, match=r"train\.cache_frozen=2 is not for FSDP"):
        Setup.of(config, None, SimpleNamespace(distributed_type=DistributedType.FSDP))


def test_students_learn_from_features_of_test_rows_too(competition, configure, comp):
    configure(model=VIT, train={**PLAIN, "cache_frozen": 2}, folds={"kind": "holdout"}, pseudo={"threshold": 0.3})
    for words in (["split"], ["train"], ["pseudo"]):
        status, out, err = comp(*words)
        assert status == 0, err
    assert (
        re.search(r"frozen  fold 0: (\d+) images × 2 views", out)[1] == "37"
    )  # 28 of the training table, 9 of the test table


@pytest.mark.release  # one process: above
def test_two_processes_share_the_work_and_nothing_is_left_behind(competition, configure, comp):
    train = {**PLAIN, "epochs": 2, "batch_size": 8, "lr": 1e-3, "cache_frozen": 2}
    configure(model=VIT, train=train, predict={"batch_size": 4})
    comp("split")
    finished = comp_ranks("train", "name=two")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("frozen  fold 0: 18 images × 2 views") == 1
    status, _, err = comp("train", "name=one", "train.processes=1")
    assert status == 0, err
    assert not list(Path("runs").glob("*/*/frozen"))
    tables = [pd.read_parquet(f"runs/{run}/oof.parquet").filter(like="p_") for run in ("one", "two")]
    np.testing.assert_allclose(*tables, atol=2e-4)
    weights = [load_file(f"runs/{run}/fold1/best.safetensors") for run in ("one", "two")]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=2e-4) for name in weights[0])
    losses = [pd.read_csv(f"runs/{run}/fold0/history.csv")[["train_loss", "val_loss"]] for run in ("one", "two")]
    np.testing.assert_allclose(*losses, atol=1e-4)
