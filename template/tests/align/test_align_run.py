"""From files to a scored submission, and what the other commands make of a run."""

import csv
import json
import shutil
import tracemalloc
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from align.small import IMAGE, TESTS, arrays, configured, write

from comp.align.baselines.compare import baseline_scores, fitted
from comp.align.data.pairs import EMBEDDING, open_competition, split
from comp.align.data.sample_submission import vectors_of
from comp.align.ranking.metrics import scores
from comp.align.ranking.retrieval import unit
from comp.align.submission.submit import submit
from comp.runs import predictions
from comp.runs.predictions import read_predictions, values_of, write_predictions
from comp.runs.rundir import RunDir

CUSTOM = "comp.align.custom" if find_spec("comp.align.custom") else "comp.custom"  # as a repository has it


@pytest.fixture
def data(repo):
    return write(repo / "data", *arrays())


@pytest.fixture
def trained(data, comp):
    """`trained("a", seed=1)` trains a run of that name; the first makes the folds."""

    def call(name="small", **sections):
        configured(name=name, **sections)
        assert comp("split")[0] == 0
        assert comp("train")[0] == 0
        return RunDir.of_name(name)

    return call


@pytest.fixture
def predicted(data, repo):
    """`predicted(vectors)` is a run whose test predictions are these."""

    def call(vectors, ids=None):
        table = pd.DataFrame({"id": [f"t{row}" for row in range(len(vectors))] if ids is None else ids})
        write_predictions(
            repo / "runs/small/test.parquet", predictions.test_table(table, vectors, EMBEDDING), EMBEDDING, "folds"
        )
        return vectors

    return call


def submission():
    rows = vectors_of(Path("submissions/small.csv"))
    header = next(rows)[0]
    return header, dict(rows)


def test_run_goes_from_files_to_a_scored_submission(data, comp):
    configured(train={"epochs": 20}, steps=["split", "train", "submit", "score", "verify", "report"])
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    mrr = float(out.split("score   mrr ")[1].split()[0])
    assert mrr > 0.6  # of 20 images; by chance 0.18
    page = Path("runs/small/report.html").read_text(encoding="utf-8")
    assert all(title in page for title in ("Beside simple baselines", "By gallery", "Distances", "data:image/png"))
    assert "ridge" in out.split("on the solution")[1]
    metrics = json.loads(Path("runs/small/metrics.json").read_text(encoding="utf-8"))
    assert metrics["distances"]["cosine"]["improvement_percent"]["shuffled"] > 20
    assert set(metrics["baselines"]) == {"mean", "ridge"}


def test_the_tables_hold_vectors_of_length_one_in_lists_of_fixed_size(trained):
    run = trained()
    assert pa.types.is_fixed_size_list(pq.read_schema(run.oof).field("embedding").type)
    oof, targets, _ = read_predictions(run.oof)
    assert targets == EMBEDDING
    assert list(oof.columns) == ["id", "fold", "target", "embedding"]
    assert list(oof["id"]) == [str(number) for number in range(1, 301)]
    test = values_of(read_predictions(run.test)[0], EMBEDDING)
    assert test.shape == (TESTS, IMAGE)
    assert np.allclose(np.linalg.norm(test, axis=1), 1, atol=1e-5)
    each = [values_of(read_predictions(run.fold(k) / "test.parquet")[0], EMBEDDING) for k in range(3)]
    mean = np.mean(each, axis=0)
    assert np.allclose(test, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-5)


def test_a_fold_is_scored_among_its_own_images_and_all_by_the_share_of_their_captions(trained):
    metrics = json.loads(trained().metrics.read_text(encoding="utf-8"))["scores"]["mrr"]
    competition = open_competition(configured(), quiet=True)
    sizes = [len(competition.rows(k)[1]) for k in range(3)]
    assert metrics["oof"] == pytest.approx(np.average(list(metrics["folds"].values()), weights=sizes))


def test_the_table_has_each_baseline_and_each_run_of_these_folds(trained, comp):
    trained("one")
    configured(name="two")
    _, out, _ = comp("train")
    table = out.split("mean over folds")[1]
    names = [line.split()[0] for line in table.splitlines()[1:] if line and not line.startswith("next")]
    assert sorted(names) == ["mean", "one", "ridge", "two"]
    known = json.loads(Path("data/baselines.json").read_text(encoding="utf-8"))
    assert sorted(known["scores"]["ridge"]) == ["0", "1", "2"]


def test_baselines_of_other_embeddings_under_the_same_ids_are_measured_anew(data, repo):
    config = configured()
    split(config)
    before = baseline_scores(config, open_competition(config, quiet=True), [0])
    assert baseline_scores(config, open_competition(config, quiet=True), [0]) == before
    write(repo / "data", *arrays(seed=1))
    after = baseline_scores(config, open_competition(config, quiet=True), [0])
    assert after["ridge"] != before["ridge"]
    (repo / "data/baselines.json").unlink()
    assert baseline_scores(config, open_competition(config, quiet=True), [0]) == after


def test_each_fold_is_ranked_once_for_all_metrics_and_tables(trained, monkeypatch):
    ranked = []

    def counted(names, *arrays, **settings):
        ranked.append(names)
        return scores(names, *arrays, **settings)

    monkeypatch.setattr("comp.align.training.train.scores", counted)
    trained(train={"epochs": 1})
    assert len(ranked) == 2 * 3  # as each fold ends, and for the run


def test_predict_says_again_what_training_said_and_of_no_other_captions(trained, comp, repo):
    run = trained()
    before = run.test.read_bytes(), run.oof.read_bytes()
    assert comp("predict")[0] == 0
    assert (run.test.read_bytes(), run.oof.read_bytes()) == before
    train, test, images = arrays()
    write(repo / "data", train, {name: values[:7] for name, values in test.items()}, images[:7])
    shutil.copy("data/test.npz", "data/later.npz")
    for words in ([], ["data.test=later.npz"]):
        status, _, err = comp("predict", *words)
        assert status == 1
        assert "runs/small has predicted its own 20 test rows" in err
        assert "--out FILE conf/baseline.yaml leaves them alone" in err
        assert len(err.splitlines()) == 1
    assert "comp predict --captions data/later.npz" in err
    assert (run.test.read_bytes(), run.oof.read_bytes()) == before


def test_other_captions_are_predicted_by_all_folds_and_the_run_stays_as_it_is(trained, comp):
    """As on the machine of a code competition: no training caption, no folds.csv."""
    run = trained()
    own = values_of(read_predictions(run.test)[0], EMBEDDING)
    shutil.move("data/test.npz", "hidden.npz")
    shutil.rmtree("data")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in Path("runs").rglob("*.*")}
    for suffix in ("csv", "parquet", "npz"):
        status, out, err = comp("predict", "--captions", "hidden.npz", "--out", f"said.{suffix}")
        assert (status, err) == (0, "")
        assert f"wrote   said.{suffix}: 20 captions, by 3 models" in out
    table, targets, _ = read_predictions(Path("said.parquet"))
    rows = vectors_of(Path("said.csv"))
    assert next(rows)[0] == ["id", "embedding"]
    ids, vectors = zip(*rows, strict=True)
    with np.load("said.npz") as file:
        assert file["captions/ids"].tolist() == table["id"].tolist() == list(ids) == [f"t{n}" for n in range(TESTS)]
        for found in (values_of(table, targets), np.array(vectors), file["images/embeddings"]):
            np.testing.assert_allclose(found, own, rtol=0, atol=1e-6)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in Path("runs").rglob("*.*")} == before
    assert not Path("data").exists()


def test_captions_that_cannot_be_predicted_are_one_line(trained, comp):
    run = trained()
    texts = arrays()[1]["captions/embeddings"]
    np.savez("narrow.npz", **{"captions/embeddings": texts[:, :5]})
    np.savez("bad.npz", **{"captions/embeddings": np.where(np.arange(TESTS)[:, None] == 3, np.nan, texts)})
    for words, message in (
        (["--out", "x.csv"], "name their npz with --captions"),
        (["--captions", "data/test.npz"], "--out is missing"),
        (["--captions", "data/test.npz", "--out", "x.txt"], "end it with .csv, .parquet or .npz"),
        (["--captions", "nowhere.npz", "--out", "x.csv"], "nowhere.npz does not exist"),
        (["--captions", "narrow.npz", "--out", "x.csv"], "was trained on texts of 12 numbers, these have 5"),
        (["--captions", "bad.npz", "--out", "x.csv"], "1 are not finite (ids '4'): data.on_bad_row=drop omits them"),
    ):
        status, _, err = comp("predict", *words)
        assert status == 1
        assert message in err
        assert len(err.splitlines()) == 1
        assert not Path("x.csv").exists()
    status, out, _ = comp("predict", "--captions", "bad.npz", "--out", "x.csv", "data.on_bad_row=drop")
    assert status == 0
    assert "1 are not finite" in out
    assert len(list(vectors_of(Path("x.csv")))) == TESTS  # the header, and all but one
    shutil.copytree(run.path, "runs/twin")
    assert comp("blend", "name=both", "blend.members=[small,twin]")[0] == 0
    _, _, err = comp("predict", "--captions", "data/test.npz", "--out", "y.csv", "name=both")
    assert "runs/both is a blend of 'small', 'twin' and has no models of its own" in err
    shutil.copy("runs/small/fold0/best.safetensors", "runs/small/fold1/best.safetensors")
    _, _, err = comp("predict", "--captions", "data/test.npz", "--out", "y.csv")
    assert "is the model of fold 0" in err
    assert not Path("y.csv").exists()


def test_a_blend_is_the_mean_direction_of_its_members(trained, comp):
    runs = [trained("one"), trained("two", seed=1)]
    status, out, _ = comp("blend", "name=both", "blend.members=[one,two]")
    assert status == 0, out
    both = RunDir.of_name("both")
    for name in ("oof", "test"):
        each = [values_of(read_predictions(getattr(run, name))[0], EMBEDDING) for run in runs]
        mean = np.mean(each, axis=0)
        found = values_of(read_predictions(getattr(both, name))[0], EMBEDDING)
        if name == "oof":
            assert np.allclose(found, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-5)
        assert found.shape == mean.shape
    assert json.loads(both.metrics.read_text(encoding="utf-8"))["combines"]["members"] == ["one", "two"]
    assert comp("submit", "name=both")[0] == comp("report", "name=both")[0] == 0


def test_a_run_of_another_folder_joins_a_blend_under_that_name_and_no_trained_run_gives_way(trained, comp):
    trained("one")
    Path("mate").mkdir()
    shutil.copytree("runs/one", "mate/one")
    assert comp("blend", "name=both", "blend.members=[runs/one,mate/one]")[0] == 0
    combines = json.loads(Path("runs/both/metrics.json").read_text(encoding="utf-8"))["combines"]
    assert combines["members"] == ["one", "mate/one"]
    assert "'one' appear twice" in comp("blend", "name=both", "blend.members=[one,runs/one]")[2]
    assert "'mate/one', 'mate/one/' appear twice" in comp("blend", "name=both", "blend.members=[mate/one,mate/one/]")[2]
    for path in Path("runs/one").glob("fold*/best.safetensors"):
        path.unlink()  # as they are left out of a copy
    assert "runs/one is a trained run" in comp("blend", "name=one", "blend.members=[both]")[2]


def test_a_baseline_joins_a_blend_fitted_to_each_folds_own_captions(trained, comp):
    run = trained("one")
    status, out, _ = comp("blend", "name=both", "blend.members=[one]", "blend.baselines={ridge-centered: 0.5}")
    assert status == 0, out
    competition = open_competition(configured(), quiet=True)
    training, validated = competition.rows(1)
    ridge = fitted("ridge-centered", competition, training)(competition.pairs.texts[validated])
    alone = values_of(read_predictions(run.fold(1) / "oof.parquet")[0], EMBEDDING)
    both = values_of(read_predictions(RunDir.of_name("both").fold(1) / "oof.parquet")[0], EMBEDDING)
    wanted = alone + 0.5 * ridge
    assert np.allclose(both, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5)


def test_several_baselines_join_a_blend_in_any_order_and_one_of_weight_0_does_not(trained, comp):
    run = trained("one", train={"epochs": 1})
    weights = {"ridge-centered": 0.5, "mean": 0.3, "neighbors": 0}
    for name, order in (("there", list(weights)), ("back", list(weights)[::-1])):
        given = [f"blend.baselines.{baseline}={weights[baseline]}" for baseline in order]
        assert comp("blend", f"name={name}", "blend.members=[one]", *given)[0] == 0
    there, back = (
        values_of(read_predictions(RunDir.of_name(name).fold(1) / "oof.parquet")[0], EMBEDDING)
        for name in ("there", "back")
    )
    assert np.array_equal(there, back)
    competition = open_competition(configured(), quiet=True)
    training, validated = competition.rows(1)
    texts = competition.pairs.texts[validated]
    parts = [weight * fitted(name, competition, training)(texts) for name, weight in weights.items() if weight]
    alone = values_of(read_predictions(run.fold(1) / "oof.parquet")[0], EMBEDDING)
    assert np.allclose(there, unit(alone + sum(parts)), atol=1e-5)
    combines = json.loads(RunDir.of_name("there").metrics.read_text(encoding="utf-8"))["combines"]
    assert combines["members"] == ["one", "0.3 × mean", "0.5 × ridge-centered"]


def test_members_are_trained_one_by_one_and_blended(data, comp):
    members = [{"name": "a"}, {"name": "b", "seed": 7}]
    configured(members=members, train={"epochs": 1}, steps=["split", "train", "blend", "submit"])
    assert comp("run")[0] == 0
    assert Path("submissions/small-blend.csv").is_file()
    assert {path.name for path in Path("runs").iterdir() if path.is_dir()} == {"small-a", "small-b", "small-blend"}


def test_a_run_of_other_folds_is_no_member(trained, comp):
    trained("one")
    configured(name="two", folds={"seed": 1})
    assert comp("split", "--force")[0] == comp("train", "train.epochs=1")[0] == 0
    status, _, err = comp("blend", "name=both", "blend.members=[one,two]")
    assert status == 1
    assert "one was made with other folds" in err


@pytest.mark.parametrize("digits", [2, 6])
def test_a_submission_holds_the_vectors_in_the_samples_order_with_so_many_digits(predicted, repo, digits):
    vectors = predicted(np.random.default_rng(0).normal(size=(TESTS, IMAGE)).astype(np.float32))
    sample = repo / "data/sample_submission.csv"
    head, *rows = sample.read_text(encoding="utf-8").splitlines()
    sample.write_text("\n".join([head, *rows[::-1]]) + "\n", encoding="utf-8")
    submit(configured(submit={"digits": digits}))
    header, found = submission()
    assert header == ["id", "embedding"]
    assert list(found) == [f"t{row}" for row in reversed(range(TESTS))]
    for row in range(TESTS):
        assert np.allclose(found[f"t{row}"], vectors[row], atol=0.5000001 * 10**-digits)
    with Path("submissions/small.csv").open(newline="") as file:
        fields = list(csv.reader(file))[1]
    assert len(fields) == 2
    assert all(len(str(number).partition(".")[2]) <= digits for number in json.loads(fields[1]))


def test_a_field_may_be_as_long_as_a_c_long_of_windows_says(repo, monkeypatch):
    limits: list[int] = []
    monkeypatch.setattr(csv, "field_size_limit", limits.append)
    Path("said.csv").write_text('id,embedding\na,"[1, 2]"\n', encoding="utf-8")
    assert len(list(vectors_of(Path("said.csv")))) == 2
    assert set(limits) == {2**31 - 1}


@pytest.mark.parametrize("form", ["list", "columns"])
def test_vectors_are_written_with_all_their_digits_unless_told_otherwise(predicted, repo, capsys, form):
    rng = np.random.default_rng(0)
    vectors = predicted((rng.normal(size=(TESTS, IMAGE)) * 10.0 ** rng.integers(-12, 3, (TESTS, IMAGE))).astype("f4"))
    (repo / "data/sample_submission.csv").unlink()
    submit(configured(submit={"form": form}))
    assert np.array_equal(np.stack(list(submission()[1].values())), vectors)
    assert "degrees" not in capsys.readouterr().out
    text = Path("submissions/small.csv").read_text(encoding="utf-8")
    assert max(len(number.strip('[]" ')) for number in text.splitlines()[1].split(",")[1:]) <= 15


def test_how_far_rounding_turns_vectors_is_told(predicted, capsys):
    vectors = predicted(np.random.default_rng(0).normal(size=(TESTS, IMAGE)).astype(np.float32))
    submit(configured(submit={"digits": 1}))
    rounded = np.stack(list(submission()[1].values())).astype(np.float64)
    cosines = (vectors * rounded).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(rounded, axis=1)
    widest = np.degrees(np.arccos(cosines.min()))
    assert widest > 0.5
    assert f"note    submit.digits=1 turns vectors by up to {widest:.2f} degrees" in capsys.readouterr().out


def test_a_submission_has_columns_where_the_sample_has(predicted, repo):
    vectors = predicted(np.random.default_rng(0).normal(size=(TESTS, IMAGE)).astype(np.float32))
    header = ["caption_id", *(f"dim_{number}" for number in range(IMAGE))]
    zeros = ",".join(["0.0"] * IMAGE)
    rows = [",".join(header), *(f"t{row},{zeros}" for row in range(TESTS))]
    (repo / "data/sample_submission.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    submit(configured())
    found_header, found = submission()
    assert found_header == header
    assert np.allclose(np.stack(list(found.values())), vectors, atol=1e-6)
    with pytest.raises(Exception, match="the sample submission shows columns"):
        submit(configured(submit={"form": "list"}))


def test_a_sample_of_a_few_rows_shows_the_form_only(predicted, repo, capsys):
    predicted(np.ones((TESTS, IMAGE), np.float32))
    sample = repo / "data/sample_submission.csv"
    sample.write_text("".join(sample.read_text(encoding="utf-8").splitlines(keepends=True)[:4]), encoding="utf-8")
    submit(configured())
    assert "has 3 of 20 ids: used for the format" in capsys.readouterr().out
    assert len(submission()[1]) == TESTS


def test_a_vector_that_the_digits_leave_nothing_of_is_refused(predicted, repo):
    predicted(np.full((TESTS, IMAGE), 0.004, np.float32))
    with pytest.raises(Exception, match="would be all zeros"):
        submit(configured(submit={"digits": 1}))
    assert not list((repo / "submissions").iterdir())


def test_a_large_submission_is_written_in_little_memory(data, repo):
    """12,000 vectors of 512 numbers are 25 MB as floats and 60 MB as text."""
    (repo / "data/sample_submission.csv").unlink()
    rows, width = 12_000, 512
    path = repo / "runs/small/test.parquet"
    path.parent.mkdir(parents=True)
    rng = np.random.default_rng(0)
    schema = pa.schema([("id", pa.string()), ("embedding", pa.list_(pa.float32(), width))])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 1000):
            numbers = pa.array(rng.normal(size=1000 * width).astype(np.float32))
            lists = pa.FixedSizeListArray.from_arrays(numbers, width)
            writer.write_table(pa.table([[f"{start + row}" for row in range(1000)], lists], schema=schema))
    tracemalloc.start()
    submit(configured())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert Path("submissions/small.csv").stat().st_size > 50e6
    assert peak < 25e6


def test_a_postprocess_of_custom_py_changes_what_is_submitted(predicted, monkeypatch):
    predicted(np.random.default_rng(0).normal(size=(TESTS, IMAGE)).astype(np.float32))
    import_module(CUSTOM)
    submit(configured(submit={"postprocess": ["centered"]}))
    assert np.allclose([vector.mean() for vector in submission()[1].values()], 0, atol=1e-6)


def test_a_solution_may_name_the_image_of_each_caption(trained, repo, comp):
    trained(train={"epochs": 15})
    assert comp("submit")[0] == 0
    plain = comp("score")[1]
    solution = dict(np.load(repo / "data/solution.npz"))
    order = np.random.default_rng(0).permutation(TESTS)
    label = np.argsort(order)
    images = solution["images/embeddings"][order]
    np.savez(repo / "data/solution.npz", **{**solution, "images/embeddings": images, "captions/label": label})
    assert comp("score")[1].split("score   mrr")[1] == plain.split("score   mrr")[1]


def test_one_fold_alone_is_verified_without_the_others_correction_of_hubs(trained, comp):
    trained(train={"epochs": 2}, folds={"n": 3, "use": [0]})
    status, out, err = comp("verify")
    assert status == 0, err
    assert "in each fold" in out
    assert "hubs corrected" not in out


def test_a_metric_of_custom_py_is_measured_beside_the_others(data, comp):
    import_module(CUSTOM)
    configured(metrics=["r@5", "r@3"], train={"epochs": 2})
    assert comp("split")[0] == comp("train")[0] == 0
    measured = json.loads(Path("runs/small/metrics.json").read_text(encoding="utf-8"))["scores"]
    assert measured["r@3"]["oof"] <= measured["r@5"]["oof"]


def test_a_metric_of_custom_py_gets_vectors_of_length_one(monkeypatch):
    def longest(predictions, images, image_of):
        return max(np.linalg.norm(vectors, axis=1).max() for vectors in (predictions, images))

    monkeypatch.setattr("comp.align.ranking.metrics.find", lambda kind, name: longest)
    vectors = np.random.default_rng(0).normal(size=(8, IMAGE))
    assert scores(["longest"], 3 * vectors, 2 * vectors, np.arange(8))["longest"] == pytest.approx(1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_test_caption_that_is_no_direction_is_scored_all_the_same(data, repo, comp, value):
    train, test, images = arrays()
    test["captions/embeddings"][2] = value
    write(repo / "data", train, test, images)
    configured(data={"on_bad_row": "drop"}, train={"epochs": 1})
    assert comp("split")[0] == comp("train")[0] == comp("submit")[0] == 0
    status, out, err = comp("score")
    assert (status, err) == (0, "")
    assert "ridge" in out.split("on the solution")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["config", "task=knitting"], "is not a task of this repository"),
        (["config", "model.hiden=[3]"], "did you mean 'model.hidden'"),
        (["config", "model.hidden=[]"], "it needs a branch"),
        (["config", "model.linear=true", "model.start=cca", "model.normalize=false"], "fitted to texts of length 1"),
        (["config", "loss.learn_temperature=true", "loss.temperature=0.005"], "it cannot start at 0.005"),
        (["predict"], "there is no run"),
        (["submit"], "run comp train"),
        (["score"], "run comp submit"),
        (["verify"], "run comp train"),
        (["report"], "run comp train"),
    ],
)
def test_each_command_refuses_in_one_line(data, comp, words, said):
    configured()
    status, _, err = comp(*words)
    assert (status, err.count("\n")) == (1, 1)
    assert said in err


def test_another_loss_is_another_run_and_pictures_are_not(trained, comp):
    trained("one", train={"epochs": 1})
    status, _, err = comp("train", "name=one", "train.epochs=1", "loss.temperature=0.5")
    assert status == 1
    assert "runs/one was trained with another configuration (loss.temperature was" in err
    assert comp("train", "name=one", "train.epochs=1", "data.pictures=images")[0] == 0


def test_a_checkpoint_that_was_copied_to_another_fold_is_refused(trained, comp):
    run = trained("small")
    shutil.copy(run.fold(0) / "best.safetensors", run.fold(1) / "best.safetensors")
    status, _, err = comp("predict")
    assert status == 1
    assert "is the model of fold 0: it was trained on the captions of fold 1" in err
