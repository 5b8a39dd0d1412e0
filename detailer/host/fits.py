"""Why a sampling failed: a VAE, a prompt, a ControlNet or a patch that is made for another kind of model.

Nothing is asked before: what ComfyUI can sample it samples. Only an error is looked into, by what is known of the model
and what the error says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import CodeType, TracebackType

import torch

from .devices import is_out_of_memory
from .patches import carried_functions, mixing_patch, name_of
from .protocols import Conditioning, Model

# A prompt's width, by the name that each family's configuration has for it.
_WIDTHS = ("context_dim", "context_in_dim", "text_dim", "joint_attention_dim", "cap_feat_dim", "caption_channels")

_MULTIPLIED = re.compile(r"cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)")
_CHANNELS = re.compile(r"to have (\d+) channels, but got (\d+) channels")
_NORMALIZED = re.compile(r"normalized_shape=\[(\d+)\].* size\s?\[(?:\d+, )*(\d+)\]")
_SIZES = re.compile(r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)")
_CONTROL = re.compile(r"control_?net|cldm", re.IGNORECASE)
_GOES_ON = re.compile(r"comfy[/\\]model_base\.py$")
_MOST_QUOTED = 200  # characters of ComfyUI's own words


class MisfitError(ValueError):
    """A part of what is sampled with doesn't fit the model.

    Attributes:
        part: ``vae``, ``positive``, ``negative``, ``model`` or ``control_net``.
        of_refiner: it is the refiner's.
        found, fix: in words, with the two sizes.
    """

    def __init__(self, part: str, of_refiner: bool, found: str, fix: str) -> None:
        super().__init__(f"{part}: {found}. {fix}")
        self.part, self.of_refiner, self.found, self.fix = part, of_refiner, found, fix


@dataclass(frozen=True)
class Sampled:
    """What was sampled, with what.

    Attributes:
        samples: ``[B,C,h,w]`` or, of clips, ``[B,C,T,h,w]``.
        of_refiner: by the refiner.
    """

    model: Model
    positive: Conditioning
    negative: Conditioning
    samples: torch.Tensor
    of_refiner: bool = False

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Sample within it.

        Raises:
            MisfitError: instead of what the block raises, where that comes of something that doesn't fit the model.
        """
        try:
            yield
        except Exception as error:
            misfit = None if is_out_of_memory(error) else self._misfit(error)
            if misfit is None:
                raise
            raise misfit from error

    def _misfit(self, error: Exception) -> MisfitError | None:
        for look in (self._latent, self._control, self._prompt, self._patch):
            found = look(error)
            if found is not None:
                part, words, fix = found
                quoted = " ".join(str(error).split())[:_MOST_QUOTED]
                return MisfitError(part, self.of_refiner, f"{words} (ComfyUI: {quoted})", fix)
        return None

    def _latent(self, error: Exception) -> tuple[str, str, str] | None:
        form = getattr(self.model.model, "latent_format", None)
        channels, axes = getattr(form, "latent_channels", None), getattr(form, "latent_dimensions", 2)
        if channels is None or getattr(self.samples, "is_nested", False):
            return None
        if self.samples.shape[1] != channels:
            found = f"latents of {self.samples.shape[1]} channels came to a model that takes {channels}"
        elif self.samples.ndim - 2 > axes:
            found = f"latents of {self.samples.ndim - 2} axes came to a model that takes {axes}, without time"
        else:
            return None
        if self.of_refiner:
            return "model", found, "Connect a refiner of the same family as the model"
        return "vae", found, "Use the VAE that goes with the model"

    def _control(self, error: Exception) -> tuple[str, str, str] | None:
        if not any(_CONTROL.search(code.co_filename) for code in _codes(error.__traceback__)):
            return None
        if not any(has_control(conditioning) for conditioning in (self.positive, self.negative)):
            return None
        found = f"the ControlNet is made for another model{_and_sizes(error)}"
        return "control_net", found, "Use a ControlNet that is made for the model"

    def _prompt(self, error: Exception) -> tuple[str, str, str] | None:
        fix = "Encode the prompt with the CLIP that goes with the model"
        wanted = _width(self.model)
        prompts = [("positive", self.positive), ("negative", self.negative)]
        if isinstance(error, KeyError) and error.args == ("pooled_output",):
            for part, conditioning in prompts:
                if any(options.get("pooled_output") is None for _, options in _entries(conditioning)):
                    return part, "it has no pooled output, which the model needs", fix
        got, takes = _got_and_taken(error)
        for part, conditioning in prompts:
            for embedding, options in _entries(conditioning):
                pooled = options.get("pooled_output")
                width = embedding.shape[-1]
                if width == got and width != (wanted or takes):
                    return part, f"the prompt is {width} wide, the model takes {wanted or takes}", fix
                if isinstance(pooled, torch.Tensor) and pooled.shape[-1] == got != takes:
                    return part, f"its pooled output is {got} wide, the model takes {takes}", fix
        return None

    def _patch(self, error: Exception) -> tuple[str, str, str] | None:
        sizes = _and_sizes(error)
        if not sizes:
            return None
        by_code = {code: function for function in carried_functions(self.model) for code in _codes_of(function)}
        for code in reversed(list(_codes(error.__traceback__))):
            if _GOES_ON.search(code.co_filename):
                break  # what lies around the model's own call is not to blame for what happens in there
            if code in by_code:
                return self._patch_named(f"({name_of(by_code[code])}) is", sizes)
        perhaps = mixing_patch(self.model)
        return None if perhaps is None else self._patch_named(f"({perhaps}) may be", sizes)

    def _patch_named(self, which: str, sizes: str) -> tuple[str, str, str]:
        latents = "x".join(str(side) for side in self.samples.shape[:1:-1][:2])
        found = f"a patch on the model {which} made for another size or model than these latents of {latents}{sizes}"
        return "model", found, "Take the patch off, or make it anew for this model and size"


def has_control(conditioning: Conditioning) -> bool:
    """Whether a ControlNet is set on it."""
    return any(options.get("control") is not None for _, options in _entries(conditioning))


def _entries(conditioning: Conditioning) -> Iterable[tuple[torch.Tensor, dict[str, object]]]:
    return () if isinstance(conditioning, str) else conditioning


def _width(model: Model) -> int | None:
    """How wide a model's prompts are, as far as its configuration says."""
    shape = getattr(getattr(model.model, "model_config", None), "unet_config", None)
    if not isinstance(shape, dict):
        return None
    embedder = shape.get("context_embedder_config")
    if isinstance(embedder, dict):
        return embedder.get("params", {}).get("in_features")
    return next((shape[name] for name in _WIDTHS if isinstance(shape.get(name), int)), None)


def _got_and_taken(error: Exception) -> tuple[int | None, int | None]:
    """The two sizes that an error of PyTorch names: what came, and what was wanted."""
    text = str(error)
    if match := _MULTIPLIED.search(text) or _SIZES.search(text):
        return int(match[1]), int(match[2])
    if match := _CHANNELS.search(text) or _NORMALIZED.search(text):
        return int(match[2]), int(match[1])
    return None, None


def _and_sizes(error: Exception) -> str:
    got, takes = _got_and_taken(error)
    return "" if got is None else f": {got} came, {takes} is wanted"


def _codes(traceback: TracebackType | None) -> Iterator[CodeType]:
    while traceback is not None:
        yield traceback.tb_frame.f_code
        traceback = traceback.tb_next


def _codes_of(function: object) -> Iterator[CodeType]:
    if isinstance(function, partial):
        function = function.func
    if callable(function):
        for called in (function, type(function).__call__):
            code = getattr(called, "__code__", None)
            if isinstance(code, CodeType):
                yield code
