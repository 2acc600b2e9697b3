"""Whole competitions in the forms that they come in: each is read, or refused with the line that leads on."""

import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from comp.errors import CompError
from comp.vision.data.read import read_tables
from comp.vision.schema import Data

TRAIN = "id,label\n1,cat\n2,dog\n3,cat\n"
TEST = "id\n8\n9\n"
SAMPLE = "id,label\n8,cat\n9,cat\n"


@pytest.fixture
def files(repo):
    """`files({"train.csv": "id,label\\n…", "train/1.png": None})` writes texts and bytes, and pictures for None."""

    def write(contents):
        for name, content in contents.items():
            path = repo / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                Image.new("RGB", (3, 2)).save(path)
            elif isinstance(content, pd.DataFrame):
                content.to_parquet(path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def pictures(*names):
    return dict.fromkeys(names)


PLAIN = pictures("train/1.png", "train/2.png", "train/3.png", "test/8.png", "test/9.png")


def read(**settings):
    return read_tables(Data(**settings))


def refusal(**settings):
    with pytest.raises(CompError) as refused:
        read(**settings)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def told(tables, what):
    """The note that begins with a word."""
    return next((note for note in tables.notes if note.startswith(what)), "")


def names_of(table):
    return [path.replace("\\", "/").partition("data/")[2] for path in table["path"]]


def as_frame(text):
    return pd.read_csv(pd.io.common.StringIO(text), dtype=str)


def zipped(repo, name, contents):
    path = repo / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 2)).save(repo / "one.png")
    with zipfile.ZipFile(path, "w") as archive:
        for inner, content in contents.items():
            archive.writestr(inner, (repo / "one.png").read_bytes() if content is None else content)


FORMS = {
    "semicolons": ("csv", lambda text: text.replace(",", ";"), ", read with semicolons between values;"),
    "tabs": ("tsv", lambda text: text.replace(",", "\t"), ", read with tabs between values;"),
    "UTF-16": ("csv", lambda text: text.encode("utf-16"), ", read with UTF-16;"),
    "gzip": ("csv.gz", lambda text: gzip.compress(text.encode()), ";"),
    "parquet": ("parquet", as_frame, ";"),
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_in_other_forms_are_found_and_told(files, form):
    suffix, change, words = FORMS[form]
    texts = {"train": TRAIN, "sample_submission": SAMPLE}
    files(PLAIN | {f"{name}.{suffix}": change(text) for name, text in texts.items()} | {"test.csv": TEST})
    tables = read()
    assert list(tables.train["id"]) == ["1", "2", "3"]
    assert list(tables.train["target"]) == ["cat", "dog", "cat"]
    assert tables.sample.to_dict("list") == {"id": ["8", "9"], "label": ["cat", "cat"]}
    assert f"train.{suffix}{words}" in told(tables, "train")


def test_tables_zipped_one_by_one_are_read(repo, files):
    files(PLAIN)
    for name, text in {"train.csv": TRAIN, "test.csv": TEST, "sample_submission.csv": SAMPLE}.items():
        zipped(repo, f"{name}.zip", {name: text})
    tables = read()
    assert list(tables.train["target"]) == ["cat", "dog", "cat"]
    assert list(tables.test["id"]) == list(tables.sample["id"]) == ["8", "9"]


def test_the_only_table_is_named_in_the_line_that_leads_on(files):
    files({"faces.csv": TRAIN, "test.csv": TEST, "sample_submission.csv": SAMPLE} | PLAIN)
    assert "set data.train=faces.csv, or" in refusal()


@pytest.mark.parametrize("name", ["sample_submission.csv", "sampleSubmission.csv", "stage1_Sample-Submission.csv"])
def test_other_tables_of_samples_are_no_sample_submission(files, name):
    files(PLAIN | {"samples.csv": TRAIN, "image_samples.csv": TEST, name: SAMPLE})
    assert name in told(read(train="samples.csv"), "sample")


@pytest.mark.parametrize("name", ["samples.csv", "./samples.csv", "{data}/samples.csv"])
def test_a_training_table_of_samples_is_no_sample_submission(repo, files, name):
    files(PLAIN | {"samples.csv": TRAIN})
    tables = read(train=name.format(data=repo / "data"))
    assert tables.sample is None
    assert list(tables.train["target"]) == ["cat", "dog", "cat"]


def test_data_one_folder_deeper_is_followed_and_told(files, repo):
    files({f"comp/{name}": content for name, content in (PLAIN | {"train.csv": TRAIN, "test.csv": TEST}).items()})
    files({"__MACOSX/train.csv": "x", "cache/x.bin": "", "demo/train.csv": TRAIN})
    tables = read()
    assert names_of(tables.train)[0] == "comp/train/1.png"
    assert names_of(tables.test)[0] == "comp/test/8.png"
    assert "(data.root=data/comp)" in told(tables, "root")
    files({"other/train.csv": TRAIN})
    assert "no training table" in refusal()  # it could be either
    assert len(read(root="data/comp").train) == 3


def test_the_demos_folder_is_no_competition(files):
    files({"demo/train.csv": TRAIN, **pictures("demo/train/1.png", "demo/train/2.png", "demo/train/3.png")})
    assert "no training table" in refusal()


def test_folders_of_splits_are_no_classes(files):
    files(pictures("images/train/cat/1.png", "images/train/dog/2.png", "images/test/3.png"))
    tables = read()
    assert list(tables.train["target"]) == ["cat", "dog"]
    assert names_of(tables.test) == ["images/test/3.png"]


def test_images_in_any_folder_are_found_by_their_stem(files):
    files({"train.csv": TRAIN, "test.csv": TEST})
    files(pictures("train/a/1.png", "train/b/c/2.JPG", "train/b/3.png", "test/x/8.png", "test/9.png", "test/y/1.png"))
    tables = read()
    assert names_of(tables.train) == ["train/a/1.png", "train/b/c/2.JPG", "train/b/3.png"]
    assert names_of(tables.test) == ["test/x/8.png", "test/9.png"]
    assert "images at {id}.* by its bare name, in 3 folders" in told(tables, "train")


def test_one_stem_in_two_folders_is_refused_by_both_names(files):
    files({"train.csv": TRAIN, "test.csv": TEST})
    files(pictures("a/1.png", "b/2.png", "c/3.png", "d/3.png", "e/8.png", "e/9.png"))
    message = refusal()
    assert "could be one of several files, such as '3': c/3.png or d/3.png; set data.path" in message


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ("pics/{}.png", "such as images/1.png or pics/1.png: set data.path to one of them"),
        ("images/{}.jpg", "such as images/1.jpg or images/1.png: set data.path to one of them"),
        ("test_pics/{}.png", ""),  # those of the other split
        ("more/pics/{}.png", ""),  # deeper
    ],
)
def test_images_that_could_be_in_two_places_are_asked_for(files, others, words):
    names = ["images/{}.png", others]
    files({"train.csv": TRAIN, **pictures(*(name.format(row) for name in names for row in (1, 2, 3)))})
    if words:
        assert words in refusal(test=None)
        assert names_of(read(test=None, path="images/{id}.png").train)[0] == "images/1.png"
    else:
        assert names_of(read(test=None).train)[0] == "images/1.png"


def test_the_folder_that_is_called_as_the_split_is_its_own(files):
    files({"train.csv": TRAIN, **PLAIN, **pictures(*(f"small_train/{row}.png" for row in (1, 2, 3)))})
    files({"train.csv": TRAIN, **pictures(*(f"a_train/{row}.png" for row in (1, 2, 3)))})
    assert names_of(read(test=None).train)[0] == "train/1.png"


def test_two_columns_that_name_images_are_asked_for(files):
    table = "id,image,mask,label\n" + "".join(f"{row},{row}.png,m{row}.png,{row % 2}\n" for row in (1, 2, 3))
    files({"train.csv": table, **PLAIN, **pictures("train/m1.png", "train/m2.png", "train/m3.png")})
    words = "name images, 'image' and 'mask': set data.path=image, data.path=mask, or 'data.path=[image, mask]'"
    assert words in refusal(test=None, target="label")
    assert names_of(read(test=None, target="label", path="image").train)[0] == "train/1.png"


def test_a_guess_with_few_hits_is_not_believed(files):
    rows = "".join(f"{n},{'cat' if n % 2 else 'dog'}\n" for n in range(168))
    files(
        {"train.csv": "id,label\n" + rows, **pictures("train/0.png", "train/1.png", "train/2.png", "train/pic-9.png")}
    )
    message = refusal(test=None)
    assert "no image of most train rows was found below data (train/{id}.png fits 3 of 168 rows)" in message
    assert "looked for '3' of 'id'; the nearest file is" in message


def test_archives_lead_to_unpack_and_what_it_unpacks_is_read(files, repo, comp, configure):
    configure()
    zipped(repo, "train.zip", pictures("train/1.png", "train/2.png", "train/3.png"))
    zipped(repo, "test.zip", pictures("test/8.png", "test/9.png"))
    files({"train.csv": TRAIN, "test.csv": TEST})
    assert "archives are there ('test.zip', 'train.zip'): comp unpack unpacks them" in refusal()
    assert "train.zip → data/train: 3 files" in comp("unpack")[1]
    assert names_of(read().train) == ["train/1.png", "train/2.png", "train/3.png"]


def test_a_whole_competition_in_one_archive_is_read_once_it_is_unpacked(repo, comp, configure):
    configure()
    zipped(repo, "comp.zip", PLAIN | {"train.csv": TRAIN, "test.csv": TEST, "sample_submission.csv": SAMPLE})
    assert "archives are there ('comp.zip'): comp unpack" in refusal()
    comp("unpack")
    tables = read()
    assert len(tables.train) == 3
    assert len(tables.sample) == 2


def test_what_is_no_image_is_named_by_its_suffix(files):
    files({"train.csv": TRAIN, "test.csv": TEST, "train/1.nii": b"x", "train/2.nii": b"x", "train/3.nii": b"x"})
    assert "there are no images below data (3 files end with .nii, 2 files end with .csv): put" in refusal()


FACES = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)


def faces(rows, sep=" "):
    return [sep.join(map(str, FACES[row].ravel())) for row in rows]


def assert_faces(table, rows):
    for path, row in zip(table["path"], rows, strict=True):
        with Image.open(path) as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), FACES[row])


@pytest.mark.parametrize("sep", [" ", ", "])
def test_a_column_of_pixels_is_read_as_images(files, repo, sep, capsys):
    files({"train.csv": pd.DataFrame({"emotion": [0, 3, 0], "pixels": faces([0, 1, 2], sep)}).to_csv(index=False)})
    files({"test.csv": pd.DataFrame({"pixels": faces([3, 4], sep)}).to_csv(index=False)})
    files({"sample_submission.csv": "ImageId,emotion\n1,0\n2,0\n"})
    tables = read()
    assert_faces(tables.train, [0, 1, 2])
    assert_faces(tables.test, [3, 4])
    assert list(tables.train["target"]) == ["0", "3", "0"]
    assert list(tables.train["id"]) == ["1", "2", "3"]
    assert list(tables.test["id"]) == ["1", "2"]
    assert "images at 'pixels': 8 x 8 gray, values" in told(tables, "train")
    assert "writing the images" in capsys.readouterr().out
    again = read()
    assert list(again.train["path"]) == list(tables.train["path"])
    assert "writing" not in capsys.readouterr().out  # they are there already


@pytest.mark.parametrize("name", ["pixel{n}", "{n}", "{row}x{column}"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_for_each_pixel_is_read_as_images(files, name, suffix):
    names = [name.format(n=n, row=n // 8 + 1, column=n % 8 + 1) for n in range(64)]
    table = pd.DataFrame(FACES.reshape(6, 64), columns=names)[sorted(names)]
    train, test = table[:4].assign(label=[1, 7, 1, 7]), table[4:]
    if suffix == "csv":
        train, test = train.to_csv(index=False), test.reset_index(drop=True).to_csv(index=False)
    files({f"train.{suffix}": train, f"test.{suffix}": test})
    tables = read()
    assert_faces(tables.train, range(4))
    assert_faces(tables.test, [4, 5])
    assert list(tables.train["target"]) == ["1", "7", "1", "7"]
    assert len(tables.train.columns) < 10  # pixels are no metadata


def test_one_table_with_both_splits_is_parted_by_its_column(files):
    usage = ["Training", "PublicTest", "Training", "PrivateTest", "Training"]
    table = pd.DataFrame({"emotion": [0, 1, 1, 0, 0], "pixels": faces(range(5)), "Usage": usage})
    files({"fer2013.csv": table.to_csv(index=False)})
    assert "set data.train=fer2013.csv, or" in refusal()
    for test in ("auto", "fer2013.csv"):
        tables = read(train="fer2013.csv", test=test)
        assert_faces(tables.train, [0, 2, 4])
        assert_faces(tables.test, [1, 3])
        assert list(tables.test["id"]) == ["2", "4"]
        assert "the train rows by its column 'Usage'" in told(tables, "train")
    everything = read(train="fer2013.csv", test=None)
    assert len(everything.train) == 5
    assert "those that 'Usage' calls test among them" in told(everything, "train")


def test_files_win_over_pixels_unless_those_are_asked_for(files):
    table = pd.DataFrame({"id": ["1", "2", "3"], "label": ["a", "b", "a"], "pixels": faces([0, 1, 2])})
    files({"train.csv": table.to_csv(index=False), **pictures("train/1.png", "train/2.png", "train/3.png")})
    assert names_of(read(test=None).train) == ["train/1.png", "train/2.png", "train/3.png"]
    assert_faces(read(test=None, path="pixels").train, [0, 1, 2])
    files({"train.csv": table.assign(id=["7", "8", "9"]).to_csv(index=False)})
    assert "; or data.path=pixels, for those in 'pixels'" in refusal(test=None)


REFUSED_PIXELS = {
    "above 255": (
        [*faces([0])[0].split()[:-1], "256"],
        "row 2 holds '256', and pixels are whole numbers from 0 to 255",
    ),
    "words": ([*faces([0])[0].split()[:-1], "x"], "row 2 holds 'x', and pixels are"),
    "too few": (faces([0])[0].split()[:-1], "row 2 has 63 pixels, and the first has 64"),
    "parts": ([*faces([0])[0].split()[:-1], "0.5"], "row 2 holds '0.5', and pixels are"),
}


@pytest.mark.parametrize("fault", REFUSED_PIXELS)
def test_pixels_that_are_none_are_refused_by_their_row(files, repo, fault):
    values, words = REFUSED_PIXELS[fault]
    table = pd.DataFrame({"label": ["a", "b"], "pixels": [faces([0])[0], " ".join(values)]})
    files({"train.csv": table.to_csv(index=False)})
    assert words in refusal(test=None)
    assert list((repo / "data/cache").glob("*pixels*")) == []


@pytest.mark.parametrize(("value", "words"), [("256", "'256'"), ("-1", "'-1'"), ("x", "'x'"), ("0.5", "'0.5'")])
def test_a_value_that_is_no_pixel_is_refused_in_a_column_each(files, value, words):
    table = pd.DataFrame(FACES[:3].reshape(3, 64), columns=[f"pixel{n}" for n in range(64)]).astype(str)
    table.loc[1, "pixel7"] = value
    files({"train.csv": table.assign(label=["a", "b", "a"]).to_csv(index=False)})
    assert f"row 2 holds {words}, and pixels are whole numbers from 0 to 255" in refusal(test=None)


def test_pixels_that_are_no_square_and_those_of_0_and_1_are_refused(files):
    table = pd.DataFrame({"label": ["a", "b"], "pixels": [" ".join(["7"] * 70)] * 2})
    files({"train.csv": table.to_csv(index=False)})
    assert "70 pixels a row are no square gray image" in refusal(test=None)
    files({"train.csv": table.assign(pixels=" ".join(["1"] * 64)).to_csv(index=False)})
    assert "are 0 to 1, and should be 0 to 255" in refusal(test=None)


def test_pixels_whose_ids_nobody_gives_are_asked_for(files):
    files({"train.csv": pd.DataFrame({"label": ["a", "b"], "pixels": faces([0, 1])}).to_csv(index=False)})
    files({"test.csv": pd.DataFrame({"pixels": faces([3, 4])}).to_csv(index=False)})
    files({"sample_submission.csv": "key,label\nx7,a\nx8,a\n"})
    assert "has no column of ids, and those of the sample submission do not number its 2 rows" in refusal()


def test_files_of_pixels_that_are_gone_are_made_again(files, repo):
    files({"train.csv": pd.DataFrame({"label": ["a", "b"], "pixels": faces([0, 1])}).to_csv(index=False)})
    (first, *_) = read(test=None).train["path"]
    (repo / first).unlink()
    assert_faces(read(test=None).train, [0, 1])
