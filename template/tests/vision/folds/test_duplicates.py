"""Copies of an image are found whatever became of them, different images are not, and copies share a fold."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from vision.small import picture

from comp.vision.data.read import read_tables
from comp.vision.folds import duplicates
from comp.vision.folds.alignment import one_picture
from comp.vision.folds.duplicates import find_duplicates, in_sets, united
from comp.vision.folds.looks import GRAY_PX, LOOK, look_at
from comp.vision.schema import Data

WHITE = (255, 255, 255)


def scene(seed, size=(120, 90)):
    """A picture of its own: rectangles and discs of many colors, and a little noise."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(20, 216, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        left, top, width, height = (rng.random(4) * [*size, *size] * [1, 1, 0.5, 0.5]).tolist()
        shape = draw.rectangle if rng.random() < 0.5 else draw.ellipse
        shape((left, top, left + width, top + height), fill=tuple(rng.integers(20, 216, 3).tolist()))
    noise = rng.normal(0, 4, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def as_jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


COPIES = {
    "JPEG": lambda image: as_jpeg(image, 60),
    "poor JPEG": lambda image: as_jpeg(image, 25),
    "half as large": lambda image: image.resize((60, 45)),
    "twice as large": lambda image: image.resize((240, 180)),
    "squashed": lambda image: image.resize((64, 64)),
    "slightly cropped": lambda image: image.crop((1, 1, 118, 89)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "of more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "cropped, shrunk and a JPEG": lambda image: as_jpeg(image.crop((1, 0, 119, 89)).resize((80, 60)), 70),
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "a quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "half a turn": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "three quarter turns": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "transposed": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    "transversed": lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    "the upper left 95 %": lambda image: image.crop((0, 0, 114, 86)),
    "the lower right 92 %": lambda image: image.crop((10, 7, 120, 90)),
    "the upper right 90 %": lambda image: image.crop((12, 0, 120, 81)),
    "the middle 90 %": lambda image: image.crop((6, 4, 114, 86)),
    "mirrored, and the lower left 93 %": lambda image: ImageOps.mirror(image).crop((0, 6, 112, 90)),
    "half as bright": lambda image: ImageEnhance.Brightness(image).enhance(0.5),
    "gray": lambda image: image.convert("L"),
}

MOSTLY = {
    "in a black frame": lambda image: ImageOps.expand(image, 3, (0, 0, 0)),
    "in a white frame": lambda image: ImageOps.expand(image, 4, (255, 255, 255)),
    "rotated by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255)),
}


def write(images, repo, test=(), **columns):
    """A competition of these images, the labels a and b in turn."""
    for table, pictures in {"train": images, "test": test or [scene(999)]}.items():
        shutil.rmtree(repo / "data" / table, ignore_errors=True)
        (repo / "data" / table).mkdir(parents=True)
        for number, image in enumerate(pictures):
            image.save(repo / "data" / table / f"{number:03d}.png")
    ids = [f"{number:03d}" for number in range(len(images))]
    labels = ["ab"[number % 2] for number in range(len(images))]
    pd.DataFrame({"id": ids, "label": labels, **columns}).to_csv(repo / "data" / "train.csv", index=False)


def found_among(images, repo, distance=8, test=()):
    write(images, repo, test)
    return find_duplicates(read_tables(Data()), Data(), distance, repo / "cache")


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_found(repo, change):
    scenes = [scene(seed) for seed in range(10)]
    found = found_among([*scenes, *(COPIES[change](image) for image in scenes)], repo)
    assert found.near[:10].tolist() == found.near[10:].tolist()
    assert len(set(found.near)) == 10
    assert not len(in_sets(found.exact))


@pytest.mark.parametrize("change", MOSTLY)
def test_most_copies_with_a_frame_or_slightly_rotated_are_found(repo, change):
    scenes = [scene(seed) for seed in range(20)]
    found = found_among([*scenes, *(MOSTLY[change](image) for image in scenes)], repo)
    assert (found.near[:20] == found.near[20:]).sum() >= 15
    assert len(set(found.near[:20])) == 20


def icon(seed, turn=0.0):
    """A transparent drawing on 40 × 40 px: a disc of its own color with some marks, as icons of one set have it."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.ellipse((3, 3, 37, 37), fill=(*rng.integers(30, 226, 3).tolist(), 255))
    for _ in range(3):
        left, top = (rng.random(2) * 20 + 8).tolist()
        draw.rectangle((left, top, left + 5, top + 4), fill=(*rng.integers(30, 226, 3).tolist(), 255))
    return image.rotate(turn)


@pytest.mark.parametrize("turn", [0, 90, 180])
def test_icons_of_one_set_are_no_copies_unless_they_are(repo, turn):
    icons = [icon(seed) for seed in range(60)]
    assert not len(in_sets(found_among(icons, repo).near))
    found = found_among([*icons, *(ImageOps.mirror(icon(seed, turn)) for seed in range(10))], repo)
    assert found.near[:10].tolist() == found.near[60:].tolist()
    assert len(set(found.near)) == 60


def test_icons_that_differ_in_one_mark_or_in_color_are_no_copies(repo):
    plain, marked, blue = (Image.new("RGB", (60, 60), WHITE) for _ in range(3))
    for image, color in ((plain, (200, 40, 40)), (marked, (200, 40, 40)), (blue, (40, 40, 200))):
        ImageDraw.Draw(image).ellipse((5, 5, 55, 55), fill=color)
        ImageDraw.Draw(image).rectangle((15, 30, 45, 36), fill=WHITE)
    ImageDraw.Draw(marked).rectangle((20, 16, 26, 22), fill=WHITE)
    assert len(set(found_among([plain, marked, blue], repo).near)) == 3


def test_a_copy_that_is_cut_off_at_white_is_found(repo):
    grays = [scene(seed).convert("L") for seed in range(10)]
    found = found_among([*grays, *(ImageEnhance.Brightness(image).enhance(1.3) for image in grays)], repo)
    assert found.near[:10].tolist() == found.near[10:].tolist()


def test_the_search_is_the_same_each_time_and_in_any_order(repo):
    images = [scene(seed) for seed in range(8)]
    images += [ImageOps.mirror(image) for image in images[:5]]
    order = np.random.default_rng(0).permutation(len(images))
    one, again = found_among(images, repo).near, found_among(images, repo).near
    other = found_among([images[number] for number in order], repo).near
    assert one.tolist() == again.tolist()
    assert ((one[order][:, None] == one[order]) == (other[:, None] == other)).all()


def test_not_all_pairs_are_compared(monkeypatch):
    """Hashes of 3,000 images that have nothing to do with each other, and ten mirrored ones."""
    rng = np.random.default_rng(0)
    looks = np.zeros(3000, LOOK)
    looks["pixels"] = np.arange(3000).astype("S32")
    small = rng.integers(0, 256, (3000, 6, 6)).astype(np.float32)
    spread = np.stack([np.interp(np.linspace(0, 5, GRAY_PX), np.arange(6), one) for one in np.eye(6)], axis=1)
    looks["gray"] = (spread @ small @ spread.T).clip(0, 255)
    looks["gray"][-10:] = looks["gray"][:10, :, ::-1]
    compared = []

    def counting(gray, color, proposals):
        compared.append(len(proposals))
        return one_picture(gray, color, proposals)

    monkeypatch.setattr(duplicates, "one_picture", counting)
    train, _ = duplicates._joined(np.arange(3000), looks, 3000, 8)
    assert train[:10].tolist() == train[-10:].tolist()
    assert len(set(train)) == 2990
    assert sum(compared) < 3000


def test_different_images_are_no_copies(repo):
    same_layout = scene(0)
    drawn = []
    for seed in range(20):  # the same scene with something else in the middle
        image = same_layout.copy()
        image.paste(scene(100 + seed, (60, 45)), (30, 20))
        drawn.append(image)
    found = found_among([*drawn, *(scene(seed) for seed in range(1, 60))], repo)
    assert not len(in_sets(found.near))


@pytest.mark.parametrize("level", [0, 3, 128, 250])
def test_flat_images_are_not_all_one(repo, level):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (30, 50, 50, 3)) + np.linspace(0, 5, 50)[:, None]  # as of one lamp
    images = [Image.fromarray(values) for values in (level + noise).clip(0, 255).astype(np.uint8)]
    assert not len(in_sets(found_among([*images, *(picture("red", seed) for seed in range(30))], repo).near))


def test_a_white_and_a_black_disc_are_no_copies(repo):
    discs = []
    for color in (235, 10):
        image = Image.new("RGB", (60, 60), WHITE)
        ImageDraw.Draw(image).ellipse((5, 5, 55, 55), fill=(color,) * 3)
        discs.append(image)
    assert len(set(found_among(discs, repo).near)) == 2


def test_images_with_equal_pixels_are_identical_whatever_their_files_are(repo):
    image = scene(0)
    opaque = image.convert("RGBA")
    clear = Image.new("RGBA", image.size, (10, 200, 30, 0))
    other_clear = Image.new("RGBA", image.size, (0, 0, 0, 0))
    found = found_among([image, opaque, clear, other_clear, scene(1)], repo)
    assert found.exact[0] == found.exact[1]
    assert found.exact[2] == found.exact[3]
    assert len(set(found.exact)) == 3


def test_an_image_turned_by_its_exif_is_what_a_viewer_shows(repo):
    found_among([scene(0), scene(1)], repo)
    exif = Image.Exif()
    exif[0x0112] = 3
    scene(0).rotate(180).save(repo / "turned.png", exif=exif)
    looks = look_at([str(repo / "data/train/000.png"), str(repo / "turned.png")], WHITE, repo / "none.npy")
    assert looks["pixels"][0] == looks["pixels"][1]


def test_only_identical_images_count_where_near_ones_are_not_asked_for(repo):
    found = found_among([scene(0), scene(0), as_jpeg(scene(0), 60)], repo, distance=None)
    assert found.near[0] == found.near[1] != found.near[2]


def test_copies_of_a_copy_are_one_set(repo):
    shades = [ImageEnhance.Contrast(scene(3)).enhance(factor) for factor in (0.5, 0.75, 1.1)]
    ends = found_among([shades[0], shades[2]], repo)
    assert ends.near[0] != ends.near[1]
    assert len(set(found_among(shades, repo).near)) == 1


def test_a_test_image_is_told_of_and_ties_nothing(repo):
    shades = [ImageEnhance.Contrast(scene(3)).enhance(factor) for factor in (0.5, 0.75, 1.1)]
    found = found_among([shades[0], scene(5), shades[2]], repo, test=[scene(1), shades[1]])
    assert len(set(found.near)) == 3
    assert found.in_test[0] == -1
    assert found.in_test[1] in {0, 2}


def test_united_sets_are_all_that_hang_together():
    links = np.random.default_rng(0).integers(0, 200, (2, 120))
    sets = united(np.arange(200), *links)
    reached = {number: {number} for number in range(200)}
    for a, b in links.T.tolist():
        both = reached[a] | reached[b]
        reached.update(dict.fromkeys(both, both))
    assert [min(reached[number]) for number in range(200)] == sets.tolist()


@pytest.fixture
def looked(repo):
    """Two equal images and another one, looked at; and a way to look again: the number of sets of equal ones."""
    paths = [str(repo / f"{name}.png") for name in "abc"]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        scene(seed).save(path)
    memory = repo / "cache" / "duplicates.npy"

    def look(background=WHITE):
        pixels = look_at(paths, background, memory)["pixels"]
        return [bool(pixels[0]) and pixels[0] == other for other in pixels[1:]]

    assert look() == [True, False]
    return paths, memory, look


def spoil(path, later_ns):
    """Writes something else of the same size."""
    state = Path(path).stat()
    Path(path).write_bytes(b"x" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + later_ns))


def test_a_file_is_read_once(looked):
    paths, _, look = looked
    spoil(paths[0], later_ns=0)
    assert look() == [True, False]


def test_a_changed_file_is_read_again(looked):
    paths, _, look = looked
    spoil(paths[0], later_ns=10**9)
    assert look() == [False, False]


def test_another_background_is_another_look(looked):
    paths, _, look = looked
    spoil(paths[0], later_ns=0)
    assert look(background=(0, 0, 0)) == [False, False]


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY"])
def test_a_damaged_memory_is_no_memory(looked, content):
    _, memory, look = looked
    memory.write_bytes(content)
    assert look() == [True, False]
    assert memory.stat().st_size > 1000


def test_a_folder_that_takes_no_file_only_costs_time(repo, looked):
    paths, _, _ = looked
    (repo / "file").write_text("no folder")
    assert (look_at(paths, WHITE, repo / "file" / "duplicates.npy")["pixels"] != b"").all()


# What comp split makes of them


KINDS = {
    "auto": {},
    "stratified": {"kind": "stratified"},
    "group": {"kind": "group"},
    "stratified_group": {"kind": "stratified_group"},
    "holdout": {"kind": "holdout"},
}


def folds(repo):
    table = pd.read_csv(repo / "data" / "folds.csv", skiprows=1, dtype=str)
    return table["fold"].tolist(), table["group"].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_duplicate_pair_never_straddles_two_folds(repo, configure, comp, kind):
    shades = [ImageEnhance.Contrast(scene(3)).enhance(factor) for factor in (0.5, 0.75, 1.1)]
    images = [scene(0), scene(1), scene(0), as_jpeg(scene(1), 60), *shades, *(scene(seed) for seed in range(10, 20))]
    patients = [*(f"p{number}" for number in range(len(images) - 1)), "p0"]  # the last image is of the first's patient
    grouped = "group" in kind
    write(images, repo, **({"patient": patients} if grouped else {}))
    configure(folds=KINDS[kind], data={"group": "patient"} if grouped else {})
    for seed in range(6):
        status, out, _ = comp("split", f"folds.seed={seed}", "--force")
        assert status == 0
        fold, group = folds(repo)
        for together in [(0, 2), (1, 3), (4, 5, 6), *([(0, 16), (2, 16)] if grouped else [])]:
            assert len({fold[row] for row in together}) == len({group[row] for row in together}) == 1
        assert "0 of them in more than one fold" in out
        assert "identical: 2 rows in 1 sets; with nearly identical ones: 7 rows in 3 sets" in out


def test_labels_of_several_kinds_keep_duplicates_together(repo, configure, comp):
    images = [scene(0), scene(1), scene(0), *(scene(seed) for seed in range(10, 27))]
    marks = np.random.default_rng(0).integers(0, 2, (2, 20)).astype(str)
    write(images, repo, x=marks[0], y=marks[1])
    configure(data={"target": ["x", "y"]}, folds={"kind": "multilabel"})
    for seed in range(6):
        assert comp("split", f"folds.seed={seed}", "--force")[0] == 0
        fold, group = folds(repo)
        assert (fold[0], group[0]) == (fold[2], group[2])
        assert len(set(group)) == 19


def test_folds_over_time_only_tell_of_duplicates(repo, configure, comp):
    write([scene(seed % 6) for seed in range(12)], repo, day=[f"{number}" for number in range(12)])
    configure(data={"time": "day"}, folds={"kind": "time"})
    assert "6 groups of 2 to 2 rows, 6 of them in more than one fold: folds over time" in comp("split")[1]
    assert folds(repo)[0] == ["-1"] * 4 + ["0"] * 4 + ["1"] * 4
    assert comp("split")[0] == 0


def test_a_stratified_split_with_duplicates_is_found_to_fit(repo, configure, comp):
    write([scene(0), scene(1), scene(0), *(scene(seed) for seed in range(10, 20))], repo)
    configure(folds={"kind": "stratified"})
    assert comp("split")[0] == 0
    assert "kind=stratified_group seed=42 near_duplicates=8 " in (repo / "data" / "folds.csv").read_text()
    status, out, _ = comp("split")
    assert status == 0
    assert "kept" in out
    assert "1 groups of 2 to 2 rows, 0 of them in more than one fold" in out


def test_labels_that_contradict_each_other_are_shown(repo, configure, comp):
    write([scene(0), scene(1), scene(2), scene(1), scene(0), *(scene(seed) for seed in range(10, 18))], repo)
    configure()
    assert "identical images have different labels" not in comp("split")[1]
    write([scene(0), scene(1), scene(2), scene(0), *(scene(seed) for seed in range(10, 18))], repo)
    _, out, _ = comp("split", "--force")
    assert "warning: 2 identical images have different labels, such as '000' and '003'" in out


def test_a_test_image_among_the_training_images_is_shown(repo, configure, comp):
    write([scene(seed) for seed in range(12)], repo, test=[scene(20), as_jpeg(scene(4), 60)])
    configure()
    _, out, _ = comp("split")
    assert (
        "note: 1 test images (nearly) repeat training images, such as '001.png', which is training image '004'" in out
    )


def test_an_unreadable_image_does_not_stop_the_split(repo, configure, comp):
    write([scene(seed) for seed in range(12)], repo)
    for name in ("train/003", "train/004", "test/000"):
        (repo / "data" / f"{name}.png").write_bytes(b"no image")
    configure()
    status, out, _ = comp("split")
    assert status == 0
    assert "identical: none; with nearly identical ones: none" in out


def test_an_implausibly_large_set_is_doubted(repo, configure, comp):
    copies = [ImageEnhance.Brightness(scene(0)).enhance(1 - number / 200) for number in range(22)]
    write([*copies, *(scene(seed) for seed in range(1, 30))], repo)
    configure()
    _, out, _ = comp("split")
    assert "warning: duplicates make one group of 22 of 51 rows, such as '000', '001', '002' and 19 more" in out
    assert "folds.near_duplicates" in out
    assert "warning" not in comp("split", "--force", "folds.near_duplicates=null")[1]


@pytest.mark.release  # a thousand small pictures; other sets that look alike are above
def test_the_digits_of_the_demo_are_no_copies_of_each_other(repo, configure, comp):
    configure()
    assert comp("demo-data", "conf/baseline.yaml")[0] == 0
    status, out, _ = comp("split")
    sizes = pd.Series(folds(repo)[1]).value_counts()
    assert status == 0
    assert sizes.max() <= 20
    assert sizes[sizes > 1].sum() <= 90
    assert "warning" not in out
