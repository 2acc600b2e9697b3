"""The pictures of the rows that are shown: image and heat, as far as they can be had."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from comp.errors import CompError, first_line, shown
from comp.runs.rundir import RunDir
from comp.vision.data.settle import as_trained
from comp.vision.report.gallery.cases import Answers, Case
from comp.vision.report.gallery.rows import opened
from comp.vision.report.gallery.thumbnails import thumbnail
from comp.vision.schema import ImageConfig


@dataclass
class Pictures:
    """JPEGs of each case, and what to say of those that are missing."""

    of: dict[Case, list[bytes]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def pictures_of(config: ImageConfig, run: RunDir, answers: Answers, cases: Sequence[Case]) -> Pictures:
    """The image of each case, and with heat what the model that never saw it made of it.

    What is not there, such as the data of a run that was copied here, is told in `notes`.
    """
    found = Pictures()
    ids = {case: str(answers.oof["id"].iloc[case.row]) for case in cases}
    try:
        rows = opened(as_trained(config, run.trained_config()), sorted(set(ids.values())))
    except CompError as error:
        found.notes.append(f"Without pictures: {first_line(error)}")
        return found
    there = [case for case in cases if ids[case] in rows.place]
    if len(there) < len(cases):
        gone = sorted({ids[case] for case in cases} - rows.place.keys())
        found.notes.append(f"Without picture, as no image of theirs can be read: {shown(gone)}")
    found.of = {case: [thumbnail(rows.pixels[rows.place[ids[case]]])] for case in there}
    if there:
        from comp.vision.report.gallery.attention import heat_pictures  # only here: torch is large

        heat, notes = heat_pictures(rows, run, answers, {case: rows.place[ids[case]] for case in there})
        found.notes += notes
        for case, picture in heat.items():
            found.of[case].append(picture)
    return found
