"""A stand-in for the node of IPAdapter Plus, whose models are too large for tests: it notes what it is asked for.

It has that node's own way to be called. The model that it gives back predicts another noise: that of the model it was
given, and as much more as the picture is bright.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch


def _brighter(model: Any, by: float) -> Any:
    """A copy of the model whose answers are larger by so much, on top of what another did to them before."""
    made = model.clone()
    before = made.model_options.get("model_function_wrapper")

    def predict(apply: Any, arguments: dict[str, Any]) -> torch.Tensor:
        if before is not None:
            return before(apply, arguments) + by
        return apply(arguments["input"], arguments["timestep"], **arguments["c"]) + by

    made.set_model_unet_function_wrapper(predict)
    return made


class IPAdapterAdvanced:
    """
    Attributes:
        calls: what it was asked, one after another, of all objects.
    """

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "apply_ipadapter"
    calls: ClassVar[list[dict[str, Any]]] = []

    def apply_ipadapter(
        self,
        model: Any,
        ipadapter: Any,
        start_at: float = 0.0,
        end_at: float = 1.0,
        weight: float = 1.0,
        weight_type: str = "linear",
        combine_embeds: str = "concat",
        weight_faceidv2: float | None = None,
        image: Any = None,
        image_negative: Any = None,
        clip_vision: Any = None,
        attn_mask: Any = None,
        insightface: Any = None,
        embeds_scaling: str = "V only",
    ) -> tuple[Any]:
        given = {name: value for name, value in locals().items() if name != "self"}
        self.calls.append(given)
        return (_brighter(model, weight * float(image.mean())),)


class Loras:
    """Puts on a LoRA, which here is an attachment; it notes the models that it was given."""

    def __init__(self, name: str = "lora") -> None:
        self.name = name
        self.models: list[Any] = []

    def __call__(self, model: Any) -> Any:
        self.models.append(model)
        made = model.clone()
        worn = [*made.model_options.get("worn", ()), self.name]
        made.model_options = {**made.model_options, "worn": worn}
        return made


def pipe(model: Any, loras: Any = None, name: str = "ipadapter") -> tuple[Any, ...]:
    """An IPADAPTER_PIPE as the Inspire Pack makes it."""
    return name, model, "clip vision", "insightface", loras or Loras()
