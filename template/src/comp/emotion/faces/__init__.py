"""Drawn faces: one of eight expressions on any head, in any pose and light, in a style; with Pillow alone."""

from comp.emotion.faces.muscles import EXPRESSIONS
from comp.emotion.faces.people import DRAWN, GENERATED, Head, Pose, Style, a_head, a_pose
from comp.emotion.faces.portrait import SIDE_PX, draw

__all__ = ["DRAWN", "EXPRESSIONS", "GENERATED", "SIDE_PX", "Head", "Pose", "Style", "a_head", "a_pose", "draw"]
