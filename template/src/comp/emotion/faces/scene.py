"""What is behind a head and before it, and the light."""

import numpy as np
from PIL import Image, ImageDraw

from comp.emotion.faces.features import EYE_Y
from comp.emotion.faces.mouth import MOUTH_Y
from comp.emotion.faces.pen import Pen, bow, darker, mixed, ring
from comp.emotion.faces.people import CLOTHES, Color, Head, Pose, Style


def background(pose: Pose, style: Style, side_px: int, rng: np.random.Generator) -> Image.Image:
    """A square picture for a head to be drawn on."""
    one, other = (style.tinted(_pastel(rng)) for _ in range(2))
    if pose.background == "gradient":
        ramp = Image.linear_gradient("L").resize((side_px, side_px)).rotate(float(rng.integers(4)) * 90)
        return Image.composite(Image.new("RGB", ramp.size, one), Image.new("RGB", ramp.size, other), ramp)
    image = Image.new("RGB", (side_px, side_px), one)
    paper = ImageDraw.Draw(image)
    if pose.background == "stripes":
        wide = int(rng.integers(side_px // 12, side_px // 5))
        lean = int(rng.integers(-side_px // 3, side_px // 3))
        for x in range(-side_px, 2 * side_px, 2 * wide):
            paper.polygon([(x, 0), (x + wide, 0), (x + wide + lean, side_px), (x + lean, side_px)], fill=other)
    elif pose.background == "lights":
        for _ in range(14):
            middle, r = rng.uniform(0, side_px, 2), side_px * float(rng.uniform(0.02, 0.1))
            left, top = (float(value) - r for value in middle)
            paper.ellipse([left, top, left + 2 * r, top + 2 * r], fill=mixed(one, other, float(rng.uniform(0.3, 1))))
    elif pose.background == "frame":
        left, top = (side_px * float(share) for share in rng.uniform(0, 0.5, 2))
        paper.rectangle(
            [left, top, left + 0.45 * side_px, top + 0.4 * side_px], fill=other, outline=darker(one, 0.5), width=4
        )
    return image


def _pastel(rng: np.random.Generator) -> Color:
    r, g, b = (int(value) for value in rng.integers(40, 235, 3))
    return mixed((r, g, b), (165, 160, 155), 0.5)


def draw_occlusion(pen: Pen, head: Head, pose: Pose, rng: np.random.Generator) -> None:
    """Covers some of the mouth or some of the brows, never all of both."""
    side = 1 if rng.random() < 0.5 else -1
    cloth = CLOTHES[int(rng.integers(len(CLOTHES)))]
    bald = pose.occlusion == "hair" and head.hair_style == "bald"
    if pose.occlusion == "hand" or bald:
        _draw_hand(pen, head, side, float(rng.uniform(0.3, 0.75)))
    elif pose.occlusion == "scarf":
        top = MOUTH_Y + float(rng.uniform(-0.12, 0.2))
        edge = bow((-1.15, top - 0.1), (0, top + 0.12), (1.15, top - 0.1))
        pen.area([*edge, (1.2, 1.5), (-1.2, 1.5)], cloth, 1, False)
        pen.stroke([(x, y + 0.22) for x, y in edge], darker(cloth, 0.25), 0.04, False)
    elif pose.occlusion == "hair":
        lock = bow((side * 0.05, -1.0), (side * 0.2, -0.2), (side * 0.75, 0.45))
        pen.area([*lock, *bow((side * 0.95, 0.3), (side * 1.1, -0.7), (side * 0.1, -1.06))], head.hair, 1, False)
    elif pose.occlusion == "bar":
        y = float(rng.choice([BAR_ON_EYES, BAR_ON_MOUTH])) + float(rng.uniform(-0.08, 0.08))
        lean = float(rng.uniform(-0.25, 0.25))
        pen.stroke([(-1.6, y - lean), (1.6, y + lean)], darker(cloth, 0.4), float(rng.uniform(0.18, 0.3)), False)


BAR_ON_EYES, BAR_ON_MOUTH = EYE_Y - 0.25, MOUTH_Y + 0.08


def _draw_hand(pen: Pen, head: Head, side: int, reach: float) -> None:
    """A palm at the cheek, and fingers across one side of the face, `reach` below its middle."""
    skin = darker(head.skin, 0.08)
    pen.area(ring(side * 0.78, reach + 0.25, 0.3, 0.36), skin, 1, False)
    for finger in range(4):
        y = reach - 0.1 + 0.15 * finger
        pen.stroke(
            [(side * 0.75, y + 0.06), (side * (0.1 + 0.05 * abs(finger - 1)), y)], darker(skin, 0.3), 0.16, False
        )
        pen.stroke([(side * 0.75, y + 0.06), (side * (0.12 + 0.05 * abs(finger - 1)), y)], skin, 0.125, False)


def lit(image: Image.Image, pose: Pose, style: Style, rng: np.random.Generator) -> Image.Image:
    """The picture in the pose's light, with the style's noise."""
    ramp = np.linspace(-1, 1, image.width, dtype=np.float32)
    light = pose.brightness * (1 + pose.slope[0] * ramp[None, :] + pose.slope[1] * ramp[:, None])
    pixels = np.asarray(image, dtype=np.float32) * light[:, :, None] * np.array(pose.cast, dtype=np.float32)
    pixels += rng.standard_normal(pixels.shape, dtype=np.float32) * style.noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
