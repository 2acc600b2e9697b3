"""What images are remembered by comes back damaged: it is made again, with a note, and nothing else changes."""

import shutil

import numpy as np
import pandas as pd
import pytest

DAMAGES = {
    "half": lambda whole: whole[: len(whole) // 2],
    "empty": lambda _: b"",
    "noise": lambda whole: np.random.default_rng(1).bytes(len(whole)),
    "a header that promises more": lambda whole: whole.replace(b"(", b"(9999999999, ", 1),
    "another type": lambda _: b"[1, 2]",
}


@pytest.mark.parametrize("how", DAMAGES)
def test_the_memory_of_duplicates(how, competition, configure, comp):
    configure()
    assert comp("split")[0] == 0
    before, memory = (competition / "folds.csv").read_bytes(), competition / "cache" / "duplicates.npy"
    memory.write_bytes(DAMAGES[how](memory.read_bytes()))
    status, printed, errors = comp("split", "--force")
    assert (status, errors) == (0, "")
    assert "duplicates.npy is damaged" in printed
    assert "it is made again" in printed
    assert (competition / "folds.csv").read_bytes() == before


@pytest.mark.parametrize("how", DAMAGES)
def test_a_training_goes_on_with_a_new_cache_of_pixels(how, trained, comp):
    for folder in (trained / "data/cache").glob("*/"):
        index = folder / "index.npy"
        index.write_bytes(DAMAGES[how](index.read_bytes()))
    before = pd.read_parquet(trained / "runs/small/oof.parquet")
    status, printed, errors = comp("predict")
    assert (status, errors) == (0, "")
    assert printed.count("index.npy is damaged") == 2
    # On some processors the last bit depends on how the weights lie in memory.
    after = pd.read_parquet(trained / "runs/small/oof.parquet")
    pd.testing.assert_frame_equal(after, before, rtol=0, atol=1e-6)


def test_a_cache_that_lacks_a_file_or_is_gone_is_made_again(trained, comp):
    for folder in (trained / "data/cache").glob("*/"):
        (folder / "pixels.bin").unlink()
    assert comp("predict")[0] == 0
    shutil.rmtree(trained / "data/cache")
    assert comp("predict")[0] == 0


@pytest.mark.parametrize("how", ["half", "empty", "noise", "another type"])
def test_chosen_rows_of_a_student_are_a_line(how, trained, comp):
    """A training that was interrupted reads them again."""
    words = ("pseudo.threshold=0", "pseudo.train={epochs: 1}")
    assert comp("pseudo", *words)[0] == 0
    student = trained / "runs/small-pseudo"
    chosen = student / "fold0/pseudo.parquet"
    whole = chosen.read_bytes()
    (student / "fold0/metrics.json").unlink()
    chosen.write_bytes(DAMAGES[how](whole))
    status, _, errors = comp("pseudo", *words)
    assert (status, errors.count("\n")) == (1, 1)
    assert "fold0/pseudo.parquet is damaged" in errors
    assert "remove it, and the rows are chosen again" in errors
    chosen.unlink()
    assert comp("pseudo", *words)[0] == 0
    assert chosen.read_bytes() == whole


@pytest.mark.parametrize("how", ["half", "empty", "noise"])
def test_the_best_weights_so_far_are_a_line(how, competition, configure, comp, monkeypatch):
    """They are read once, at the end of a training."""
    from comp.loop import epochs

    configure(train={"keep": "best", "epochs": 2})
    assert comp("split")[0] == 0
    real = epochs.write_tensors

    def written_to_a_bad_disk(path, values):
        real(path, values)
        path.write_bytes(DAMAGES[how](path.read_bytes()))

    with monkeypatch.context() as patch:
        patch.setattr(epochs, "write_tensors", written_to_a_bad_disk)
        status, _, errors = comp("train")
    assert (status, errors.count("\n")) == (1, 1)
    assert "best.pt is damaged" in errors
    assert "remove runs/small/fold0/last and run comp train" in errors
    shutil.rmtree("runs/small/fold0/last")
    assert comp("train")[0] == 0
