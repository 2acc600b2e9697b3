"""Layouts that differ in what is to be predicted, and in how the host wants to be told."""

import numpy as np
import pandas as pd
from vision.layouts.layout import Drawn, Layout, bits, competition, listed, numbers, one_of
from vision.layouts.rules import accuracy, auc, f1, f1_of_lists, kappa, likelihood, map_at, mean_of, rmse

BREEDS = ("beagle", "boxer", "pug", "whippet")
TAGS = ("clear", "haze", "primary", "road")
WHALES = ("new_whale", *(f"w_{number}" for number in range(6)))
LEAVES = ("healthy", "rust", "scab")
SHARES = {f"Class{question}.{answer}": (0.0, 1.0) for question in range(1, 4) for answer in range(1, 4)}
SEEN_PLACES = (1 + 1 / 2 + 1 / 3) / 3  # of the true class, where it is the first, second and third likeliest in turn


def one_hot(drawn: Drawn) -> Drawn:
    """A 0/1 column for each class."""
    labels = pd.DataFrame({name: drawn.labels["label"].eq(name).astype(int).astype(str) for name in drawn.planted})
    return Drawn(labels.astype(object), drawn.planted, drawn.n_train)


def likely(drawn: Drawn, column: str = "label") -> float:
    """exp(−log loss) of the planted probabilities."""
    p = [drawn.planted.loc[name, label] for name, label in drawn.test[column].items()]
    return float(np.exp(np.log(p).mean()))


def at_two(column: str, positive: str, *classes: str, sample: str = "0.5") -> Layout:
    """Two words, and one column of the sample that is called after one of them."""
    drawn = one_of(*classes)
    return Layout(
        f"Two classes in words, one column {column}: AUC",
        f"`label` is {' or '.join(classes)}; the sample has `{column}`: {sample}",
        drawn,
        competition(drawn, {column: sample}),
        [f"submit  '{column}' is the probability of '{positive}' (by its name)"],
        auc(column, positive, "label"),
        settings={"metric": "roc_auc", "data": {"target": "label"}},
    )


def of_lists(name: str, separator: str, word: str, names: tuple[str, ...] = TAGS, metric: str = "samples_f1") -> Layout:
    drawn = listed(*names, column="tags", separator=separator, border=0.3)
    return Layout(
        name,
        f"`tags` such as `{max(drawn.train['tags'], key=len)}`",
        drawn,
        competition(drawn, {"tags": separator.join(names[:2])}),
        [
            f"target  multilabel: {len(names)} of them: {', '.join(names)}; lists in 'tags', separated by {word}",
            f"submit  lists of labels in 'tags', separated by {word}",
        ],
        f1_of_lists("tags", separator),
        settings={"metric": metric},
        split=True,
    )


def _one_class() -> list[Layout]:
    ids, dogs = one_of("0", "1", "2", "3", "4"), one_of(*BREEDS)
    drivers, many = one_of(*(f"c{k}" for k in range(4)), column="classname"), one_of(*map(str, range(30)), n_train=60)
    pets = one_of("cat", "dog")
    halves, leaves = one_of("0.0", "1.0", "2.0"), one_of(*LEAVES)
    return [
        Layout(
            "Cassava: label ids",
            "`image_id` with `.jpg`, `label` 0 to 4; the sample says 4",
            ids.called(lambda name: f"{name}.jpg"),
            competition(ids.called(lambda name: f"{name}.jpg"), {"label": "4"}, "image_id", "{split}_images/{id}"),
            ["target  multiclass: 5 of them: 0, 1, 2, 3, 4", "submit  labels in 'label', such as '0'"],
            accuracy(),
        ),
        Layout(
            "Dog breeds: one probability column a class",
            "`breed` in words; the sample has a column a breed, in another order",
            dogs,
            competition(dogs, dict.fromkeys(reversed(BREEDS), "0.25")),
            ["submit  probabilities in 'whippet', 'pug', 'boxer', 'beagle'"],
            likelihood({name: name for name in BREEDS}),
            likely(dogs),
            {"metric": "log_loss"},
        ),
        Layout(
            "State Farm: columns named around the classes",
            "`classname` c0 to c3; the sample has `prob_c3` to `prob_c0`",
            drivers,
            competition(drivers, {f"prob_c{k}": "0.1" for k in (3, 2, 1, 0)}, "img"),
            ["submit  probabilities in 'prob_c3' of 'c3', 'prob_c2' of 'c2', 'prob_c1' of 'c1', 'prob_c0' of 'c0'"],
            likelihood({f"prob_c{k}": f"c{k}" for k in range(4)}, "classname"),
            likely(drivers, "classname"),
            {"metric": "log_loss"},
        ),
        Layout(
            "Cats and dogs: one column of words",
            "`label` cat or dog, and so in the sample",
            pets,
            competition(pets, {"label": "cat"}),
            ["target  multiclass: 2 of them: cat, dog", "submit  labels in 'label', such as 'cat'"],
            accuracy(),
        ),
        Layout(
            "Two classes, two columns",
            "`label` cat or dog; the sample has the columns `dog` and `cat`",
            pets,
            competition(pets, {"dog": "0.5", "cat": "0.5"}),
            ["submit  probabilities in 'dog', 'cat'"],
            likelihood({"cat": "cat", "dog": "dog"}),
            likely(pets),
            {"metric": "log_loss"},
        ),
        Layout(
            "Many class ids without a gap",
            "`label` 0 to 29; the sample says 0",
            many,
            competition(many, {"label": "0"}),
            ["target  multiclass: 30 of them: 0, 1, 2, 3, 4, 5, 6, 7 and 22 more"],
            accuracy(),
        ),
        Layout(
            "Labels 0.0, 1.0 and 2.0, wanted as whole numbers",
            "`label` 0.0 to 2.0; the sample says 0 to 2",
            halves,
            competition(halves, {"label": ["0", "1", "2"] * 4}),
            ["submit  labels in 'label', such as '0'"],
            lambda given, truth: accuracy()(given + ".0", truth),
        ),
        Layout(
            "Label ids, wanted as 0.0",
            "`label` 0 to 4; the sample says 0.0",
            ids,
            competition(ids, {"label": "0.0"}),
            ["submit  labels in 'label', such as '0.0'"],
            lambda given, truth: accuracy()(given, truth + ".0"),
        ),
        Layout(
            "Plant Pathology 2020: one 1 in several columns",
            "a 0/1 column for each of healthy, rust and scab; so in the sample",
            one_hot(leaves),
            competition(one_hot(leaves), dict.fromkeys(LEAVES, "0.25"), "image_id", "images/{id}.jpg"),
            ["target  multiclass: 3 of them: healthy, rust, scab; one per row, as each row has exactly one 1"],
            mean_of(*(auc(name, "1") for name in LEAVES)),
            settings={"metric": "roc_auc"},
        ),
    ]


def _grades() -> list[Layout]:
    eyes, words = one_of("0", "1", "2", "3", "4", column="diagnosis"), ("Mild", "No DR", "Severe")
    graded = one_of(*words)
    order = ["No DR", "Mild", "Severe"]
    return [
        Layout(
            "APTOS: grades 0 to 4 by kappa",
            "`id_code`, `diagnosis` 0 to 4; the sample says 0",
            eyes,
            competition(eyes, {"diagnosis": "0"}, "id_code", "{split}_images/{id}.png"),
            ["target  multiclass: 5 of them: 0, 1, 2, 3, 4"],
            kappa(["0", "1", "2", "3", "4"], "diagnosis"),
            settings={"metric": "quadratic_kappa", "data": {"id": "id_code"}},
            split=True,
        ),
        Layout(
            "Grades in words by kappa",
            "`label` No DR, Mild or Severe",
            graded,
            competition(graded, {"label": "No DR"}),
            ["target  multiclass: 3 of them: No DR, Mild, Severe; in the order of data.classes"],
            kappa(order),
            settings={"metric": "quadratic_kappa"},
            asks=["needs the order of the classes", "add the line `classes: [Mild, No DR, Severe]` under `data:`"],
            answer={"data": {"classes": order}},
            split=True,
        ),
    ]


def _yes_or_no() -> list[Layout]:
    cactus, signal = bits("has_cactus"), one_of("-1", "1", column="signal")
    same, rare = one_of("False", "True", column="is_same"), bits("label", border=0.3)
    organs, two = bits("etv", "cvc", "swan", "ngt"), bits("label")
    in_two = one_of("0", "1")
    return [
        Layout(
            "Aerial Cactus: yes or no by AUC",
            "`has_cactus` 0 or 1; the sample says 0.5",
            cactus,
            competition(cactus, {"has_cactus": "0.5"}, place="{split}/{id}.jpg"),
            ["target  binary", "submit  'has_cactus' is the probability of 'has_cactus' = 1"],
            auc("has_cactus", "1"),
            settings={"metric": "roc_auc"},
        ),
        Layout(
            "Yes or no by AUC, the sample says 0",
            "`label` 0 or 1; the sample has `target`: 0",
            two,
            competition(two, {"target": "0"}),
            ["submit  'target' is the probability of 'label' = 1"],
            auc("target", "1", "label"),
            settings={"metric": "roc_auc"},
        ),
        Layout(
            "Yes or no as -1 and 1",
            "`signal` -1 or 1; the sample says 0.5",
            signal,
            competition(signal, {"signal": "0.5"}),
            ["target  multiclass: 2 of them: -1, 1", "submit  'signal' is the probability of '1' (not of '-1')"],
            auc("signal", "1"),
            settings={"metric": "roc_auc"},
        ),
        Layout(
            "Yes or no as True and False",
            "`is_same` True or False; the sample says False",
            same,
            competition(same, {"is_same": "False"}),
            ["target  multiclass: 2 of them: False, True", "submit  labels in 'is_same', such as 'False'"],
            accuracy("is_same"),
        ),
        Layout(
            "Yes or no by F1, rarely sure",
            "`label` 0 or 1; the sample says 0; a yes has 0.4 and more",
            rare,
            competition(rare, {"label": "0"}),
            ["submit  'label' is labels 0 and 1"],
            f1("label"),
            settings={"metric": "macro_f1"},
            split=True,
        ),
        Layout(
            "Yes or no, a column for each",
            "`label` 0 or 1; the sample has the columns `1` and `0`",
            in_two,
            competition(in_two, {"1": "0.5", "0": "0.5"}),
            ["submit  probabilities in '1', '0'"],
            likelihood({"1": "1", "0": "0"}),
            likely(in_two),
            {"metric": "log_loss"},
            asks=["for a column of each class, set data.kind=multiclass"],
            answer={"data": {"kind": "multiclass"}},
        ),
        Layout(
            "RANZCR: 0/1 columns",
            "four 0/1 columns; the sample has them in another order",
            organs,
            competition(organs, dict.fromkeys(["swan", "ngt", "etv", "cvc"], "0"), "StudyInstanceUID"),
            ["target  multilabel: 4 of them: swan, ngt, etv, cvc"],
            mean_of(*(auc(name, "1") for name in organs.labels)),
            settings={"metric": "roc_auc", "data": {"id": "StudyInstanceUID"}},
        ),
        at_two("prob_dog", "dog", "cat", "dog"),
        at_two("is_real", "REAL", "FAKE", "REAL", sample="0"),
        at_two("malignant", "malignant", "benign", "malignant"),
        at_two("cat_probability", "cat", "cat", "dog"),
    ]


def _lists() -> list[Layout]:
    proteins, some = ("0", "1", "2", "16"), listed(*TAGS, column="labels", empty=True, border=0.3)
    leaves = listed(*LEAVES, column="labels", border=0.3)
    return [
        Layout(
            "Plant Pathology 2021: lists in a cell",
            "`labels` such as `rust scab`; the sample says healthy",
            leaves,
            competition(leaves, {"labels": "healthy"}, "image", "{split}_images/{id}.jpg"),
            ["target  multilabel: 3 of them: healthy, rust, scab; lists in 'labels', separated by blanks"],
            f1_of_lists("labels", " "),
            settings={"metric": "samples_f1"},
            split=True,
        ),
        of_lists("Planet: tags, separated by blanks", " ", "blanks"),
        of_lists("Human Protein Atlas: numbers with bars", "|", "bars", proteins),
        of_lists("iMet: numbers with blanks", " ", "blanks", proteins, "samples_f2"),
        of_lists("Tags, separated by semicolons", ";", "semicolons"),
        of_lists("Tags, separated by commas", ",", "commas"),
        Layout(
            "Lists, and rows that have none",
            "`labels` such as `clear road`, some empty; so in the sample",
            some,
            competition(some, {"labels": ["", "clear road", "haze"] * 4}),
            ["target  multilabel: 4 of them: clear, haze, primary, road; lists in 'labels', separated by blanks"],
            f1_of_lists("labels", " "),
            settings={"metric": "samples_f1"},
            split=True,
        ),
    ]


def _likeliest() -> list[Layout]:
    whales, others, dogs = (one_of(*names, column="Id", places=3) for names in (WHALES, WHALES[1:], BREEDS))
    sample = "new_whale w_0 w_1 w_2 w_3"
    return [
        Layout(
            "Humpback Whale: the five likeliest, new_whale a class",
            "`Image` with `.jpg`, `Id`; the sample lists five",
            whales,
            competition(whales, {"Id": sample}, "Image", "{split}/{id}.jpg"),
            ["submit  the 5 likeliest in 'Id', the best first, separated by blanks"],
            map_at(5, "Id"),
            SEEN_PLACES,
            {"metric": "map@5"},
        ),
        Layout(
            "Happywhale: the five likeliest, new_whale no class",
            "`Image` with `.jpg`, `Id`; the sample lists five, new_whale first, which no training row is",
            others,
            competition(others, {"Id": sample}, "Image", "{split}/{id}.jpg"),
            ["submit  the 5 likeliest in 'Id', the best first, separated by blanks; 'new_whale' before those below"],
            map_at(5, "Id"),
            SEEN_PLACES,
            {"metric": "map@5"},
            asks=["names 'new_whale', which no training row has", "set submit.new=new_whale and submit.new_below"],
            answer={"submit": {"new": "new_whale", "new_below": 0.01}},
        ),
        Layout(
            "The three likeliest, as the metric alone says",
            "`Id` in words; the sample says pug in each row",
            dogs,
            competition(dogs, {"Id": "pug"}),
            ["submit  the 3 likeliest in 'Id', the best first, separated by blanks"],
            map_at(3, "Id"),
            SEEN_PLACES,
            {"metric": "map@3"},
        ),
        Layout(
            "The likeliest, separated by commas",
            "`Id` in words; the sample lists `pug,boxer,beagle`",
            dogs,
            competition(dogs, {"Id": "pug,boxer,beagle"}),
            ["submit  the 3 likeliest in 'Id', the best first, separated by commas"],
            map_at(3, "Id", ","),
            SEEN_PLACES,
            {"metric": "map@3"},
        ),
    ]


def _quantities() -> list[Layout]:
    cute, faces = numbers({"Pawpularity": (1, 100)}, digits=0, n_train=60), numbers({"age": (1, 90), "sex": (0, 1)})
    people = Drawn(
        faces.labels.assign(sex=faces.labels["sex"].map(lambda value: str(round(float(value))))),
        faces.planted.assign(sex=faces.labels["sex"].map(lambda value: round(float(value)) + 0.5)),
        faces.n_train,
    )
    shares, price = numbers(SHARES, digits=4, off=0.05), numbers({"price": (10, 900)})
    return [
        Layout(
            "Pawpularity: 1 to 100 by RMSE",
            "`Pawpularity` in whole numbers; the sample says 38.4",
            cute,
            competition(cute, {"Pawpularity": "38.4"}, "Id", "{split}/{id}.jpg"),
            ["target  regression: Pawpularity from 1 to", "submit  numbers in 'Pawpularity'"],
            rmse({"Pawpularity": "Pawpularity"}),
            0.5,
            {"metric": "rmse"},
        ),
        Layout(
            "Galaxy Zoo: shares of answers",
            "nine columns Class1.1 to Class3.3 from 0 to 1; the sample has them the other way around",
            shares,
            competition(shares, dict.fromkeys(reversed(SHARES), "0"), "GalaxyID", "images_{split}/{id}.jpg"),
            ["target  regression: 9 numbers per row: Class3.3 from "],
            rmse({name: name for name in SHARES}),
            0.05,
            {"metric": "rmse", "data": {"id": "GalaxyID"}},
        ),
        Layout(
            "Age and sex: a number and a 0/1",
            "`age` and `sex`, both asked for",
            people,
            competition(people, {"sex": "0.5", "age": "30"}),
            ["target  regression: 2 numbers per row: sex from 0 to 1", "submit  numbers in 'sex', 'age'"],
            rmse({"age": "age", "sex": "sex"}),
            0.5,
            {"metric": "rmse"},
        ),
        Layout(
            "A number that the sample calls otherwise",
            "`price` with cents; the sample has `prediction`",
            price,
            competition(price, {"prediction": "1.5"}),
            ["target  regression: price from ", "submit  numbers in 'prediction' of 'price'"],
            rmse({"prediction": "price"}),
            0.5,
            {"metric": "rmse"},
        ),
    ]


OF_LABELS = [*_one_class(), *_grades(), *_yes_or_no(), *_lists(), *_likeliest(), *_quantities()]
