"""Soups: the mean of weights within a fold, for runs that belong together; a soup predicts like any run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from comp.config import load_config
from comp.runs.predictions import read_predictions
from comp.vision.batches import EvalDataset
from comp.vision.data.competition import open_competition
from comp.vision.ensemble.soup import mean_weights
from comp.vision.model import load_checkpoint
from comp.vision.pixels import Evaluation

MEMBERS = "soup.members=[small,twin]"


@pytest.fixture
def twin(trained):
    """`runs/twin`: the trained run `small` with other weights, as another seed would have."""
    shutil.copytree("runs/small", "runs/twin")
    for path in Path("runs/twin").glob("fold*/best.safetensors"):
        change(path, lambda name, tensor: tensor + 0.02 * torch.randn(tensor.shape) if "weight" in name else tensor)
    return trained


def change(path: Path, how) -> None:
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    torch.manual_seed(0)
    save_file({name: how(name, tensor) for name, tensor in load_file(path).items()}, path, metadata=facts)


def weights(run: str, fold: int = 0) -> dict[str, torch.Tensor]:
    return load_file(f"runs/{run}/fold{fold}/best.safetensors")


def p_of(run: str, table: str = "oof") -> np.ndarray:
    predictions, targets, _ = read_predictions(Path(f"runs/{run}/{table}.parquet"))
    return predictions[targets.columns].to_numpy()


def test_the_mean_of_weights_leaves_counters_alone():
    first, second = (torch.nn.BatchNorm1d(3) for _ in range(2))
    second.weight.data += 1
    second.num_batches_tracked += 7
    mean = mean_weights([first, second])
    assert torch.equal(mean["weight"], torch.full((3,), 1.5))
    assert mean["num_batches_tracked"] == 0


def test_a_soup_has_the_mean_weights_of_each_fold_and_measures_its_batch_statistics_anew(twin, comp):
    status, out, err = comp("soup", MEMBERS, "name=soup")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == f"next    comp submit '{MEMBERS}' name=soup"
    for fold in (0, 1):
        small, other, mean = weights("small", fold), weights("twin", fold), weights("soup", fold)
        names = [name for name in mean if mean[name].is_floating_point() and "running" not in name]
        assert all(torch.allclose(mean[name], (small[name] + other[name]) / 2, atol=1e-6) for name in names)
        measured = [name for name in mean if name.endswith("running_var")]
        assert any(not torch.allclose(mean[name], (small[name] + other[name]) / 2, rtol=0.01) for name in measured)
    assert not torch.equal(weights("soup", 0)["head.weight"], weights("soup", 1)["head.weight"])


def test_batch_statistics_of_a_soup_are_those_of_its_activations(twin, comp, configure):
    """The first batch norm sees the training rows of its fold: their mean activation is its statistic."""
    assert comp("soup", MEMBERS, "name=soup", "predict.batch_size=18")[0] == 0
    config = load_config(Path("runs/soup/config.yaml"))
    model, _ = load_checkpoint(config.model, Path("runs/soup/fold0/best.safetensors"))
    competition = open_competition(config, quiet=True)
    images = (
        EvalDataset(competition.samples("train", None), Evaluation("squash", 16))
        .__getitems__(competition.rows(0)[0].tolist())
        .images
    )
    name, norm = next((n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model.eval()(images)
    assert torch.allclose(seen[0].mean(dim=(0, 2, 3)), norm.running_mean, atol=1e-4), name


def test_a_soup_is_a_run_that_predicts_again_and_can_be_made_again(twin, comp):
    assert comp("soup", MEMBERS, "name=soup")[0] == 0
    before = [p_of("soup", table) for table in ("oof", "test")]
    metrics = json.loads(Path("runs/soup/metrics.json").read_text())
    assert metrics["combines"]["members"] == ["small", "twin"]
    assert comp("predict", "name=soup")[0] == 0
    assert json.loads(Path("runs/soup/metrics.json").read_text())["combines"] == metrics["combines"]
    assert comp("soup", MEMBERS, "name=soup")[0] == 0
    assert all(np.allclose(p_of("soup", t), b, atol=1e-5) for t, b in zip(("oof", "test"), before, strict=True))
    assert not np.allclose(before[0], p_of("small"), atol=1e-4)
    assert comp("submit", "name=soup")[0] == 0
    assert comp("report", "name=soup")[0] == 0
    assert "runs/soup is made of other runs" in comp("train", "name=soup")[2]


def test_what_is_unscored_stays_so_when_it_is_predicted_again(trained, comp):
    path = Path("runs/small/metrics.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "unscored": "its teachers saw the rows"}))
    assert comp("predict", "predict.views=[hflip]")[0] == 0
    assert json.loads(path.read_text())["unscored"] == "its teachers saw the rows"


def test_with_an_unscored_member_the_soup_is_unscored(twin, comp):
    metrics = Path("runs/twin/metrics.json")
    metrics.write_text(json.dumps({**json.loads(metrics.read_text()), "unscored": "it saw too much"}))
    status, out, err = comp("soup", MEMBERS, "name=soup")
    assert (status, err) == (0, "")
    assert "cv      unscored: a member is unscored: it saw too much" in out


def test_a_soup_of_a_student_flatters_as_its_teacher_does(twin, comp):
    metrics = Path("runs/twin/metrics.json")
    metrics.write_text(json.dumps({**json.loads(metrics.read_text()), "flatters": "it learned from …"}))
    assert comp("soup", MEMBERS, "name=soup")[0] == 0
    assert json.loads(Path("runs/soup/metrics.json").read_text())["flatters"] == "a member flatters: it learned from …"


def test_a_soup_of_twice_the_same_run_is_that_run(trained, comp):
    shutil.copytree("runs/small", "runs/twin")
    assert comp("soup", MEMBERS, "name=soup")[0] == 0
    small, soup = weights("small"), weights("soup")
    assert all(torch.equal(small[name], soup[name]) for name in small if "running" not in name and "num" not in name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["soup.members=[small]", "name=soup"], "soup.members needs two runs or more"),
        ([MEMBERS], "name= another name than theirs"),
        (["soup.members=[small,gone]", "name=soup"], "there is no run runs/gone"),
    ],
)
def test_wrong_members_are_refused_in_one_line(twin, comp, words, message):
    status, _, err = comp("soup", *words)
    assert (status, err.count("\n")) == (1, 1)
    assert message in err


def test_other_architectures_are_refused(twin, comp):
    path = Path("runs/twin/config.yaml")
    path.write_text(path.read_text().replace("backbone: test_resnet", "backbone: test_vit"))
    status, _, err = comp("soup", MEMBERS, "name=soup")
    assert (status, err) == (1, "error: runs/twin and runs/small differ in model.backbone: they cannot be averaged\n")
    assert not Path("runs/soup").exists()


def test_other_folds_are_refused(twin, comp):
    Path("runs/twin/folds.txt").write_text("0123456789abcdef\n")
    assert "differ in folds.csv" in comp("soup", MEMBERS, "name=soup")[2]
    shutil.copy("runs/small/folds.txt", "runs/twin/folds.txt")
    (Path("runs/twin/fold1") / "metrics.json").unlink()
    assert "differ in the folds that are trained" in comp("soup", MEMBERS, "name=soup")[2]


def test_a_soup_never_takes_the_place_of_another_run(twin, comp):
    shutil.copytree("runs/small", "runs/other")
    status, _, err = comp("soup", MEMBERS, "name=other")
    assert (status, err.count("\n")) == (1, 1)
    assert "runs/other is another run" in err


def test_what_a_soup_had_before_is_gone_once_it_is_made_of_others(twin, comp):
    """One fold fewer, with the folds that there are now: nothing of the older soup is counted."""
    assert comp("soup", MEMBERS, "name=soup")[0] == 0
    for name in ("small", "twin"):
        shutil.rmtree(f"runs/{name}/fold1")
    Path("runs/soup/folds.txt").write_text("0123456789abcdef\n")
    Path("runs/soup/metrics.json").unlink()  # nor does it matter that it was stopped
    status, _, err = comp("soup", MEMBERS, "name=soup")
    assert (status, err) == (0, "")
    assert not Path("runs/soup/fold1").exists()
    assert json.loads(Path("runs/soup/metrics.json").read_text())["folds"] == 1


def test_of_members_of_other_folds_no_soup_is_made_and_the_one_that_is_there_stays(twin, comp):
    Path("runs/soup").mkdir()
    shutil.copy("runs/small/config.yaml", "runs/soup")
    shutil.copy("runs/small/made_with.json", "runs/soup")
    config = Path("runs/soup/config.yaml")
    config.write_text(config.read_text().replace("soup:\n  members: []", "soup:\n  members: [small, twin]"))
    assert comp("split", "folds.seed=7", "--force")[0] == 0
    status, _, err = comp("soup", MEMBERS, "name=soup", "folds.seed=7")
    assert (status, err.count("\n")) == (1, 1)
    assert "runs/small was trained with other folds than folds.csv has now: train the members again" in err
    assert config.is_file()


def test_a_trained_run_whose_configuration_names_members_is_no_soup(twin, comp):
    shutil.copytree("runs/small", "runs/other")
    config = Path("runs/other/config.yaml")
    config.write_text(config.read_text().replace("soup:\n  members: []", "soup:\n  members: [small, twin]"))
    for gone in ("metrics.json", "oof.parquet"):
        assert "runs/other is another run" in comp("soup", MEMBERS, "name=other")[2]
        Path("runs/other", gone).unlink()
    assert Path("runs/other/fold0/best.safetensors").is_file()


def test_a_soup_sees_images_as_its_members_were_trained_and_says_how_it_predicted(twin, comp):
    paths = [Path(f"runs/{name}/config.yaml") for name in ("small", "twin")]
    paths[0].write_text(paths[0].read_text().replace("resize: squash", "resize: crop"))
    assert "differ in predict.resize" in comp("soup", MEMBERS, "name=soup")[2]
    paths[1].write_text(paths[1].read_text().replace("resize: squash", "resize: crop"))
    assert comp("soup", MEMBERS, "name=soup", "predict.views=[hflip]")[0] == 0  # conf/ says squash
    predict = load_config(Path("runs/soup/config.yaml")).predict
    assert (predict.resize, predict.views) == ("crop", ["hflip"])
    assert json.loads(Path("runs/soup/fold0/metrics.json").read_text())["predict"]["resize"] == "crop"
