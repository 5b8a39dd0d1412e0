"""ControlNet on segments, with a tiny ControlNet that ComfyUI's own loader reads: what it does, alone and chained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from engine.controlled import ADVANCED, LOWER, OLDER, UPPER, Adapter, OnlyApply, hints_of, run, wrappers
from engine.running import SEGS_SIZE as SIZE
from engine.running import do_detail as detail_segs
from engine.running import near, pipe_with, same, segs_of, unchanged_outside
from engine.tiny_models import Pipe, box_vae, mask_of, picture, tiny_control_net
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import SEG, crop_region
from mask_detailer.detailer.control import ControlNetWrapper
from mask_detailer.nodes.validate import InputError

PLACEHOLDER = "NegativePlaceholder"


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("controlnet")
    return tiny_control_net(folder, 1), tiny_control_net(folder, 2)


@pytest.fixture
def net(nets: tuple[Any, Any]) -> Any:
    return nets[0]


@pytest.fixture
def image() -> torch.Tensor:
    return picture(*SIZE)


@pytest.fixture
def hint() -> torch.Tensor:
    return picture(*SIZE, seed=5)


def core_advanced(pipe: Pipe, *nets_and_hints: tuple[Any, torch.Tensor], strength: float = 1.0) -> Any:
    """The pipe with ControlNets in its prompts, by ComfyUI's own node."""
    import nodes

    positive, negative = pipe[3:]
    for net, hint in nets_and_hints:
        positive, negative = nodes.ControlNetApplyAdvanced().apply_controlnet(
            positive, negative, net, hint, strength, 0.0, 1.0
        )
    return pipe_with(pipe, positive=positive, negative=negative)


# ------------------------------------------------------------------------------------------------ what it does


@pytest.mark.parametrize("node_id", [ADVANCED, OLDER])
def test_strength_zero_is_no_controlnet(unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any, node_id: str):
    segs = segs_of(UPPER)
    with hints_of(net) as seen:
        made = detail_segs(image, run(node_id, segs, control_net=net, strength=0.0, control_image=hint), unet)
    assert torch.equal(made[0], detail_segs(image, segs, unet)[0])
    assert seen == []


@pytest.mark.parametrize("node_id", [ADVANCED, OLDER])
def test_it_changes_only_what_is_under_the_mask(
    unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any, node_id: str
) -> None:
    segs = segs_of(UPPER)
    plain = detail_segs(image, segs, unet)[0]
    made = detail_segs(image, run(node_id, segs, control_net=net, control_image=hint), unet)[0]
    assert unchanged_outside(made, image, near(mask_of(*SIZE, UPPER), 5))
    assert (made - plain).abs().amax() > 0.05


def test_same_as_comfyui_on_a_crop_that_is_the_whole_picture(
    unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any
) -> None:
    """Against ComfyUI's nodes alone, without a line of the engine."""
    import nodes

    whole = (0, 0, SIZE[1], SIZE[0])
    seg = SEG(None, np.ones(SIZE, np.float32), 1.0, list(whole), whole, "A")
    segs = run(ADVANCED, (SIZE, [seg]), control_net=net, control_image=hint)
    made = detail_segs(image, segs, unet, guide_size=float(min(SIZE)), feather=0)[0]

    model, _, vae, positive, negative = core_advanced(unet, (net, hint))
    latent = {"samples": vae.encode(image), "noise_mask": torch.ones(1, *SIZE)}
    (latent,) = nodes.common_ksampler(model, 7, 2, 3.0, "euler", "normal", positive, negative, latent, denoise=0.5)
    wanted = vae.decode(latent["samples"])
    assert (made - wanted).abs().amax() < 1e-4
    assert (
        made - detail_segs(image, (SIZE, [seg]), unet, guide_size=float(min(SIZE)), feather=0)[0]
    ).abs().amax() > 0.05


def test_each_segment_sees_its_own_part(unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any) -> None:
    segs = segs_of(UPPER, LOWER)
    made = detail_segs(image, run(ADVANCED, segs, control_net=net, control_image=hint), unet)[0]
    in_the_prompt = detail_segs(image, segs, core_advanced(unet, (net, hint)))[0]
    assert (made - in_the_prompt).abs().amax() < 1e-5

    other = hint.clone()
    rows, columns = crop_region(segs[1][0]).slices
    other[:, rows, columns] = 1 - other[:, rows, columns]
    again = detail_segs(image, run(ADVANCED, segs, control_net=net, control_image=other), unet)[0]
    (first, second) = (crop_region(seg).slices for seg in segs[1])
    assert (again - made)[0][first].abs().amax() > 0.01
    assert torch.equal(again[0][second], made[0][second])


@pytest.mark.parametrize(
    ("start", "end", "works"), [(0.0, 1.0, True), (0.0, 0.2, False), (1.0, 1.0, False), (0.8, 1.0, True)]
)
def test_percents_count_over_the_whole_schedule(
    unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any, start: float, end: float, works: bool
) -> None:
    """Two steps at denoise 0.5 are the last two of four, from a third of the schedule before its end on."""
    segs = segs_of(UPPER)
    wrapped = run(ADVANCED, segs, control_net=net, control_image=hint, start_percent=start, end_percent=end)
    made = detail_segs(image, wrapped, unet)[0]
    assert torch.equal(made, detail_segs(image, segs, unet)[0]) != works
    if start == 0.8:  # the last step alone
        assert not torch.equal(
            made, detail_segs(image, run(ADVANCED, segs, control_net=net, control_image=hint), unet)[0]
        )


def test_two_in_a_row(unet: Pipe, image: torch.Tensor, hint: torch.Tensor, nets: tuple[Any, Any]) -> None:
    """The one set first comes first, as two of ComfyUI's nodes in a row."""
    first, second = nets
    other_hint = picture(*SIZE, seed=6)
    segs = segs_of(UPPER)
    wrapped = run(ADVANCED, segs, control_net=first, strength=0.7, control_image=hint)
    wrapped = run(ADVANCED, wrapped, control_net=second, strength=0.7, control_image=other_hint)
    (wrapper,) = wrappers(wrapped)
    assert (wrapper.prev_control_net.control_net, wrapper.control_net) == nets
    positive, negative, images = wrapper.apply(unet[3], unet[4], image, None)
    rows, columns = crop_region(segs[1][0]).slices
    assert same(images, [hint[:, rows, columns], other_hint[:, rows, columns]])
    for prompt in (positive, negative):
        control = prompt[0][1]["control"]
        assert control.control_model is second.control_model
        assert control.previous_controlnet.control_model is first.control_model
        assert control.previous_controlnet.previous_controlnet is None

    made = detail_segs(image, wrapped, unet)
    assert same(made[4], images)
    wanted = detail_segs(image, segs, core_advanced(unet, (first, hint), (second, other_hint), strength=0.7))[0]
    assert (made[0] - wanted).abs().amax() < 1e-5
    alone = detail_segs(image, run(ADVANCED, segs, control_net=second, strength=0.7, control_image=other_hint), unet)[0]
    assert (made[0] - alone).abs().amax() > 0.01


def test_the_prompts_own_controlnet_comes_before(
    unet: Pipe, image: torch.Tensor, hint: torch.Tensor, nets: tuple[Any, Any]
) -> None:
    segs = run(ADVANCED, segs_of(UPPER), control_net=nets[1], control_image=hint)
    made = detail_segs(image, segs, core_advanced(unet, (nets[0], hint)))[0]
    wanted = detail_segs(image, segs_of(UPPER), core_advanced(unet, (nets[0], hint), (nets[1], hint)))[0]
    assert (made - wanted).abs().amax() < 1e-5


def test_older_node(unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any) -> None:
    """On the positive only; the negative gets it while sampling."""
    import nodes

    segs = segs_of(UPPER)
    wrapped = run(OLDER, segs, control_net=net, strength=0.8, control_image=hint)
    (wrapper,) = wrappers(wrapped)
    positive, negative, _ = wrapper.apply(unet[3], unet[4], image, None)
    assert negative is unet[4]
    assert positive[0][1]["control_apply_to_uncond"] is True
    assert positive[0][1]["control"].timestep_percent_range == (0.0, 1.0)
    assert "control" not in unet[3][0][1]
    made = detail_segs(image, wrapped, unet)[0]
    (in_the_prompt,) = nodes.ControlNetApply().apply_controlnet(unet[3], net, hint, 0.8)
    wanted = detail_segs(image, segs, pipe_with(unet, positive=in_the_prompt))[0]
    assert (made - wanted).abs().amax() < 1e-5


# ------------------------------------------------------------------------------------------------ the rest of the pipe


@pytest.mark.parametrize("node_id", [ADVANCED, OLDER])
def test_negative_placeholder(unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any, node_id: str) -> None:
    import nodes

    pipe = pipe_with(unet, negative=PLACEHOLDER)
    segs = segs_of(UPPER)
    wrapped = run(node_id, segs, control_net=net, control_image=hint)
    (wrapper,) = wrappers(wrapped)
    positive, negative, _ = wrapper.apply(unet[3], PLACEHOLDER, image, None)
    assert negative == PLACEHOLDER and positive[0][1]["control"].control_model is net.control_model
    made = detail_segs(image, wrapped, pipe)[0]
    (in_the_prompt,) = nodes.ControlNetApply().apply_controlnet(unet[3], net, hint, 1.0)
    wanted = detail_segs(image, segs, pipe_with(pipe, positive=in_the_prompt))[0]
    assert (made - wanted).abs().amax() < 1e-5
    assert (made - detail_segs(image, segs, pipe)[0]).abs().amax() > 0.01


def latent_net(net: Any) -> Any:
    """As ComfyUI's loader marks ControlNets that work on latents."""
    import comfy.latent_formats

    marked = net.copy()
    marked.latent_format = comfy.latent_formats.SD15()
    return marked


def test_vae(unet: Pipe, image: torch.Tensor, net: Any) -> None:
    vae = box_vae()
    (wrapper,) = wrappers(run(ADVANCED, segs_of(UPPER), control_net=latent_net(net), vae=vae))
    positive, negative, _ = wrapper.apply(unet[3], unet[4], image, None)
    assert positive[0][1]["control"].vae is vae and negative[0][1]["control"].vae is vae
    (wrapper,) = wrappers(run(ADVANCED, segs_of(UPPER), control_net=net))
    assert wrapper.vae is None
    assert wrapper.apply(unet[3], unet[4], image, None)[0][0][1]["control"].vae is None


def test_wrappers_of_other_packs_in_the_chain(unet: Pipe, image: torch.Tensor, hint: torch.Tensor, net: Any) -> None:
    other_model = unet[0].clone()
    size, (seg,) = segs_of(UPPER)
    adapter = Adapter(other_model)
    wrapped = run(ADVANCED, (size, [seg._replace(control_net_wrapper=adapter)]), control_net=net, control_image=hint)
    (wrapper,) = wrappers(wrapped)
    assert wrapper.prev_control_net is adapter
    assert wrapper.doit_ipadapter(unet[0]) == (other_model, adapter.images)
    rows, columns = crop_region(seg).slices
    made = detail_segs(image, wrapped, unet)
    assert same(made[4], [hint[:, rows, columns], *adapter.images])
    own = detail_segs(image, run(ADVANCED, (size, [seg]), control_net=net, control_image=hint), unet)
    assert torch.equal(made[0], own[0])


def test_a_wrapper_that_can_only_apply(unet: Pipe, image: torch.Tensor, net: Any) -> None:
    size, (seg,) = segs_of(UPPER)
    bare = size, [seg._replace(control_net_wrapper=OnlyApply(unet[4]))]
    made = detail_segs(image, bare, unet)
    assert torch.equal(made[0], detail_segs(image, (size, [seg]), pipe_with(unet, positive=unet[4]))[0])
    on_top = run(ADVANCED, bare, control_net=net, strength=0.0)
    assert torch.equal(detail_segs(image, on_top, unet)[0], made[0])
    assert len(NODE_CLASS_MAPPINGS["SEGSPreviewCNet"]().doit(bare)["ui"]["images"]) == 1


def test_all_else_stays(hint: torch.Tensor, net: Any) -> None:
    size, (seg,) = segs_of(UPPER)
    seg = seg._replace(cropped_image=np.ones((1, 32, 32, 3), np.float32), confidence=0.3, label="eye")
    for node_id in (ADVANCED, OLDER):
        header, (made,) = run(node_id, (size, [seg]), control_net=net, control_image=hint)
        assert header == size and all(one is other for one, other in zip(made[:-1], seg[:-1], strict=True))
        assert isinstance(made.control_net_wrapper, ControlNetWrapper) and seg.control_net_wrapper is None


def test_clear(hint: torch.Tensor, net: Any) -> None:
    segs = segs_of(UPPER, LOWER)
    chained = run(ADVANCED, run(OLDER, segs, control_net=net), control_net=net, control_image=hint)
    (cleared,) = NODE_CLASS_MAPPINGS["ImpactControlNetClearSEGS"]().doit(chained)
    assert wrappers(cleared) == [None, None] and None not in wrappers(chained)
    assert cleared[0] == segs[0] and all(
        one[:-1] == other[:-1] for one, other in zip(cleared[1], chained[1], strict=True)
    )
    assert NODE_CLASS_MAPPINGS["ImpactControlNetClearSEGS"]().doit(((0, 0), [])) == (((0, 0), []),)


def test_which_nodes_keep_it(unet: Pipe, image: torch.Tensor, net: Any) -> None:
    segs = run(ADVANCED, segs_of(UPPER, LOWER), control_net=net)
    kept = wrappers(segs)
    filtered, _ = NODE_CLASS_MAPPINGS["ImpactSEGSLabelFilter"]().doit(segs, "all", "A")
    (dilated,) = NODE_CLASS_MAPPINGS["ImpactDilateMaskInSEGS"]().doit(segs, 4)
    detailed = detail_segs(image, segs, unet)[5]
    assert wrappers(filtered) == wrappers(dilated) == wrappers(detailed) == kept
    (masked,) = NODE_CLASS_MAPPINGS["ImpactSegsAndMask"]().doit(segs, torch.ones(1, *SIZE))
    assert wrappers(masked) == [None, None]


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("node_id", [ADVANCED, OLDER])
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"segs": 5}, "input 'segs': a int is no SEGS"),
        ({"control_net": None}, "input 'control_net': it is missing.*Load ControlNet Model"),
        ({"control_net": "text"}, "input 'control_net': a str is no ControlNet"),
        ({"segs_preprocessor": 5}, "input 'segs_preprocessor': a int has no apply"),
        ({"control_image": "text"}, "input 'control_image': a str is no picture"),
        ({"control_image": torch.full((1, 8, 8, 3), torch.nan)}, "input 'control_image': frame 0 holds NaN"),
    ],
)
def test_bad_input(net: Any, node_id: str, bad: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=f"(?s)^{node_id}, {says}"):
        run(node_id, **dict(segs=segs_of(UPPER), control_net=net) | bad)


@pytest.mark.parametrize(
    ("node_id", "says"), [(ADVANCED, "input 'vae': it is missing"), (OLDER, "input 'control_net': it works on latents")]
)
def test_controlnet_on_latents_without_a_vae(net: Any, node_id: str, says: str) -> None:
    marked = latent_net(net)
    with pytest.raises(InputError, match=f"^{node_id}, {says}.*vae|VAE"):
        run(node_id, segs_of(UPPER), control_net=marked)
    run(node_id, segs_of(UPPER), control_net=marked, strength=0.0)


@pytest.mark.parametrize("node", ["ImpactControlNetClearSEGS", "SEGSPreviewCNet"])
def test_no_segs(node: str) -> None:
    doit: Callable[[Any], Any] = NODE_CLASS_MAPPINGS[node]().doit
    with pytest.raises(InputError, match=f"^{node}, input 'segs'"):
        doit(None)
