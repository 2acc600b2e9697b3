"""Groups, and what looks like one."""

from comp.runs.page import Section, Table
from comp.runs.page.findings import Part
from comp.vision.check.seen import Seen
from comp.vision.folds.duplicates import in_sets
from comp.vision.folds.group_hint import group_hint

SHOWN = 10


def groups(seen: Seen) -> Part:
    """Of data.group, or the column that looks like one."""
    part, train, column = Part(Section("Groups")), seen.tables.train, seen.config.data.group
    if "group" in train:
        sizes = train["group"].value_counts()
        shared = set(sizes.index) & set(seen.groups_of_test)
        rows = [[str(name), str(count)] for name, count in sizes.iloc[:SHOWN].items()]
        part.section.blocks = [Table(f"The largest of {len(sizes)}", ["group", "rows"], rows)]
        about = f"{len(sizes)} of {column!r}, of {sizes.min()} to {sizes.max()} rows"
        part.lines = [f"groups  {about}; {len(shared)} of them are in the test table too"]
        if shared:
            part.notes.append(
                f"{len(shared)} of {len(sizes)} groups have test rows too: folds are stricter than the test"
            )
    else:
        hint = None if seen.config.data.time else group_hint(seen.tables, seen.config.folds.n, seen.duplicates.near)
        part.section.note = f"{hint or 'No column looks like a group'}."
        part.lines = [f"groups  {hint or 'no column looks like one'}"]
        part.looks += [hint] if hint else []
    sizes_of_sets = in_sets(seen.duplicates.near)
    if len(sizes_of_sets):
        part.section.note += f" Duplicates make {len(sizes_of_sets)} groups of up to {sizes_of_sets.max()} rows."
    return part
