"""Layouts that could mean two things, which are asked, and those that do not fit, which are refused."""

import pandas as pd
from vision.layouts.layout import Drawn, Files, Layout, bits, competition, images, numbers, one_of
from vision.layouts.of_files import TABLES, pets, with_column
from vision.layouts.rules import accuracy, auc, f1_of_lists, rmse

WORDS = ("blue", "circle", "green", "red", "square")
PHRASES = tuple(f"{color} {shape}" for color in ("blue", "green", "red") for shape in ("circle", "square"))


def asked_positive(column: str, positive: str, other: str) -> Layout:
    drawn = one_of(*sorted((positive, other)))
    classes = sorted((positive, other))
    return Layout(
        f"Whose probability is {column}?",
        f"`label` is {classes[0]} or {classes[1]}; the sample has `{column}`: 0.5",
        drawn,
        competition(drawn, {column: "0.5"}),
        [f"submit  '{column}' is the probability of '{positive}' (submit.positive)"],
        auc(column, positive, "label"),
        settings={"metric": "roc_auc", "data": {"target": "label"}},
        asks=[
            "its name does not say whose probability it holds",
            f"add the line `positive: {classes[0]}` or `positive: {classes[1]}` under `submit:`",
        ],
        answer={"submit": {"positive": positive}},
    )


def _phrases() -> tuple[Drawn, Drawn]:
    """Colors and shapes: as six classes, and as lists of two labels each."""
    drawn = one_of(*PHRASES)
    as_lists = pd.DataFrame(
        {
            word: drawn.labels["label"].map(lambda cell, word=word: 0.8 if word in cell.split() else 0.2)
            for word in WORDS
        }
    )
    return drawn, Drawn(drawn.labels, as_lists, drawn.n_train)


def _asked() -> list[Layout]:
    phrases, as_lists = _phrases()
    asks = ["holds lists of labels, separated by blanks, or classes whose names have blanks in them"]
    asks += ["set data.kind=multilabel or data.kind=multiclass"]
    ages, classes = (
        numbers({"label": (1, 90)}, digits=0, n_train=60),
        one_of(*(str(3 * k) for k in range(26)), n_train=60),
    )
    which = ["they are classes or a quantity: set data.kind=multiclass or data.kind=regression"]
    drawn, plain = pets()
    twins = {name: plain[name] for name in TABLES}
    twins |= images(drawn, "{split}_a/{id}.png") | dict.fromkeys(images(drawn, "{split}_b/{id}.png"), 0)
    dates = with_column(plain, "taken", lambda _, name: f"0{1 + int(name) % 9}/0{1 + int(name) % 7}/2021")
    named = {name: plain[name].rename(columns={"id": "sample"}) for name in TABLES} | images(drawn)
    named["test.csv"] = named["test.csv"].rename(columns={"sample": "specimen"})
    named["train.csv"] = named["train.csv"].rename(columns={"sample": "specimen"})
    two = with_column(competition(drawn, {"answer": "cat"}), "site", lambda _, name: f"s{int(name) % 4}")
    latin = drawn.spelled({"bird": "Parus", "cat": "Felis", "dog": "Canis"}.__getitem__)
    planted = drawn.planted.set_axis([latin.labels.iloc[0, 0]] * 3, axis=1)
    planted.columns = ["Parus", "Felis", "Canis"]
    spelled = competition(drawn, {"label": ["Felis", "Canis", "Parus"] * 4})
    spelled["train.csv"] = spelled["train.csv"].assign(name=latin.train["label"].to_numpy())
    return [
        asked_positive("target", "dog", "cat"),
        asked_positive("prediction", "FAKE", "REAL"),
        asked_positive("score", "benign", "malignant"),
        Layout(
            "Phrases: red circle is one class",
            "`label` such as `red circle`, six of them",
            phrases,
            competition(phrases, {"label": "red circle"}),
            ["target  multiclass: 6 of them: blue circle, blue square, green circle"],
            accuracy(),
            asks=asks,
            answer={"data": {"kind": "multiclass"}},
        ),
        Layout(
            "Lists: red circle is two labels",
            "`label` such as `red circle`, six of them",
            as_lists,
            competition(as_lists, {"label": "red circle"}),
            ["target  multilabel: 5 of them: blue, circle, green, red, square; lists in 'label', separated by blanks"],
            f1_of_lists("label", " "),
            settings={"metric": "samples_f1"},
            asks=asks,
            answer={"data": {"kind": "multilabel"}},
        ),
        Layout(
            "Ages: whole numbers as a quantity",
            "`label` 1 to 90 in 60 rows; the sample says 1",
            ages,
            competition(ages, {"label": "1"}),
            ["target  regression: label from 1 to "],
            rmse({"label": "label"}),
            0.5,
            {"metric": "rmse"},
            asks=which,
            answer={"data": {"kind": "regression"}},
        ),
        Layout(
            "Codes: whole numbers as classes",
            "`label` 0, 3, … 75 in 60 rows; the sample says 0",
            classes,
            competition(classes, {"label": "0"}),
            ["target  multiclass: 26 of them: 0, 3, 6, 9"],
            accuracy(),
            asks=which,
            answer={"data": {"kind": "multiclass"}},
        ),
        Layout(
            "One name in two folders",
            "`train_a/0001.png` and `train_b/0001.png`, the id is 0001",
            drawn,
            twins,
            ["images at {split}_a/{id}.png"],
            accuracy(),
            asks=[
                "could be in two places, such as train_a/0000.png or train_b/0000.png",
                "set data.path to one of them, such as 'data.path=\"{split}_a/{id}.png\"'",
            ],
            answer={"data": {"path": "{split}_a/{id}.png"}},
        ),
        Layout(
            "Dates whose day and month could be either",
            "`taken` such as `03/04/2021`",
            drawn,
            dates,
            ["time    'taken' read as "],
            accuracy(),
            settings={"data": {"time": "taken", "target": "label"}},
            asks=["data.time_format"],
            answer={"data": {"time_format": "%d/%m/%Y"}},
        ),
        Layout(
            "An id column of an unusual name",
            "`specimen` in the tables, `sample` in the sample",
            drawn,
            named,
            ["ids in 'specimen'"],
            accuracy(),
            asks=["which column of data/train.csv is the id? Set data.id to one of 'specimen', 'label'"],
            answer={"data": {"id": "specimen"}},
        ),
        Layout(
            "Two columns that could be the label",
            "`species` and `site`; the sample has `answer`",
            drawn,
            two | {"train.csv": two["train.csv"].rename(columns={"label": "species"})},
            ["target  multiclass: 3 of them: bird, cat, dog"],
            accuracy("answer", "label"),
            asks=["which column of data/train.csv is the label? Set data.target to one of 'species', 'site'"],
            answer={"data": {"target": "species"}},
        ),
        Layout(
            "The sample spells labels otherwise",
            "`label` bird, cat, dog and `name` Parus, Felis, Canis; the sample says Felis",
            Drawn(latin.labels, planted, latin.n_train),
            spelled,
            ["target  multiclass: 3 of them: Canis, Felis, Parus"],
            accuracy(),
            asks=["the sample submission spells labels 'Canis', 'Felis', 'Parus'", "set data.target to the column"],
            answer={"data": {"target": "name"}},
        ),
        Layout(
            "Archives that nobody unpacked",
            "`train.zip`, `test.zip` and the tables",
            drawn,
            {name: plain[name] for name in TABLES}
            | {
                f"{split}.zip": {
                    name.partition("/")[2]: row for name, row in images(drawn).items() if name.startswith(split)
                }
                for split in ("train", "test")
            },
            ["images at train/{id}.png"],
            accuracy(),
            asks=["archives are there ('test.zip', 'train.zip'): comp unpack unpacks them"],
            then="unpack",
        ),
    ]


def refused(name: str, about: str, files: Files, *asks: str, **settings: object) -> Layout:
    return Layout(name, about, one_of("cat", "dog"), files, settings=settings, asks=asks)


def _refused() -> list[Layout]:
    drawn, plain = pets()
    train = plain["train.csv"]
    names = [f"{row}" for row in range(168)]
    few = pd.DataFrame({"id": names, "label": ["cat", "dog"] * 84})
    others = plain["sample_submission.csv"].assign(id=[f"x{row}" for row in range(12)])
    genus = competition(drawn, {"genus": "a", "species": "b"})
    genus["train.csv"] = train.rename(columns={"label": "genus"}).assign(species=["x", "y", "z"] * 8)
    captions = [f"a {label} that sits in garden number {row}" for row, label in enumerate(train["label"])]
    organs, tables = bits("etv", "cvc"), {name: plain[name] for name in TABLES}
    scans = {name.replace(".png", ".nii"): b"x" for name in images(drawn)}
    each = [f"{row}_{name}" for row in plain["sample_submission.csv"]["id"] for name in ("bird", "cat", "dog")]
    long = {**plain, "sample_submission.csv": pd.DataFrame({"id": each, "value": "0.5"})}
    gone = {name: content for name, content in plain.items() if name not in {"train/0003.png", "train/0007.png"}}
    return [
        refused(
            "3 hits of 168 images",
            "ids 0 to 167, and three images that are called like one of them",
            {"train.csv": few, "train/0.png": 0, "train/1.png": 1, "train/2.png": 2, "train/pic-9.png": 3},
            "(train/{id}.png fits 3 of 168 rows)",
            "set data.path to a column, or to a pattern",
            data={"test": None},
        ),
        refused(
            "Two images are missing",
            "0003.png and 0007.png are not there",
            gone,
            "2 of 24 train images are missing (train/{id}.png): ids '0003', '0007'",
            "put them there, or set data.path",
        ),
        refused(
            "The sample's ids are not those of the test",
            "`test.csv` has 05000, the sample x0",
            plain | {"sample_submission.csv": others},
            "the sample submission does not fit the test rows: 12 of its ids are not predicted",
            "set data.test or data.sample_submission",
        ),
        refused(
            "Several label columns of words",
            "`genus` and `species`, both asked for",
            genus,
            "2 label columns, and 'genus' holds words ('bird', 'cat', 'dog')",
            "set data.target to one of them, and train an experiment for each",
        ),
        refused(
            "Captions as the label",
            "`label` such as `a cat that sits in garden number 3`",
            plain | {"train.csv": train.assign(label=captions)},
            "the label column 'label' has 24 different values in 24 rows",
            "set data.target to the column that holds classes, or data.kind=multiclass",
        ),
        refused(
            "Rows without a label",
            "`label` is empty in two rows",
            plain | {"train.csv": train.assign(label=["", "", *train["label"][2:]])},
            "2 training rows have no label in 'label': ids '0000', '0001'",
            "remove them from the table, or set data.kind=multilabel",
        ),
        refused(
            "Only one class",
            "`label` is cat in all rows",
            plain | {"train.csv": train.assign(label="cat")},
            "the label column 'label' has only one value, 'cat': set data.target",
        ),
        refused(
            "One number in two spellings",
            "`label` 1, 1.0 and 2",
            plain | {"train.csv": train.assign(label=["1", "1.0", "2"] * 8)},
            "the labels '1', '1.0' are the same number: spell them alike, or set data.kind=regression",
        ),
        refused(
            "An id twice",
            "0003 stands in two rows",
            plain | {"train.csv": pd.concat([train, train.iloc[[3]]])},
            "1 id appears more than once in the train table: '0003'",
            "set data.id to a column that has each value once",
        ),
        refused(
            "Kappa of several labels",
            "two 0/1 columns",
            competition(organs, {"etv": "0.5", "cvc": "0.5"}),
            "the metric quadratic_kappa is not for several labels per row",
            "set metric to one of",
            metric="quadratic_kappa",
        ),
        refused(
            "Probabilities of three classes in one column",
            "`label` bird, cat or dog; the sample has `target`: 0.5",
            competition(drawn, {"target": "0.5"}),
            "3 classes do not fit into it as probabilities: set submit.values=labels",
            metric="log_loss",
        ),
        refused(
            "A row for each image and class",
            "`label` bird, cat or dog; the sample has `id` such as `05000_bird` and `value`",
            long,
            "the sample submission has a row for each test row and class ('05000_bird', '05000_cat'",
            "set data.sample_submission to a file with the test rows' ids and a column for each class",
            metric="log_loss",
        ),
        refused(
            "A class without a column",
            "`label` bird, cat or dog; the sample has `bird` and `cat`",
            competition(drawn, {"bird": "0.3", "cat": "0.3"}),
            "the sample submission has no column of its own for 'dog'",
            "set data.target or data.sample_submission",
            metric="log_loss",
        ),
        refused(
            "Two folders that could be the competition",
            "`one/train.csv` and `two/train.csv`",
            {f"{folder}/{name}": content for folder in ("one", "two") for name, content in plain.items()},
            "no training table or folder in data",
            "set data.root=data/one or data.root=data/two",
        ),
        refused(
            "No test set, and none announced",
            "`train.csv` and its images",
            {name: content for name, content in plain.items() if name.startswith("train")},
            "set data.test, to null if there is no test set",
        ),
        refused(
            "Scans in a form that is not read",
            "`train/0001.nii`",
            tables | scans,
            "there are no images below data (36 files end with .nii",
            "put the competition's images there",
        ),
    ]


REFUSED = [*_asked(), *_refused()]
