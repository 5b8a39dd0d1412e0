"""Colour matching: what the VAE and the model did to the colours of the surroundings, undone in the whole crop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ..frames import alike, alone, over_frames
from ..tables import chosen
from .ring import LEAST, blurred_within, too_small

LEVEL = 1 / 255
LARGEST_GAIN = 1.5
NOTHING = 0.25  # levels; what is less off stays as it is
SAMPLES = 8192  # pixels of a frame that the map is fitted on, spread evenly over the ring
MOST_SAMPLES = 8 * SAMPLES  # of all frames
LEAST_SAMPLES = 64  # of each of very many frames
ROUNDS = 3  # of fitting, each without the pixels that the one before could not explain
SMOOTHING = 2.0  # pixels; so that grain and sharpness do not count as contrast
CLIPPED = 0.002  # as near to 0 or 1 a value says nothing

# Linear sRGB to XYZ over the white of D65, so that rows sum to 1, and back. Source: IEC 61966-2-1 and CIE 15.
_TO_XYZ = ((0.4339499, 0.3762098, 0.1898403), (0.2126729, 0.7151521, 0.0721750), (0.0177566, 0.1094680, 0.8727754))
_FROM_XYZ = (
    (3.0799551, -1.5371390, -0.5428161),
    (-0.9212586, 1.8760111, 0.0452475),
    (0.0528874, -0.2040259, 1.1511385),
)
_EDGE = 6 / 29

Map = Callable[[torch.Tensor], torch.Tensor]
Fit = Callable[[torch.Tensor, torch.Tensor], Map]  # of the colours given and those wanted, ``[n,3]``


def to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """sRGB ``[...,3]`` 0..1 as CIE L*a*b* (D65): L 0..100, a and b about -100..100.

    Values outside 0..1 go on as the curve does, below 0 as a straight line.
    """
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)
    xyz = linear @ rgb.new_tensor(_TO_XYZ).T
    x, y, z = torch.where(xyz > _EDGE**3, xyz.clamp(min=_EDGE**3) ** (1 / 3), xyz / (3 * _EDGE**2) + 4 / 29).unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def from_lab(lab: torch.Tensor) -> torch.Tensor:
    """The way back: L*a*b* ``[...,3]`` as sRGB, not cut to 0..1."""
    y = (lab[..., 0] + 16) / 116
    f = torch.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], dim=-1)
    linear = torch.where(f > _EDGE, f * f * f, 3 * _EDGE**2 * (f - 4 / 29)) @ lab.new_tensor(_FROM_XYZ).T
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curve)


def match_colour(
    before: torch.Tensor, refined: torch.Tensor, ring: torch.Tensor, method: str, limit: float, in_place: bool = False
) -> tuple[torch.Tensor, str]:
    """The refined crop with the colours that its surroundings had; by one map for all frames, which does not flicker.

    The map is fitted on the ring of all frames, between the crop before and after, both smoothed by some pixels so that
    grain and sharpness do not count. Clipped values and pixels that the map can't explain (3 robust deviations) are
    left out. A ring of almost one colour gives an offset and no gain; gains stay within 1/1.5..1.5.

    Args:
        before: ``[N,h,w,3]`` float 0..1, the crop as it went into the VAE, at the picture's scale.
        refined: the same size, as it came out.
        ring: ``[N or 1,h,w]`` bool (``ring_of``).
        method: ``mean_and_spread``: each channel's mean and standard deviation in CIE L*a*b*.
            Source: E. Reinhard et al., "Color Transfer between Images", IEEE CG&A 21 (2001).
            ``covariance``: the linear Monge-Kantorovich map between the two colour distributions in RGB.
            Source: F. Pitie and A. Kokaram, "The linear Monge-Kantorovitch linear colour mapping", CVMP 2007.
            ``off``: the refined crop as it is.
        limit: no value changes by more (0..1).
        in_place: the refined crop is written to.

    Returns:
        ``[N,h,w,3]`` 0..1, the refined crop itself where nothing is to be matched; and what was done, in words, empty
        for ``off``.

    Raises:
        ValueError: for another method.
    """
    fit = chosen(_FITS, method, "colour match")
    if fit is None:
        return refined, ""
    most = max(min(SAMPLES, MOST_SAMPLES // len(refined)), LEAST_SAMPLES)
    frames = [_samples(now, was, around, most) for now, was, around in alone(refined, before, ring)]
    samples = [one for one in frames if not isinstance(one, str)]
    if not samples:
        return refined, f"colour not matched: {frames[0]}"
    given, wanted = (torch.cat(each) for each in zip(*samples, strict=True))
    matched = _robust(fit, given, wanted)
    error, left = _error(given, wanted) / LEVEL, _error(matched(given), wanted) / LEVEL
    over = over_frames(len(samples))
    if error < NOTHING:
        return refined, f"colour: its surroundings are off by {error:.1f} of 255 levels, nothing to match{over}"
    if left > error:
        why = f"its surroundings differ by more than colour ({error:.1f} of 255 levels)"
        return refined, f"colour not matched: {why}{over}"

    def change(frame: torch.Tensor) -> torch.Tensor:
        now = frame.detach().cpu().to(torch.float32)
        return (now + (matched(now) - now).clamp_(-limit, limit)).clamp_(0.0, 1.0).to(frame)

    text = f"colour matched: its surroundings were off by {error:.1f} of 255 levels, now by {left:.1f}{over}"
    return alike(change, refined, in_place), text


def _samples(
    refined: torch.Tensor, before: torch.Tensor, ring: torch.Tensor, most: int
) -> tuple[torch.Tensor, torch.Tensor] | str:
    """The colours given and wanted in a frame's ring, ``[n,3]`` each, no more than ``most``; or why there are none."""
    reason = too_small(ring[0])
    if reason:
        return reason
    was, now = (image[0].detach().cpu().to(torch.float32) for image in (before, refined))
    usable = ring[0] & ((now > CLIPPED) & (now < 1 - CLIPPED)).all(dim=-1)
    count = int(usable.sum())
    if count < LEAST:
        return f"almost all of its surroundings is black or white (all but {count} pixels)"
    places = usable.flatten().nonzero()[:, 0]
    places = places[:: -(-len(places) // most)]
    wanted, given = (_smoothed(image, usable).reshape(-1, 3)[places] for image in (was, now))
    return given, wanted


def _smoothed(image: torch.Tensor, usable: torch.Tensor) -> torch.Tensor:
    """``[h,w,3]``: colours blurred among usable pixels."""
    return torch.from_numpy(blurred_within(image.numpy(), usable.numpy().astype(np.float32), SMOOTHING)[0])


def _error(given: torch.Tensor, wanted: torch.Tensor) -> float:
    """Mean absolute difference without the worst tenth of the pixels."""
    difference = (given - wanted).abs().mean(dim=-1)
    return float(difference[difference <= difference.kthvalue(int(0.9 * (len(difference) - 1)) + 1).values].mean())


def _robust(fit: Fit, given: torch.Tensor, wanted: torch.Tensor) -> Map:
    """Fit, leave out what is far off, fit again. At least half of the pixels stay."""
    matched = fit(given, wanted)
    for _ in range(ROUNDS):
        residual = (matched(given) - wanted).abs().amax(dim=-1)
        kept = residual <= 3 * 1.4826 * max(float(residual.median()), LEVEL / 2)
        matched = fit(given[kept], wanted[kept])
    return matched


def _mean_and_spread(given: torch.Tensor, wanted: torch.Tensor) -> Map:
    lab, target = to_lab(given), to_lab(wanted)
    flat = 1.0  # in L*a*b* units: spreads about this small give no gain
    gain = ((target.var(dim=0) + flat**2) / (lab.var(dim=0) + flat**2)).sqrt().clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    middle, goal = lab.mean(dim=0), target.mean(dim=0)
    return lambda rgb: from_lab((to_lab(rgb) - middle) * gain + goal)


def _transport(given: torch.Tensor, wanted: torch.Tensor) -> Map:
    flat = 0.005  # spreads about this small give no gain
    have, want = (torch.cov(values.double().T) + flat**2 * torch.eye(3) for values in (given, wanted))
    root, back = _power(have, 0.5), _power(have, -0.5)
    gains, axes = torch.linalg.eigh(back @ _power(root @ want @ root, 0.5) @ back)
    matrix = ((axes * gains.clamp(1 / LARGEST_GAIN, LARGEST_GAIN)) @ axes.T).float()
    offset = wanted.mean(dim=0) - given.mean(dim=0) @ matrix
    return lambda rgb: rgb @ matrix + offset


# How colours are matched; None for not at all.
_FITS: dict[str, Fit | None] = {"off": None, "mean_and_spread": _mean_and_spread, "covariance": _transport}
COLOUR_MATCHES = tuple(_FITS)


def _power(matrix: torch.Tensor, exponent: float) -> torch.Tensor:
    """A symmetric positive definite matrix to any power."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=1e-12) ** exponent) @ vectors.T
