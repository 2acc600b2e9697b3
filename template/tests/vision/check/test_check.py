"""comp check: planted faults are told, sound data is let go, and nothing is told that is not there."""

import shutil

import numpy as np
import pandas as pd
import pytest
import timm
from PIL import Image, ImageEnhance
from safetensors.torch import save_file
from vision.check.planted import TRAIN, write_sound
from vision.folds.test_duplicates import scene
from vision.small import SMALL
from vision.weak_evidence import PATTERN, write_rows

from comp.tasks import commands_of


@pytest.fixture
def sound(repo):
    """The training table of the sound competition in data/."""
    return write_sound(repo / "data")


def page(repo):
    return (repo / "data" / "check.html").read_text(encoding="utf-8")


def sentence(out):
    return next(line for line in out.splitlines() if line.startswith("check   "))


def test_sound_data_is_let_go(sound, repo, configure, comp):
    configure()
    status, out, err = comp("check")
    assert (status, err) == (0, "")
    assert sentence(out) == "check   Go: nothing was found that keeps you from training"
    assert out.splitlines()[-2:] == [
        "wrote   data/check.html",
        f"next    comp {commands_of(SMALL['task'])['check'].next}",
    ]
    assert "drift   by pixels: AUC 0." in out
    assert "gifts   none of " in out
    text = page(repo)
    assert '<p class="sentence good">Go: ' in text
    assert all(f"<h2>{title}</h2>" in text for title in ("Classes", "Columns", "Images", "Train and test", "Folds"))
    assert len(text) < 5e6


def test_split_remembers_what_was_seen(sound, repo, configure, comp, monkeypatch):
    configure()
    assert comp("check")[0] == 0
    monkeypatch.setattr("comp.vision.folds.looks.decode", None)
    status, out, _ = comp("run", "steps=[check,split]")
    assert status == 0
    assert "wrote   data/check.html" in out
    assert (repo / "data" / "folds.csv").exists()


def test_a_column_that_tells_the_target_is_named(sound, repo, configure, comp):
    rng = np.random.default_rng(0)
    dose = (sound["label"] == "owl") * 2.0 + rng.normal(0, 0.1, len(sound))
    sound.assign(dose=dose.round(4)).to_csv(repo / "data" / "train.csv", index=False)
    configure()
    status, out, _ = comp("check")
    assert status == 0
    assert "'dose' alone predicts the target: AUC 0.9" in sentence(out)
    assert "of 'owl'" in sentence(out)
    assert "test rows lack it: a leak" in sentence(out)
    test = pd.read_csv(repo / "data" / "test.csv", dtype=str)
    test.assign(dose=rng.normal(0.4, 0.8, len(test)).round(4)).to_csv(repo / "data" / "test.csv", index=False)
    _, out, _ = comp("check")
    assert "a leak, or a gift ('model.metadata=[dose]'" in sentence(out)
    assert "'age' alone predicts" not in page(repo)


def test_ids_in_the_order_of_the_labels_are_told_where_test_ids_stand_between_them(repo, configure, comp):
    labels = np.repeat(["a", "b"], TRAIN // 2)
    train = write_sound(repo / "data", label=labels)
    every = sorted([*train["id"], *pd.read_csv(repo / "data/test.csv")["id"]])
    names = [f"n{number:04d}" for number in range(len(every))]
    taken = iter([name for number, name in enumerate(names) if number % 3])  # every third is a test id
    rest = iter([name for number, name in enumerate(names) if not number % 3])
    for split, pool in (("train", taken), ("test", rest)):
        table = pd.read_csv(repo / "data" / f"{split}.csv", dtype=str)
        new = [next(pool) for _ in range(len(table))]
        for old, name in zip(table["id"], new, strict=True):
            (repo / "data" / split / f"{old}.png").rename(repo / "data" / split / f"{name}.png")
        table.assign(id=new).to_csv(repo / "data" / f"{split}.csv", index=False)
    sample = pd.read_csv(repo / "data/test.csv", dtype=str)[["id"]].assign(label="a")
    sample.to_csv(repo / "data/sample_submission.csv", index=False)
    configure()
    _, out, _ = comp("check")
    assert "'order of the ids' alone predicts the target" in sentence(out)
    assert "test ids stand between them" in sentence(out)


def test_labels_in_ids_are_told_and_class_folders_are_not(sound, repo, configure, comp):
    train = repo / "data" / "train"
    names = [f"{label}_{name}" for label, name in zip(sound["label"], sound["id"], strict=True)]
    for old, name in zip(sound["id"], names, strict=True):
        (train / f"{old}.png").rename(train / f"{name}.png")
    sound.assign(id=names).to_csv(repo / "data" / "train.csv", index=False)
    configure()
    assert "100% of the rows have their label in 'id'" in sentence(comp("check")[1])
    (repo / "data" / "train.csv").unlink()
    for label, name in zip(sound["label"], names, strict=True):
        (train / label).mkdir(exist_ok=True)
        (train / f"{name}.png").rename(train / label / f"{name.partition('_')[2]}.png")
    status, out, _ = comp("check", "data.test=test")
    assert status == 0
    assert sentence(out).startswith("check   Go")


@pytest.mark.parametrize(
    ("change", "family", "feature"),
    [
        (lambda image: ImageEnhance.Brightness(image).enhance(0.6), "pixels", "brightness"),
        (lambda image: image.resize((44, 33)), "files", "width"),
        (lambda image: image.convert("RGBA"), "files", "mode"),
    ],
)
def test_a_drifted_test_set_is_told_and_by_what(sound, repo, configure, comp, change, family, feature):
    for path in (repo / "data" / "test").glob("*.png"):
        change(Image.open(path)).save(path)
    configure()
    status, out, _ = comp("check")
    assert status == 0
    assert "train and test" in sentence(out)
    assert f"by their {family}" in sentence(out)
    assert f'<td class="text">{feature}</td>' in page(repo)
    assert "Test images least like training images" in page(repo)


def test_a_column_that_drifts_is_told_and_one_that_counts_rows_is_not(sound, repo, configure, comp):
    for split, start in (("train", 0), ("test", TRAIN)):
        table = pd.read_csv(repo / "data" / f"{split}.csv", dtype=str)
        numbers = np.arange(start, start + len(table))
        table.assign(row=numbers, time=numbers).to_csv(repo / "data" / f"{split}.csv", index=False)
    configure()
    assert sentence(out := comp("check")[1]).startswith("check   Go")
    assert "rows lack" not in out
    test = pd.read_csv(repo / "data" / "test.csv", dtype=str)
    test.assign(age=np.arange(len(test)) % 20).to_csv(repo / "data" / "test.csv", index=False)
    assert "by their columns: AUC" in sentence(out := comp("check")[1])
    assert "(most by 'age')" in sentence(out)


@pytest.mark.parametrize("seed", range(2))
def test_a_random_share_of_one_set_is_no_drift(repo, configure, comp, seed):
    """The test rows are drawn from the training rows, sizes and columns with them."""
    train = write_sound(repo / "data")
    test = pd.read_csv(repo / "data" / "test.csv", dtype=str)
    every = pd.concat([train, test]).sample(frac=1, random_state=seed)
    for split, table in (("train", every[:TRAIN]), ("test", every[TRAIN:])):
        for name in table["id"]:
            for path in (repo / "data").glob(f"t*/{name}.png"):
                path.rename(repo / "data" / split / path.name)
        kept = table.assign(label=table["label"].fillna("cat")) if split == "train" else table.drop(columns="label")
        kept.to_csv(repo / "data" / f"{split}.csv", index=False)
    test = pd.read_csv(repo / "data" / "test.csv", dtype=str)[["id"]].assign(label="cat")
    test.to_csv(repo / "data" / "sample_submission.csv", index=False)
    configure()
    assert "by their" not in sentence(comp("check")[1])


def test_duplicates_with_other_labels_and_in_the_test_set_are_told_and_shown(sound, repo, configure, comp):
    ids, data = list(sound["id"]), repo / "data"
    shutil.copy(data / f"train/{ids[0]}.png", data / f"train/{ids[1]}.png")  # the same
    scene(2, (80, 60)).save(data / f"train/{ids[2]}.png")
    scene(2, (80, 60)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(data / f"train/{ids[3]}.png")
    first = pd.read_csv(data / "test.csv", dtype=str)["id"][0]
    shutil.copy(data / f"train/{ids[4]}.png", data / f"test/{first}.png")
    labels = ["cat", "dog", "owl", "owl", *sound["label"][4:]]
    sound.assign(label=labels).to_csv(data / "train.csv", index=False)
    configure()
    status, out, _ = comp("check")
    assert status == 0
    assert f"1 pair of duplicates has different labels (1 with the very same pixels), such as {ids[0]!r}" in out
    assert f"1 test rows (1.7 %) repeat training images, or nearly, such as {ids[4]!r} and {first!r}" in out
    text = page(repo)
    assert f"<span>{ids[0]} | {ids[1]}</span><span>cat | dog</span><span>the same pixels</span>" in text
    assert f"<span>{ids[2]} | {ids[3]}</span><span>owl | owl</span><span>alike: 1.000</span>" in text
    assert f"<span>{ids[4]} | {first}</span>" in text


def test_a_page_of_many_duplicates_stays_small(sound, repo, configure, comp):
    ids, data = list(sound["id"]), repo / "data"
    for one, other in zip(ids[:60], ids[60:], strict=True):
        shutil.copy(data / f"train/{one}.png", data / f"train/{other}.png")
    configure()
    assert comp("check")[0] == 0
    assert page(repo).count("data:image/jpeg") <= 60


def test_an_unreadable_image_is_an_error_or_dropped(sound, repo, configure, comp):
    (repo / "data" / "train" / f"{sound['id'][0]}.png").write_bytes(b"no image")
    configure()
    status, out, err = comp("check")
    assert status == 1
    assert err.startswith("error: unreadable images: data/train/")
    assert "data.on_bad_image=drop" in err
    assert sentence(out).startswith("check   Stop: unreadable images")
    assert out.splitlines()[-1] == "wrote   data/check.html"
    assert '<p class="sentence stop">' in page(repo)
    status, out, _ = comp("check", "data.on_bad_image=drop")
    assert status == 0
    assert "1 images cannot be read" in sentence(out)


def test_what_split_refuses_is_an_error(sound, repo, configure, comp):
    configure()
    sample = pd.read_csv(repo / "data" / "sample_submission.csv", dtype=str)
    sample.iloc[1:].to_csv(repo / "data" / "sample_submission.csv", index=False)
    status, out, err = comp("check")
    assert status == 1
    assert "error: the sample submission does not fit the test rows" in err
    assert "Stop: the sample submission" in sentence(out)
    sample.to_csv(repo / "data" / "sample_submission.csv", index=False)
    status, _, err = comp("check", "data.group=site", "folds.n=4")
    assert (status, "too few for 4 folds" in err) == (1, True)
    assert comp("split")[0] == 0
    status, _, err = comp("check", "folds.n=3")
    assert (status, "the configuration asks for folds.n=3" in err) == (1, True)


def test_no_page_of_before_is_left_where_the_tables_cannot_be_read(sound, repo, configure, comp):
    configure()
    assert comp("check")[0] == 0
    sound.assign(label="").to_csv(repo / "data" / "train.csv", index=False)
    status, _, err = comp("check")
    assert (status, err.count("\n")) == (1, 1)
    assert "have no label" in err
    assert not (repo / "data" / "check.html").exists()


NO_FORMULA = r"$\frac{$"  # a name that is none of matplotlib's
KINDS = {
    "binary": ({"label": np.arange(TRAIN) % 2}, {}),
    "multilabel": (
        {"label": [["rust scab", "rust", "scab", f"{NO_FORMULA} rust", NO_FORMULA][k % 5] for k in range(TRAIN)]},
        {},
    ),
    "regression": ({"label": np.random.default_rng(1).normal(size=TRAIN).round(4)}, {"metric": "rmse", "metrics": []}),
    "ordinal": (
        {"label": [["No", "Mild", "Severe"][k % 3] for k in range(TRAIN)]},
        {
            "data": {"classes": ["No", "Mild", "Severe"]},
            "train": {"loss": "corn"},
            "metric": "quadratic_kappa",
            "metrics": [],
        },
    ),
    "two numbers": (
        {NO_FORMULA: np.random.default_rng(1).normal(size=TRAIN), "y": np.random.default_rng(2).normal(size=TRAIN)},
        {"data": {"target": [NO_FORMULA, "y"]}, "metric": "rmse", "metrics": []},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_target_is_checked_and_a_leak_of_it_found(repo, configure, comp, kind):
    labels, settings = KINDS[kind]
    train = write_sound(repo / "data", **labels)
    configure(**{"metric": "accuracy" if kind == "binary" else "macro_f1", **settings})
    status, out, err = comp("check")
    assert (status, err) == (0, "")
    assert sentence(out).startswith("check   Go")
    column = pd.Series(next(iter(labels.values())))
    leak = column if pd.api.types.is_numeric_dtype(column) else pd.factorize(column)[0]
    train.assign(leak=leak).to_csv(repo / "data" / "train.csv", index=False)
    assert "'leak' alone predicts the target" in sentence(comp("check")[1])


def test_without_a_test_set_and_a_sample_submission(repo, configure, comp):
    write_sound(repo / "data", n_test=0)
    configure(data={"test": None})
    status, out, err = comp("check")
    assert (status, err) == (0, "")
    assert "drift   not compared: there is no test set" in out


def test_rows_of_several_images_are_checked(repo, configure, comp):
    write_rows(repo / "data")
    shutil.copy(repo / "data/train/tr000-1.png", repo / "data/train/tr001-1.png")
    configure(data={"path": PATTERN})
    status, out, err = comp("check")
    assert (status, err) == (0, "")
    assert "pair of duplicates has different labels" in out
    assert "images a row" in page(repo)


def test_groups_are_told_or_guessed(sound, repo, configure, comp):
    sound.assign(patient_id=[f"p{number // 4}" for number in range(TRAIN)]).to_csv(
        repo / "data" / "train.csv", index=False
    )
    configure()
    assert "set data.group=patient_id" in sentence(comp("check")[1])
    status, out, _ = comp("check", "data.group=patient_id")
    assert status == 0
    assert "groups  30 of 'patient_id', of 4 to 4 rows; 0 of them are in the test table too" in out


def test_features_of_a_backbone_whose_weights_are_here(sound, repo, configure, comp):
    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), repo / "weights.safetensors")
    for path in (repo / "data" / "test").glob("*.png"):
        ImageEnhance.Color(Image.open(path)).enhance(0.3).save(path)
    configure(model={"weights": "weights.safetensors"})
    status, out, err = comp("check")
    assert (status, err) == (0, "")
    assert "by features: AUC" in out
    status, out, _ = comp("check", "model.weights=null")
    assert "by a backbone's features: not compared: no weights of test_resnet" in out
