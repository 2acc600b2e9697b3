"""Puts a portrait together, from the background to what is before the face."""

import numpy as np
from PIL import Image, ImageFilter

from comp.emotion.faces.features import draw_brows, draw_eyes, draw_forehead
from comp.emotion.faces.hair import draw_hair, draw_hair_behind
from comp.emotion.faces.head import draw_beard, draw_body, draw_glasses, draw_head
from comp.emotion.faces.mouth import draw_cheeks, draw_mouth, draw_nose
from comp.emotion.faces.muscles import pulled
from comp.emotion.faces.pen import Pen
from comp.emotion.faces.people import Head, Pose, Style
from comp.emotion.faces.scene import background, draw_occlusion, lit

SIDE_PX = 64
LARGER = 3  # drawn so much larger, then reduced


def draw(
    head: Head, expression: str, intensity: float, pose: Pose, style: Style, rng: np.random.Generator
) -> Image.Image:
    """A face as an RGB picture of SIDE_PX × SIDE_PX.

    `expression` is one of EXPRESSIONS, `intensity` how much of it is shown (0: none, 1: all). What belongs to the pose
    comes from its own seed, so that the same pose has the same background; `rng` draws what differs by picture.
    """
    place = np.random.default_rng(pose.seed)
    image = background(pose, style, LARGER * SIDE_PX, place)
    pen = Pen(image, pose, style)
    pull = pulled(expression, intensity, head.rest, rng)
    side = 1 if rng.random() < 0.5 else -1
    draw_hair_behind(pen, head)
    draw_body(pen, head)
    draw_head(pen, head, pull)
    draw_beard(pen, head, pull)
    draw_forehead(pen, head, pull)
    draw_cheeks(pen, head, pull)
    draw_eyes(pen, head, pull, float(rng.normal(0, 0.025)))
    draw_brows(pen, head, pull, side)
    draw_mouth(pen, head, pull, side)
    draw_nose(pen, head, pull)
    draw_glasses(pen, head)
    draw_hair(pen, head)
    draw_occlusion(pen, head, pose, place)
    if style.blur_px:
        image = image.filter(ImageFilter.GaussianBlur(LARGER * style.blur_px))
    return lit(image.reduce(LARGER), pose, style, rng)
