"""Every recipe as it stands: it is resolved, its models are built at their real size, and a batch goes through each."""

import pandas as pd
import pytest
import torch
from support import recipes

from comp.config import load_config
from comp.config.load import members_of
from comp.tables import Tables, Targets
from comp.vision.data.metadata import Column, MetadataEncoder
from comp.vision.model import build_model
from comp.vision.schema import ImageConfig

RECIPES = {path: load_config(path) for path in recipes()}
MODELS = [
    (path, member.name, member)
    for path, config in RECIPES.items()
    if isinstance(config, ImageConfig)
    for member in members_of(config) or [config]
]
CLASSES = Targets("multiclass", ("one", "two", "three", "four", "five", "six", "seven"))
OF_SEVEN = Tables(pd.DataFrame(), pd.DataFrame(), None, CLASSES)


def test_there_are_recipes():
    assert len({path for path, _, _ in MODELS}) > 1


@pytest.mark.parametrize(("path", "name", "config"), MODELS, ids=[f"{path.stem}:{name}" for path, name, _ in MODELS])
def test_its_model_is_built_and_a_batch_goes_through(path, name, config):
    settings = config.described(lambda: OF_SEVEN).model
    large = getattr(settings, "is_clip", False)  # hundreds of millions of weights: shapes alone go through
    encoder = MetadataEncoder(tuple(Column(column) for column in settings.metadata)) if settings.metadata else None
    with torch.device("meta" if large else "cpu"), torch.inference_mode():
        model = build_model(settings, classes=7, load=False, encoder=encoder).eval()
        images = torch.randint(0, 256, (2, 3, settings.image_size, settings.image_size), dtype=torch.uint8)
        metadata = None if encoder is None else torch.zeros(2, encoder.n_numbers)
        logits = model(images, metadata)
    assert logits.shape == (2, 7)
    assert large or logits.isfinite().all()


@pytest.mark.parametrize("path", sorted({path for path, _, _ in MODELS}), ids=lambda path: path.stem)
def test_its_views_are_known(path):
    from comp.vision.inference.views import apply_view

    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    assert all(apply_view(images, view).shape == images.shape for view in load_config(path).predict.views)
