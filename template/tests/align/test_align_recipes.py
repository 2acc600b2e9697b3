"""Every recipe of an alignment: it is resolved, and its models take a step at the competition's size."""

import numpy as np
import pytest
import torch
from support import recipes

from comp.align.schema import AlignConfig
from comp.align.training.losses import Keys, alignment_loss
from comp.align.training.projector import Projector
from comp.config import load_config
from comp.config.load import members_of

CONFIGS = [load_config(path) for path in recipes()]
MODELS = [model for config in CONFIGS if isinstance(config, AlignConfig) for model in members_of(config) or [config]]
TEXT, IMAGE, IMAGES = 1024, 1536, 40


class Fold:
    """What a loss asks of one."""

    trained_images = torch.arange(IMAGES)
    group_of = torch.arange(IMAGES) // 2


def test_there_are_recipes():
    assert len(MODELS) > 1


@pytest.mark.parametrize("config", MODELS, ids=[f"{config.recipe.title}: {config.name}" for config in MODELS])
def test_its_model_is_built_and_takes_a_step(config):
    torch.manual_seed(0)
    model = Projector(config.model, config.loss, TEXT, IMAGE)
    if model.basis is not None:
        model.basis.copy_(torch.linalg.qr(torch.randn(IMAGE, len(model.basis)))[0].T)
    images = torch.nn.functional.normalize(torch.randn(IMAGES, IMAGE))
    image_of = torch.from_numpy(np.random.default_rng(0).integers(0, IMAGES, 16))
    predicted = model.as_unit(model(torch.randn(16, TEXT)))
    keys = Keys.of(model.keys(images), Fold, config.loss)
    loss = alignment_loss(predicted, image_of, keys, Fold, model.scale, config.loss)
    loss.backward()
    assert loss.isfinite()
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert ("log_scale" in gradients) == config.loss.learn_temperature
