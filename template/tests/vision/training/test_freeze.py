"""train.freeze: what is frozen is held still in every way, and all the rest is trained."""

import re
from itertools import pairwise

import pytest
import torch
from torch import nn

from comp.errors import CompError
from comp.registry import register
from comp.vision.model import build_model
from comp.vision.model.frozen import freeze, table
from comp.vision.schema import Model, Train
from comp.vision.training.optimizer import build_optimizer

VIT = {"backbone": "test_vit"}
PLAIN = {"epochs": 2, "batch_size": 16, "lr": 0.01, "weight_decay": 0.5, "schedule": "constant"}
IMAGE = torch.zeros(1, 3, 32, 32)


def small(backbone: str = "test_vit", **settings: object) -> nn.Module:
    return build_model(Model(backbone=backbone, pretrained=False, image_size=32, **settings), 3)


def frozen_names(backbone: nn.Module) -> set[str]:
    return {name for name, weight in backbone.named_parameters() if not weight.requires_grad}


def test_of_the_affectnet_vit_14576136_weights_are_trained():
    settings = Model(pretrained=False, backbone="vit_base_patch16_224", head="mlp", head_args={"activation": "gelu"})
    model = build_model(settings, 8)
    freeze(model.backbone, 10, torch.zeros(1, 3, 224, 224))
    assert sum(weight.numel() for weight in model.parameters() if weight.requires_grad) == 14_576_136
    lines = table(model).splitlines()
    assert lines[0] == "model   14,576,136 of 86,197,512 weights are trained"
    fates = [re.split(r"\s{2,}", line.strip()) for line in lines[1:]]
    assert [fate[:2] for fate in fates] == [
        ["frozen", "cls_token"],
        ["frozen", "pos_embed"],
        ["frozen", "patch_embed"],
        ["frozen", "blocks.0 to 9"],
        ["trained", "blocks.10 to 11"],
        ["trained", "norm"],
        ["trained", "head"],
    ]
    assert sum(int(fate[2].replace(",", "")) for fate in fates if fate[0] == "trained") == 14_576_136


@pytest.mark.parametrize(
    ("backbone", "count", "first_that_learns"),
    [
        ("test_vit", 1, "blocks.1.norm1.weight"),
        ("test_resnet", 2, "layer3.0.conv1.weight"),
        ("test_convnext", 3, "stages.3.downsample.0.weight"),
        ("test_efficientnet", 4, "blocks.4.0.conv_pw.weight"),
    ],
)
def test_the_first_blocks_and_all_before_them_are_frozen(backbone, count, first_that_learns):
    model = small(backbone)
    freeze(model.backbone, count, IMAGE)
    learning = [name for name, weight in model.backbone.named_parameters() if weight.requires_grad]
    assert learning[0] == first_that_learns
    assert frozen_names(model.backbone) == set(list(dict(model.backbone.named_parameters()))[: -len(learning)])


def test_patterns_name_weights():
    model = small()
    freeze(model.backbone, ["blocks.1.*", "pos_embed"], IMAGE)
    assert "pos_embed" in frozen_names(model.backbone)
    assert {name.rsplit(".")[0] for name in frozen_names(model.backbone)} == {"blocks", "pos_embed"}
    assert all(name.startswith("blocks.1.") for name in frozen_names(model.backbone) - {"pos_embed"})


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (7, r"train\.freeze=7: the backbone has 6 blocks or stages"),
        (["block.1*"], r"train\.freeze: no weight is called like 'block\.1\*'; they begin with .*'blocks'"),
    ],
)
def test_what_is_not_there_is_refused(what, line):
    with pytest.raises(CompError, match=line):
        freeze(small().backbone, what, IMAGE)


def test_a_model_without_blocks_is_told_to_name_weights():
    with pytest.raises(CompError, match=r'train\.freeze=1: .*name weights instead, such as \["0\.\*"\]'):
        freeze(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), 1, IMAGE)


@pytest.mark.parametrize("what", [0, []])
def test_nothing_is_frozen_by_default(what):
    model = small()
    assert freeze(model.backbone, what, IMAGE) == []
    assert frozen_names(model.backbone) == set()


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_frozen_weights_and_their_statistics_do_not_move_and_others_do(backbone, fit_fold):
    model = {"backbone": backbone, "image_size": 32}
    one, _ = fit_fold(model=model, train={**PLAIN, "freeze": 2})
    other, _ = fit_fold(model=model, train={**PLAIN, "freeze": 2, "lr": 0.05, "ema_decay": 0.5, "keep": "ema"})
    start = build_model(Model(pretrained=False, **model), 3)
    freeze(start.backbone, 2, IMAGE)
    frozen = frozen_names(start.backbone)
    stems = {name.rpartition(".")[0] for name in frozen}
    before, after = one.backbone.state_dict(), other.backbone.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not {name for name in moved if name in frozen or name.rpartition(".")[0] in stems}
    assert {name for name, _ in start.backbone.named_parameters()} - frozen <= moved


def test_what_is_frozen_is_in_no_group_of_the_optimizer():
    model = small()
    freeze(model.backbone, 4, IMAGE)
    for layer_decay in (None, 0.5):
        optimizer = build_optimizer(model, Train(layer_decay=layer_decay))
        held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        assert held == {id(weight) for weight in model.parameters() if weight.requires_grad}


def test_dropout_in_and_between_frozen_blocks_is_off_and_on_above_them():
    model = small(args={"drop_rate": 0.5, "pos_drop_rate": 0.5, "proj_drop_rate": 0.5})
    still = freeze(model.backbone, 2, IMAGE)
    model.train()
    for module in still:
        module.eval()
    on = {name for name, module in model.backbone.named_modules() if isinstance(module, nn.Dropout) and module.training}
    assert "pos_drop" not in on
    assert not any(name.startswith(("blocks.0.", "blocks.1.")) for name in on)
    assert {f"blocks.{number}.mlp.drop1" for number in range(2, 6)} <= on


def test_no_activations_are_kept_below_the_boundary():
    def kept(count: int) -> int:
        model, sizes = small(), []
        for module in freeze(model.backbone, count, IMAGE):
            module.eval()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.append(tensor.numel()) or tensor, lambda x: x
        ):
            model(torch.zeros(64, 3, 32, 32))
        return sum(sizes)

    numbers = [kept(count) for count in range(1, 6)]
    assert len({more - less for more, less in pairwise(numbers)}) == 1  # one block's, each time
    assert kept(0) > numbers[0] > 3 * numbers[-1]


def test_frozen_blocks_stay_so_after_frozen_epochs_and_layers_keep_their_rates(fit_fold):
    """train.freeze for good, train.freeze_epochs for the first ones, train.layer_decay for what learns at all."""
    train = {**PLAIN, "freeze": 3, "layer_decay": 0.5}
    short, _ = fit_fold(model=VIT, train={**train, "epochs": 1, "freeze_epochs": 1})
    whole, _ = fit_fold(model=VIT, train={**train, "epochs": 2, "freeze_epochs": 1})
    differing = {
        name
        for (name, one), other in zip(short.backbone.named_parameters(), whole.backbone.parameters(), strict=True)
        if not torch.equal(one, other)
    }
    assert {name.split(".")[1] for name in differing if name.startswith("blocks")} == {"3", "4", "5"}
    assert not differing & {"cls_token", "pos_embed", "patch_embed.proj.weight"}
    model = small()
    freeze(model.backbone, 3, IMAGE)
    scale = {
        id(weight): group["lr_scale"]
        for group in build_optimizer(model, Train(layer_decay=0.5)).param_groups
        for weight in group["params"]
        if "lr_scale" in group
    }
    free = build_optimizer(other := small(), Train(layer_decay=0.5))
    rates = {id(weight): group.get("lr_scale") for group in free.param_groups for weight in group["params"]}
    for (name, weight), same in zip(model.backbone.named_parameters(), other.backbone.parameters(), strict=True):
        if weight.requires_grad:
            assert scale[id(weight)] == rates[id(same)], name


def test_a_model_of_ones_own_can_be_frozen_by_name(fit_fold):
    def own(_: Model) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    register("model", "own")(own)
    trained, _ = fit_fold(model={"backbone": "own"}, train={**PLAIN, "freeze": ["0.*", "1.*"]})
    assert not trained.backbone[1].running_mean.any()
    assert not trained.backbone[1].num_batches_tracked
