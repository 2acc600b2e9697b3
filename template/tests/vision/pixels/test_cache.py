"""When the cache is built: only what changed is decoded, only where it fits, and a kill harms nothing."""

import os
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import SOURCE
from test_pixels import DECODING, assert_holds, places
from vision.small import picture

from comp.vision.data.competition import open_competition
from comp.vision.parallel import AHEAD, in_parallel
from comp.vision.pixels import Decoding, Pixels, Streamed, open_pixels
from comp.vision.pixels.cached import build
from comp.vision.pixels.decoding import states
from comp.vision.pixels.open import estimated_bytes

CACHE = Path("cache")
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def images(repo):
    """Paths of five images."""
    paths = [str(repo / "images" / f"{number}.png") for number in range(5)]
    (repo / "images").mkdir()
    for number, path in enumerate(paths):
        picture("red", number).save(path)
    return paths


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that were decoded since the last look at it."""
    names, real = [], Decoding.__call__

    def noting(self, path):
        names.append(Path(path).name)
        return real(self, path)

    monkeypatch.setattr(Decoding, "__call__", noting)

    def call():
        seen = sorted(names)
        names.clear()
        return seen

    return call


def opened(paths, cache=True, table="images", decoding=DECODING):
    return open_pixels(paths, CACHE, decoding, cache, table)


def test_nothing_is_read_where_nothing_changed(images, decoded, monkeypatch):
    opened(images)
    assert len(decoded()) == 5
    monkeypatch.setattr("comp.vision.pixels.cached.build", None)
    monkeypatch.setattr("comp.vision.pixels.open.build", None)
    assert_holds(opened(images), images)
    assert decoded() == []


def test_a_touched_file_is_not_decoded_again(images, decoded):
    opened(images)
    decoded()
    for path in images:
        os.utime(path, (1, 1))
    assert_holds(opened(images), images)
    assert decoded() == []


def test_only_what_changed_or_is_new_is_decoded(images, decoded, capsys):
    opened(images)
    decoded()
    picture("blue", 7).save(images[1])  # under the old name
    picture("blue", 8).save("images/new.png")
    capsys.readouterr()
    assert_holds(opened([*images, "images/new.png"]), [*images, "images/new.png"])
    assert decoded() == ["1.png", "new.png"]
    assert "2 decoded, 4 reused" in capsys.readouterr().out


def test_only_what_changed_or_is_new_is_read(images, monkeypatch):
    opened(images)
    read = []
    monkeypatch.setattr("comp.vision.pixels.cached._hash", lambda path: read.append(Path(path).name) or path)
    os.utime(images[3], (1, 1))
    opened(images)
    assert read == ["3.png"]


def test_images_unpacked_again_elsewhere_and_in_another_order_are_not_decoded(images, decoded):
    opened(images)
    decoded()
    shutil.copytree("images", "moved")
    shutil.rmtree("images")
    moved = [f"moved/{number}.png" for number in (3, 1, 4, 0, 2)]
    assert_holds(opened(moved), moved)
    assert decoded() == []


def test_images_swapped_between_two_names_are_told_apart(images, decoded):
    opened(images)
    decoded()
    Path(images[0]).rename("aside.png")
    Path(images[1]).rename(images[0])
    Path("aside.png").rename(images[1])
    assert_holds(opened(images), images)
    assert decoded() == []


def test_pixels_of_another_size_are_not_reused(images, decoded):
    opened(images)
    opened(images, decoding=Decoding(8, (255, 255, 255), "none", None))
    assert len(decoded()) == 10
    assert len(places()) == 2


def test_a_bad_image_stays_bad_until_it_is_mended(images, decoded):
    good = Path(images[2]).read_bytes()
    Path(images[2]).write_bytes(good[:100])
    assert list(opened(images).bad) == [2]
    os.utime(images[2], (1, 1))
    assert list(opened(images).bad) == [2]
    Path(images[2]).write_bytes(good)
    decoded()
    pixels = opened(images)
    assert pixels.bad == {}
    assert_holds(pixels, images)
    assert decoded() == ["2.png"]


def test_a_new_cache_replaces_that_of_the_same_table_only(images):
    opened(images, table="train")
    opened(images[:2], table="test")
    picture("blue", 7).save(images[4])
    opened(images, table="train")
    assert sorted(place.name.partition("-")[0] for place in places()) == ["test", "train"]


def test_a_cache_in_use_stays_until_the_next_build(images):
    used = opened(images)
    before = [used[row].copy() for row in range(5)]
    picture("blue", 7).save(images[0])
    opened(images)
    assert len(places()) == 2
    reopened = used.__reduce__()[0](*used.__reduce__()[1])  # as a spawned worker does it
    for row in range(5):
        np.testing.assert_array_equal(used[row], before[row])
        np.testing.assert_array_equal(reopened[row], before[row])
    del used, reopened
    picture("blue", 8).save(images[0])
    opened(images)
    assert len(places()) == 1


def test_a_map_outlives_its_file(images):
    used = opened(images)
    before = used[4].copy()
    shutil.rmtree(CACHE)
    np.testing.assert_array_equal(used[4], before)


def test_a_damaged_older_cache_is_decoded_again(images, decoded):
    opened(images)
    [place] = places()
    (place / "index.npy").write_bytes(b"")
    picture("blue", 7).save(images[0])
    assert_holds(opened(images), images)
    assert len(decoded()) == 10


def test_processes_that_start_at_once_build_it_once(images, repo):
    code = (
        "from pathlib import Path\nfrom comp.vision.pixels import *\nimport time\n"
        "real = Decoding.__call__\n"
        "Decoding.__call__ = lambda self, path: (time.sleep(0.1), print('decoded\\n', end=''), real(self, path))[2]\n"
        f"open_pixels({images!r}, Path('cache'), {DECODING!r}, True)"
    )
    processes = [python(code) for _ in range(3)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(output.count("decoded\n") for output in outputs) == 5
    assert sum(output.count("reused") for output in outputs) == 1  # the others found it there
    assert_holds(opened(images), images)
    assert len(places()) == 1


def test_without_locks_the_slower_of_two_builds_takes_what_the_faster_one_made(images, decoded, monkeypatch):
    place = CACHE / "images-key-files"
    CACHE.mkdir()
    assert build(states(images), place, DECODING) == 5
    assert build(states(images), place, DECODING) == 0
    assert places() == [place]
    assert_holds(Pixels(place), images)


def test_a_killed_build_is_taken_for_nothing_and_removed_by_the_next(images, repo):
    code = (
        "from pathlib import Path\nfrom comp.vision.pixels import *\nimport time\n"
        "real = Decoding.__call__\n"
        "def slow(self, path):\n"
        "    if path.endswith('4.png'):\n"
        "        print('there', flush=True)\n        time.sleep(60)\n"
        "    return real(self, path)\n"
        "Decoding.__call__ = slow\n"
        f"open_pixels({images!r}, Path('cache'), {DECODING!r}, True, quiet=True)"
    )
    process = python(code)
    assert process.stdout.readline() == "there\n"
    process.kill()
    process.communicate()
    [left] = places()
    assert left.name.startswith(".")
    assert left.name.endswith(".tmp")
    assert_holds(opened(images), images)
    assert left not in places()
    assert len(places()) == 1


def test_what_a_living_process_builds_is_no_leftover(images, monkeypatch):
    half_way, go_on, real = threading.Event(), threading.Event(), Decoding.__call__

    def slow(self, path):
        half_way.set()
        assert go_on.wait(10)
        return real(self, path)

    monkeypatch.setattr(Decoding, "__call__", slow)
    first = threading.Thread(target=opened, args=(images,))
    second = threading.Thread(target=opened, args=(images[:2], True, "other"))
    first.start()
    assert half_way.wait(10)
    second.start()
    second.join(0.2)
    [beside] = places()  # the second waits, and has removed nothing
    assert beside.name.endswith(".tmp")
    go_on.set()
    first.join(10)
    second.join(10)
    assert len(places()) == 2


def test_decoding_runs_only_a_little_ahead_of_writing():
    started = []
    results = in_parallel(started.append, range(1000), "images")
    next(results)
    results.close()
    assert len(started) <= AHEAD + 1


@pytest.mark.parametrize(
    ("decoding", "size", "n_bytes"),
    [
        (Decoding(16, (0, 0, 0), "none", None), (64, 32), 32 * 16 * 3),
        (Decoding(16, (0, 0, 0), "none", None), (8, 12), 8 * 12 * 3),
        (Decoding(16, (0, 0, 0), "square", None), (64, 32), 32 * 32 * 3),
        (Decoding(16, (0, 0, 0), "native", 20), (64, 32), 20 * 20 * 3),
    ],
)
def test_the_estimate_is_what_the_cache_takes_where_images_are_alike(repo, decoding, size, n_bytes):
    Image.new("RGB", size).save("one.png")
    paths = ["one.png"] * 700
    assert estimated_bytes(paths, decoding) == 700 * n_bytes
    assert opened(["one.png"], decoding=decoding).n_bytes == n_bytes


def test_the_estimate_reads_a_few_hundred_headers_spread_evenly(repo, monkeypatch):
    asked = []
    monkeypatch.setattr("comp.vision.pixels.open.image_size", lambda path: asked.append(int(str(path))) or (10, 10))
    assert estimated_bytes([str(number) for number in range(100_000)], DECODING) == 100_000 * 300
    assert len(asked) <= 300
    assert (asked[0], asked[-1]) == (0, 99_999)
    assert max(np.diff(asked)) <= 2 * min(np.diff(asked))


def test_the_estimate_passes_over_files_that_are_no_images(images):
    whole = estimated_bytes(images, DECODING)
    Path(images[2]).write_text("no picture")
    assert estimated_bytes(images, DECODING) == whole
    Path(images[2]).unlink()
    assert estimated_bytes(images, DECODING) == whole
    assert estimated_bytes([images[2]], DECODING) == 0


def test_the_size_is_told_before_the_first_image_is_decoded(images, capsys, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("comp.vision.pixels.open.build", stop)
    with pytest.raises(KeyboardInterrupt):
        opened(images)
    assert capsys.readouterr().out == "cache   cache: about 4.3 kB for 5 images\n"  # 5 of 18 × 16 pixels


@pytest.mark.parametrize(("total_gb", "free_gb"), [(100, 0), (100, 5), (100, 5.000_004), (10, 0.9), (10, 1)])
def test_auto_streams_where_the_disk_is_too_small_and_says_why(images, monkeypatch, capsys, total_gb, free_gb):
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(total_gb * 10**9, 0, round(free_gb * 10**9)))
    assert isinstance(opened(images, "auto"), Streamed)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "about 4.3 kB for 5 images" in out
    assert "to spare" in out
    assert not any(place.is_dir() for place in places())


def test_auto_caches_where_it_fits(images, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(10 * 10**9, 0, 10**9 + 5_000))
    assert isinstance(opened(images, "auto"), Pixels)


def test_auto_streams_what_the_memory_cannot_hold(images, monkeypatch, capsys):
    monkeypatch.setattr("comp.vision.pixels.open.memory_bytes", lambda: 5_000)
    assert isinstance(opened(images, "auto"), Streamed)
    assert "80% of the memory" in capsys.readouterr().out
    monkeypatch.setattr("comp.vision.pixels.open.memory_bytes", lambda: 6_000)
    assert isinstance(opened(images, "auto"), Pixels)


def test_true_insists_and_false_streams(images, monkeypatch, capsys):
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(1, 1, 0))
    monkeypatch.setattr("comp.vision.pixels.open.memory_bytes", lambda: 1)
    assert isinstance(opened(images, True), Pixels)
    assert isinstance(opened(images, "auto"), Pixels)  # it is there: no reason not to take it
    capsys.readouterr()
    assert isinstance(opened(images, False), Streamed)
    assert capsys.readouterr().out == "cache   none, each epoch decodes 5 images again (data.cache=false)\n"


def test_comp_cache_builds_both_tables_ahead_without_folds(competition, configure, comp, decoded):
    configure()
    status, out, err = comp("cache")
    assert (status, err) == (0, "")
    assert "        36 images, " in out
    assert "        9 images, " in out
    assert out.count("images/s: ") == 2
    assert out.splitlines()[-1] == "next    comp train"
    assert len(decoded()) == 45
    comp("split")
    open_competition(configure(), quiet=True)  # as training does
    assert decoded() == []
    assert comp("cache")[1].count(", found") == 2


def test_comp_cache_tells_of_unreadable_images(competition, configure, comp):
    (competition / "train" / "0003.png").write_text("no picture")
    configure()
    status, _, err = comp("cache")
    assert (status, err.count("\n")) == (1, 1)
    assert "0003.png" in err


@pytest.mark.parametrize(("cache", "status"), [("auto", 1), ("true", 1), ("false", 0)])
def test_a_folder_that_cannot_be_written_is_one_line_unless_nothing_needs_it(
    competition, configure, comp, cache, status
):
    configure()
    Path("busy").write_text("I am a file")
    done, _, err = comp("cache", "data.work=busy", f"data.cache={cache}")
    assert (done, err.count("\n"), "data.work=" in err) == (status, status, bool(status))


def test_cache_is_a_step_of_comp_run(competition, configure, comp, decoded):
    configure(steps=["cache"])
    assert comp("run")[0] == 0
    assert len(decoded()) == 45


def test_other_test_images_do_not_replace_the_cache_of_the_first(competition, configure, comp, decoded):
    configure()
    comp("cache")
    shutil.copytree(competition / "test", competition / "extra")
    picture("red", 1).save(competition / "extra" / "new.png")
    decoded()
    assert comp("cache", "data.test=extra", "data.sample_submission=sample_submission.csv")[0] == 0
    assert decoded() == ["new.png"]
    assert comp("cache")[1].count(", found") == 2


def test_a_streamed_competition_trains_on_the_same_pixels(competition, configure, comp):
    configure()
    comp("split")
    kept = open_competition(configure(), quiet=True)
    stream = open_competition(configure(data={"cache": False}), quiet=True)
    for a, b in ((kept.train_pixels, stream.train_pixels), (kept.test_pixels, stream.test_pixels)):
        assert (type(a), type(b), len(a)) == (Pixels, Streamed, len(b))
        assert all((a[row] == b[row]).all() for row in range(len(a)))


def python(code):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
