"""Layer-wise rates are timm's: those of the whole model, whose head has the full rate."""

import pytest
import timm
from timm.optim import param_groups_layer_decay
from torch import nn

from comp.vision.model import build_model
from comp.vision.model.build import Classifier
from comp.vision.schema import Model, Train
from comp.vision.training.optimizer import build_optimizer

BACKBONES = [
    "test_vit",
    "test_vit2",
    "test_convnext",
    "test_convnext2",
    "test_efficientnet",
    "test_resnet",
    "test_mambaout",
]


def scales(model: nn.Module, groups: list[dict]) -> dict[str, float]:
    """The share of the rate that each parameter has, by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)]: group.get("lr_scale", 1.0) for group in groups for parameter in group["params"]}


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_each_weight_has_the_rate_that_timm_gives_it_in_a_model_with_a_head(backbone, decay):
    whole = timm.create_model(backbone, num_classes=3)
    expected = scales(whole, param_groups_layer_decay(whole, layer_decay=decay))
    model = build_model(Model(backbone=backbone, pretrained=False, image_size=32), classes=3)
    found = scales(model, build_optimizer(model, Train(layer_decay=decay)).param_groups)
    own = {name.removeprefix("backbone."): scale for name, scale in found.items() if name.startswith("backbone.")}
    assert own == {name: pytest.approx(expected[name]) for name in own}
    assert set(own) == {name for name, _ in model.backbone.named_parameters()}
    assert len(set(own.values())) > 3
    assert {scale for name, scale in found.items() if name.startswith("head.")} == {1.0}
    assert {scale for name, scale in expected.items() if name not in own} == {1.0}


class Own(nn.Module):
    """A backbone of custom.py that timm groups by a matcher of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.blocks = nn.Linear(2, 2), nn.ModuleList(nn.Linear(2, 2) for _ in range(3))

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"stem": r"^stem", "blocks": r"^blocks\.(\d+)"}


def test_the_last_block_of_a_backbone_of_ones_own_is_one_step_below_the_head():
    model = Classifier(Own(), nn.Linear(2, 3), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    found = scales(model, build_optimizer(model, Train(layer_decay=0.5)).param_groups)
    assert [found[f"backbone.blocks.{n}.weight"] for n in range(3)] == [0.125, 0.25, 0.5]
    assert found["backbone.stem.weight"] == 0.0625
    assert found["head.weight"] == 1.0
