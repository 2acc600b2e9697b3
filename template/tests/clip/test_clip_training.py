"""What holds for every image task holds for two towers: processes, interruptions, parts, kept features, losses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from processes import comp_ranks
from safetensors.torch import load_file
from support import SOURCE, for_a_release
from torch.nn.functional import softmax

from comp.clip.losses import label_contrast
from comp.registry import register
from comp.vision.schema import Train
from comp.vision.training.losses import Loss, cross_entropy

PROMPTS = ["a photo of a {} face", "a {} photo"]
ALL_AT_ONCE = {
    "epochs": 3,
    "lr": 1e-3,
    "batch_size": 8,
    "accumulate": 2,
    "layer_decay": 0.8,
    "freeze_epochs": 1,
    "ema_decay": 0.9,
    "keep": "ema",
    "clip_norm": 1.0,
}
EXACT = {"augment": {"crop_scale": [1.0, 1.0], "crop_ratio": [1.0, 1.0], "hflip": 0.0}}


def probabilities(run: str) -> pd.DataFrame:
    return pd.read_parquet(f"runs/{run}/oof.parquet").set_index("id").filter(like="p_")


def weights(run: str) -> dict[str, torch.Tensor]:
    return load_file(f"runs/{run}/fold0/best.safetensors")


@pytest.mark.parametrize("loss", ["auto", for_a_release("label_contrast")])
def test_two_processes_predict_what_one_predicts(loss, competition, configure, comp):
    train = {**ALL_AT_ONCE, "optimizer": "sgd", "loss": loss}
    if loss == "label_contrast":
        train |= {"accumulate": 1, "batch_size": 64}  # of 18 rows, weighted ones are drawn again
        table = pd.read_csv(competition / "train.csv", dtype=str)
        copies = [table.assign(id=table["id"] + f"_{n}", path=table["id"] + ".png") for n in range(8)]
        pd.concat(copies).to_csv(competition / "train.csv", index=False)
        configure(train=train, data={"path": "path"}, folds={"near_duplicates": None}, model={"prompts": PROMPTS})
    else:
        configure(train=train, model={"backbone": "./new", "prompts": PROMPTS})
    assert comp("split")[0] == 0
    finished = comp_ranks("train", "name=two")
    assert finished.returncode == 0, finished.stderr
    status, _, err = comp("train", "name=one", "train.processes=1")
    assert status == 0, err
    np.testing.assert_allclose(probabilities("two"), probabilities("one"), rtol=0, atol=1e-5)


@register("loss", "cut_once")
def cut_once(settings: Train, class_weights: torch.Tensor | None) -> Loss:
    """Ends the program in the middle of the second epoch, once."""
    whole, calls = cross_entropy(settings, class_weights), iter(range(1000))

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if next(calls) == 6 and not Path("resumed").exists():
            raise KeyboardInterrupt
        return whole(logits, targets)

    return loss


@pytest.mark.parametrize("head", ["prompts", "linear"])
def test_killed_and_resumed_is_the_same_as_never_killed(head, fit_fold, capsys):
    """Which prompt comes next is part of the state."""
    model = {"head": head, "prompts": [*PROMPTS, "{}"], "backbone": "./new"}
    options = {"model": model, "train": {**ALL_AT_ONCE, "loss": "cut_once", "save_every": "1 update"}}
    with pytest.raises(KeyboardInterrupt):
        fit_fold(**options)
    Path("resumed").touch()
    shutil.copytree("runs/fit0", "runs/fit1")
    capsys.readouterr()
    resumed, _ = fit_fold(**options)
    assert "resume  runs/fit1 after epoch 1 and" in capsys.readouterr().out
    undisturbed, _ = fit_fold(**options)
    state = resumed.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in undisturbed.state_dict().items())


@pytest.mark.parametrize("what", [["*"], 1])
@pytest.mark.parametrize("head", ["prompts", "linear"])
def test_a_linear_probe_and_frozen_layers_are_trained_on_kept_features(head, what, fit_fold):
    settings = {"model": {"head": head, "prompts": PROMPTS}, **EXACT}
    train = {"epochs": 2, "lr": 1e-3, "freeze": what}
    whole, _ = fit_fold(train=train, **settings)
    kept, _ = fit_fold(train={**train, "cache_frozen": 1}, **settings)
    state = kept.state_dict()
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(state[name], tensor, atol=2e-3, rtol=0, msg=name)


@pytest.mark.release  # parts of one network are compared in vision/training/test_fsdp.py
def test_parts_of_both_towers_learn_what_the_whole_ones_learn(competition, configure, comp):
    model = {"backbone": "./new", "prompts": PROMPTS}
    configure(name="parts", model=model, train={**ALL_AT_ONCE, "lr": 1e-4}, folds={"kind": "holdout", "holdout": 0.4})
    comp("split")
    launcher = yaml.safe_load((SOURCE.parent / "conf/launch/multi-node-fsdp.yaml").read_text(encoding="utf-8"))
    Path("fsdp.yaml").write_text(yaml.safe_dump({**launcher, "num_machines": 1, "main_process_port": 0}))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "fsdp.yaml", "-m", "comp", "train"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, timeout=480, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    status, _, err = comp("train", "name=whole")
    assert status == 0, err
    parts, whole = weights("parts"), weights("whole")
    assert parts.keys() == whole.keys()
    assert all(torch.allclose(parts[name].float(), whole[name].float(), atol=1e-3) for name in whole)
    np.testing.assert_allclose(probabilities("parts"), probabilities("whole"), atol=5e-3)


def test_contrast_points_each_class_at_all_of_its_images():
    """Its optimum in the second half: a class divides itself equally among its images."""
    loss = label_contrast(Train(label_smoothing=0.0), None)
    y = torch.eye(3)[[0, 0, 1, 1, 1]]  # the third class is in no image
    logits = torch.zeros(5, 3, requires_grad=True)
    optimizer = torch.optim.SGD([logits], 2.0)
    for _ in range(1000):
        optimizer.zero_grad()
        loss(logits, y).backward()
        optimizer.step()
    to_image = softmax(logits.detach(), dim=0)
    torch.testing.assert_close(to_image[:2, 0], torch.full((2,), 0.5), atol=1e-2, rtol=0)
    torch.testing.assert_close(to_image[2:, 1], torch.full((3,), 1 / 3), atol=1e-2, rtol=0)
    assert softmax(logits.detach(), dim=1)[torch.arange(5), y.argmax(1)].min() > 0.99


def test_the_contrast_asks_the_device_for_no_value():
    """A GPU would be waited for in each step. Tensors on no device have none to give."""
    logits, y = torch.zeros(5, 3, device="meta", requires_grad=True), torch.zeros(5, 3, device="meta")
    label_contrast(Train(), None)(logits, y).backward()


def test_gradient_checkpoints_change_nothing(fit_fold):
    plain, _ = fit_fold(train={"lr": 1e-3}, **EXACT)
    checked, _ = fit_fold(train={"lr": 1e-3, "grad_checkpointing": True}, **EXACT)
    state = checked.state_dict()
    assert all(torch.allclose(tensor, state[name], atol=1e-6) for name, tensor in plain.state_dict().items())
