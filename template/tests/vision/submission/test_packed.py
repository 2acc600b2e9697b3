"""`comp kaggle package` of a trained run: what goes along, and what its notebook predicts of rows never seen."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from vision.small import picture

from comp.config import load_config
from comp.kaggle.packing import dry_run as room
from comp.kaggle.packing.pack import Package

BROUGHT = ["accelerate", "iterative-stratification", "narwhals", "timm"]  # else pip would ask an index; no LightGBM
WORDS = ["kaggle", "package", "kaggle.competition=digits", "kaggle.owner=somebody"]


@pytest.fixture
def package(trained, comp):
    """`package("key=value")`: the command's status, output and errors; the image has all that is imported."""
    image = json.dumps([*load_config(Path("conf/baseline.yaml")).kaggle.image, *BROUGHT])
    return lambda *words: comp(*WORDS, f"kaggle.image={image}", "kaggle.wheels=[]", *words)


def test_the_folds_that_are_used_go_along_and_the_notebook_predicts_hidden_rows(package, comp, monkeypatch):
    status, out, err = package("folds=[1]")
    assert (status, err) == (0, "")
    assert "next    kaggle datasets create -p kaggle/small/dataset -r zip" in out
    dataset = Path("kaggle/small/dataset")
    packed = {path.relative_to(dataset).as_posix() for path in dataset.rglob("*") if path.is_file()}
    assert {name for name in packed if name.startswith("runs/")} == {
        "runs/small/config.yaml",
        "runs/small/made_with.json",
        "runs/small/metrics.json",
        "runs/small/fold1/best.safetensors",
        "runs/small/fold1/metrics.json",
    }
    assert not [name for name in packed if name.endswith((".parquet", ".pt", ".csv", ".png", ".whl"))]
    assert "src/comp/vision/training/train.py" not in packed
    kernel = json.loads(Path("kaggle/small/notebook/kernel-metadata.json").read_text(encoding="utf-8"))
    assert (kernel["enable_internet"], kernel["dataset_sources"]) == (False, ["somebody/digits-small"])

    colors = ["blue", "red", "green", "red", "blue"]
    for number, color in enumerate(colors):
        Path("hidden/test").mkdir(parents=True, exist_ok=True)
        picture(color, 700 + number).save(f"hidden/test/h{number}.png")
    ids = [f"h{number}" for number in (4, 2, 0, 1, 3)]
    pd.DataFrame({"id": ids, "label": "red"}).to_csv("hidden/sample_submission.csv", index=False)
    monkeypatch.setattr(room, "LAYOUTS", dict(list(room.LAYOUTS.items())[:1]))
    config = load_config(Path("conf/baseline.yaml"), ["kaggle.wheels=[]"])
    settings = config.kaggle.model_copy(update={"image": [*config.kaggle.image, *BROUGHT]})
    room.dry_run(Package(Path("kaggle/small"), "somebody", "digits", "digits-small", []), Path("hidden"), settings)
    log = Path("kaggle/small/dry_run.log").read_text(encoding="utf-8")
    assert comp("predict", "--images", "hidden/test", "--out", "said.csv", "data.root=hidden", "folds=[1]")[0] == 0
    said = pd.read_csv("said.csv").set_index("id")["label"]
    assert "\n".join(["id,label", *(f"{name},{said[name]}" for name in ids[:4])]) in log
    assert "5 images, 3 probabilities, by 1 models" in log


def test_what_would_fail_on_kaggle_is_refused_before(package, monkeypatch):
    monkeypatch.setenv("KAGGLE_KEY", "f00dfeedf00dfeed")
    assert "kaggle.dataset_gb is 1e-06: " in package("kaggle.dataset_gb=0.000001")[2]
    config = Path("runs/small/config.yaml")
    text = config.read_text(encoding="utf-8")
    config.write_text(f"# f00dfeedf00dfeed\n{text}", encoding="utf-8")
    assert "would take a token or a key of yours along" in package()[2]
    assert not list(Path("kaggle/small").iterdir())
    config.write_text(text, encoding="utf-8")
    Path("runs/small/fold1/best.safetensors").unlink()
    assert "runs/small/fold1/best.safetensors is missing" in package()[2]
    assert "has none of the folds 7" in package("folds=[7]")[2]


def test_a_plain_mean_is_packed_and_what_is_fitted_is_not(package, comp):
    shutil.copytree("runs/small", "runs/other")
    config = Path("runs/other/config.yaml")
    config.write_text(config.read_text(encoding="utf-8").replace("name: small", "name: other", 1), encoding="utf-8")
    members = "blend.members=[small,other]"
    words = ["name=both", members, "metric=macro_f1"]  # its members were trained by another
    assert comp("blend", *words)[0] == 0
    status, out, err = package(*words)
    assert (status, err) == (0, "")
    assert "packed  small (2 folds), other (2 folds)" in out
    listed = json.loads(Path("kaggle/both/dataset/comp-package.json").read_text(encoding="utf-8"))
    assert listed["runs"] == ["small", "other"]
    written_as = load_config(Path("kaggle/both/dataset/conf/small.yaml"))  # labels or probabilities: by this metric
    assert written_as.metric == "macro_f1"
    elsewhere = ["name=both", "blend.members=[small,mate/other]"]
    shutil.copytree("runs/other", "mate/other")
    assert comp("blend", *elsewhere)[0] == 0
    assert "mate/other of the blend is no run of this repository" in package(*elsewhere)[2]
    assert comp("blend", "name=ranked", "blend.kind=rank", members)[0] == 0
    assert "ranked is a rank of 'small', 'other'" in package("name=ranked", members)[2]


@pytest.mark.parametrize("key", ["data.test", "data.sample_submission"])
def test_a_path_of_this_machine_is_refused_with_the_way_out(package, repo, key):
    place = repo / "data" / {"data.test": "test", "data.sample_submission": "sample_submission.csv"}[key]
    status, _, err = package(f"{key}={place}")
    assert (status, err.count("\n")) == (1, 1)
    assert f"{key}={place}: a notebook has the competition's folder alone: name it as it is called within" in err
