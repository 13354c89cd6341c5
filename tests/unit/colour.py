"""Colour arithmetic of the tests: contrast, colour-blind views, perceptual distance."""

from itertools import combinations
from math import dist

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
NORMAL = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
# Ottosson 2020, OKLab.
TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def times(matrix, vector):
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def linear(colour):
    """#rrggbb -> linear RGB, 0 to 1."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def contrast(one, other):
    """WCAG 2 contrast ratio, 1 to 21."""
    bright, dark = sorted((times(((0.2126, 0.7152, 0.0722),), linear(c))[0] for c in (one, other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def seen(colour, view=NORMAL):
    """OKLab coordinates, times 100, as seen by an eye."""
    light = (min(1.0, max(0.0, part)) for part in times(view, linear(colour)))
    cones = times(TO_CONES, tuple(light))
    return tuple(100 * part for part in times(TO_LAB, tuple(max(0.0, cone) ** (1 / 3) for cone in cones)))


def closest(colours, view=NORMAL):
    """The smallest distance between any two colours, and which two."""
    return min((dist(seen(a, view), seen(b, view)), a, b) for a, b in combinations(colours, 2))
