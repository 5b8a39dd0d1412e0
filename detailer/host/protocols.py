"""What ComfyUI and other packs hand over: its forms, as far as they are used here, and nothing that runs.

Objects of other packs come as they are and may lack a part. What many lack is not in the protocol but asked for by
name where it is used, and each protocol says what that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypedDict

import numpy as np
import torch

# --- plain values -------------------------------------------------------------------------------------------------

# What goes with a prompt's embedding, by ComfyUI's keys; whoever reads one looks what it is.
CondOptions = dict[str, object]

# An embedding ``[B,T,C]`` and its options. ComfyUI makes and wants a list of the two; its type is a tuple's, which
# says what stands at which place. ``host.conditioning.entry`` makes one.
CondEntry = tuple[torch.Tensor, CondOptions]

# A string stands for a negative conditioning: sample without CFG, cfg being the distilled guidance.
Conditioning = list[CondEntry] | str


class _Samples(TypedDict):
    samples: torch.Tensor


class Latent(_Samples, total=False):
    """A LATENT: any other key of other packs is kept too.

    Attributes:
        samples: ``[B,C,h,w]`` or, of clips, ``[B,C,T,h,w]``.
        noise_mask: 0..1, where 1 is sampled anew: ``[B,H,W]`` or ``[B,1,H,W]`` of any size.
        batch_index: for each item the number of the noise that it gets.
        downscale_ratio_spacial, downscale_ratio_temporal: pixels and frames that a cell of an empty latent stands for.
    """

    noise_mask: torch.Tensor
    batch_index: list[int]
    downscale_ratio_spacial: int
    downscale_ratio_temporal: int


# --- models -------------------------------------------------------------------------------------------------------


class LatentFormat(Protocol):
    """How a model's latents are to be read. It may have ``latent_rgb_factors`` and more for rough pictures of them."""

    latent_channels: int


class BaseModel(Protocol):
    """What a MODEL patches."""

    latent_format: LatentFormat
    diffusion_model: torch.nn.Module

    def process_latent_out(self, latent: torch.Tensor) -> torch.Tensor: ...

    def memory_required(self, input_shape: Sequence[int]) -> float: ...

    def get_dtype(self) -> torch.dtype: ...


class Model(Protocol):
    """A MODEL, ComfyUI's ModelPatcher."""

    model: BaseModel
    load_device: torch.device
    model_options: dict[str, object]

    def get_model_object(self, name: str) -> object: ...

    def model_size(self) -> int: ...

    def clone(self) -> Model: ...


class Clip(Protocol):
    """A CLIP: a text encoder with its tokenizer."""

    def tokenize(self, text: str) -> object: ...

    def encode_from_tokens_scheduled(self, tokens: object) -> list[CondEntry]: ...


class Vae(Protocol):
    """A VAE. It may say ``spacial_compression_encode()``, pixels a cell, and ``latent_dim``, 3 where it takes clips."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor: ...

    def decode(self, samples: torch.Tensor) -> torch.Tensor: ...

    def encode_tiled(self, pixels: torch.Tensor, *, tile_x: int, tile_y: int, overlap: int) -> torch.Tensor: ...

    def decode_tiled(self, samples: torch.Tensor, *, tile_x: int, tile_y: int, overlap: int) -> torch.Tensor: ...


class ControlNet(Protocol):
    """A CONTROL_NET. It may have ``latent_format`` where it works on latents.

    What is to be cut also has ``copy``, ``cond_hint_original``, ``extra_concat_orig``, ``previous_controlnet`` and
    ``set_previous_controlnet``; many of other packs don't.
    """

    def set_cond_hint(self, cond_hint: torch.Tensor, strength: float, timestep_percent_range: object) -> object: ...


# --- sampling -----------------------------------------------------------------------------------------------------


class Sampler(Protocol):
    """A SAMPLER. ComfyUI's own are functions with ``sampler_function``, ``extra_options`` and ``inpaint_options``."""

    @property
    def sample(self) -> Callable[..., torch.Tensor]: ...


# (model, sampler name, steps) -> the noise levels of the whole schedule, descending
SchedulerFunc = Callable[[Model, str, int], torch.Tensor]


# --- what segments carry ------------------------------------------------------------------------------------------


class Preprocessor(Protocol):
    """A SEGS_PREPROCESSOR: makes a ControlNet's hint from a crop ``[n,h,w,3]``."""

    def apply(self, image: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor: ...


class SegControlNet(Protocol):
    """A segment's ``control_net_wrapper``. It may have ``doit_ipadapter(model)``, ``prev_control_net`` (the one before
    it) and ``control_image``.
    """

    def apply(
        self,
        positive: Conditioning,
        negative: Conditioning,
        image: torch.Tensor,
        mask: torch.Tensor | None = None,
        use_acn: bool = False,
    ) -> tuple[Conditioning, Conditioning, list[torch.Tensor]]: ...


# --- detection ----------------------------------------------------------------------------------------------------


class Detector(Protocol):
    """A BBOX_DETECTOR or SEGM_DETECTOR: ``detect(image, threshold, dilation, crop_factor, drop_size)`` gives SEGS, or
    what its pack takes for them; some also take a ``detailer_hook``.

    It may have ``detect_combined``, ``setAux``, ``bbox_detector`` and ``override_bbox_by_segm``.
    """

    @property
    def detect(self) -> Callable[..., object]: ...


class SamWrapper(Protocol):
    """What a SAM_MODEL works with. It may have ``prepare_device`` and ``release_device``.

    ``predict`` is asked about a picture ``[H,W,3]`` uint8: points ``x, y`` in pixels with labels 1 (this) or 0 (not
    this), a box, and the least score. It gives masks ``[H,W]`` of any kind, or None.
    """

    def predict(
        self,
        image: np.ndarray,
        points: Sequence[tuple[float, float]],
        plabs: Sequence[int],
        bbox: Sequence[float] | None,
        threshold: float,
        /,
    ) -> Sequence[object] | None: ...


class SamModel(Protocol):
    """A SAM_MODEL: something that carries a wrapper."""

    @property
    def sam_wrapper(self) -> SamWrapper: ...


class FaceModel(Protocol):
    """A FACE_DETECTION_MODEL, what ComfyUI's LoadMediaPipeFaceLandmarker gives."""

    connection_sets: Mapping[str, frozenset[tuple[int, int]]]

    @property
    def detect_batch(self) -> Callable[..., list[list[dict[str, object]]]]: ...


# --- hooks --------------------------------------------------------------------------------------------------------

# A DETAILER_HOOK: any method of the hook protocol may be missing, so it is only called through ``hooks.protocol.Hook``.
DetailerHook = object
