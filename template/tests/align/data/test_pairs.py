"""Reading captions and images: every layout that hosts use, and every fault named before anything is trained."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from align.small import IMAGE, IMAGES, TESTS, arrays, configured, write

from comp.align.data.npz import Archive
from comp.align.data.pairs import open_competition, read_pairs, split
from comp.errors import CompError


@pytest.fixture
def data(repo):
    """`data(train={…}, test={…})` writes a competition with these arrays instead; None leaves one out."""

    def make(train=None, test=None, packed=False, dtype="float32"):
        ours, tests, images = arrays(dtype=dtype)
        for given, changes in ((ours, train or {}), (tests, test or {})):
            given.update(changes)
            for name in [name for name, value in given.items() if value is None]:
                del given[name]
        write(repo / "data", ours, tests, images, packed)
        return ours

    return make


def refusal(**sections):
    with pytest.raises(CompError) as refused:
        read_pairs(configured(**sections))
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_embeddings_of_any_float_type_come_as_they_stand(data, packed, dtype):
    ours = data(packed=packed, dtype=dtype)
    pairs = read_pairs(configured())
    assert pairs.texts.dtype == dtype
    assert np.array_equal(pairs.texts, ours["captions/embeddings"])
    assert np.array_equal(pairs.images, ours["images/embeddings"])
    assert isinstance(pairs.texts, np.memmap) == (not packed)  # uncompressed, nothing is read before it is used


def test_an_array_in_fortrans_order_is_read_alike(data):
    texts = arrays()[0]["captions/embeddings"]
    for packed in (False, True):
        data(train={"captions/embeddings": np.asfortranarray(texts)}, packed=packed)
        assert np.array_equal(read_pairs(configured()).texts, texts)


def test_captions_out_of_order_find_their_images(data):
    ours = arrays()[0]
    order = np.random.default_rng(1).permutation(len(ours["captions/label"]))
    shuffled = {name: ours[name][order] for name in ("captions/embeddings", "captions/text", "captions/label")}
    data(train=shuffled)
    pairs = read_pairs(configured())
    assert np.array_equal(pairs.image_of, ours["captions/label"][order])
    assert list(pairs.tables.train["target"]) == [f"{row:03d}.jpg" for row in pairs.image_of]


def npy(shape: str, descr: str = "'<f4'", body: bytes = b"") -> bytes:
    """A npy file whose header says so, whatever follows."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + body


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "member",
    [
        npy("(1000000000000, 12)"),
        npy("(9223372036854775807, 9223372036854775807)"),
        npy("(-1, 12)"),
        npy("(300, 12)", body=b"short"),
        npy("(300,)", "'<f4', 7"),
        npy("(3, 12)", "'V0'"),
        npy("x"),
        b"",
        b"\x93NUMPY\x09\x00",
        npy("(True, 12)"),
        npy("(" * 300),
    ],
)
def test_an_absurd_header_is_one_line_and_asks_for_no_memory(data, repo, packing, member):
    data()
    with zipfile.ZipFile(repo / "data/train.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(repo / "data/train.npz", "w", packing) as archive:
        for name, content in {**members, "captions/embeddings.npy": member}.items():
            archive.writestr(name, content)
    assert "train.npz: captions/embeddings is " in refusal()


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("captions/embeddings", lambda texts: texts > 0, "captions/embeddings is bool"),
        ("captions/embeddings", lambda texts: texts.astype(complex), "captions/embeddings is complex128"),
        ("captions/embeddings", lambda texts: texts[:0], "captions/embeddings is float32 (0, 12)"),
        ("captions/embeddings", lambda texts: texts[:, :0], "captions/embeddings is float32 (300, 0)"),
        ("images/embeddings", lambda images: images.astype(np.int8), "images/embeddings is int8"),
        ("captions/label", lambda of: of + 2**62, "the images are numbered 0 to 59"),
        ("captions/label", lambda of: of.astype(np.uint64) + np.uint64(2**63), "the images are numbered 0 to 59"),
        ("captions/label", lambda of: np.where(of == 3, np.nan, of), "the images are numbered 0 to 59"),
        ("captions/label", lambda of: np.where(of == 3, np.inf, of), "the images are numbered 0 to 59"),
        ("captions/label", lambda of: of.astype(complex), "captions/label is complex128"),
        ("captions/label", lambda of: of > 30, "captions/label is bool"),
        ("captions/label", lambda of: of.astype("datetime64[s]"), "captions/label is datetime64"),
        ("images/names", lambda names: names.astype("S") + b"\xff", "images/names is not text in UTF-8"),
        ("images/names", lambda names: np.zeros(len(names), "V4"), "images/names is |V4"),
        ("images/names", lambda names: names.reshape(-1, 1), "images/names is (60, 1)"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_array_of_the_wrong_kind_is_one_line(data, name, change, told, packed):
    data(train={name: change(arrays()[0][name])}, packed=packed)
    assert told in refusal()


def test_an_empty_sample_submission_is_one_line(data, repo):
    data()
    for text in (
        "",
        "\n",
        "id,embedding\n",
        'id,embedding\na,"[]"\n',
        'id,embedding\na,"[1e999]"\n',
        "id,e\na," + "[" * 9000,
    ):
        (repo / "data/sample_submission.csv").write_text(text, encoding="utf-8")
        assert "sample_submission.csv" in refusal()


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"\0"])
def test_captions_that_are_no_text_are_passed_over_or_told(data, repo, text):
    data(train={"captions/text": None})
    (repo / "data/captions.txt").write_bytes(text)
    try:
        assert read_pairs(configured()).captions is None
    except CompError as error:
        assert "captions.txt (data.captions) is not text in UTF-8" in str(error)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_one_hot_labels_say_the_same_as_numbers(data, packed, dtype):
    of = arrays()[0]["captions/label"]
    data(train={"captions/label": np.eye(IMAGES, dtype=dtype)[of]}, packed=packed)
    assert np.array_equal(read_pairs(configured()).image_of, of)


def test_labels_may_be_the_images_names(data):
    ours = arrays()[0]
    data(train={"captions/label": ours["images/names"][ours["captions/label"]]})
    assert np.array_equal(read_pairs(configured()).image_of, ours["captions/label"])


def test_without_labels_five_in_a_row_are_one_images(data):
    data(train={"captions/label": None})
    assert np.array_equal(read_pairs(configured()).image_of, np.repeat(np.arange(IMAGES), 5))
    ours = arrays()[0]
    data(train={"captions/label": None, **{n: ours[n][:-1] for n in ("captions/embeddings", "captions/text")}})
    assert "299 captions are not 5 for each of 60 images" in refusal()


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (lambda of: of + 1, "captions/label has '60'"),
        (lambda of: of - 1, "captions/label has '-1'"),
        (lambda of: of[:-1], "captions/label is (299,)"),
        (lambda of: np.zeros((len(of), IMAGES)), "not one-hot"),
        (lambda of: np.eye(IMAGES)[of] + np.eye(IMAGES)[0], "not one-hot"),
        (lambda of: np.array(["who.jpg"] * len(of)), "names unknown images: 'who.jpg'"),
    ],
)
def test_labels_that_fit_no_image_are_refused(data, label, said):
    data(train={"captions/label": label(arrays()[0]["captions/label"])})
    assert said in refusal()


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["captions/embeddings", "captions/text", "captions/label", "images/names"])
def test_a_pickled_object_is_refused_and_nothing_of_it_runs(data, repo, packed, name):
    data(train={name: np.array([Bomb()], dtype=object)}, packed=packed)
    assert f"{name} holds pickled Python objects" in refusal()
    assert not (repo / "exploded").exists()
    pickle.loads(pickle.dumps(Bomb())).close()  # the bomb does work
    assert (repo / "exploded").exists()


def test_an_image_without_captions_is_told_and_stands_in_no_fold(data):
    ours = arrays()[0]
    of = ours["captions/label"]
    keep = of != 7
    data(train={name: ours[name][keep] for name in ("captions/embeddings", "captions/text", "captions/label")})
    config = configured()
    pairs = read_pairs(config)
    assert "images  1 have no caption: they are not trained on, and only join the gallery" in pairs.notes
    split(config)
    competition = open_competition(config, quiet=True)
    assert all(7 not in competition.pairs.image_of[rows] for k in range(3) for rows in competition.rows(k))


def test_duplicate_caption_ids_are_named(data):
    ids = arrays()[1]["captions/ids"]
    ids[3] = ids[4]
    data(test={"captions/ids": ids})
    assert "captions/ids: 1 appears more than once: 't4'" in refusal()


@pytest.mark.parametrize(("value", "said"), [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "all zero")])
def test_rows_that_are_no_direction_are_named_or_dropped(data, value, said):
    ours, tests, _ = arrays()
    ours["captions/embeddings"][[11, 12]] = value
    ours["images/embeddings"][40] = value
    tests["captions/embeddings"][2] = value
    data(train=ours, test=tests)
    assert f"1 are {said} (ids '040.jpg')" in refusal()
    pairs = read_pairs(configured(data={"on_bad_row": "drop"}))
    assert pairs.bad == {11, 12, *range(200, 205)}
    assert pairs.bad_test == {2}
    assert sum(line.startswith("warning: ") for line in pairs.notes) == 3
    config = configured(data={"on_bad_row": "drop"})
    split(config)
    trained, validated = open_competition(config, quiet=True).rows(0)
    assert not pairs.bad & {*trained, *validated}


def test_a_sample_submission_with_other_ids_is_refused_before_anything_is_written(data, repo, comp):
    data()
    configured()
    sample = repo / "data" / "sample_submission.csv"
    sample.write_text(sample.read_text(encoding="utf-8").replace("t3,", "who,"), encoding="utf-8")
    assert comp("split")[0] == comp("train", "train.epochs=1")[0] == 0
    status, _, err = comp("submit")
    assert status == 1
    assert "it has ids 'who'" in err
    assert not (repo / "submissions" / "small.csv").exists()


def test_the_captions_of_one_image_never_straddle_two_folds(data):
    data()
    config = configured()
    result = split(config)
    image_of = read_pairs(config).image_of
    assert all(len(set(result.fold[image_of == image])) == 1 for image in range(IMAGES))


def test_a_leak_of_one_images_captions_over_two_folds_is_refused(data, repo):
    data()
    config = configured()
    split(config)
    path = repo / "data" / "folds.csv"
    table = pd.read_csv(path, skiprows=1, dtype=str)
    other = str((int(table.loc[0, "fold"]) + 1) % 3)
    table.loc[0, "fold"] = other
    header = path.read_text(encoding="utf-8").partition("\n")[0]
    path.write_text(f"{header}\n{table.to_csv(index=False)}", encoding="utf-8")
    with pytest.raises(CompError, match="changed since it was written"):
        open_competition(config, quiet=True)


def test_images_that_share_a_caption_share_a_fold(data):
    """Copies of one thing with the same text: a model could look the answer up."""
    ours = arrays()[0]
    texts = ours["captions/embeddings"]
    for image in range(0, IMAGES, 2):
        texts[5 * image] = texts[5 * (image + 1) + 3]
    data(train={"captions/embeddings": texts})
    together = split(configured())
    assert all(together.fold[5 * image] == together.fold[5 * image + 5] for image in range(0, IMAGES, 2))
    apart = split(configured(folds={"join": "images"}), force=True)
    assert any(apart.fold[5 * image] != apart.fold[5 * image + 5] for image in range(0, IMAGES, 2))


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_rows_that_are_no_direction_join_nothing(data, value):
    """They are the same bits, but not the same caption or image."""
    ours = arrays()[0]
    ours["captions/embeddings"][[10, 50]] = value
    ours["images/embeddings"][[20, 30]] = value
    data(train=ours)
    group = read_pairs(configured(data={"on_bad_row": "drop"})).tables.train["group"]
    assert group.nunique() == IMAGES


def test_the_same_image_twice_shares_a_fold(data):
    images = arrays()[0]["images/embeddings"]
    images[1::2] = images[::2]
    data(train={"images/embeddings": images})
    result = split(configured(folds={"join": "images"}))
    assert all(result.fold[5 * image] == result.fold[5 * image + 5] for image in range(0, IMAGES, 2))


def test_a_damaged_file_is_named_and_so_is_what_is_missing(data, repo):
    data(packed=True)
    path = repo / "data" / "train.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "train.npz is not an npz, or is incomplete" in refusal()
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("captions/embeddings.npy")
    bad = bytearray(whole)
    start = info.header_offset + 200
    bad[start : start + 400] = bytes(400)
    path.write_bytes(bytes(bad))
    assert "captions/embeddings is damaged" in refusal()
    path.unlink()
    assert "there is no train.npz or train/train.npz in data" in refusal()


def test_texts_of_two_encoders_do_not_mix(data):
    data(test={"captions/embeddings": np.ones((TESTS, 5), np.float32)})
    assert "they come from different encoders" in refusal()


def test_chunks_of_a_file_are_the_array(data, monkeypatch):
    monkeypatch.setattr("comp.align.data.npz.CHUNK_BYTES", 1000)
    for packed in (False, True):
        ours = data(packed=packed)
        archive = Archive(Path("data/train.npz"))
        chunks = list(archive.chunks("images/embeddings"))
        assert len(chunks) > 3
        assert np.array_equal(np.concatenate(chunks), ours["images/embeddings"])
        assert np.array_equal(archive.read("images/embeddings"), ours["images/embeddings"])


@pytest.mark.parametrize("as_flickr", [True, False])
def test_captions_are_read_from_the_text_file_beside_them(data, repo, as_flickr):
    data(train={"captions/text": None})
    names = [f"{image:03d}.jpg" for image in range(IMAGES)]
    lines = [f"{name},a dog, number {n} of {name}" for name in names for n in range(5)]
    if not as_flickr:
        lines = [line.partition(",")[2] for line in lines]
    text = "\n".join(["image,caption", *lines] if as_flickr else lines)
    (repo / "data" / "captions.txt").write_text(text + "\n", encoding="utf-8")
    captions = read_pairs(configured()).captions
    assert captions[7] == "a dog, number 2 of 001.jpg"


def test_the_width_that_the_sample_shows_must_be_the_images(data, repo, comp):
    data()
    configured()
    sample = repo / "data" / "sample_submission.csv"
    sample.write_text('id,embedding\nt0,"[0.0, 0.0]"\n', encoding="utf-8")
    assert comp("split")[0] == comp("train", "train.epochs=1")[0] == 0
    status, _, err = comp("submit")
    assert (status, f"vectors of 2 numbers, the predictions of {IMAGE}" in err) == (1, True)
