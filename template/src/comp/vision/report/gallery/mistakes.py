"""Which rows the models were most wrong about, and least sure of."""

import numpy as np

from comp.vision.report.gallery.cases import MOST, SMALL, Answers, Case, firsts

Cases = tuple[str, str, list[Case]]  # title, note, cases of a gallery


def mistakes(answers: Answers, graded: bool = False) -> list[Cases]:
    """The galleries of mistakes and doubts, of any kind of target; those without a case are left out.

    `graded`: the classes are grades, and a mistake is as bad as it is far off.
    """
    kind = answers.targets.kind
    if kind == "regression":
        found = _of_numbers(answers)
    elif kind == "multiclass":
        found = [_far_off(answers) if graded else _worst(answers), _least_sure(answers)]
    else:
        found = [_worst_cells(answers), _least_sure_cells(answers)]
    return [each for each in found if each[2]]


def _worst(answers: Answers) -> Cases:
    p, truth = answers.p, answers.y.argmax(axis=1)
    own, choice = p[np.arange(len(p)), truth], p.argmax(axis=1)
    wrong = choice != truth
    every = [row for row, _ in firsts(-np.log(own + SMALL)[:, None], wrong[:, None], len(p))]
    kinds = {(truth[row], choice[row]): row for row in reversed(every)}  # the worst of each
    first = set(kinds.values())
    rows = [*(row for row in every if row in first), *(row for row in every if row not in first)][:MOST]
    cases = [answers.of_classes(row, int(choice[row]), int(truth[row]), ("true", "predicted", "")) for row in rows]
    about = f"{_of(len(cases), len(every))} mistakes: the one of largest loss of each two classes, then others"
    return "Worst mistakes", about, cases


def _far_off(answers: Answers) -> Cases:
    """Of grades: by how far the expected one is from the truth."""
    places = answers.targets.positions
    assert places is not None
    expected, truth = answers.p @ places, answers.y.argmax(axis=1)
    off, choice = np.abs(expected - places[truth]), answers.p.argmax(axis=1)
    rows = firsts(off[:, None], (choice != truth)[:, None])
    cases = []
    for row, _ in rows:
        words = ("true", "predicted", f"expected grade {expected[row]:.2f}")
        cases.append(answers.of_classes(row, int(choice[row]), int(truth[row]), words))
    wrong = int((choice != truth).sum())
    return "Worst mistakes", f"{_of(len(cases), wrong)} mistakes: those that are farthest off", cases


def _least_sure(answers: Answers) -> Cases:
    p, truth = answers.p, answers.y.argmax(axis=1)
    second, first = np.argsort(p, axis=1, kind="stable")[:, -2:].T
    rows = firsts(-(p.max(axis=1) - p[np.arange(len(p)), second])[:, None], np.ones((len(p), 1), dtype=bool))
    cases = []
    for row, _ in rows:
        words = ("or", "either", f"true {answers.targets.classes[truth[row]]}")
        cases.append(_either_first(answers.of_classes(row, int(first[row]), int(second[row]), words)))
    return "Least sure", "The rows whose two likeliest classes are closest", cases


def _either_first(case: Case) -> Case:
    head, other, one, *rest = case.lines
    return Case(case.row, (head, one, other, *rest), case.up, case.down)


def _worst_cells(answers: Answers) -> Cases:
    p, y = answers.p, answers.y > 0.5
    wrong = (p >= 0.5) != y
    loss = -np.log(np.where(y, p, 1 - p) + SMALL)
    cases = [answers.of_cell(*cell, f"true {int(y[cell])}") for cell in firsts(loss, wrong)]
    return "Worst mistakes", f"{_of(len(cases), int(wrong.sum()))} mistakes: those whose loss is largest", cases


def _least_sure_cells(answers: Answers) -> Cases:
    p, y = answers.p, answers.y > 0.5
    cells = firsts(-np.abs(p - 0.5), np.ones(p.shape, dtype=bool))
    return "Least sure", "Closest to 0.50", [answers.of_cell(*cell, f"true {int(y[cell])}") for cell in cells]


def _of_numbers(answers: Answers) -> list[Cases]:
    """The largest errors in each direction, in standard deviations of the number."""
    errors = answers.p - answers.y
    scale = answers.y.std(axis=0)
    relative = errors / np.where(scale > 0, scale, 1.0)
    found: list[Cases] = []
    for title, sign in (("Predicted too high", 1), ("Predicted too low", -1)):
        cells = firsts(sign * relative, sign * relative > 0)
        cases = [number_case(answers, row, column, sign) for row, column in cells]
        found.append((title, "The largest errors, in standard deviations of the number", cases))
    return found


def number_case(answers: Answers, row: int, column: int, sign: int) -> Case:
    """A row of which one predicted number is shown; its heat is what makes it too high (1), or too low (−1)."""
    lines = [answers.head(row)]
    if len(answers.targets.classes) > 1:
        lines.append(answers.targets.classes[column])
    lines += [f"true {answers.y[row, column]:.4g}", f"predicted {answers.p[row, column]:.4g}"]
    return Case(row, tuple(lines), column, sign=sign)


def _of(shown: int, there_are: int) -> str:
    return f"{shown} of {there_are}" if shown < there_are else f"All {there_are}"
