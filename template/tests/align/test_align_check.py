"""comp check of an alignment: repeats, overlaps, images without captions and drift are told; sound data is let go."""

import numpy as np
import pytest
from align.small import arrays, configured, write


@pytest.fixture
def checked(repo, comp):
    """`checked(change)`: the competition after `change(train, test)`: status, the sentence, all output, errors."""

    def call(change=lambda train, test: None, *words):
        train, test, images = arrays()
        change(train, test)
        write(repo / "data", train, test, images)
        configured()
        status, out, err = comp("check", *words)
        sentence = next((line for line in out.splitlines() if line.startswith("check   ")), "")
        return status, sentence, out, err

    return call


def test_sound_data_is_let_go(checked, repo):
    status, sentence, out, err = checked()
    assert (status, err) == (0, "")
    assert sentence == "check   Go: nothing was found that keeps you from training"
    assert out.splitlines()[-2:] == ["wrote   data/check.html", "next    comp split"]
    assert '<p class="sentence good">' in (repo / "data" / "check.html").read_text(encoding="utf-8")


def test_a_caption_of_several_images_is_told(checked):
    def change(train, test):
        train["captions/embeddings"][7] = train["captions/embeddings"][0]

    assert "1 captions belong to several images (0.7 % of the rows)" in checked(change)[1]


def test_a_test_caption_that_is_a_training_caption_is_told(checked):
    def change(train, test):
        test["captions/embeddings"][3] = train["captions/embeddings"][11]

    assert "1 test captions (5.0 %) are training captions, such as 't3'" in checked(change)[1]


def test_images_without_captions_and_copies_are_told(checked):
    def change(train, test):
        train["captions/label"] = np.where(train["captions/label"] == 4, 5, train["captions/label"])
        train["images/embeddings"][8] = train["images/embeddings"][9]

    _, sentence, out, _ = checked(change)
    assert "1 images are the same as another one" in sentence
    assert "counts  0 to 10 captions an image, 5.0 on average" in out


def test_drifted_test_captions_are_told(checked):
    def change(train, test):
        test["captions/embeddings"] += 4.0

    status, sentence, _, _ = checked(change)
    assert status == 0
    assert "test captions and training captions differ: AUC" in sentence


def test_what_submit_and_split_refuse_is_an_error(checked, repo, comp):
    checked()
    sample = repo / "data" / "sample_submission.csv"
    sample.write_text(sample.read_text(encoding="utf-8").replace("t3,", "other,"), encoding="utf-8")
    status, out, err = comp("check")
    assert status == 1
    assert err == "error: the sample submission does not fit the test captions: it has ids 'other'\n"
    assert "check   Stop: the sample submission does not fit" in out
    status, _, _, err = checked(lambda train, test: None, "folds.n=100")
    assert (status, "too few for 100 folds" in err) == (1, True)
