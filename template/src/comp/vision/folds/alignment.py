"""Decides whether two images are one picture: small copies are laid over each other, and must then be alike.

One image, in the orientation that was proposed, is moved over the other until gray values agree best (Gauss-Newton on
an affine map; Lucas and Kanade, 1981). What a cropped, framed, darkened or encoded copy may differ in is allowed for;
then grays, their differences from pixel to pixel, and colors must be the same. The differences tell apart pictures of
one layout, such as faces and flags, whose grays correlate anyway.
"""

import numpy as np
from scipy.ndimage import uniform_filter

from comp.vision.folds.look_alikes import PARTS, Proposals, oriented
from comp.vision.folds.looks import GRAY_PX

# Found by trying on photographs, faces, emojis and digits, with copies made of them.
LEAST_GRAY, LEAST_EDGES = 0.97, 0.95  # correlations once aligned
MOST_SPOT, LITTLE, SPOT_PX = 0.25, 4.0, 4  # mean difference in squares of 4 px: of the standard deviation, or of 255
STAGES = ((0, 0.7), (2, 0.85), (4, 0.9))  # steps of aligning at half the size, and the correlation of edges it takes
MOST_GAIN, MOST_GAIN_OF_BLACK = 1.6, 2.6  # ratio of contrasts; the latter where black stays black, as in darker copies
BLACK_STAYS, GRAY_STAYS = 12.0, 3.0  # of 255
WHITE, MOST_BRIGHTER = 250.0, 1.4  # of 255; up to this, what is cut off at white is allowed for
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # as PIL has it
MOST_TINT = 5.0  # root mean square of the difference of colors from their grays, of 255
LEAST_CHROMA = 3.0  # the same from gray; below it, an image is a gray one
LEAST_SIDE, MOST_SIDE, MOST_STRETCH, MOST_SHEAR = 0.87, 1.08, 0.13, 0.05  # of the affine map
MOST_DEGREES = 6.0
RIM = 1 / 16  # of each side, not compared: frames, and what a rotation leaves empty
CLOSER_STEPS, LARGEST_STEP = 2, 0.05
AT_ONCE = 2**9


def one_picture(gray: np.ndarray, color: np.ndarray, proposals: Proposals) -> np.ndarray:
    """(P,) whether each proposed pair is one picture. `gray` (N, 48, 48) and `color` (N, 12, 12, 3) are uint8."""
    alike = np.zeros(len(proposals), bool)
    for start in range(0, len(proposals), AT_ONCE):
        rows = np.arange(start, min(start + AT_ONCE, len(proposals)))
        some = proposals[rows]
        images, maps = (_halved(gray[some.a]), _halved(_turned(gray[some.b], some.orientation))), _maps_of(some.part)
        for steps, least in STAGES:
            maps = _aligned(*images, maps, steps)
            near = _mapped_edges_alike(*images, maps) >= least
            images, maps, rows, some = (images[0][near], images[1][near]), maps[near], rows[near], some[near]
        if len(rows):
            alike[rows] = _closer_look(gray, color, some, maps)
    return alike


def _closer_look(gray: np.ndarray, color: np.ndarray, pairs: Proposals, maps: np.ndarray) -> np.ndarray:
    images = gray[pairs.a].astype(np.float32), _turned(gray[pairs.b], pairs.orientation)
    maps = _aligned(*images, maps, CLOSER_STEPS)
    (moved, inside), pixels = _sampled(images[0], maps), images[1].reshape(len(maps), -1)
    brighter = _brighter(moved, pixels, inside)
    moved, pixels = _brightened(moved, brighter), _brightened(pixels, 1 / brighter)
    gain, black = _line(moved, pixels, inside)
    ratio = np.maximum(gain, 1 / gain)
    alike = _is_plausible(maps)
    alike &= (ratio <= MOST_GAIN) | ((ratio <= MOST_GAIN_OF_BLACK) & (np.abs(black) <= BLACK_STAYS))
    alike &= _correlation(moved, pixels, inside) >= LEAST_GRAY
    alike &= _edges_alike(moved, pixels, inside) >= LEAST_EDGES
    alike &= _worst_spot(moved, pixels, inside) <= 1
    colors, inside_colors = _sampled(color[pairs.a].astype(np.float32), maps)
    other_colors = _turned(color[pairs.b], pairs.orientation).reshape(colors.shape)
    tints, other_tints = _tints(_brightened(colors, brighter)), _tints(_brightened(other_colors, 1 / brighter))
    gain = gain[:, None, None]
    difference = tints / np.maximum(gain, 1) - other_tints * np.minimum(gain, 1)  # at the lower of the two contrasts
    without_color = np.minimum(_rms(tints, inside_colors), _rms(other_tints, inside_colors)) < LEAST_CHROMA
    grayed = without_color & (_rms((moved - pixels)[..., None], inside) <= GRAY_STAYS)
    return alike & ((_rms(difference, inside_colors) <= MOST_TINT) | grayed)


def _brighter(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(P,) how many times brighter `b` (P, S²) is than `a`, where neither is white; 1 where that is no small change."""
    weight = (inside & (a < WHITE) & (b < WHITE)).astype(np.float32)
    times = np.einsum("ps,ps,ps->p", a, b, weight) / np.maximum(np.einsum("ps,ps,ps->p", a, a, weight), 1e-6)
    return np.where((times <= MOST_BRIGHTER) & (times >= 1 / MOST_BRIGHTER), times, 1).astype(np.float32)


def _brightened(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """`values` (P, …) as programs brighten them: what were above white becomes white. Nothing is made darker."""
    return np.minimum(values * np.maximum(times, 1).reshape(-1, *[1] * (values.ndim - 1)), 255)


def _is_plausible(maps: np.ndarray) -> np.ndarray:
    """(P,) whether each map is one of a crop, a frame or a small rotation."""
    (a, b), (c, d) = maps[:, 0, :2].T, maps[:, 1, :2].T
    sides, degrees = np.sqrt(np.abs(a * d - b * c)), np.degrees(np.abs(np.arctan2(c - b, a + d)))
    plausible = (sides >= LEAST_SIDE) & (sides <= MOST_SIDE) & (degrees <= MOST_DEGREES)
    return np.asarray(plausible & (np.abs(a - d) <= MOST_STRETCH) & (np.abs(b + c) <= MOST_SHEAR))


def _turned(images: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Each of `images` (P, S, S, …) in its orientation (P,), as float32."""
    turned = images.astype(np.float32)
    for number in np.unique(orientation).tolist():
        chosen = orientation == number
        turned[chosen] = oriented(images[chosen], number)
    return turned


def _halved(images: np.ndarray) -> np.ndarray:
    """(P, S / 2, S / 2) float32, of (P, S, S)."""
    n, px, _ = images.shape
    return images.reshape(n, px // 2, 2, px // 2, 2).mean(axis=(2, 4), dtype=np.float32)


def _maps_of(parts: np.ndarray) -> np.ndarray:
    """(P, 2, 3): from places in a part, as shares of its sides, to places in the whole."""
    left, top, side = np.array(PARTS, np.float32)[parts].T
    maps = np.zeros((len(parts), 2, 3), np.float32)
    maps[:, 0, 0] = maps[:, 1, 1] = side
    maps[:, 0, 2], maps[:, 1, 2] = left, top
    return maps


def _places(px: int) -> np.ndarray:
    """(3, S²): right, down and 1 of each pixel, as shares of the side."""
    centers = (np.arange(px, dtype=np.float32) + 0.5) / px
    return np.stack([*(each.ravel() for each in np.meshgrid(centers, centers)), np.ones(px**2, np.float32)])


def _sampled(images: np.ndarray, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, S², …) the images (P, S, S, …) at the mapped places of all pixels, and (P, S²) which of them are compared."""
    px = images.shape[1]
    at = (maps @ _places(px)) * px - 0.5  # (P, 2, S²)
    rim = round(px * RIM)
    inner = np.pad(np.ones((px - 2 * rim,) * 2, bool), rim).ravel()
    inside = inner & (np.abs(at - (px - 1) / 2) < px / 2).all(axis=1)
    x, y = np.clip(at, 0, px - 1).swapaxes(0, 1)
    left, top = np.minimum(x.astype(np.intp), px - 2), np.minimum(y.astype(np.intp), px - 2)
    right, low = x - left, y - top
    first = top * px + left + px**2 * np.arange(len(images))[:, None]
    if images.ndim > 3:
        right, low = right[..., None], low[..., None]
    pixels = images.reshape(-1, *images.shape[3:])
    upper = pixels[first] * (1 - right) + pixels[first + 1] * right
    lower = pixels[first + px] * (1 - right) + pixels[first + px + 1] * right
    return upper * (1 - low) + lower * low, inside


def _aligned(whole: np.ndarray, turned: np.ndarray, maps: np.ndarray, steps: int) -> np.ndarray:
    """`maps` (P, 2, 3) once each of `whole` (P, S, S) agrees best with that of `turned`, up to gain and offset."""
    px = whole.shape[1]
    pixels, (x, y, _) = turned.reshape(-1, px**2), _places(px)
    for _ in range(steps):
        moved, inside = _sampled(whole, maps)
        down, right = _slopes(moved)
        columns = [right * x, right * y, right, down * x, down * y, down, pixels, np.ones_like(pixels)]
        jacobian = np.stack(columns, axis=1) * inside[:, None]  # (P, 8, S²)
        normal = jacobian @ jacobian.swapaxes(1, 2)
        normal[:, range(8), range(8)] *= 1.001
        normal[:, range(8), range(8)] += 1e-3
        step = np.linalg.solve(normal, -jacobian @ moved[..., None])[:, :6, 0].reshape(-1, 2, 3)
        change = np.zeros((len(maps), 3, 3), np.float32)
        change[:, :2] = np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        maps = (maps @ (change + np.eye(3, dtype=np.float32))).astype(np.float32)
    return maps


def _slopes(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Downwards and to the right, per side of the image: (P, S²) each, of `flat` (P, S²)."""
    px = round(flat.shape[1] ** 0.5)
    down, right = np.gradient(flat.reshape(-1, px, px), 1 / px, axis=(1, 2))
    return down.reshape(flat.shape), right.reshape(flat.shape)


def _mapped_edges_alike(whole: np.ndarray, turned: np.ndarray, maps: np.ndarray) -> np.ndarray:
    moved, inside = _sampled(whole, maps)
    return _edges_alike(moved, turned.reshape(moved.shape), inside)


def _edges_alike(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(P,) how differences of neighboring pixels correlate; `a` and `b` are (P, S²)."""
    px = round(a.shape[1] ** 0.5)
    square = inside.reshape(-1, px, px)
    safe = square.copy()  # whose neighbors are inside too
    safe[:, 1:-1, 1:-1] &= square[:, :-2, 1:-1] & square[:, 2:, 1:-1] & square[:, 1:-1, :-2] & square[:, 1:-1, 2:]
    a_slopes, b_slopes = (np.concatenate(_slopes(each), axis=1) for each in (a, b))
    return _correlation(a_slopes, b_slopes, np.tile(safe.reshape(a.shape), 2))


def _moments(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, ...]:
    """Means, variances and covariance (P,) of `a` and `b` (P, S) where `inside`."""
    weight = inside / np.maximum(inside.sum(axis=1, keepdims=True, dtype=np.float32), 1e-3)
    mean_a, mean_b = (np.einsum("ps,ps->p", each, weight) for each in (a, b))
    a, b = a - mean_a[:, None], b - mean_b[:, None]
    return mean_a, mean_b, *(np.einsum("ps,ps,ps->p", x, y, weight) for x, y in ((a, a), (b, b), (a, b)))


def _correlation(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> np.ndarray:
    _, _, variance_a, variance_b, both = _moments(a, b, inside)
    return np.asarray(both / np.sqrt(np.maximum(variance_a * variance_b, 1e-9)))


def _line(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ratio of the contrasts of `a` and `b`, and where black goes from the one of more contrast to the other."""
    mean_a, mean_b, variance_a, variance_b, _ = _moments(a, b, inside)
    gain = np.sqrt(np.maximum(variance_a, 1e-6) / np.maximum(variance_b, 1e-6))
    return gain, np.where(gain > 1, mean_b - mean_a / gain, mean_a - mean_b * gain)


def _worst_spot(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(P,) the largest difference of means of a small square, where `a` and `b` (P, S²) are brought to one contrast; as
    a multiple of what is allowed, which of images of little contrast is what encoding changes."""
    mean_a, mean_b, variance_a, variance_b, _ = (each[:, None] for each in _moments(a, b, inside))
    deviations = np.sqrt(variance_a + 1e-6), np.sqrt(variance_b + 1e-6)
    difference = ((a - mean_a) / deviations[0] - (b - mean_b) / deviations[1]) * inside
    means = uniform_filter(difference.reshape(-1, GRAY_PX, GRAY_PX), (0, SPOT_PX, SPOT_PX), mode="constant")
    allowed = np.maximum(MOST_SPOT, LITTLE / np.maximum(*deviations)[:, 0])
    return np.asarray(np.abs(means).max(axis=(1, 2)) / allowed)


def _tints(colors: np.ndarray) -> np.ndarray:
    """How far each color of (P, S, 3) is from its gray."""
    return colors - (colors @ LUMA)[..., None]


def _rms(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(P,) root mean square of (P, S, C) where `inside` (P, S)."""
    total = np.einsum("psc,psc,ps->p", values, values, inside.astype(np.float32))
    return np.asarray(np.sqrt(total / np.maximum(inside.sum(axis=1), 1) / values.shape[2]))
