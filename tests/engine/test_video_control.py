"""Control frames, start pictures and references of video models, as a part's window shows them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from comfy_extras.nodes_wan import WanFirstLastFrameToVideo, WanImageToVideo, WanVaceToVideo
from engine.families import FAMILIES
from engine.test_moving_clips import detailed
from engine.tiny_models import mask_of, picture, pipe_with
from mask_detailer.core import Region, Size, to_working_size
from mask_detailer.core.clips.path import Path
from mask_detailer.core.clips.pose import Pose, cut
from mask_detailer.detailer.host import cuts
from mask_detailer.detailer.host.cuts import View
from mask_detailer.detailer.host.moving import crop_clip, of_span
from mask_detailer.detailer.host.shown import Codec, Cutter

SIZE, FRAMES, WINDOW, WORKING = Size(96, 112), 9, Size(48, 64), Size(64, 80)
STILL = [Pose(60.0, 50.0)] * FRAMES
MOVES = [Pose(50.3 + 1.4 * frame, 46.8 + 0.6 * frame) for frame in range(FRAMES)]
TURNS = [Pose(56.0, 48.5, 0.8 + 0.02 * frame, 0.03 * frame) for frame in range(FRAMES)]


class Exact:
    """A codec that loses nothing: a cell holds its 8x8 pixels of four frames, the first frame alone four times."""

    latent_dim, latent_channels = 3, 3 * 64 * 4
    downscale_ratio = (lambda frames: (frames + 3) // 4, 8, 8)
    upscale_ratio = (lambda cells: 4 * cells - 3, 8, 8)

    def spacial_compression_encode(self) -> int:
        return 8

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        frames = torch.cat([pixels[:1].repeat(3, 1, 1, 1), pixels])[: 4 * ((len(pixels) + 3) // 4)]
        cells = torch.nn.functional.pixel_unshuffle(frames.movedim(-1, 1), 8)
        return cells.unflatten(0, (-1, 4)).flatten(1, 2).movedim(0, 1)[None]

    def decode(self, samples: torch.Tensor) -> torch.Tensor:
        cells = samples[0].movedim(1, 0).unflatten(1, (4, -1)).flatten(0, 1)
        return torch.nn.functional.pixel_shuffle(cells, 8).movedim(1, -1)[None, 3:]


VAE: Any = Exact()
BLANK = torch.linspace(-1, 1, Exact.latent_channels)[None, :, None, None, None]
MODEL: Any = SimpleNamespace(
    model=SimpleNamespace(latent_format=VAE, process_latent_out=lambda latent: latent + BLANK.to(latent))
)


def decoded(latent: torch.Tensor) -> torch.Tensor:
    return VAE.decode(latent)[0]


def prompt() -> Any:
    return [[torch.zeros(1, 4, 8), {}]]


def clip() -> torch.Tensor:
    return torch.cat([picture(*SIZE, 1 + frame) for frame in range(FRAMES)])


def cutter(poses: list[Pose], first: int = 0) -> Cutter:
    path = Path(WINDOW, poses[first:], range(first, FRAMES), SIZE)
    return Cutter(View(SIZE, path.covered, WORKING, Size(8, 10), path=path), path, Codec(VAE, MODEL))


def window(frames: torch.Tensor, poses: list[Pose], first: int = 0) -> torch.Tensor:
    """The pixels that are encoded for a part: those of its window, enlarged."""
    each = [cut(frames[index : index + 1], poses[index], WINDOW).clamp(0, 1) for index in range(first, len(frames))]
    return to_working_size(torch.cat(each), WORKING).clamp(0, 1)


def of_node(node: Any, size: Size, length: int, **given: Any) -> dict[str, Any]:
    strength = {"strength": 0.7} if node is WanVaceToVideo else {}
    made = node.execute(
        prompt(), prompt(), VAE, width=size.width, height=size.height, length=length, batch_size=1, **strength, **given
    )
    return made.result[0][0][1]


def cropped(options: dict[str, Any], cutter: Cutter) -> dict[str, Any]:
    return crop_clip([(torch.zeros(1, 4, 8), options)], cutter)[0][1]  # type: ignore[return-value]


def assert_same(made: dict[str, Any], wanted: dict[str, Any], atol: float = 1e-5) -> None:
    assert made.keys() == wanted.keys()
    for name, value in wanted.items():
        both = (each if isinstance(each, list) else [each] for each in (made[name], value))
        for one, other in zip(*both, strict=True):
            if isinstance(one, torch.Tensor):
                assert one.shape == other.shape and torch.allclose(one, other, atol=atol), name
            else:
                assert one == other


@pytest.mark.parametrize("poses", [STILL, MOVES, TURNS], ids=["still", "moves", "turns"])
@pytest.mark.parametrize("first", [0, 2])
def test_a_control_that_is_the_picture_is_the_window_s_own_pixels(poses: list[Pose], first: int) -> None:
    """As ComfyUI's node makes it of the window's own frames; of a part from its first frame on."""
    wanted = window(clip(), poses, first)
    long = -(-(len(wanted) - 1) // 4) * 4 + 1
    wanted = wanted[torch.arange(long).clamp(max=len(wanted) - 1)]
    made = cropped(of_node(WanVaceToVideo, SIZE, FRAMES, control_video=clip()), cutter(poses, first))
    assert_same(made, of_node(WanVaceToVideo, WORKING, long, control_video=wanted))


def test_control_masks_are_cut_as_the_frames_are() -> None:
    masks = torch.cat([mask_of(*SIZE, (30 + frame, 24, 70 + frame, 60)) for frame in range(FRAMES)])
    poses = [Pose(58.0 + frame, 48.0) for frame in range(FRAMES)]
    path = Path(WORKING, poses, range(FRAMES), SIZE)
    own = Cutter(View(SIZE, path.covered, WORKING, Size(8, 10), path=path), path, Codec(VAE, MODEL))
    region = [pose.region(WORKING).slices for pose in poses]  # type: ignore[union-attr]
    seen = {
        "control_video": torch.stack([frame[at] for frame, at in zip(clip(), region, strict=True)]),
        "control_masks": torch.stack([mask[at] for mask, at in zip(masks, region, strict=True)]),
    }
    made = cropped(of_node(WanVaceToVideo, SIZE, FRAMES, control_video=clip(), control_masks=masks), own)
    assert_same(made, of_node(WanVaceToVideo, WORKING, FRAMES, **seen))


@pytest.mark.parametrize("poses", [STILL, TURNS], ids=["still", "turns"])
@pytest.mark.parametrize("starts", [1, 5])
def test_start_pictures_are_the_window_s_own(poses: list[Pose], starts: int) -> None:
    seen = window(clip(), poses)
    made = cropped(of_node(WanImageToVideo, SIZE, FRAMES, start_image=clip()[:starts]), cutter(poses))
    assert_same(made, of_node(WanImageToVideo, WORKING, FRAMES, start_image=seen[:starts]))
    both = {"start_image": clip()[:1], "end_image": clip()[-1:]}
    made = cropped(of_node(WanFirstLastFrameToVideo, SIZE, FRAMES, **both), cutter(poses))
    assert_same(made, of_node(WanFirstLastFrameToVideo, WORKING, FRAMES, start_image=seen[:1], end_image=seen[-1:]))


def test_what_is_not_shown_of_a_part_is_grey_and_unknown(told: Any) -> None:
    """A start picture of frames that it isn't in; a control shorter than the clip."""
    made = cropped(of_node(WanImageToVideo, SIZE, FRAMES, start_image=clip()[:1]), cutter(MOVES, 2))
    assert made["concat_mask"].shape[2] == 3 and made["concat_mask"].min() == 1
    assert (decoded(made["concat_latent_image"]) - 0.5).abs().max() < 1e-5
    made = cropped(of_node(WanVaceToVideo, SIZE, 5, control_video=clip()[:5]), cutter(MOVES))
    shown = decoded(made["vace_frames"][0][:, Exact.latent_channels :])
    assert torch.allclose(shown[:5], window(clip(), MOVES)[:5], atol=1e-5) and torch.allclose(
        shown[5:], shown.new_tensor(0.5)
    )
    assert made["vace_mask"][0][:, :, 2].min() == 1
    assert [line for line in told.messages if "shorter than the clip" in line]


def test_blank_latents_stay_blank_and_references_whole() -> None:
    """Fun control's second half holds the start picture alone; VACE's references and Phantom's belong to no frame."""
    blank = BLANK.expand(1, -1, 3, 12, 14)
    start = torch.cat([VAE.encode(clip()[:1]), blank[:, :, 1:]], dim=2)
    both = torch.cat([VAE.encode(clip()), start], dim=1)
    cells = torch.cat([blank[:, :, :1], VAE.encode(clip()[3:4])], dim=2)
    control, mask = (
        of_node(WanVaceToVideo, SIZE, FRAMES, control_video=clip())[key][0] for key in ("vace_frames", "vace_mask")
    )
    reference = torch.cat([VAE.encode(clip()[4:5]), blank[:, :, :1]], dim=1)
    made = cropped(
        {
            "concat_latent_image": both, "time_dim_concat": cells, "reference_latents": [VAE.encode(clip()[:1])],
            "vace_frames": [torch.cat([reference, control], dim=2)],
            "vace_mask": [torch.cat([torch.zeros_like(mask[:, :, :1]), mask], dim=2)],
            "keyframe_idxs": torch.zeros(1, 3, 4), "clip_vision_output": "seen", "audio_embed": torch.zeros(1, 8),
        },
        cutter(MOVES),
    )  # fmt: skip
    assert "keyframe_idxs" not in made and made["clip_vision_output"] == "seen" and "audio_embed" in made
    channels = Exact.latent_channels
    assert torch.allclose(decoded(made["concat_latent_image"][:, :channels]), window(clip(), MOVES), atol=1e-5)
    assert torch.equal(made["concat_latent_image"][:, channels:, 1:], BLANK.expand(1, -1, 2, 8, 10))
    middle = Region(0, 3, 112, 93)  # of the window's aspect
    whole = to_working_size(clip()[(slice(None), *middle.slices)], WORKING).clamp(0, 1)
    assert torch.allclose(decoded(made["reference_latents"][0]), whole[:1], atol=1e-5)
    assert torch.allclose(decoded(made["time_dim_concat"][:, :, 1:]), whole[3:4], atol=1e-5)
    assert made["vace_frames"][0].shape[2] == made["vace_mask"][0].shape[2] == 4
    assert torch.allclose(decoded(made["vace_frames"][0][:, :channels, :1]), whole[4:5], atol=1e-5)
    assert made["vace_mask"][0][:, :, 0].max() == 0 and made["vace_mask"][0][:, :, 1:].min() == 1
    part = of_span([(torch.zeros(1), made)], 4, lambda latent: latent[:, :, [0, 2, 3]])[0][1]
    assert torch.equal(part["vace_frames"][0], made["vace_frames"][0][:, :, [0, 2, 3]])  # type: ignore[index]
    assert part["concat_latent_image"] is made["concat_latent_image"]  # of another length

    animate = {"pose_video_latent": control, "concat_latent_image": both, "concat_mask": mask, "strength": 1.0}
    assert cropped(animate, cutter(STILL)) == {"strength": 1.0}


@pytest.mark.parametrize("pose", [STILL[0], MOVES[1]], ids=["still", "between pixels"])
def test_what_an_image_model_is_shown_of_a_frame_is_its_window_s(pose: Pose) -> None:
    """Hints of the picture's size are cut bit for bit where the window is; a prompt's mask too."""
    path = Path(WINDOW, [pose], [0], SIZE)
    view = View(SIZE, path.covered, WORKING, Size(8, 10), path=path)
    hint = clip()[:1].movedim(-1, 1)
    wanted = cut(clip()[:1], pose, WINDOW).movedim(-1, 1)
    assert torch.allclose(cuts.spatial(hint, view), wanted, atol=1e-6)
    assert torch.allclose(cuts.mask(hint[0], view), wanted[0].clamp(0, 1), atol=1e-6)


def test_through_the_node_a_part_is_shown_its_own_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sampled of a part that moves, and begins in the third frame, and what its control shows are the same."""
    large = picture(2 * SIZE.height, 2 * SIZE.width, 1)
    frames = [torch.roll(large, 3 * frame, 2).unflatten(1, (-1, 2)).unflatten(3, (-1, 2)) for frame in range(FRAMES)]
    moving = torch.cat([frame.mean(dim=(2, 4)) for frame in frames])
    masks = torch.cat([mask_of(*SIZE, (30 + frame, 24, 60 + frame, 60)) for frame in range(FRAMES)])
    masks[:2] = 0
    shown = of_node(WanVaceToVideo, SIZE, FRAMES, control_video=moving)
    seen: list[Any] = []

    def sample_clip(crop: Any, *others: Any) -> Any:
        seen.append(crop)
        return crop

    monkeypatch.setattr(Codec, "channels", Exact.latent_channels)
    monkeypatch.setattr(Codec, "blank", BLANK)
    monkeypatch.setattr("mask_detailer.detailer.clips.run.sample_clip", sample_clip)
    wan = next(family for family in FAMILIES if family.name == "wan").pipe
    prompts = [[wan[3][0][0], shown]]
    detailed(moving, pipe_with(wan, vae=VAE, positive=prompts), mask=masks)
    crop = seen[0]
    latents = crop.pipe.positive[0][1]["vace_frames"][0][:, Exact.latent_channels :]
    assert len(crop.pixels) == FRAMES - 2 and latents.shape[2] == 3
    assert (decoded(latents)[: len(crop.pixels)] - crop.pixels).abs().max() < 1e-5
