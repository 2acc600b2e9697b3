"""`predict.resize: pretrained` is timm's evaluation, from the file to the logits."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from support import forget_accelerate
from timm.data import create_transform, resolve_model_data_config
from torch import nn

from comp.distributed.accelerator import accelerator_for
from comp.errors import CompError
from comp.runs.rundir import RunDir, read_fold_metrics
from comp.tables import Targets
from comp.vision.batches import EvalDataset
from comp.vision.data.competition import open_competition
from comp.vision.data.samples import Samples
from comp.vision.data.settle import settled
from comp.vision.inference.predict_rows import predict_rows
from comp.vision.model import build_model
from comp.vision.pixels import Decoding, Evaluation, open_pixels
from comp.vision.schema import ImageConfig, Model, Predict

SIZES = [(640, 427), (427, 640), (300, 300), (1000, 181), (90, 60), (171, 168), (168, 168)]


@pytest.fixture
def photos(repo: Path) -> list[str]:
    """Files larger, as large, and smaller than what timm resizes to, with details of all sizes."""
    paths = []
    for number, (width, height) in enumerate(SIZES):
        rng = np.random.default_rng(number)
        layers = [
            cv2.resize(rng.normal(0, 40, (n, n, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
            for n in (4, 16, 64)
        ]
        image = Image.fromarray(np.clip(128 + sum(layers), 0, 255).astype(np.uint8))
        paths.append(f"{number}.{'jpg' if number % 2 else 'png'}")
        image.save(paths[-1], quality=92)
    return paths


def configured(**model: object) -> ImageConfig:
    data = {"scale": "8-bit"}
    settings = {"backbone": "test_efficientnet", "pretrained": False, "image_size": 160, **model}
    predict = Predict(resize="pretrained", batch_size=3)
    return settled(ImageConfig(name="a", data=data, model=settings, predict=predict, augment={"crop_scale": (0.5, 1)}))


def samples(config: ImageConfig, paths: list[str], cache: bool) -> Samples:
    pixels = open_pixels(paths, Path("cache"), Decoding.of(config), cache, quiet=True)
    return Samples(pixels, Targets("multiclass", ("a", "b", "c")), np.zeros((len(paths), 3), np.float32))


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {},  # crop_pct 0.95, bicubic
        {"backbone": "test_resnet"},  # bilinear
        {"crop_pct": 0.875, "interpolation": "bilinear"},
        {"crop_pct": 1.0, "crop_mode": "squash"},
        {"crop_pct": 0.8, "crop_mode": "squash", "interpolation": "lanczos"},
        {"image_size": 96},
    ],
)
def test_the_pixels_are_those_of_timms_transform(settings, cache, photos):
    config = configured(**settings)
    seen = EvalDataset(samples(config, photos, cache), Evaluation.of(config)).__getitems__(list(range(len(photos))))
    size, model = config.model.image_size, config.model
    wanted = resolve_model_data_config(timm.create_model(model.backbone), {**settings, "input_size": (3, size, size)})
    transform = create_transform(**wanted, normalize=False)
    for path, image in zip(photos, seen.images, strict=True):
        expected = transform(Image.open(path).convert("RGB"))
        assert (image.int() - expected.int()).abs().max() <= 1, path


def test_the_logits_are_those_of_timm(photos):
    torch.manual_seed(0)
    source = timm.create_model("test_efficientnet", num_classes=3).eval()
    save_file(source.state_dict(), "weights.safetensors")
    config = configured(weights="weights.safetensors")
    model = build_model(config.model, 3)
    assert isinstance(model.head, nn.Linear)
    model.head.load_state_dict(source.get_classifier().state_dict())
    forget_accelerate()
    rows = np.arange(len(photos))
    found = predict_rows(
        model, samples(config, photos, True), rows, config, accelerator_for(config), config.predict.views
    )
    transform = create_transform(**resolve_model_data_config(source))
    with torch.no_grad():
        logits = source(torch.stack([transform(Image.open(path).convert("RGB")) for path in photos]))
    np.testing.assert_allclose(found, logits.softmax(dim=1), atol=2e-5)
    assert logits.std(dim=0).min() > 1e-3


def test_a_file_beside_the_weights_says_how_images_are_resized(photos):
    save_file(timm.create_model("test_efficientnet").state_dict(), "weights.safetensors")
    told = {"crop_pct": 0.8, "interpolation": "bilinear", "crop_mode": "squash"}
    Path("weights.json").write_text(json.dumps({"architecture": "test_efficientnet", "pretrained_cfg": told}))
    model = configured(weights="weights.safetensors").model
    assert (model.crop_pct, model.interpolation, model.crop_mode) == (0.8, "bilinear", "squash")


def test_a_framed_image_is_framed_first(photos):
    config = configured()
    config = config.model_copy(update={"data": config.data.model_copy(update={"frame": "square"})})
    evaluation, found = Evaluation.of(config), samples(config, photos, True)
    assert all(found.pixels[row].shape[0] == found.pixels[row].shape[1] for row in range(len(photos)))
    assert min(evaluation.view(found.pixels[row]).shape[0] for row in range(len(photos))) == 160


def test_training_sees_images_in_the_proportions_of_timms_evaluation():
    assert Evaluation.of(configured()).geometry == "crop"
    assert Evaluation.of(configured(crop_mode="squash")).geometry == "squash"


# Of the newest timm: its oldest that will do has none.
BORDER = [name for name in timm.list_pretrained() if timm.get_pretrained_cfg(name).crop_mode == "border"]


def test_what_is_not_said_or_not_made_is_refused(tmp_path):
    from comp.registry import register

    register("model", "evaluated_own")(lambda settings: nn.Identity())
    with pytest.raises(CompError, match=r"predict\.resize=pretrained: nothing says .*model\.crop_pct"):
        configured(backbone="evaluated_own")
    assert configured(backbone="evaluated_own", crop_pct=0.9, interpolation="bicubic").model.crop_pct == 0.9
    for border in BORDER[:1]:
        with pytest.raises(CompError, match="crop_mode=border, which is not made here"):
            configured(backbone=border)


def test_a_run_keeps_how_its_images_were_resized(competition, configure, comp):
    config = configure(predict={"resize": "pretrained"})
    assert comp("split")[0] == comp("train")[0] == 0
    kept = RunDir.of(config).trained_config().model
    assert (kept.crop_pct, kept.interpolation, kept.crop_mode) == (0.95, "bilinear", "center")
    before = pd.read_parquet(RunDir.of(config).test)
    status, out, _ = comp("train")
    assert (status, "already trained" in out) == (0, True)
    assert comp("predict", "predict.views=[hflip]")[0] == comp("predict")[0] == 0
    pd.testing.assert_frame_equal(pd.read_parquet(RunDir.of(config).test), before)
    assert open_competition(config, quiet=True).train_pixels[0].shape[0] == 16  # 20 × 18 px, resized to 16 px


def test_a_run_is_trained_and_predicted_in_one_geometry(trained, comp):
    again = ("train", "train.epochs=3")
    status, _, err = comp(*again, "predict.resize=crop")
    assert (status, err.count("\n")) == (1, 1)
    assert "(predict.resize was 'squash', is 'crop')" in err
    path = Path("runs/small/config.yaml")
    path.write_text(path.read_text().replace("resize: squash", "resize: crop"))
    status, out, _ = comp("predict", "predict.views=[hflip]")  # conf/ says squash
    assert (status, "note    runs/small was trained with predict.resize=crop, and predicts with it" in out) == (0, True)
    assert read_fold_metrics(Path("runs/small/fold0/metrics.json"))["predict"]["resize"] == "crop"
    assert "resize: crop" in path.read_text()
    status, out, _ = comp("predict", "--images", "data/test", "--out", "said.csv", "predict.views=[hflip]")
    assert (status, "note" in out) == (0, False)


def test_what_is_not_needed_is_not_settled():
    config = ImageConfig(name="a", data={"scale": "8-bit"}, model=Model(backbone="test_vit"))
    assert settled(config) == config
