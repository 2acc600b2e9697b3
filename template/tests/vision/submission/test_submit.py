"""A submission has the sample's ids, order, columns and spelling, or there is none."""

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from comp.errors import CompError
from comp.files import beside, write_json, write_text, written_whole
from comp.loop.tensors import write_tensors
from comp.registry import register
from comp.runs.predictions import oof_table, write_predictions
from comp.runs.predictions import test_table as table_of
from comp.tables import Targets
from comp.vision.data.labels import find_targets
from comp.vision.metrics import score
from comp.vision.submission.form import Form
from comp.vision.submission.numbers import read_again, written

FULL = Path("/dev/full")  # every write to it finds no space left
needs_full = pytest.mark.skipif(not FULL.is_char_device(), reason="needs /dev/full")
SUBMISSION = Path("submissions/small.csv")
CATS = Targets("multiclass", ("bird", "cat", "dog"))
TWO = Targets("multiclass", ("cat", "dog"))
BINARY = Targets("binary", ("ill",))
MULTILABEL = Targets("multilabel", ("wet", "red"))
P = {3: [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], 2: [[0.75, 0.25], [0.25, 0.75]], 1: [[0.9], [0.4]]}


@pytest.fixture
def submitted(repo, configure, comp):
    """Predictions of the rows 01 and 02 as a submission, by a sample with this text: status, text, errors."""

    def submit(targets, sample, *overrides):
        configure()
        predictions = table_of(pd.DataFrame({"id": ["01", "02"]}), np.array(P[len(targets.classes)]), targets)
        write_predictions(repo / "runs" / "small" / "test.parquet", predictions, targets, "hash")
        (repo / "data").mkdir(exist_ok=True)
        if sample is not None:
            (repo / "data" / "sample_submission.csv").write_text(sample, encoding="utf-8")
        status, _, err = comp("submit", *overrides)
        assert err.count("\n") == status
        return status, SUBMISSION.read_text(encoding="utf-8") if SUBMISSION.exists() else None, err

    return submit


def accepted(result):
    status, text, err = result
    assert (status, err) == (0, "")
    return text


def refused(result):
    status, text, err = result
    assert (status, text) == (1, None)
    assert list(Path("submissions").glob(".*")) == []
    return err


def test_labels_are_spelled_as_in_training(submitted):
    assert accepted(submitted(CATS, "id,label\n01,cat\n02,cat\n")) == "id,label\n01,bird\n02,dog\n"


def test_rows_stand_in_the_order_of_the_sample(submitted):
    assert accepted(submitted(CATS, "id,label\n02,cat\n01,cat\n")) == "id,label\n02,dog\n01,bird\n"


def test_the_sample_names_the_columns(submitted):
    assert accepted(submitted(CATS, "image_id,animal\n01,cat\n02,cat\n")).startswith("image_id,animal\n")


@pytest.mark.parametrize("filler", ["0", "", "?"])
def test_a_filler_in_the_sample_shows_no_spelling(submitted, filler):
    assert accepted(submitted(CATS, f"id,label\n01,{filler}\n02,{filler}\n")) == "id,label\n01,bird\n02,dog\n"


def test_columns_of_classes_are_filled_in_the_order_of_the_sample(submitted):
    text = accepted(submitted(CATS, "id,dog,bird,cat\n01,0,0,0\n02,0,0,0\n"))
    assert text == "id,dog,bird,cat\n01,0.2,0.5,0.3\n02,0.7,0.1,0.2\n"


def test_columns_may_carry_a_prefix(submitted):
    text = accepted(submitted(CATS, "id,prob_dog,prob_bird,prob_cat\n01,0,0,0\n02,0,0,0\n", "submit.digits=1"))
    assert text == "id,prob_dog,prob_bird,prob_cat\n01,0.2,0.5,0.3\n02,0.7,0.1,0.2\n"


def test_labels_in_columns_of_classes_mark_the_most_probable(submitted):
    text = accepted(submitted(CATS, "id,dog,bird,cat\n01,0,0,0\n02,0,0,0\n", "submit.values=labels"))
    assert text == "id,dog,bird,cat\n01,0,1,0\n02,1,0,0\n"


@pytest.mark.parametrize(("column", "values"), [("dog", "0.25 0.75"), ("is_cat", "0.75 0.25"), ("Cat ", "0.75 0.25")])
def test_one_column_of_fractions_takes_the_probability_of_the_class_that_it_names(submitted, column, values):
    text = accepted(submitted(TWO, f"id,{column}\n01,0.5\n02,0.5\n"))
    first, second = values.split()
    assert text == f"id,{column}\n01,{first}\n02,{second}\n"


def test_a_column_that_names_no_class_is_refused_until_the_key_says_which(submitted, comp):
    sample = "id,target\n01,0.5\n02,0.5\n"
    assert "add the line `positive: cat` or `positive: dog` under `submit:`" in refused(submitted(TWO, sample))
    assert accepted(submitted(TWO, sample, "submit.positive=cat")) == "id,target\n01,0.75\n02,0.25\n"
    assert "'target' is the probability of 'dog' (submit.positive)" in comp("submit", "submit.positive=dog")[1]


LONG = np.array([[1 - 1e-7, 1e-7], [1.2345678e-12, 1], [0.123456789, 1 - 0.123456789]], dtype=np.float32)


def test_numbers_read_back_to_the_same_float32_unless_told_otherwise(submitted):
    P[2] = LONG.tolist()[:2]
    try:
        text = accepted(submitted(TWO, "id,dog,cat\n01,0.5,0.5\n02,0.5,0.5\n"))
    finally:
        P[2] = [[0.75, 0.25], [0.25, 0.75]]
    rows = [line.split(",")[1:] for line in text.splitlines()[1:]]
    assert np.array_equal(np.array(rows, dtype=np.float64).astype(np.float32), LONG[:2, ::-1])
    assert all(len(value) <= 15 for row in rows for value in row)
    assert written(LONG[:, 0], 3) == ["1.000", "0.000", "0.123"]
    assert written(np.array([0.1, 0.5, 1, 0], np.float32), None) == ["0.1", "0.5", "1", "0"]
    assert [float(text) for text in written(np.array([1 - 1e-9]), None)] == [1 - 1e-9]


def test_rounding_that_changes_a_metric_is_told_with_its_size(submitted, comp, repo):
    accepted(submitted(TWO, "id,dog\n01,0.5\n02,0.5\n"))
    train = pd.DataFrame({"id": list("abcd"), "target": ["cat", "dog", "cat", "dog"]})
    dog = np.array([3e-8, 1e-7, 1 - 1e-6, 0.5])  # a sure mistake and a tie, once rounded
    oof = oof_table(train, np.arange(4), np.zeros(4, int), np.column_stack([1 - dog, dog]), TWO)
    write_predictions(repo / "runs/small/oof.parquet", oof, TWO, "hash")
    status, out, _ = comp("submit", "metric=roc_auc", "metrics=[log_loss,accuracy]", "submit.digits=6")
    assert status == 0
    y, p = TWO.encode(oof), oof[TWO.columns].to_numpy()
    rounded = np.column_stack([1 - dog.round(6), dog.round(6)])
    for name in ("roc_auc", "log_loss"):
        before, after = score(name, y, p, TWO), score(name, y, rounded, TWO)
        assert abs(before - after) > 0.1
        told = f"{name} of the out-of-fold rows is {before:.6f} as predicted, {after:.6f} as written (submit.digits=6)"
        assert told in out
    assert "accuracy of" not in out
    assert "as written" not in comp("submit", "metric=roc_auc", "metrics=[accuracy]")[1]
    facts = {"metric": "roc_auc", "rows": 4, "folds": 1, "seconds": 1.0, "flatters": "", "scores": {}}
    write_json(repo / "runs/small/metrics.json", {**facts, "unscored": "its teachers saw the rows"})
    assert "out-of-fold" not in comp("submit", "metric=roc_auc", "metrics=[]", "submit.digits=6")[1]


GRADES = {"0.0": ("0.0", "2.0", "10.0"), "0": ("0", "2", "10")}


@pytest.mark.parametrize("training", GRADES)
@pytest.mark.parametrize("filler", GRADES)
def test_whole_numbers_are_spelled_as_the_sample_spells_them(submitted, training, filler):
    targets = Targets("multiclass", GRADES[training])
    first, _, last = GRADES[filler]
    assert accepted(submitted(targets, f"id,grade\n01,{filler}\n02,{filler}\n")) == f"id,grade\n01,{first}\n02,{last}\n"


def test_codes_with_leading_zeros_and_labels_that_the_sample_shows_stay_as_they_are(submitted):
    codes = Targets("multiclass", ("001", "002", "010"))
    assert accepted(submitted(codes, "id,code\n01,0\n02,0\n")) == "id,code\n01,001\n02,010\n"
    assert accepted(submitted(codes, "id,code\n01,002\n02,002\n")) == "id,code\n01,001\n02,010\n"


def test_binary_labels_are_spelled_as_the_sample_spells_them(submitted):
    assert accepted(submitted(BINARY, "id,ill\n01,0.0\n02,0.0\n", "submit.values=labels")).endswith("01,1.0\n02,0.0\n")


@pytest.mark.parametrize(
    ("no", "yes", "filler"),
    [("-1", "1", ""), ("-1", "1", "0"), ("-1.0", "1.0", ""), ("-1.0", "1.0", "0"), ("N", "Y", ""), ("NO", "YES", "0")],
)
def test_columns_of_labels_are_spelled_as_in_training_and_scored_as_such(submitted, comp, repo, no, yes, filler):
    train = pd.DataFrame({"id": list("abcd"), "wet": [yes, no, yes, no], "red": [yes, yes, no, no]})
    targets = find_targets(train, ["wet", "red"], "auto")[1]
    shown = filler or no
    text = accepted(submitted(targets, f"id,red,wet\n01,{shown},{filler or yes}\n02,{shown},{shown}\n"))
    no, yes = ("-1", "1") if filler == "0" and no == "-1.0" else (no, yes)  # a filler shows how numbers are written
    assert text == f"id,red,wet\n01,{no},{yes}\n02,{yes},{no}\n"
    (repo / "data/solution.csv").write_text(f"id,wet,red\n01,{yes},{yes}\n02,{no},{yes}\n", encoding="utf-8")
    assert "score   macro_f1 0.8333 on 2 test rows" in comp("score", "metric=macro_f1", "metrics=[]")[1]


@pytest.mark.parametrize(
    ("shows", "no", "yes"),
    [(("0", "1"), "0", "1"), (("-1", "1"), "-1", "1"), (("False", "False"), "False", "True"), (("n", "n"), "n", "y")],
)
@pytest.mark.parametrize("trained", [("0", "1"), ("FALSE", "TRUE")])
def test_a_sample_that_shows_a_spelling_of_labels_decides(submitted, shows, no, yes, trained):
    targets = Targets("multilabel", ("wet", "red"), no_and_yes=trained)
    first, second = shows
    text = accepted(submitted(targets, f"id,red,wet\n01,{first},{second}\n02,{second},{first}\n"))
    assert text == f"id,red,wet\n01,{no},{yes}\n02,{yes},{no}\n"


@pytest.mark.parametrize("shows", [("1", "2"), ("absent", "present"), ("0", "False"), ("absent", "absent")])
def test_a_sample_that_spells_labels_otherwise_is_refused(submitted, shows):
    first, second = shows
    message = refused(submitted(MULTILABEL, f"id,red,wet\n01,{first},{second}\n02,{second},{first}\n"))
    assert f"spells labels '{first}'" in message
    assert "the training rows 0 and 1" in message


@pytest.mark.parametrize("shown", [("0", "1.0"), (" 0", " 1"), ("NaN", "NaN"), ("0.0", "0")])
def test_a_sample_of_mixed_or_padded_numbers_is_no_other_spelling(submitted, shown):
    text = accepted(submitted(MULTILABEL, f"id,red,wet\n01,{shown[0]},{shown[1]}\n02,{shown[0]},{shown[1]}\n"))
    assert text == "id,red,wet\n01,0,1\n02,1,0\n"


@pytest.mark.parametrize(("filler", "no", "yes"), [("0", "0", "1"), ("0.0", "0.0", "1.0"), ("", "False", "True")])
def test_true_and_false_are_numbers_where_the_sample_has_numbers(submitted, filler, no, yes):
    targets = Targets("binary", ("ill",), no_and_yes=("False", "True"))
    text = accepted(submitted(targets, f"id,ill\n01,{filler}\n02,{filler}\n", "submit.values=labels"))
    assert text == f"id,ill\n01,{yes}\n02,{no}\n"


def test_a_binary_target_is_spelled_as_in_training(submitted, comp):
    train = pd.DataFrame({"id": list("ab"), "ill": ["-1", "1"]})
    targets = find_targets(train, ["ill"], "binary")[1]
    assert accepted(submitted(targets, "id,ill\n01,-1\n02,1\n")) == "id,ill\n01,1\n02,-1\n"
    assert "'ill' is labels -1 and 1" in comp("submit")[1]


def test_a_postprocess_that_makes_a_value_no_number_is_refused(submitted):
    register("postprocess", "broken")(lambda table, targets: table.assign(p_cat=[float("nan"), 0.5]))
    for sample in ("id,label\n01,cat\n02,cat\n", "id,cat,dog,bird\n01,0,0,0\n02,0,0,0\n"):
        message = refused(submitted(CATS, sample, "submit.postprocess=[broken]"))
        assert "empty or NaN fields (ids '01'): a postprocess of custom.py" in message


@pytest.mark.parametrize(
    ("filler", "overrides", "values"),
    [
        ("0", [], ["1", "0"]),
        ("0.5", [], ["0.9", "0.4"]),
        ("0", ["metric=roc_auc"], ["0.9", "0.4"]),
        ("0", ["submit.values=probabilities"], ["0.9", "0.4"]),
        ("0.5", ["submit.values=labels"], ["1", "0"]),
    ],
)
def test_a_binary_target_is_a_label_or_a_probability_as_the_sample_and_the_metric_show(
    submitted, filler, overrides, values
):
    text = accepted(submitted(BINARY, f"id,ill\n01,{filler}\n02,{filler}\n", "submit.digits=1", *overrides))
    assert text == f"id,ill\n01,{values[0]}\n02,{values[1]}\n"


@pytest.mark.parametrize(
    ("positive", "no_and_yes", "first"),
    [("0", ("0", "1"), "0.1"), ("0.0", ("0", "1"), "0.1"), ("no", ("no", "yes"), "0.1"), ("1", ("0", "1"), "0.9")],
)
def test_the_probability_of_no_is_written_where_the_key_asks_for_it(submitted, positive, no_and_yes, first):
    targets = Targets("binary", ("ill",), no_and_yes=no_and_yes)
    words = ["submit.digits=1", "metric=roc_auc", f"submit.positive={positive}"]
    for sample in ("id,prob_normal\n01,0.5\n02,0.5\n", None):
        assert f"\n01,{first}\n" in accepted(submitted(targets, sample, *words))
    assert "submit.positive=maybe: there is no such class" in submitted(targets, None, "submit.positive=maybe")[2]


def test_probabilities_of_no_are_read_again_as_those_of_yes():
    form = Form(["prob_normal"], [0], "probabilities", [], "", of_no=True)
    assert np.allclose(read_again(np.array([[0.93], [0.4]]), form, 1, BINARY), [[0.9], [0.4]])


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        (Targets("binary", ("ill",), no_and_yes=("no", "yes")), "id,ill\n01,yes\n02,no\n"),
        (MULTILABEL, "id,wet,red\n01,1,0\n02,0,1\n"),
    ],
)
def test_without_a_sample_labels_are_written_where_the_key_asks_for_them(submitted, targets, text):
    assert accepted(submitted(targets, None, "submit.values=labels", "metric=macro_f1", "metrics=[]")) == text


def test_without_a_sample_probabilities_of_lists_are_written_where_the_key_asks_for_them(submitted):
    targets = Targets("multilabel", ("wet", "red"), separator=" ")
    assert accepted(submitted(targets, None, "submit.values=probabilities")).startswith("id,wet,red\n01,0.75,0.25\n")
    assert accepted(submitted(targets, None)) == "id,label\n01,wet\n02,red\n"


def test_a_metric_of_ones_own_may_ask_for_probabilities(submitted):
    register("metric", "brier")(brier := lambda y, p, targets: float(((y - p) ** 2).mean()))
    brier.greater_is_better, brier.needs_probabilities = False, True
    text = accepted(submitted(BINARY, "id,ill\n01,0\n02,0\n", "submit.digits=1", "metric=brier"))
    assert text == "id,ill\n01,0.9\n02,0.4\n"


def test_several_labels_go_into_their_own_columns(submitted):
    sample = "id,red,wet\n01,0.5,0.5\n02,0.5,0.5\n"
    assert accepted(submitted(MULTILABEL, sample, "submit.digits=2")) == "id,red,wet\n01,0.25,0.75\n02,0.75,0.25\n"
    assert accepted(submitted(MULTILABEL, sample, "submit.values=labels")) == "id,red,wet\n01,0,1\n02,1,0\n"


def test_without_a_sample_the_columns_are_id_and_label(submitted):
    assert accepted(submitted(CATS, None)) == "id,label\n01,bird\n02,dog\n"


def test_the_same_probabilities_give_the_same_bytes(submitted):
    first = accepted(submitted(CATS, "id,dog,bird,cat\n01,0,0,0\n02,0,0,0\n"))
    assert accepted(submitted(CATS, "id,dog,bird,cat\n01,0,0,0\n02,0,0,0\n")) == first


@pytest.mark.parametrize(
    ("targets", "sample", "words"),
    [
        (CATS, "id,label\n01,cat\n", "1 predicted ids are not in it ('02')"),
        (CATS, "id,label\n01,cat\n02,cat\n03,cat\n", "1 of its ids are not predicted ('03')"),
        (CATS, "id,label\n1,cat\n2,cat\n", "2 of its ids are not predicted ('1', '2')"),
        (CATS, "id,label\n01,cat\n01,cat\n", "more than once"),
        (CATS, "id,label\n01,Cat\n02,Dog\n", "spells labels 'Cat', 'Dog'"),
        (CATS, "id,cat,dog,fish\n01,0,0,0\n02,0,0,0\n", "'fish' is not one of the classes"),
        (CATS, "id,cat,dog\n01,0,0\n02,0,0\n", "no column of its own for 'bird'"),
        (CATS, "id,label\n01,0.5\n02,0.5\n", "submit.values=labels"),
        (MULTILABEL, "id,wet,blue\n01,0,0\n02,0,0\n", "'blue' is not one of the classes"),
        (CATS, "id\n01\n02\n", "expected an id and at least one target"),
        (CATS, "", "sample_submission.csv is empty"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_and_no_file_is_left(submitted, targets, sample, words):
    assert words in refused(submitted(targets, sample))


def test_an_error_keeps_the_old_submission(submitted):
    old = accepted(submitted(CATS, "id,label\n01,cat\n02,cat\n"))
    status, text, _ = submitted(CATS, "id,label\n01,cat\n")
    assert (status, text) == (1, old)


def test_a_run_that_does_not_exist_is_refused(configure, comp):
    configure()
    status, _, err = comp("submit")
    assert status == 1
    assert "test.parquet does not exist: run comp train" in err


def full_disk_for(path):
    """Lets the next write of `path` go where no space is left."""
    path.parent.mkdir(exist_ok=True)
    temporary = beside(path)
    temporary.symlink_to(FULL)
    return temporary


@needs_full
@pytest.mark.parametrize("old", [None, "id,label\nold,old\n"])
def test_a_full_disk_leaves_the_submissions_as_they_were(submitted, old):
    temporary = full_disk_for(SUBMISSION)
    if old is not None:
        SUBMISSION.write_text(old)
    status, text, err = submitted(CATS, "id,label\n01,cat\n02,cat\n")
    assert (status, text) == (1, old)
    assert "no space left on the disk while writing" in err
    assert not temporary.is_symlink()


@needs_full
@pytest.mark.parametrize("write", [write_text, lambda path, _: write_tensors(path, {"weights": torch.zeros(100_000)})])
def test_a_full_disk_leaves_a_written_file_whole_or_absent(repo, write):
    for old in (None, "old"):
        path = repo / "file.txt"
        full_disk_for(path)
        if old is not None:
            path.write_text(old)
        with pytest.raises(CompError, match=r"no space left on the disk while writing .*file\.txt"):
            write(path, "new")
        assert [place.name for place in repo.iterdir()] == (["file.txt"] if old else [])
        assert not old or path.read_text() == "old"


def test_a_full_disk_is_recognized_behind_the_error_that_torch_makes_of_it(repo):
    with pytest.raises(CompError, match="no space left"), written_whole(repo / "file") as beside:
        beside.write_text("half")
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904
    assert list(repo.iterdir()) == []


def test_another_error_stays_what_it_is(repo):
    with pytest.raises(ZeroDivisionError), written_whole(repo / "file"):
        print(1 / 0)
    assert list(repo.iterdir()) == []
