"""Drawn faces: what a picture is made of, and that the expression is never hidden whole."""

from dataclasses import replace

import numpy as np
import pytest

from comp.emotion.faces import DRAWN, EXPRESSIONS, GENERATED, SIDE_PX, a_head, a_pose, draw
from comp.emotion.faces.features import BROW_Y
from comp.emotion.faces.mouth import MOUTH_Y
from comp.emotion.faces.people import BACKGROUNDS, OCCLUSIONS

CLEAN = replace(DRAWN, noise=0.0)
FRONTAL = replace(
    a_pose(np.random.default_rng(0)), x=0.0, y=0.0, size=0.45, tilt_deg=0.0, yaw=0.0, pitch=0.0, occlusion=""
)


def pixels(seed=0, head=None, expression="happy", pose=FRONTAL, style=CLEAN):
    head = head or a_head(np.random.default_rng(seed))
    return np.asarray(draw(head, expression, 1.0, pose, style, np.random.default_rng(seed))).astype(int)


def rows_at(y):
    """The rows of pixels about `y`, in a face's units, of a picture in the pose FRONTAL."""
    middle = round(SIDE_PX * (0.52 + FRONTAL.size * y))
    return slice(middle - 5, middle + 6)


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("style", [DRAWN, GENERATED])
def test_a_face_is_a_small_rgb_picture(expression, style):
    rng = np.random.default_rng(3)
    picture = draw(a_head(rng), expression, 0.7, a_pose(rng), style, rng)
    assert (picture.mode, picture.size) == ("RGB", (SIDE_PX, SIDE_PX))
    assert np.asarray(picture).std() > 10


def test_the_same_seed_draws_the_same_picture():
    assert (pixels(5) == pixels(5)).all()
    assert (pixels(5) != pixels(6)).any()


def test_an_expression_changes_the_face_and_nothing_else():
    happy, sad = pixels(4), pixels(4, expression="sad")
    changed = np.abs(happy - sad).max(axis=2) > 20
    assert changed[rows_at(MOUTH_Y), 20:44].mean() > 0.1
    assert changed[rows_at(BROW_Y), 14:50].mean() > 0.1
    assert not changed[:4].any()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_no_two_expressions_look_the_same(expression):
    others = [pixels(4, expression=other) for other in EXPRESSIONS if other != expression]
    assert min(np.abs(pixels(4, expression=expression) - other).mean() for other in others) > 1


def test_the_second_style_is_another_one_of_the_same_face():
    assert np.abs(pixels(2) - pixels(2, style=replace(GENERATED, noise=0.0))).mean() > 5


@pytest.mark.parametrize("occlusion", OCCLUSIONS)
@pytest.mark.parametrize("seed", range(6))
def test_what_covers_a_face_leaves_half_of_the_mouth_or_of_the_brows(occlusion, seed):
    pose = replace(FRONTAL, seed=seed)
    covered = (pixels(seed, pose=pose) != pixels(seed, pose=replace(pose, occlusion=occlusion))).any(axis=2)
    left = [1 - covered[rows_at(y), 16:48].mean() for y in (MOUTH_Y, BROW_Y)]
    assert max(left) > 0.5
    assert covered.any()


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_background_is_another(background):
    shown = {name: pixels(1, pose=replace(FRONTAL, background=name)) for name in BACKGROUNDS}
    assert all((shown[background] != shown[name]).any() for name in BACKGROUNDS if name != background)


def test_a_bald_head_has_no_hair_over_an_eye():
    bald = replace(a_head(np.random.default_rng(1)), hair_style="bald")
    hair, hand = (pixels(1, head=bald, pose=replace(FRONTAL, occlusion=name)) for name in ("hair", "hand"))
    assert (hair == hand).all()
