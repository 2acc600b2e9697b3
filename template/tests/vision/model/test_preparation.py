"""How weights want their images: mean and std come with them, or it is told which ones are taken."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from comp.errors import CompError
from comp.vision.model import build_model, load_checkpoint, save_checkpoint
from comp.vision.model.preparation import preparation, weights_note
from comp.vision.schema import Model

HALF = [0.5, 0.25, 0.75]


@pytest.fixture
def weights(repo: Path) -> Path:
    """A weights file of test_efficientnet, whose mean and std are ImageNet's in timm."""
    save_file(timm.create_model("test_efficientnet").state_dict(), "weights.safetensors")
    return Path("weights.safetensors")


def settings(weights: Path | None, **more: object) -> Model:
    path = None if weights is None else str(weights)
    return Model(backbone="test_efficientnet", pretrained=False, weights=path, image_size=32, **more)


def mean_of(model: Model) -> list[float]:
    return [round(value, 6) for value in build_model(model, 2).mean.flatten().tolist()]


@pytest.mark.parametrize("name", ["weights.json", "config.json"])
@pytest.mark.parametrize("within", [True, False])
def test_a_file_beside_the_weights_says_mean_and_std(name, within, weights):
    told = {"mean": HALF, "std": HALF}
    Path(name).write_text(json.dumps({"pretrained_cfg": told} if within else told))
    assert mean_of(settings(weights)) == HALF
    assert build_model(settings(weights), 2).std.flatten().tolist() == HALF
    note = f"weights mean [0.5, 0.25, 0.75] and std [0.5, 0.25, 0.75], as {name} says"
    assert weights_note(settings(weights)) == note


def test_what_the_configuration_says_counts_more(weights):
    Path("weights.json").write_text(json.dumps({"mean": HALF, "std": HALF}))
    assert mean_of(settings(weights, mean=(0.1, 0.2, 0.3))) == [0.1, 0.2, 0.3]
    assert weights_note(settings(weights, mean=(0.1, 0.2, 0.3), std=(1, 1, 1))) is None


def test_without_one_it_is_told_which_mean_and_std_are_taken(weights):
    timms = timm.get_pretrained_cfg("test_efficientnet")
    assert mean_of(settings(weights)) == list(timms.mean)
    note = weights_note(settings(weights))
    assert note is not None
    assert "mean [0.485, 0.456, 0.406] and std [0.229, 0.224, 0.225], timm's for test_efficientnet" in note
    assert "Set model.mean and model.std" in note
    Path("config.json").write_text("{}")
    assert weights_note(settings(weights)) == note


def test_weights_of_the_hub_need_no_note():
    assert weights_note(settings(None)) is None
    wanted = preparation(Model(backbone="test_vit"))
    assert wanted == {
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "crop_mode": "center",
    }


def test_a_checkpoint_of_another_run_brings_its_own(repo):
    model = build_model(settings(None, mean=tuple(HALF), std=(1, 1, 1)), 2)
    save_checkpoint(model, Path("best.safetensors"), {"classes": ["a", "b"]})
    assert mean_of(settings(Path("best.safetensors"))) == HALF


@pytest.mark.parametrize(
    "text", ["no json", "[1, 2]", '{"mean": 5}', '{"mean": [1, 2]}', '{"crop_pct": 7}', '{"interpolation": "spline"}']
)
def test_a_damaged_one_is_one_clear_line(text, weights):
    Path("weights.json").write_text(text)
    with pytest.raises(CompError, match=r"^weights\.json: [^\n]+$"):
        build_model(settings(weights), 2)


def test_a_trained_checkpoint_needs_neither_the_weights_nor_the_file_beside_them(weights):
    Path("weights.json").write_text(json.dumps({"mean": HALF, "std": HALF}))
    model = build_model(settings(weights), 2).eval()
    save_checkpoint(model, Path("run.safetensors"), {"classes": ["a", "b"]})
    weights.unlink()
    Path("weights.json").unlink()
    loaded, _ = load_checkpoint(settings(weights), Path("run.safetensors"))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(images), model(images))


def test_the_note_is_printed_once_when_training_starts(competition, configure, comp, weights):
    configure(model={"backbone": "test_efficientnet", "pretrained": True, "weights": str(weights)})
    comp("split")
    assert comp("train")[1].count("Set model.mean and model.std") == 1
