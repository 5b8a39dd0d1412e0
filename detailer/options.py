"""What the Detailer Options node says. The defaults mean: as without the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

MULTIPLES = ("auto", "8", "16", "32", "64")
BORDERS = ("stop", "mirror")


@dataclass(frozen=True)
class ColourOptions:
    """The colours of a refined crop.

    Attributes:
        match: one of ``COLOUR_MATCHES`` (``core.colour``).
        limit: no value changes by more (0..1).
    """

    match: str = "off"
    limit: float = 0.2


@dataclass(frozen=True)
class BlendOptions:
    """How a refined crop is put back.

    Attributes:
        method: one of ``BLENDS`` (``core.blend``).
        width: pixels of the picture over which ``multiband`` and ``gradient`` come from the picture to the crop.
        grow: pixels by which the paste mask is larger (above 0) or smaller than the segment's; the noise mask is not.
        ramp: one of ``RAMPS`` (``core.masks``), the form of the paste mask's soft edge.
    """

    method: str = "feather"
    width: int = 32
    grow: int = 0
    ramp: str = "gaussian"


@dataclass(frozen=True)
class Trained:
    """What a model was trained at: the pixels of a square's side, and what sides must be multiples of (pixels)."""

    family: str = "a model of any kind"
    side: int = 1024
    multiple: int = 1


@dataclass(frozen=True)
class WorkingSizeOptions:
    """At which size a crop is worked on, and what of the picture is in it.

    Attributes:
        mode: one of ``SIZE_MODES`` (``pipeline.working_size``).
        short_side: pixels, for ``short_side``.
        megapixels: millions of pixels, for ``pixel_budget``.
        width, height: pixels, for ``fixed_size``.
        never_above_max_size: crops larger than max_size are shrunk, in every mode.
        multiple: both sides are multiples of it and of what the VAE and the model need; 0 for these alone.
        context: least pixels of surroundings on every side of the part.
        border: ``mirror``: the context goes on past the picture's border, mirrored; ``stop``: it ends there.
        trained: for ``model``; ``pipeline.recipe`` asks the model.
    """

    mode: str = "guide_size"
    short_side: int = 1024
    megapixels: float = 1.0
    width: int = 1024
    height: int = 1024
    never_above_max_size: bool = False
    multiple: int = 0
    context: int = 0
    border: str = "stop"
    trained: Trained = Trained()


def _less_for_larger(denoise: float, side: float, full_up_to: int) -> float:
    """``denoise * sqrt(full_up_to / side)``, never more than the node's and never less than half of it: four times the
    side halves it.

    Large parts need less made anew, since they have their detail already; and what changes in them is seen sooner.
    """
    return denoise if side <= full_up_to else denoise * max((full_up_to / side) ** 0.5, 0.5)


# from the node's denoise, the part's side in pixels (the square root of its box's area) and ``full_up_to``
DENOISES: dict[str, Callable[[float, float, int], float]] = {
    "off": lambda denoise, side, full_up_to: denoise,
    "less_for_larger": _less_for_larger,
}


@dataclass(frozen=True)
class DenoiseOptions:
    """What a denoise means, and how it follows a part's size.

    Attributes:
        by_size: one of ``DENOISES``.
        full_up_to: parts up to this many pixels (the square root of their box's area) get the node's denoise.
        scale: one of ``DENOISE_SCALES`` (``pipeline.sample``).
    """

    by_size: str = "off"
    full_up_to: int = 256
    scale: str = "schedule"

    def denoise(self, denoise: float, area: int) -> float:
        """The denoise of a part whose box covers ``area`` pixels of the picture."""
        if self.by_size not in DENOISES:
            raise ValueError(f"'{self.by_size}' is no denoise by size; it must be one of {', '.join(DENOISES)}")
        return DENOISES[self.by_size](denoise, max(area, 1) ** 0.5, self.full_up_to)


@dataclass(frozen=True)
class DetailOptions:
    """All that the Detailer Options node says.

    Attributes:
        fill: one of ``FILLS`` (``core.fill``), what is encoded under the noise mask.
        drift: one of ``DRIFTS`` (``pipeline.restore``).
        detail: one of ``DETAILS`` (``pipeline.restore``).
        retries: how often a segment is sampled again, each time with the next seed, when it decodes to values that are
            not finite or to flat black.
        tiling: one of ``TILINGS`` (``pipeline.recipe``). ``auto``: as the node's switches say; ``always``: both ways;
            ``never``: neither, whatever the switches say. Where memory runs out, the VAE goes in tiles in any case.
        references: one of ``REFERENCES`` (``host.references``): which reference latents are cut to a part.
        paste: one of ``PASTES`` (``pipeline.restore``): what goes back into the picture.
        overlaps: one of ``OVERLAPS`` (``pipeline.together``): what becomes of parts whose crops share pixels.
        best_of: how many candidates of a part are made, with seed after seed; the best (``pipeline.best``) is pasted.
    """

    colour: ColourOptions = ColourOptions()
    blend: BlendOptions = BlendOptions()
    fill: str = "original"
    size: WorkingSizeOptions = WorkingSizeOptions()
    drift: str = "off"
    detail: str = "off"
    denoise: DenoiseOptions = DenoiseOptions()
    retries: int = 0
    tiling: str = "auto"
    references: str = "auto"
    paste: str = "direct"
    best_of: int = 1
    overlaps: str = "one_by_one"

    @property
    def needs_source(self) -> bool:
        """Whether the crop as it was is wanted beside what is sampled."""
        return self.paste == "residual" or self.shows_crop

    @property
    def matches(self) -> bool:
        """Whether what comes out is measured on its surroundings, and corrected."""
        return (self.drift, self.colour.match, self.detail) != ("off", "off", "off")

    @property
    def without_matching(self) -> DetailOptions:
        """The same, but for that."""
        return replace(self, drift="off", colour=ColourOptions(), detail="off")

    @property
    def shows_crop(self) -> bool:
        """Whether an edit model is shown the crop itself."""
        return self.references.startswith("crop")  # as ``host.references.OF_CROP`` says, which this floor does not know


UNTURNED = DetailOptions()
