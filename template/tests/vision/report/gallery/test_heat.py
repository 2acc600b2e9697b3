"""Heat lies where the square is that a network was taught to find."""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from comp.tables import Targets
from comp.vision.model import Classifier, build_model
from comp.vision.model.link import Link
from comp.vision.report.gallery.attention import weights_of
from comp.vision.report.gallery.cases import Case
from comp.vision.report.gallery.heat import feature_maps, heat_of
from comp.vision.schema import Model

SIZE, SIDE = 64, 14


def squares(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Noise, in every second image with a red square in one of four corners: images, whether, and which corner."""
    rng = np.random.default_rng(seed)
    noise = torch.from_numpy(rng.integers(0, 140, (n, 3, SIZE, SIZE)).astype(np.float32))
    images, there, corners = F.avg_pool2d(noise, 3, 1, 1), np.arange(n) % 2, rng.integers(0, 4, n)
    for image, corner in zip(images[1::2], corners[1::2], strict=True):
        top, left = ((SIZE - SIDE - 8) * place + 4 for place in divmod(int(corner), 2))
        image[0, top : top + SIDE, left : left + SIDE] += 100
    return images.clamp(0, 255).byte(), torch.from_numpy(there), corners


def taught(backbone: str, **arguments: object) -> Classifier:
    torch.manual_seed(0)
    model = build_model(Model(backbone=backbone, pretrained=False, image_size=SIZE, args=arguments), 2)
    images, there, _ = squares(256, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    model.train()
    for _ in range(6):
        for batch in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), there[batch]).backward()
            optimizer.step()
    return model.eval()


@pytest.mark.parametrize("pooled", ["map", "token", "avg"])
def test_the_hottest_place_is_the_planted_square(pooled):
    """Of a convolutional network, and of ViTs that pool their class token, or all tokens."""
    if pooled == "map":
        model = taught("test_efficientnet")
    else:
        model = taught("vit_tiny_patch16_224", patch_size=8, depth=2, embed_dim=64, num_heads=2, global_pool=pooled)
    images, there, corners = (each[1::2] for each in squares(80, seed=1))
    with torch.no_grad():
        right = (model(images).argmax(dim=1) == there).float().mean()
    assert right > 0.9, "it was not taught well enough to be asked"
    heat = heat_of(model, images, None, torch.tensor([[-1.0, 1.0]]))
    assert heat is not None
    assert heat.min() >= 0
    assert torch.allclose(heat.amax(dim=(1, 2)), torch.ones(len(heat)))
    side = heat.shape[1]
    hottest = heat.flatten(1).argmax(dim=1).numpy()
    halves = (hottest // side >= side / 2) * 2 + (hottest % side >= side / 2)
    assert (halves == corners).mean() > 0.9


def test_tokens_and_channels_last_have_a_grid():
    for backbone, size in (("vit_tiny_patch16_224", 96), ("swin_tiny_patch4_window7_224", 224)):
        args = {"depth": 2} if backbone.startswith("vit") else {"depths": (1, 1, 1, 1), "embed_dim": 24}
        model = build_model(Model(backbone=backbone, pretrained=False, image_size=size, args=args), 2)
        heat = heat_of(model, torch.randint(0, 255, (2, 3, size, size)).byte(), None, torch.tensor([[1.0, -1.0]] * 2))
        assert heat is not None
        assert heat.shape[1] == heat.shape[2] >= 6


def test_a_network_without_names_for_its_maps_has_none():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert feature_maps(plain) == {}
    assert "layer4" in feature_maps(timm.create_model("test_resnet"))


@pytest.mark.parametrize(
    ("link", "case", "weights"),
    [
        (Link("softmax", 3), Case(0, (), 2, 0), [-1, 0, 1]),
        (Link("sigmoid", 2), Case(0, (), 1, sign=-1), [0, -1]),
        (Link("number", 2), Case(0, (), 0, sign=1), [1, 0]),
        (Link("corn", 2, grades=(0, 1, 2)), Case(0, (), 2, 0), [1, 1]),
        (Link("grade", 1, (1.0,), (1.0,), (0, 1, 2)), Case(0, (), 0, 2), [-1]),
    ],
)
def test_what_speaks_for_an_answer(link, case, weights):
    assert weights_of(case, link, Targets("multiclass", ("0", "1", "2"))).tolist() == weights
