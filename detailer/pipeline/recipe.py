"""What is the same for every crop of a run, made once where a node comes in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

from ...core import Size
from ...core.tables import chosen
from .. import host
from ..errors import InputError
from ..hooks.protocol import Hook
from ..host.answers import NonsenseError
from ..host.custom_sampling import NOTHING_CUSTOM, CustomSampling
from ..host.fits import MisfitError
from ..once import Once
from ..options import UNTURNED, DetailOptions, Trained
from ..values import BasicPipe, Conditioning, DetailSettings, Refiner, VaeTiles

# which way through the VAE goes in tiles; None: as the node's switches say
TILINGS = {"auto": None, "always": VaeTiles(True, True), "never": VaeTiles(False, False)}


@dataclass(frozen=True)
class Recipe:
    """With what, and how, the crops of a run are detailed.

    Attributes:
        pipe: model, CLIP, VAE and conditionings.
        settings: what the node's widgets say.
        refiner: takes over the last steps where given.
        hook: any pack's detailer hook, or one that does nothing.
        source: the node that was asked, for log and errors.
        pipe_name: its input that holds the pipe, for errors; None where its parts are inputs of their own.
        once: what is said once a run.
        custom: what the hook puts in place of the sampling's settings; known once it is ``prepared``.
        keeps_sampled: what ``Detailed`` has of crops at the size that was sampled, and the paste mask, is wanted.
    """

    pipe: BasicPipe
    settings: DetailSettings
    refiner: Refiner | None = None
    hook: Hook = field(default_factory=Hook)
    source: str = "Mask Detailer"
    pipe_name: str | None = None
    once: Once = field(default_factory=Once, compare=False)
    keeps_sampled: bool = False
    custom: CustomSampling = NOTHING_CUSTOM

    def prepared(self) -> Recipe:
        """As it is carried out: with Differential Diffusion where the noise mask is soft, and the VAE's tiles and what
        the model was trained at as the detail options want; with the hook's sampling, whose guider has model and
        prompts of its own.
        """
        pipe, settings = self.pipe, self.settings
        try:
            custom = self.hook.custom_sampling()
        except NonsenseError as error:
            raise error.at(self.source) from error
        if custom.guider is not None:
            prompts = host.custom_sampling.prompts_of(custom.guider)
            negative = prompts.get("negative", host.custom_sampling.NO_NEGATIVE)
            pipe = pipe._replace(
                model=host.custom_sampling.model_of(custom.guider), positive=prompts["positive"], negative=negative
            )
        if settings.mask.noise_mask and settings.mask.noise_mask_feather > 0:
            pipe = pipe._replace(model=host.models.with_differential_diffusion(pipe.model))
        tiles = chosen(TILINGS, settings.options.tiling, "tiling")
        if tiles is not None:
            settings = replace(settings, vae_tiles=tiles)
        options = settings.options
        if options.size.mode == "model":
            size = replace(options.size, trained=replace(self, pipe=pipe).trained)
            settings = replace(settings, options=replace(options, size=size))
        if settings.options.references == "crop":
            settings = replace(settings, options=self._corrected(settings.options))
        return replace(self, pipe=pipe, settings=settings, custom=custom)

    def _corrected(self, options: DetailOptions) -> DetailOptions:
        """Edit models give a crop back moved and tinted: what is off against that is turned on."""
        drift = "correct" if options.drift == UNTURNED.drift else options.drift
        colour = options.colour
        if colour.match == UNTURNED.colour.match:
            colour = replace(colour, match="covariance")
        self.once.info(
            f"{self.source}: parts are shown to the model as they are, drift ({drift}) and colour ({colour.match}) are "
            "corrected after it ('references' crop of Detailer Options; crop_uncorrected leaves both as they are set)"
        )
        return replace(options, drift=drift, colour=colour)

    def error(self, misfit: MisfitError) -> InputError:
        """The error that says which input holds what doesn't fit the model."""
        whose, part = "refiner_" * misfit.of_refiner, misfit.part
        if part == "control_net":
            of_pipe = [name for name in ("positive", "negative") if host.fits.has_control(getattr(self.pipe, name))]
            if not of_pipe:  # the segments' own
                return InputError(self.source, "segs", misfit.found, misfit.fix)
            part = of_pipe[0]
        if self.pipe_name is None:
            return InputError(self.source, f"{whose}{part}", misfit.found, misfit.fix)
        apart = misfit.of_refiner and self.pipe_name == "basic_pipe"
        name = "refiner_basic_pipe_opt" if apart else self.pipe_name
        held = part if apart else f"{whose}{part}"
        return InputError(self.source, name, f"its {held}: {misfit.found}", misfit.fix)

    @property
    def multiple(self) -> int:
        """What sides must be multiples of; InpaintModelConditioning cuts all else off to multiples of 8."""
        cell = host.vae.pixels_per_cell(self.pipe.vae)
        return math.lcm(cell, 8) if self.settings.mask.inpaint_model else cell

    @cached_property
    def guider_prompts(self) -> dict[str, Conditioning]:
        """What the guider has beside positive and negative, for the whole picture."""
        if self.custom.guider is None:
            return {}
        prompts = host.custom_sampling.prompts_of(self.custom.guider)
        return {name: one for name, one in prompts.items() if name not in ("positive", "negative")}

    @property
    def trained(self) -> Trained:
        """What the model was trained at."""
        model, family = self.pipe.model, host.families.family_of(self.pipe.model)
        cell = host.vae.pixels_per_cell(self.pipe.vae)
        return Trained(family.name, family.side, math.lcm(self.multiple, cell * host.families.cells_per_step(model)))

    def cells(self, working: Size) -> Size:
        """The size of the latent of a crop that is worked on at a size."""
        return Size(*(side // host.vae.pixels_per_cell(self.pipe.vae) for side in working))

    @cached_property
    def why_alone(self) -> str | None:
        """Why no two crops may be sampled at once; None where they may."""
        if self.hook.crop_methods:
            return f"the detailer_hook may treat each in its own way ({', '.join(self.hook.crop_methods)})"
        if self.settings.attempts and self.hook.judges:
            return "the detailer_hook may want each tried again"
        guider = host.custom_sampling.why_alone(self.custom.guider)
        if guider is not None:
            return guider
        if self.custom.sampler is None and host.sampling.couples_crops(self.settings.sampling.sampler_name):
            return f"the sampler {self.settings.sampling.sampler_name} would let one change another"
        models = [self.pipe.model, *([self.refiner.model] if self.refiner else [])]
        patch = next(filter(None, map(host.patches.mixing_patch, models)), None)
        return None if patch is None else f"the patch {patch} on the model may let one change another"
