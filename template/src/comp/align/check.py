"""`comp check` of an alignment: captions that repeat, images without, drift, and what the host wants; one page."""

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from comp.align.data.pairs import Pairs, read_pairs
from comp.align.data.sample_submission import read_form
from comp.align.ranking.retrieval import finite, unit
from comp.align.schema import AlignConfig
from comp.errors import CompError, shown
from comp.folds import folds_path, load_split, planned_split
from comp.runs.page import Plot, Section, Table
from comp.runs.page.figures import drawn
from comp.runs.page.findings import Part, publish
from comp.runs.separation import Measured, Score, auc, out_of_part, parts_of

LEAST_ROWS, MOST_ROWS, DIRECTIONS = 20, 5000, 64  # of each side of a comparison; leading directions of embeddings
DIFFERENT = 0.55  # lower bound of an AUC
SHOWN = 10


def check(config: AlignConfig) -> Path:
    """Writes `check.html` beside `folds.csv`, prints what it comes to, and returns where it is.

    Raises:
        CompError: something keeps `comp split` or `comp submit` from working; the page is written all the same, unless
            the arrays cannot be read.
    """
    page = folds_path(config).with_name("check.html")
    page.unlink(missing_ok=True)
    pairs = read_pairs(config)
    print("\n".join(pairs.notes))
    texts, test_texts = (unit(finite(each)) for each in (pairs.texts, pairs.test_texts))
    contents = _contents(texts, test_texts)
    parts = [
        _counts(pairs),
        _repeats(pairs, contents),
        _overlap(pairs, contents),
        _drift(pairs, texts, test_texts, contents),
        _submission(config, pairs),
        _folds(config, pairs),
    ]
    for line in (line for part in parts for line in part.lines):
        print(line)
    return publish(page, config.data.root, pairs.notes, parts)


def _contents(*tables: np.ndarray) -> np.ndarray:
    """A number for each row of all tables (N, D); equal rows have the same."""
    digests = [blake2b(row.tobytes(), digest_size=16).digest() for rows in tables for row in rows]
    return np.asarray(pd.factorize(np.array(digests, dtype=object))[0])


def _counts(pairs: Pairs) -> Part:
    """Captions an image, and images without any."""
    part, each = Part(Section("Captions and images")), np.bincount(pairs.image_of, minlength=len(pairs.names))
    counts = pd.Series(each).value_counts().sort_index()
    rows = [[str(captions), str(images)] for captions, images in counts.items()]
    part.section.blocks = [Table("Captions an image", ["captions", "images"], rows[:SHOWN])]
    part.lines = [f"counts  {each.min()} to {each.max()} captions an image, {each.mean():.1f} on average"]
    alone = np.flatnonzero(each == 0)
    if len(alone):
        part.notes.append(f"{len(alone)} of {len(each)} images have no caption: {shown(pairs.names[alone])}")
    bad = len(pairs.bad) + len(pairs.bad_test)
    if bad:
        part.looks.append(f"{bad} captions are no direction, or belong to an image that is none (data.on_bad_row=drop)")
    return part


def _repeats(pairs: Pairs, contents: np.ndarray) -> Part:
    """Captions that are the same, and images that are; `contents` numbers those of train, then of test."""
    part, n = Part(Section("Repeats")), len(pairs.texts)
    table = pd.DataFrame({"content": contents[:n], "image": pairs.image_of})
    table = table[~table.index.isin(pairs.bad)]
    by = table.groupby("content")["image"]
    size, images = by.size(), by.nunique()
    several, same = images[images > 1], int((size - images).sum())
    part.lines = [f"repeats {int((size > 1).sum())} captions appear more than once, {len(several)} for several images"]
    rows = []
    for content in several.sort_values(ascending=False).index[:SHOWN]:
        captions = table.index[table["content"] == content]
        text = str(pairs.captions[captions[0]])[:80] if pairs.captions is not None else ""
        rows.append([text or str(pairs.tables.train["id"][captions[0]]), str(size[content]), str(images[content])])
    if rows:
        part.section.blocks = [Table("Captions of several images", ["caption", "times", "images"], rows)]
        share = 100 * float(size[several.index].sum()) / len(table)
        told = f"{len(several)} captions belong to several images ({share:.1f} % of the rows): no model can tell which"
        part.looks.append(told + " (loss.positives=group)")
    if same:
        part.notes.append(f"{same} captions repeat one of the same image")
    vectors = np.ascontiguousarray(pairs.images)
    copies = len(vectors) - len(np.unique(vectors.view(f"V{vectors[0].nbytes}")))
    if copies:
        part.looks.append(f"{copies} images are the same as another one: they cannot be told apart")
    return part


def _overlap(pairs: Pairs, contents: np.ndarray) -> Part:
    """Test captions that are training captions, word for word or by their embedding."""
    part, n = Part(Section("Train and test")), len(pairs.texts)
    known = np.isin(contents[n:], contents[:n])
    if pairs.captions is not None and pairs.test_captions is not None:
        known |= np.isin(pairs.test_captions.astype(str), pairs.captions.astype(str))
    count = int(known.sum())
    part.lines = [f"overlap {count} of {len(known)} test captions are training captions"]
    if count:
        ids = pairs.tables.test["id"][np.flatnonzero(known)]
        share = f"{100 * count / len(known):.1f} %"
        part.looks.append(f"{count} test captions ({share}) are training captions, such as {shown(ids)}: a look-up")
    return part


def _drift(pairs: Pairs, texts: np.ndarray, test_texts: np.ndarray, contents: np.ndarray) -> Part:
    """Whether test captions differ from training captions, and images without captions from those with."""
    part = Part(Section("Drift"))
    images = unit(finite(pairs.images))
    has = np.bincount(pairs.image_of, minlength=len(images)) > 0
    image_group = pd.factorize(pairs.tables.train["group"])[0]
    group = np.concatenate([image_group, image_group.max(initial=0) + 1 + contents[len(texts) :]])
    compared = {
        "test captions and training captions": (texts, test_texts, group),
        "images without captions and those with": (images[has], images[~has], np.arange(len(images))),
    }
    table = Table("", ["between", "AUC", "mean cosine with the mean, one", "other"])
    for name, (one, other, of) in compared.items():
        if min(len(one), len(other)) < LEAST_ROWS:
            continue
        measured = _told_apart(one, other, of)
        table.rows.append([name, str(measured), *(f"{_mean_cosine(each):.2f}" for each in (other, one))])
        part.lines.append(f"drift   {name}: AUC {measured}")
        if measured.low >= DIFFERENT:
            part.looks.append(f"{name} differ: AUC {measured}")
    part.section.blocks = [table, _lengths(pairs)] if table.rows else [_lengths(pairs)]
    part.section.note = "Learned out of fold, captions of one group kept together. AUC 0.5: nothing tells them apart."
    part.lines = part.lines or ["drift   not compared: too few rows"]
    return part


def _told_apart(one: np.ndarray, other: np.ndarray, group: np.ndarray) -> Measured:
    """How well rows of `other` (T, D) are told from those of `one` (N, D); `group` (N + T,)."""
    random = np.random.default_rng(0)
    rows = np.concatenate(
        [random.permutation(len(one))[:MOST_ROWS], len(one) + random.permutation(len(other))[:MOST_ROWS]]
    )
    x = np.concatenate([one, other])[rows]
    y, group = rows >= len(one), group[rows]
    scores = out_of_part(x, y, parts_of(y.astype(np.int64), group), _logistic)
    return auc(np.nan_to_num(scores), y, group)


def _logistic(x: np.ndarray, y: np.ndarray) -> Score:
    regression = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    fitted = make_pipeline(PCA(min(DIRECTIONS, *x.shape), random_state=0), StandardScaler(), regression).fit(x, y)
    return lambda other: np.asarray(fitted.decision_function(other))


def _mean_cosine(rows: np.ndarray) -> float:
    """Of unit rows with their mean: how much they have in common."""
    mean = rows.mean(axis=0)
    return float((rows @ mean).mean() / max(float(np.linalg.norm(mean)), 1e-12))


def _lengths(pairs: Pairs) -> Plot:
    figure, axes = drawn(9, 2.6, columns=2)
    for place, name, of in (
        (axes[0][0], "caption", {"train": pairs.texts, "test": pairs.test_texts}),
        (axes[0][1], "image", {"train": pairs.images}),
    ):
        for which, rows in of.items():
            lengths = np.linalg.norm(finite(rows).astype(np.float32), axis=1)
            place.hist(lengths, bins=40, density=True, histtype="step", label=which)
        place.set(xlabel=f"length of a vector, {name}", yticks=[])
        place.legend()
    return Plot("Lengths of the embeddings", figure)


def _submission(config: AlignConfig, pairs: Pairs) -> Part:
    part = Part(Section("Submission"))
    form, note = read_form(config.data)
    part.section.note = note.removeprefix("sample").strip()
    width = pairs.images.shape[1]
    if form is not None and form.width != width:
        part.stops.append(f"the sample submission has vectors of {form.width} numbers, the images of {width}")
    unknown = [] if form is None else sorted(set(form.ids) - set(pairs.tables.test["id"]))
    if unknown:
        part.stops.append(f"the sample submission does not fit the test captions: it has ids {shown(unknown)}")
    return part


def _folds(config: AlignConfig, pairs: Pairs) -> Part:
    """Whether `comp split` would refuse, or the folds that are there do not fit."""
    part, path = Part(Section("Folds")), folds_path(config)
    try:
        if path.exists():
            result, about = load_split(config, pairs.tables), f"{path} fits"
        else:
            group = pairs.tables.train["group"].to_numpy()
            result, about = planned_split(config, pairs.tables, group), "comp split can make them"
    except CompError as error:
        part.stops.append(str(error))
        return part
    sizes = np.bincount(result.fold[result.fold >= 0], minlength=result.n)
    part.section.note = f"{about}: {result.n} of {sizes.min()} to {sizes.max()} rows, {result.kind}."
    part.lines = [f"folds   {part.section.note}"]
    return part
