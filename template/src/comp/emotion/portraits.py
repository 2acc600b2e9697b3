"""Plans a competition of faces: whose each picture is, and what it shows."""

from dataclasses import dataclass

import numpy as np

from comp.emotion.faces import Head, Pose, a_head, a_pose

MOST_OF_A_PERSON = 6


@dataclass(frozen=True)
class Portrait:
    """What a picture of the competition is drawn from."""

    id: str
    label: str
    person: str
    head: Head
    pose: Pose


def planned(counts: dict[str, int], first: int, rng: np.random.Generator) -> list[Portrait]:
    """`counts` portraits of each label, in any order, of persons who have a few each; ids begin at `first`."""
    labels = rng.permutation(np.repeat(list(counts), list(counts.values()))).tolist()
    whose: list[tuple[str, Head]] = []
    while len(whose) < len(labels):
        person = (f"p{first + len(whose):05d}", a_head(rng))
        whose += [person] * int(rng.integers(1, MOST_OF_A_PERSON + 1))
    order = rng.permutation(len(labels)).tolist()
    portraits = []
    for place, (label, one) in enumerate(zip(labels, order, strict=True)):
        person, head = whose[one]
        portraits.append(Portrait(f"{first + place:05d}", label, person, head, a_pose(rng)))
    return portraits


def unlike(one: Portrait, other: Portrait) -> float:
    """How different two portraits look, apart from what they feel; 0 for the same person in the same pose."""
    colors = zip(one.head.skin + one.head.hair, other.head.skin + other.head.hair, strict=True)
    kinds = ("hair_style", "glasses", "beard")
    differ = sum(getattr(one.head, kind) != getattr(other.head, kind) for kind in kinds)
    tilt = abs(one.pose.tilt_deg - other.pose.tilt_deg) / 10 + abs(one.pose.yaw - other.pose.yaw) / 0.2
    return sum(abs(a - b) for a, b in colors) / 255 + differ + tilt
