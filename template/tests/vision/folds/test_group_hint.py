"""A column whose rows seem to belong together is named; a category, a measurement or a label is not."""

import numpy as np
import pandas as pd
import pytest
from vision.folds.test_duplicates import as_jpeg, scene, write

from comp.tables import Tables, Targets
from comp.vision.folds.group_hint import group_hint

N = 120
ALONE = np.arange(N)
PAIRS = np.where(ALONE < 20, ALONE // 2, ALONE)  # ten pairs of near-duplicates


def hint(near=ALONE, **columns):
    train = pd.DataFrame({"id": ALONE.astype(str), "path": ALONE.astype(str), "target": ["a"] * N, **columns})
    return group_hint(Tables(train, train.head(0), None, Targets("multiclass", ("a", "b"))), 5, near)


FOURS = [f"v{number // 4}" for number in range(N)]


@pytest.mark.parametrize(
    "name", ["patient_id", "PatientID", "patientid", "Subject", "user", "videoName", "site_no", "author"]
)
def test_a_column_that_is_called_a_group_is_named(name):
    line = hint(**{name: FOURS})
    assert line == f"{name!r} has 30 values on 120 rows: if rows of one value belong together, set data.group={name}"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("patient_age", [str(20 + number % 60) for number in range(N)]),
        ("product_price", [str(number % 40) for number in range(N)]),
        ("patient_id", [f"p{number}" for number in range(N)]),  # each once
        ("user", ["u1"] * N),
        ("site", [f"s{number % 3}" for number in range(N)]),  # too few for folds
        ("sex", ["f", "m"] * (N // 2)),
        ("comment", FOURS),
        ("fold", FOURS),
        ("path", FOURS),
    ],
)
def test_a_category_a_measurement_or_an_id_is_not(name, values):
    assert hint(**{name: values}) is None


def test_a_column_that_near_duplicates_do_not_cross_is_named():
    line = hint(PAIRS, emoji=[f"e{number // 2}" for number in range(N)])
    assert line.startswith("near-duplicates share their 'emoji', which has 60 values")


@pytest.mark.parametrize(
    "values",
    [
        [f"e{number % 60}" for number in range(N)],  # they cross it
        [f"e{number // 2 % 5}" for number in range(N)],  # a category
        [str(number // 2) for number in range(N)],  # a number may be measured on the image
        ["many" if number < 100 else f"e{number // 2}" for number in range(N)],  # most rows share one by chance
    ],
)
def test_a_column_that_near_duplicates_share_for_another_reason_is_not(values):
    assert hint(PAIRS, emoji=values) is None


def test_a_patient_is_named_rather_than_one_of_its_sessions():
    sessions = [f"s{number // 2}" for number in range(N)]
    assert "data.group=patient" in hint(session=sessions, patient=FOURS)


def test_split_tells_it_once_and_not_where_a_group_is_named(repo, configure, comp):
    write([scene(seed, (48, 36)) for seed in range(24)], repo, group=[f"g{number // 2}" for number in range(24)])
    configure()
    assert "        hint: 'group' has 12 values on 24 rows" in comp("split")[1]
    configure(data={"group": "group"})
    status, out, _ = comp("split", "--force")
    assert (status, "hint" in out) == (0, False)


def test_spellings_of_a_group_are_one_group_in_folds_and_told(repo, configure, comp):
    patients = [f"p{number // 3}" + " " * (number % 3) for number in range(24)]
    write([scene(seed, (48, 36)) for seed in range(24)], repo, patient=patients)
    configure(data={"group": "patient"})
    status, out, _ = comp("split")
    assert status == 0
    assert "'patient' has groups in several spellings, read as one: 'p0', 'p0 ', 'p0  ', 'p1' and 20 more" in out
    assert "8 groups of 3 to 3 rows, 0 of them in more than one fold" in out


def test_duplicates_across_values_are_grouped_all_the_same(repo, configure, comp):
    images = [scene(seed, (48, 36)) for seed in range(12)]
    write([*images, *(as_jpeg(image, 70) for image in images)], repo)
    configure()
    assert "12 groups of 2 to 2 rows, 0 of them in more than one fold" in comp("split")[1]
