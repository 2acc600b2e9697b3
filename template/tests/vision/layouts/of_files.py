"""Layouts that differ in their files: tables in any form, images wherever they lie."""

import gzip
from collections.abc import Callable, Iterable

import pandas as pd
from vision.layouts.layout import CODES, Drawn, Files, Layout, competition, gray, images, one_of
from vision.layouts.rules import Rule, accuracy, kappa

PETS = ("bird", "cat", "dog")
TABLES = ("train.csv", "test.csv", "sample_submission.csv")


def pets() -> tuple[Drawn, Files]:
    drawn = one_of(*PETS)
    return drawn, competition(drawn, {"label": "cat"})


def layout(
    name: str, about: str, drawn: Drawn, files: Files, says: Iterable[str], rule: Rule | None = None, **more: object
) -> Layout:
    return Layout(name, about, drawn, files, list(says), rule or accuracy(), **more)


def text_of(table: pd.DataFrame, separator: str = ",") -> str:
    return table.to_csv(index=False, sep=separator, lineterminator="\n")


def in_form(files: Files, suffix: str, change: Callable[[pd.DataFrame], object]) -> Files:
    """The same with its tables in another form."""
    return {
        name.replace(".csv", suffix) if name in TABLES else name: change(content) if name in TABLES else content
        for name, content in files.items()
    }


def with_column(files: Files, column: str, values: Callable[[str, str], str]) -> Files:
    """The same with a column in both tables: `values(split, id)`."""
    both = {
        f"{split}.csv": files[f"{split}.csv"].assign(
            **{column: [values(split, name) for name in files[f"{split}.csv"]["id"]]}
        )
        for split in ("train", "test")
    }
    return files | both


def _tables() -> list[Layout]:
    drawn, plain = pets()
    french = one_of("chat", "chien", "mésange")
    words = {"label": "chat"}
    _, pictures = drawn, images(drawn)
    return [
        layout(
            "Semicolons and Latin-1",
            "tables with `;` between values, and é in one byte",
            french,
            in_form(competition(french, words), ".csv", lambda table: text_of(table, ";").encode("latin-1")),
            ["train   24 rows of data/train.csv, read with ", "semicolons", "chat, chien, mésange"],
        ),
        layout(
            "Tabs and UTF-16",
            "`train.tsv` and the others, as some spreadsheets save them",
            drawn,
            in_form(plain, ".tsv", lambda table: text_of(table, "\t").encode("utf-16")),
            ["train   24 rows of data/train.tsv, read with ", "tabs", "UTF-16"],
        ),
        layout(
            "Parquet",
            "`train.parquet` and the others",
            drawn,
            in_form(plain, ".parquet", lambda table: table),
            ["train   24 rows of data/train.parquet;"],
        ),
        layout(
            "Tables packed one by one",
            "`train.csv.gz` and the others",
            drawn,
            in_form(plain, ".csv.gz", lambda table: gzip.compress(text_of(table).encode())),
            ["train   24 rows of data/train.csv.gz"],
        ),
        layout(
            "A table that is called labels",
            "`train_labels.csv`, `test.csv`, `sampleSubmission.csv`",
            drawn,
            pictures
            | {
                "train_labels.csv": plain["train.csv"],
                "test.csv": plain["test.csv"],
                "sampleSubmission.csv": plain["sample_submission.csv"],
            },
            ["train   24 rows of data/train_labels.csv", "sample  sampleSubmission.csv: 12 rows"],
        ),
        layout(
            "Many columns beside the label",
            "`site` and `age` beside `id` and `label`",
            drawn,
            with_column(with_column(plain, "site", lambda *_: "head"), "age", lambda _, name: name[-2:]),
            ["target  multiclass: 3 of them: bird, cat, dog"],
        ),
    ]


def _folders() -> list[Layout]:
    drawn, plain = pets()
    by_class = drawn.called(lambda name: f"{drawn.labels.loc[name, 'label']}/{name}.png" if name < "05" else name)
    deeper = drawn.called(lambda name: f"{name[-1]}/{name}")
    in_folders = {}
    for row, name in enumerate(drawn.ids):
        split = "train" if row < drawn.n_train else "test"
        in_folders[f"{split}/{'ab'[row % 2]}/{row % 3}/{name}.png"] = row
    tables = {name: plain[name] for name in TABLES}
    named = tables | images(drawn, "{split}/img_{id}.png")
    kinds = ("png", "JPG", "jpeg", "bmp", "webp", "tif")
    mixed = {
        f"{'train' if row < drawn.n_train else 'test'}/{name}.{kinds[row % 6]}": row
        for row, name in enumerate(drawn.ids)
    }
    return [
        layout(
            "Nested folders by class",
            "`train/cat/0001.png`, `test/05000.png`, the sample; no table of labels",
            by_class,
            {
                **{f"train/{name}": row for row, name in enumerate(by_class.ids[: by_class.n_train])},
                **{f"test/{name}.png": by_class.n_train + row for row, name in enumerate(by_class.test.index)},
                "sample_submission.csv": plain["sample_submission.csv"],
            },
            ["train   24 images, 3 subfolders of data/train as classes", "12 images in data/test; ids are their names"],
        ),
        layout(
            "One folder too deep",
            "everything lies in `data/pets-2024/`, beside `__MACOSX/`",
            drawn,
            {f"pets-2024/{name}": content for name, content in plain.items()} | {"__MACOSX/train.csv": "x"},
            ["root    data/pets-2024: the training data lies there"],
        ),
        layout(
            "iNaturalist: ids without suffix in nested folders",
            "`0001` is `train/b/1/0001.png`",
            drawn,
            in_folders | tables,
            ["images at {id}.png by its bare name, in 6 folders"],
        ),
        layout(
            "Ids that are paths",
            "`id` is `3/0003`, the image `train/3/0003.png`",
            deeper,
            competition(deeper, {"label": "cat"}),
            ["images at train/{id}.png"],
        ),
        layout(
            "A test folder without a table",
            "`test/` and the sample, no `test.csv`",
            drawn,
            {name: content for name, content in plain.items() if name != "test.csv"},
            ["test    12 images in data/test; ids are their names without extension"],
        ),
        layout(
            "No sample submission",
            "`train.csv`, `test.csv`, images",
            drawn,
            competition(drawn, None),
            ["sample  none found: the submission will have the columns id and label", "submit  labels in 'label'"],
        ),
        layout(
            "Images of many kinds",
            "`.png`, `.JPG`, `.jpeg`, `.bmp`, `.webp` and `.tif` side by side",
            drawn,
            mixed | tables,
            ["images at train/{id}.*"],
        ),
        layout(
            "RSNA: DICOM",
            "`train/0001.dcm`",
            drawn,
            competition(drawn, {"label": "cat"}, place="{split}/{id}.dcm"),
            ["images at train/{id}.dcm"],
        ),
        layout(
            "Windows paths",
            r"a column `file` such as `train\IMG_0001.PNG`, the file is `train/img_0001.png`",
            drawn,
            with_column(named, "file", lambda split, name: f"{split}\\IMG_{name}.PNG"),
            ["images at {file} (backslashes read as /, upper and lower case not told apart)"],
        ),
        layout(
            "Paths of another machine",
            "a column `file` such as `/kaggle/input/pets/train/img_0001.png`",
            drawn,
            with_column(named, "file", lambda split, name: f"/kaggle/input/pets/{split}/img_{name}.png"),
            ["in front left out"],
        ),
    ]


def _pixels() -> list[Layout]:
    ids = [str(row + 1) for row in range(36)]
    faces, digits = one_of("0", "3", "6", column="emotion"), one_of("1", "4", "7", column="label")
    values = [gray(row % CODES).ravel() for row in range(36)]
    cells = [" ".join(map(str, own)) for own in values]
    n = faces.n_train
    usage = ["Training"] * n + ["PublicTest"] * 6 + ["PrivateTest"] * 6
    fer = Drawn(faces.labels.set_axis(ids), faces.planted.set_axis(ids), n)
    apart = [*ids[:n], *ids[:12]]
    numbered, written = (Drawn(own.labels.set_axis(apart), own.planted.set_axis(apart), n) for own in (faces, digits))
    columns = pd.DataFrame(values, columns=[f"pixel{place}" for place in range(256)])
    return [
        layout(
            "FER2013: pixels in one column, with Usage",
            "`fer2013.csv` with `emotion`, `pixels` and `Usage`",
            fer,
            {"fer2013.csv": faces.labels.assign(pixels=cells, Usage=usage)},
            ["the train rows by its column 'Usage'", "images at 'pixels': 16 x 16 gray"],
            lambda given, truth: accuracy("label", "emotion")(given, truth),
            asks=["no training table", "set data.train=fer2013.csv"],
            answer={"data": {"train": "fer2013.csv"}},
        ),
        layout(
            "Facial expressions: pixels, and rows without ids",
            "`train.csv` with `emotion` and `pixels`, `test.csv` with `pixels`; the sample counts from 1",
            numbered,
            {
                "train.csv": faces.train.assign(pixels=cells[:n]),
                "test.csv": pd.DataFrame({"pixels": cells[n:]}),
                "sample_submission.csv": pd.DataFrame({"ImageId": ids[:12], "emotion": "0"}),
            },
            ["images at 'pixels': 16 x 16 gray", "numbered as there are no ids"],
            accuracy("emotion"),
        ),
        layout(
            "MNIST: a column a pixel",
            "`label` and `pixel0` to `pixel255`; the sample counts from 1",
            written,
            {
                "train.csv": pd.concat([digits.train.reset_index(drop=True), columns[:n]], axis=1),
                "test.csv": columns[n:],
                "sample_submission.csv": pd.DataFrame({"ImageId": ids[:12], "Label": "0"}),
            },
            ["256 columns 'pixel0' to 'pixel255': 16 x 16 gray"],
            accuracy("Label", "label"),
        ),
    ]


def _several() -> list[Layout]:
    speed = one_of("0", "1", "2", "3", "4", column="AdoptionSpeed")
    drawn, plain = pets()
    tables = {name: plain[name] for name in TABLES}

    def photos(own: Drawn, place: str) -> Files:
        """Three pictures of each row, two of every other one."""
        return {
            name.replace("*", str(number)): row
            for name, row in images(own, place).items()
            for number in range(1, 4 - row % 2)
        }

    eyes = {side: images(drawn, "{split}/" + side + "_{id}.png") for side in ("left", "right")}
    both = with_column(plain, "left", lambda _, name: f"left_{name}.png")
    both = with_column(both, "right", lambda _, name: f"right_{name}.png")
    listing = with_column(plain, "photos", lambda split, name: f"{split}/{name}-1.png {split}/{name}-2.png")
    return [
        layout(
            "PetFinder: several photos a pet",
            "`train_images/0001-1.jpg`, `…-2.jpg`, …; `AdoptionSpeed` 0 to 4 by kappa",
            speed,
            {
                name: content
                for name, content in competition(speed, {"AdoptionSpeed": "0"}, "PetID").items()
                if name in TABLES
            }
            | photos(speed, "{split}_images/{id}-*.jpg"),
            ["images at {split}_images/{PetID}-*.jpg, 2 to 3 images a row, 2.5 on average"],
            kappa(["0", "1", "2", "3", "4"], "AdoptionSpeed"),
            settings={"metric": "quadratic_kappa", "data": {"id": "PetID"}},
            asks=["train rows have several images each", "set 'data.path=\"{split}_images/{PetID}-*.jpg\"'"],
            answer={"data": {"path": "{split}_images/{PetID}-*.jpg"}},
            images=3,
            split=True,
        ),
        layout(
            "Retinopathy: a left and a right eye",
            "columns `left` and `right` with the names of two images",
            drawn,
            {name: both[name] for name in TABLES} | eyes["left"] | eyes["right"],
            ["2 images a row"],
            settings={"data": {"target": "label"}},
            asks=["two columns of train rows name images, 'left' and 'right'", "'data.path=[left, right]'"],
            answer={"data": {"path": ["left", "right"]}},
            images=2,
        ),
        layout(
            "A column that lists images",
            "`photos` such as `train/0001-1.png train/0001-2.png`",
            drawn,
            {name: listing[name] for name in TABLES} | photos(drawn, "{split}/{id}-*.png"),
            ["2 images a row"],
            asks=["the train column 'photos' lists several images a row: set data.path=photos"],
            answer={"data": {"path": "photos"}},
            images=2,
        ),
        layout(
            "Slides: tiles in folders",
            "`train/0001/tiles/3.png`",
            drawn,
            tables | photos(drawn, "{split}/{id}/tiles/*.png"),
            ["2 to 3 images a row, 2.5 on average"],
            asks=["train rows have several images each", "set 'data.path=\"{split}/{id}/**/*.png\"'"],
            answer={"data": {"path": "{split}/{id}/**/*.png"}},
            images=3,
        ),
    ]


def _groups() -> list[Layout]:
    drawn, plain = pets()
    return [
        layout(
            "Several images a patient",
            "`patient` such as `P3`, in some rows with a blank after it",
            drawn,
            with_column(plain, "patient", lambda _, name: f"P{int(name) % 8}" + " " * (int(name) % 3 == 0)),
            ["groups  'patient' has groups in several spellings, read as one"],
            settings={"data": {"group": "patient", "target": "label"}},
            split=True,
        ),
        layout(
            "Later rows are the test",
            "`taken` such as `2021-03-07`",
            drawn,
            with_column(plain, "taken", lambda _, name: f"2021-{1 + int(name) % 12:02d}-{1 + int(name) % 28:02d}"),
            ["time    'taken' read as "],
            settings={"data": {"time": "taken", "target": "label"}},
        ),
    ]


OF_FILES = [*_tables(), *_folders(), *_pixels(), *_several(), *_groups()]
