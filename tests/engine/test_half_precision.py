"""ComfyUI's ``--fp16-intermediates``: pictures, masks and latents between nodes are half precision.

The pack works on float32 and gives it: what no paste mask reaches is then exactly what came in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.cli_args
import pytest
import torch
from engine.any_node import DISCS, NODES, SIZE, Values, arguments, run_checked, values_of, with_link
from engine.fuzz_cases import NODES as DETAILERS
from engine.running import detail, near
from engine.tiny_models import Pipe, mask_of, picture, tiny_control_net
from support.detectors import drawn
from support.ip_adapter import IPAdapterAdvanced

TAKING = [node for node in NODES if any(with_link(node, kind) for kind in ("IMAGE", "MASK", "LATENT"))]


@pytest.fixture(autouse=True)
def half_between_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(comfy.cli_args.args, "fp16_intermediates"):
        pytest.skip("this ComfyUI has no --fp16-intermediates")
    monkeypatch.setattr(comfy.cli_args.args, "fp16_intermediates", True)
    yield


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import folder_paths

    import nodes

    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "IPAdapterAdvanced", IPAdapterAdvanced)

    before = folder_paths.get_temp_directory(), folder_paths.get_output_directory()
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    folder_paths.set_output_directory(str(tmp_path / "output"))
    yield
    folder_paths.set_temp_directory(before[0])
    folder_paths.set_output_directory(before[1])


@pytest.fixture(scope="module")
def control_net(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_control_net(tmp_path_factory.mktemp("controlnet"))


@pytest.fixture
def values(unet: Pipe, control_net: Any) -> Values:
    """A small value for each kind of link, those that ComfyUI makes itself in half precision."""
    whole = values_of(unet, control_net)
    latent = {**whole["LATENT"], "samples": whole["LATENT"]["samples"].half()}
    return whole | {"IMAGE": whole["IMAGE"].half(), "MASK": whole["MASK"].half(), "LATENT": latent}


@pytest.mark.parametrize("node_id", DETAILERS)
def test_every_detailer(node_id: str, values: Values) -> None:
    """What it makes is near to what it makes of float32, and the rest of the picture is what came in."""
    image = drawn(*SIZE, DISCS)[0].half()
    outputs = run_checked(node_id, arguments(node_id, values | {"IMAGE": image}, optional=True))
    comfy.cli_args.args.fp16_intermediates = False
    whole = values | {"IMAGE": image.float(), "MASK": values["MASK"].float()}
    wanted = run_checked(node_id, arguments(node_id, whole, optional=True))
    if node_id == "SEGSDetailer":
        for one, other in zip(outputs[0][0][1], wanted[0][0][1], strict=True):
            torch.testing.assert_close(torch.as_tensor(one[0]), torch.as_tensor(other[0]), atol=0.02, rtol=0)
        return
    made = outputs[0][0]
    torch.testing.assert_close(made, wanted[0][0], atol=0.02, rtol=0)
    changed, wanted_changed = ((one != image.float()).any(-1).float() for one in (made, wanted[0][0]))
    assert 0 < float(changed.mean()) < 1
    assert not bool((changed > 0)[~near(wanted_changed, 1)].any())


@pytest.mark.parametrize("node_id", TAKING)
def test_every_node_that_takes_a_picture(node_id: str, values: Values) -> None:
    run_checked(node_id, arguments(node_id, values, optional=True))


def test_what_no_mask_reaches_is_exact(unet: Pipe) -> None:
    """A picture whose values half precision hardly tells apart."""
    image, mask = (0.5 + picture(61, 75) / 64).half(), mask_of(61, 75, (20, 16, 44, 40)).half()
    made = detail(image, mask, unet)
    outside = ~near(mask.float(), 4)
    assert torch.equal(made.image[outside].half(), image[outside])
    assert torch.equal(made.image[outside], image.float()[outside])
    assert not torch.equal(made.image, image.float())
    assert made.image.dtype == torch.float32


def test_a_mask_between_two_half_values(unet: Pipe) -> None:
    """Soft values come in as the nearest half; none gets lost."""
    image = picture(61, 75).half()
    soft: Any = mask_of(61, 75, (20, 16, 44, 40)) * 0.0041
    made = detail(image, soft.half(), unet, contour_fill=False, feather=0)
    assert bool(torch.isfinite(made.image).all())
