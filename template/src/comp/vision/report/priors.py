"""Test predictions beside what the training rows would make one expect."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from comp.runs.page import Plot, Section, Table, Text
from comp.runs.page.figures import drawn
from comp.tables import asked_for
from comp.vision.report.confusion import labels_of
from comp.vision.report.rows import Rows
from comp.vision.submission.corrections import em_shares, moved

CELLS = 500_000  # rows × classes that shares are estimated from
MOST = 30  # classes in the table; of more, those whose shares differ most
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
LEAST = 0.02  # of a share: a smaller shift of classes is not worth a word


@dataclass(frozen=True)
class Matched:
    """Shares (K,) that explain the probabilities best, and the probabilities (N, K) with them."""

    shares: np.ndarray
    p: np.ndarray


def matched(p: np.ndarray, trained: np.ndarray) -> Matched:
    """The class shares of rows with the probabilities `p` (N, K), by models that learned the shares `trained` (K,).

    By EM; of very many rows, evenly spaced ones decide.
    """
    p = p.astype(np.float64)
    shares = em_shares(p[:: -(-p.size // CELLS)], trained)
    return Matched(shares, moved(p, shares, trained))


def priors_section(rows: Rows, test: pd.DataFrame) -> Section:
    """`test` is the run's table of test predictions; golden rows among them are left out."""
    said = test[asked_for(test["id"])][rows.targets.columns].to_numpy(dtype=np.float32)
    if not len(said):
        return Section("Test predictions")
    kind = rows.targets.kind
    if kind == "regression":
        return Section("Test predictions", [of_numbers(rows, said), Plot("Predictions", _histograms(rows, said))])
    if kind == "multilabel":
        return Section("Test predictions", [of_labels(rows, said)])
    return _of_classes(rows, np.concatenate([1 - said, said], axis=1) if kind == "binary" else said)


def _of_classes(rows: Rows, p: np.ndarray) -> Section:
    choices = rows.choices
    assert choices is not None
    n, trained = len(choices.names), np.bincount(choices.truth, minlength=len(choices.names)) / len(choices.truth)
    found, known = matched(p, trained), matched(choices.p, trained)
    chosen, error = np.bincount(p.argmax(axis=1), minlength=n) / len(p), float(np.abs(known.shares - trained).max())
    changed = int((found.p.argmax(axis=1) != p.argmax(axis=1)).sum())
    columns = [
        "class",
        "training rows",
        "chosen in test",
        "mean probability",
        "estimated (EM)",
        "change",
    ]
    table = Table("", columns)
    change = found.shares - trained
    order = np.argsort(-np.abs(change), kind="stable")[:MOST] if n > MOST else np.arange(n)
    for k in order:
        shares = [f"{100 * each[k]:.2f} %" for each in (trained, chosen, p.mean(axis=0), found.shares)]
        table.rows.append([choices.names[k], *shares, f"{100 * change[k]:+.2f} points"])
    if n > MOST:
        table.note = f"The {MOST} whose shares differ most, of {n}."
    apart = float(np.abs(change).max())
    verdict = (
        "The test set seems to have the classes of the training rows."
        if apart <= max(LEAST, 2 * error)
        else f"The test set seems to have other class shares: they differ by up to {100 * apart:.1f} points."
    )
    estimate = (
        f"{len(p)} test rows. Matching the prior to the estimate would change {changed} of their classes "
        f"({100 * changed / len(p):.2f} %). The same estimate of the out-of-fold rows, whose shares are known, is "
        f"wrong by up to {100 * error:.2f} points: believe no smaller difference."
    )
    figure = [Plot("Shares", _bars(choices.names, trained, chosen, found.shares))] if n <= MOST else []
    return Section("Test predictions", [Text([verdict, estimate]), table, *figure])


def of_labels(rows: Rows, p: np.ndarray) -> Table:
    """For several labels: how often each is true, and given."""
    table = Table(
        "",
        ["label", "training rows", "given out of fold", "given in test", "mean probability"],
        note=f"{len(p)} test rows have {(p >= 0.5).sum(axis=1).mean():.2f} labels each, training rows "
        f"{(rows.y >= 0.5).sum(axis=1).mean():.2f}; {int(((p >= 0.5).sum(axis=1) == 0).sum())} test rows have none "
        "(all from a probability of 0.5 on).",
    )
    columns = [rows.y.mean(axis=0), (rows.p >= 0.5).mean(axis=0), (p >= 0.5).mean(axis=0), p.mean(axis=0)]
    order = np.argsort(-np.abs(columns[1] - columns[2]), kind="stable")
    for k in order[:MOST] if len(order) > MOST else np.arange(len(order)):
        table.rows.append([rows.targets.classes[k], *(f"{100 * each[k]:.2f} %" for each in columns)])
    return table


def of_numbers(rows: Rows, p: np.ndarray) -> Table:
    """How true, out-of-fold and test numbers are distributed."""
    table = Table("", ["number", "rows", "mean", "std", *(f"{100 * each:g} %" for each in QUANTILES)])
    for k, name in enumerate(rows.targets.classes):
        for what, values in (("true", rows.y[:, k]), ("out of fold", rows.p[:, k]), ("test", p[:, k])):
            figures = [values.mean(), values.std(), *np.quantile(values, QUANTILES)]
            table.rows.append([f"{name}, {what}", str(len(values)), *(f"{each:.4g}" for each in figures)])
    return table


def _bars(names: tuple[str, ...], trained: np.ndarray, chosen: np.ndarray, estimated: np.ndarray) -> Figure:
    figure, [[axes]] = drawn(9, 3.2)
    place = np.arange(len(names))
    for number, (values, name) in enumerate(((trained, "training rows"), (chosen, "chosen"), (estimated, "estimated"))):
        axes.bar(place + 0.27 * (number - 1), 100 * values, 0.25, label=name)
    axes.set_xticks(place, labels_of(names), rotation=0 if len(names) < 8 else 90)
    axes.set(ylabel="% of rows")
    axes.legend()
    return figure


def _histograms(rows: Rows, p: np.ndarray) -> Figure:
    shown = min(len(rows.targets.classes), 3)
    figure, [places] = drawn(3.6 * shown + 0.4, 3.0, columns=shown)
    for k, axes in enumerate(places):
        each = {"true": rows.y[:, k], "out of fold": rows.p[:, k], "test": p[:, k]}
        edges = np.histogram_bin_edges(np.concatenate(list(each.values())), 30)
        for name, values in each.items():
            axes.stairs(np.histogram(values, edges)[0] / len(values), edges, label=name, linewidth=1.5)
        axes.set(xlabel=labels_of(rows.targets.classes)[k], ylabel="share of rows" if k == 0 else "")
    places[0].legend()
    return figure
