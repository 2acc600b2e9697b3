"""What a report shows of single rows: the worst mistakes, the least sure, and labels that may be wrong."""

from collections.abc import Sequence

import pandas as pd

from comp.runs.page import Card, Gallery, Section
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.report.gallery.cases import Answers, Case
from comp.vision.report.gallery.labels import cases_of, suspects, write_suspects
from comp.vision.report.gallery.mistakes import mistakes
from comp.vision.report.gallery.pictures import Pictures, pictures_of
from comp.vision.report.grades import is_graded
from comp.vision.schema import ImageConfig

__all__ = ["gallery_sections"]
SUSPECTS = "suspects.csv"
HEAT = (
    "Beside each image, what the model saw of it that never trained on it: bright is what speaks for its answer and "
    "against the other one"
)


def gallery_sections(config: ImageConfig, run: RunDir, oof: pd.DataFrame, targets: Targets) -> list[Section]:
    """Galleries of mistakes and of suspected wrong labels; writes `suspects.csv` into the run's folder.

    Where images or models are not here, as in a run that was copied, cards have fewer pictures, and a note says why.
    """
    if targets.kind == "embedding" or not len(oof):
        return []
    answers = Answers.of(oof, targets)
    found = mistakes(answers, is_graded(run, targets))
    table, count = suspects(answers)
    write_suspects(run.path / SUSPECTS, table)
    suspected = cases_of(answers, table)
    cases = [case for *_, own in found for case in own] + suspected
    pictures = pictures_of(config, run, answers, cases)
    notes = [*([HEAT] if any(len(own) > 1 for own in pictures.of.values()) else []), *pictures.notes]
    about = f"{_of_rows(len(table), targets)}; {SUSPECTS} beside this page lists all of them, the most suspect first"
    if targets.kind != "regression":
        about += f". Confident learning takes about {count} labels to be wrong"
    blocks = [_gallery(title, note, own, pictures) for title, note, own in found]
    note = ". ".join(notes)
    return [
        Section("Mistakes", [*blocks], note if blocks else ""),
        Section("Suspected wrong labels", [_gallery("", about, suspected, pictures)] if suspected else []),
    ]


def _gallery(title: str, note: str, cases: Sequence[Case], pictures: Pictures) -> Gallery:
    return Gallery(title, [Card(pictures.of.get(case, []), case.lines) for case in cases], note)


def _of_rows(count: int, targets: Targets) -> str:
    if targets.kind == "regression":
        number = "1 number is" if count == 1 else f"{count} numbers are"
        return f"{number} far from what was predicted, by the spread of all errors"
    what = "labels" if targets.kind == "multilabel" else "rows"
    return f"{count} {what} of which another class was likelier out of fold, ranked by how unlikely their own is"
