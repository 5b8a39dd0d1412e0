"""The templates for parts that move: a clip's file in, SAM 3 follows what a text names, a clip's file out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from templates import notes
from templates.graph import Graph, Node
from templates.layout import Cell, Template
from templates.parts import SAM3, SAMPLING, WAN, WAN_TEXT, WAN_VAE, prompted

TEXT = "portrait of a person, detailed eyes, sharp photo"
DETAIL_AND_RESULT = [("2  Detail", 1), ("3  Result", 1)]
FIRST = "1  Clip, what to follow in it, and prompts"


@dataclass(frozen=True)
class Followed:
    """A clip, and what is followed in it."""

    video: Node
    frames: Node
    tracker: Node
    what: Node
    tracks: Node

    def wires(self) -> dict[str, Any]:
        """What the detailer gets of it."""
        return {"image": self.frames.out("images"), "track_data": self.tracks.out("track_data")}


def followed(graph: Graph) -> Followed:
    video = graph.add("LoadVideo", (290, 130), "Your clip", file="")
    frames = graph.add("GetVideoComponents", 280, "Its frames", video=video.out("VIDEO"))
    tracker = graph.add("CheckpointLoaderSimple", 290, "What follows: SAM 3", ckpt_name=SAM3)
    what = graph.add("CLIPTextEncode", (280, 90), "What to follow", "green", clip=tracker.out("CLIP"), text="face")
    tracks = graph.add(
        "SAM3_VideoTrack", 280, images=frames.out("images"), model=tracker.out("MODEL"),
        conditioning=what.out("CONDITIONING"),
    )  # fmt: skip
    return Followed(video, frames, tracker, what, tracks)


def results(graph: Graph, clip: Followed, detailer: Node) -> list[Node]:
    made = graph.add(
        "CreateVideo", 230, images=detailer.out("image"), fps=clip.frames.out("fps"), audio=clip.frames.out("audio")
    )
    saved = graph.add("SaveVideo", (300, 340), "Result", video=made.out("VIDEO"), filename_prefix="video/mask_detailer")
    plan = graph.add("PreviewImage", (300, 280), "What was followed", images=detailer.out("plan"))
    return [made, saved, plan]


def moving_parts(graph: Graph) -> Template:
    clip = followed(graph)
    prompt = prompted(graph, TEXT)
    pipe = graph.add("ToBasicPipe", 280, **prompt.parts())
    usual: dict[str, Any] = {"guide_size": 512, "crop_factor": 2.0, "denoise": 0.4, "after": "fixed"}
    detailer = graph.add(
        "MaskDetailerClip", 320, basic_pipe=pipe.out("basic_pipe"), **(SAMPLING | usual | clip.wires())
    )
    note = graph.note(notes.MOVING_PARTS, 940)
    made, saved, plan = results(graph, clip, detailer)
    cells = [
        Cell(0, 0, [clip.video]), Cell(0, 1, [clip.tracker]), Cell(0, 2, [prompt.checkpoint]), Cell(0, 3, [note]),
        Cell(1, 0, [clip.frames]), Cell(1, 1, [clip.what]), Cell(1, 2, [prompt.positive, prompt.negative]),
        Cell(2, 1, [clip.tracks]), Cell(2, 2, [pipe]), Cell(3, 0, [detailer]), Cell(4, 0, [made, saved, plan]),
    ]  # fmt: skip
    return Template(graph, cells, [(FIRST, 3), *DETAIL_AND_RESULT], asked(clip, prompt.positive, detailer), [saved])


def video_model(graph: Graph) -> Template:
    clip = followed(graph)
    loader = graph.add("UNETLoader", 290, "Video model", unet_name=WAN)
    texts = graph.add("CLIPLoader", 290, clip_name=WAN_TEXT, type="wan")
    vae = graph.add("VAELoader", 290, vae_name=WAN_VAE)
    encoder = texts.out("CLIP")
    positive = graph.add("CLIPTextEncode", (280, 90), "Prompt", "green", clip=encoder, text=TEXT)
    negative = graph.add("CLIPTextEncode", (280, 90), "Negative", "red", clip=encoder, text="blurry, low quality")
    wires: dict[str, Any] = {"positive": positive.out("CONDITIONING"), "negative": negative.out("CONDITIONING")}
    pipe = graph.add("ToBasicPipe", 280, model=loader.out("MODEL"), clip=encoder, vae=vae.out("VAE"), **wires)
    options = graph.add("MaskDetailerOptions", 260, denoise_scale="noise_level")
    usual: dict[str, Any] = {
        "guide_size": 480, "guide_size_for": False, "max_size": 832, "crop_factor": 2.0, "steps": 20, "cfg": 6.0,
        "sampler_name": "uni_pc", "scheduler": "simple", "denoise": 0.5, "after": "fixed",
    }  # fmt: skip
    detailer = graph.add(
        "MaskDetailerClip", 310, basic_pipe=pipe.out("basic_pipe"), detail_options=options.out("detail_options"),
        **(usual | clip.wires()),
    )  # fmt: skip
    note = graph.note(notes.MOVING_PARTS_VIDEO_MODEL, 1280)
    made, saved, plan = results(graph, clip, detailer)
    cells = [
        Cell(0, 0, [clip.video]), Cell(0, 1, [clip.tracker]), Cell(0, 2, [loader, texts, vae]), Cell(0, 3, [note]),
        Cell(1, 0, [clip.frames]), Cell(1, 1, [clip.what]), Cell(1, 2, [positive, negative]),
        Cell(2, 1, [clip.tracks]), Cell(2, 2, [pipe]), Cell(3, 0, [options]), Cell(4, 0, [detailer]),
        Cell(5, 0, [made, saved, plan]),
    ]  # fmt: skip
    panels = [(FIRST, 4), *DETAIL_AND_RESULT]
    return Template(graph, cells, panels, asked(clip, positive, detailer), [saved], {1: 40, 2: 30})


def asked(clip: Followed, prompt: Node, detailer: Node) -> list[tuple[Node, str]]:
    """What the app asks for."""
    wanted = [(clip.video, "file"), (clip.what, "text"), (prompt, "text")]
    return [*wanted, (detailer, "denoise"), (detailer, "seed")]
