"""The templates: what each consists of, in which columns it stands, and what it shows as an app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from templates import blueprints, editing, moving, notes
from templates.graph import BYPASSED, MUTED, Graph, Node
from templates.layout import Cell, Template
from templates.parts import (
    FACES,
    INPAINTING,
    PAINTED_PANELS,
    PICTURE,
    REFINER,
    SAMPLING,
    SD15,
    SDXL,
    YOLO_FACES,
    YOLO_HANDS,
    mask_detailer,
    painted,
    painted_cells,
    prompted,
    saver,
)


def detail_a_mask(graph: Graph) -> Template:
    picture = painted(graph)
    prompt = prompted(graph, "a detailed, sharp photo")
    pipe = graph.add("ToBasicPipe", 230, **prompt.parts())
    note = graph.note(notes.DETAIL_A_MASK, 560)
    detailer = mask_detailer(
        graph, image=picture.out("IMAGE"), mask=picture.out("MASK"), basic_pipe=pipe.out("basic_pipe")
    )
    result = saver(graph, detailer.out("image"))
    crops = graph.add("PreviewImage", (350, 300), "The parts, enlarged", images=detailer.out("cropped_refined"))
    cells = painted_cells(picture, note, prompt, pipe, [detailer], [result, crops])
    asked = [(picture, "image"), (prompt.positive, "text"), (detailer, "denoise"), (detailer, "seed")]
    return Template(graph, cells, PAINTED_PANELS, asked, [result])


def several_masks(graph: Graph) -> Template:
    faces = painted(graph, "Picture: paint the faces", 240, 280)
    hands = painted(graph, "The same: paint the hands", 240, 280)
    prompt = prompted(graph, "a detailed, sharp photo", width=270)
    labelled = [segments(graph, faces, "face"), segments(graph, hands, "hand")]
    labels: dict[str, Any] = {f"segs{n}": label.out("SEGS") for n, (_, label) in enumerate(labelled, 1)}
    both = graph.add("ImpactSEGSConcat", 230, **labels)
    pipe = graph.add("ToBasicPipe", 230, **prompt.parts())
    note = graph.note(notes.SEVERAL_MASKS, 290)
    text = "[LAB]\n[face] portrait of a woman, detailed eyes, sharp photo\n[hand] a hand with five fingers, sharp photo"
    parts: dict[str, Any] = {
        "image": faces.out("IMAGE"),
        "segs": both.out("SEGS"),
        "basic_pipe": pipe.out("basic_pipe"),
        "wildcard": text,
    }
    detailer = graph.add("DetailerForEachPipe", 320, guide_size=512, **(SAMPLING | parts))
    result = saver(graph, detailer.out("image"), width=290)
    (first, face), (second, hand) = labelled
    cells = [
        Cell(0, 0, [faces]), Cell(0, 1, [hands]), Cell(0, 2, [prompt.checkpoint]),
        Cell(1, 0, [first], 60), Cell(1, 1, [second, prompt.positive]), Cell(1, 2, [prompt.negative], 96),
        Cell(2, 0, [face], 60), Cell(2, 1, [hand]), Cell(3, 0, [both], 60), Cell(3, 2, [pipe]),
        Cell(4, 0, [detailer]), Cell(5, 0, [result, note]),
    ]  # fmt: skip
    panels = [("1  Masks and model", 1), ("2  Labels and prompt", 3), ("3  Detail", 1), ("4  Result", 1)]
    asked = [(faces, "image"), (hands, "image"), (detailer, "wildcard"), (detailer, "denoise")]
    return Template(graph, cells, panels, asked, [result], {4: 30})


def segments(graph: Graph, picture: Node, label: str) -> tuple[Node, Node]:
    made = graph.add("MaskToSEGS", 260, mask=picture.out("MASK"), crop_factor=2.5, contour_fill=True)
    return made, graph.add("ImpactSEGSLabelAssign", 230, segs=made.out("SEGS"), labels=label)


def faces(graph: Graph) -> Template:
    checkpoint, picture = checkpoint_and_picture(graph)
    model: dict[str, Any] = {name.lower(): checkpoint.out(name) for name in ("MODEL", "CLIP", "VAE")}
    fixed = graph.put(blueprints.fix_faces(graph.inside()), 400, image=picture.out("IMAGE"), **model)
    note = graph.note(notes.FACES, 400)
    result = graph.add("SaveImage", (420, 420), "Result", images=fixed.out("image"), filename_prefix="mask_detailer")
    crops = graph.add("PreviewImage", (420, 320), "The faces, enlarged", images=fixed.out("parts"))
    cells = [Cell(0, 0, [checkpoint, picture]), Cell(1, 0, [fixed, note]), Cell(2, 0, [result, crops])]
    panels = [("1  Model and picture", 1), ("2  Faces", 1), ("3  Result", 1)]
    asked = [(picture, "image"), (fixed, "prompt"), (fixed, "denoise"), (fixed, "seed")]
    return Template(graph, cells, panels, asked, [result])


def checkpoint_and_picture(graph: Graph) -> tuple[Node, Node]:
    checkpoint = graph.add("CheckpointLoaderSimple", 290, ckpt_name=SD15)
    return checkpoint, graph.add("LoadImage", (290, 360), "Picture", image=PICTURE)


def faces_hands_and_eyes(graph: Graph) -> Template:
    checkpoint, picture = checkpoint_and_picture(graph)
    model: dict[str, Any] = {name.lower(): checkpoint.out(name) for name in ("MODEL", "CLIP", "VAE")}
    inner = graph.inside()
    text = "portrait of a person, detailed eyes, sharp photo"
    found = blueprints.fixer(inner, "Faces", blueprints.yolo(inner, YOLO_FACES), text, denoise=0.45)
    face = graph.put(found, 320, image=picture.out("IMAGE"), **model)
    inner = graph.inside()
    text = "a hand with five fingers, detailed skin, sharp photo"
    found = blueprints.fixer(
        inner, "Hands", blueprints.yolo(inner, YOLO_HANDS), text, denoise=0.4, bbox_crop_factor=3.0
    )
    hand = graph.put(found, 320, BYPASSED, image=face.out("image"), **model)
    inner = graph.inside()
    found = blueprints.face_landmarks(inner, FACES, "eyes")
    text = "detailed eyes, round iris, sharp photo"
    found = blueprints.fixer(inner, "Eyes", found, text, denoise=0.35, bbox_crop_factor=3.0, guide_size=384)
    eyes = graph.put(found, 320, BYPASSED, image=hand.out("image"), **model)
    note = graph.note(notes.FACES_HANDS_AND_EYES, 1072)
    result = saver(graph, eyes.out("image"))
    cells = [
        Cell(0, 0, [checkpoint, picture]), Cell(1, 0, [face, note]),
        Cell(2, 0, [hand]), Cell(3, 0, [eyes]), Cell(4, 0, [result]),
    ]  # fmt: skip
    panels = [("1  Model and picture", 1), ("2  Faces, then hands, then eyes", 3), ("3  Result", 1)]
    asked = [(picture, "image"), (face, "prompt"), (face, "denoise"), (face, "seed")]
    return Template(graph, cells, panels, asked, [result])


def frames(graph: Graph) -> Template:
    picture = painted(graph, "First frame: paint the mask")
    prompt = prompted(graph, "a detailed, sharp photo")
    clip = graph.add(
        "RepeatImageBatch", 290, "A clip, for a try: the frame 8 times", image=picture.out("IMAGE"), amount=8
    )
    video = graph.add("LoadVideo", (290, 130), "Your clip (off)", MUTED, file="")
    parts = graph.add("GetVideoComponents", 280, "Its frames (off)", MUTED, video=video.out("VIDEO"))
    pipe = graph.add("ToBasicPipe", 230, **prompt.parts())
    note = graph.note(notes.FRAMES, 560)
    detailer = mask_detailer(
        graph,
        image=clip.out("IMAGE"),
        mask=picture.out("MASK"),
        basic_pipe=pipe.out("basic_pipe"),
        denoise=0.35,
        after="fixed",
    )
    made = graph.add("CreateVideo", 230, images=detailer.out("image"), fps=8.0)
    saved = graph.add("SaveVideo", (300, 340), video=made.out("VIDEO"), filename_prefix="video/mask_detailer")
    cells = [
        Cell(0, 0, [picture]), Cell(0, 1, [prompt.checkpoint]), Cell(0, 2, [video]),
        Cell(1, 0, [note], 190), Cell(1, 1, [prompt.positive, prompt.negative], 96), Cell(1, 2, [parts]),
        Cell(1, 0, [clip]),
        Cell(2, 1, [pipe]), Cell(3, 0, [detailer]), Cell(4, 0, [made]), Cell(5, 0, [saved]),
    ]  # fmt: skip
    panels = [("1  Picture and model", 1), ("2  Frames and prompt", 2), ("3  Detail", 1), ("4  Result", 2)]
    asked = [(picture, "image"), (prompt.positive, "text"), (detailer, "denoise"), (clip, "amount")]
    return Template(graph, cells, panels, asked, [saved])


def inpainting_model(graph: Graph) -> Template:
    picture = painted(graph)
    prompt = prompted(graph, "a bunch of red flowers, sharp photo", INPAINTING)
    pipe = graph.add("ToBasicPipe", 230, **prompt.parts())
    note = graph.note(notes.INPAINTING_MODEL, 560)
    detailer = mask_detailer(
        graph, image=picture.out("IMAGE"), mask=picture.out("MASK"), basic_pipe=pipe.out("basic_pipe"),
        max_size=768, denoise=1.0, feather=8, crop_factor=3.0, inpaint_model=True, noise_mask_feather=0,
        guide_size_for=False,
    )  # fmt: skip
    result = saver(graph, detailer.out("image"))
    crops = graph.add("PreviewImage", (350, 300), "The parts, enlarged", images=detailer.out("cropped_refined"))
    cells = painted_cells(picture, note, prompt, pipe, [detailer], [result, crops])
    asked = [(picture, "image"), (prompt.positive, "text"), (detailer, "seed")]
    return Template(graph, cells, PAINTED_PANELS, asked, [result])


def refiner(graph: Graph) -> Template:
    picture = painted(graph)
    base = prompted(graph, "a detailed, sharp photo", SDXL, "First model", 260)
    second = prompted(graph, "a detailed, sharp photo", REFINER, "Refiner", 260)
    pipes = [graph.add("ToBasicPipe", 230, **each.parts()) for each in (base, second)]
    note = graph.note(notes.REFINER, 290)
    detailer = mask_detailer(
        graph, image=picture.out("IMAGE"), mask=picture.out("MASK"), basic_pipe=pipes[0].out("basic_pipe"),
        refiner_basic_pipe_opt=pipes[1].out("basic_pipe"), guide_size=1024, max_size=1536, guide_size_for=False,
        refiner_ratio=0.3,
    )  # fmt: skip
    result = saver(graph, detailer.out("image"), width=300)
    crops = graph.add("PreviewImage", (300, 300), "The parts, enlarged", images=detailer.out("cropped_refined"))
    cells = [
        Cell(0, 0, [picture, note]), Cell(1, 0, [base.checkpoint], 90), Cell(1, 1, [second.checkpoint]),
        Cell(2, 0, [base.positive, base.negative], 186), Cell(2, 1, [second.positive, second.negative], 96),
        Cell(3, 0, [pipes[0]], 90), Cell(3, 1, [pipes[1]]), Cell(4, 0, [detailer]), Cell(5, 0, [result, crops]),
    ]  # fmt: skip
    panels = [("1  Picture", 1), ("2  Models and prompts", 3), ("3  Detail", 1), ("4  Result", 1)]
    asked = [(picture, "image"), (base.positive, "text"), (detailer, "denoise"), (detailer, "seed")]
    return Template(graph, cells, panels, asked, [result], {4: 30})


def options_compared(graph: Graph) -> Template:
    picture = painted(graph, height=220, width=270)
    prompt = prompted(graph, "a detailed, sharp photo", width=260)
    pipe = graph.add("ToBasicPipe", 265, **prompt.parts())
    options = graph.add("MaskDetailerOptions", 265, colour="covariance", blend="multiband", detail="match")
    wires: dict[str, Any] = {
        "image": picture.out("IMAGE"),
        "mask": picture.out("MASK"),
        "basic_pipe": pipe.out("basic_pipe"),
    }
    with_them = mask_detailer(
        graph, "With options", after="fixed", detail_options=options.out("detail_options"), width=310, **wires
    )
    without = mask_detailer(graph, "Without options", after="fixed", width=310, **wires)
    note = graph.note(notes.OPTIONS_COMPARED, 270)
    result = saver(graph, with_them.out("image"), "With options", width=280, height=320)
    other = graph.add("PreviewImage", (280, 250), "Without options", images=without.out("image"))
    both = graph.add(
        "ImageCompare", (280, 250), "Slide (in Nodes 2.0)", image_a=without.out("image"), image_b=with_them.out("image")
    )
    cells = [
        Cell(0, 0, [picture]), Cell(0, 1, [prompt.checkpoint, note]),
        Cell(1, 1, [prompt.positive, prompt.negative], 96), Cell(2, 0, [pipe, options], 90),
        Cell(3, 0, [with_them]), Cell(4, 0, [without]), Cell(5, 0, [both, other, result]),
    ]  # fmt: skip
    panels = [("1  Picture and model", 1), ("2  Prompt and options", 2), ("3  Detail, twice", 2), ("4  Result", 1)]
    return Template(
        graph, cells, panels, [(picture, "image"), (prompt.positive, "text")], [other, result], {3: 30, 5: 20}
    )


def plan_first(graph: Graph) -> Template:
    picture = painted(graph, width=280)
    prompt = prompted(graph, "a detailed, sharp photo", width=270)
    pipe = graph.add("ToBasicPipe", 230, **prompt.parts())
    wires: dict[str, Any] = {
        "image": picture.out("IMAGE"),
        "mask": picture.out("MASK"),
        "basic_pipe": pipe.out("basic_pipe"),
    }
    sizes: dict[str, Any] = {"guide_size": 512, "crop_factor": 2.0}
    plan = graph.add("MaskDetailerPlan", (360, 760), after="fixed", sampler_name="dpmpp_2m", **sizes, **wires)
    table = graph.add("PreviewAny", (300, 160), "The plan as a table", source=plan.out("text"))
    detailer = mask_detailer(graph, "Detail (off)", MUTED, after="fixed", **wires)
    result = saver(graph, detailer.out("image"), "Result (off)", MUTED, 280)
    note = graph.note(notes.PLAN_FIRST, 550)
    cells = painted_cells(picture, note, prompt, pipe, [plan], [table, detailer])
    cells.append(Cell(5, 0, [result]))
    panels = [("1  Picture and model", 1), ("2  Prompt", 2), ("3  Plan", 1), ("4  Table and detail", 2)]
    asked = [(picture, "image"), (plan, "guide_size"), (plan, "crop_factor")]
    return Template(graph, cells, panels, asked, [plan, table], {4: 30})


TEMPLATES: dict[str, Callable[[Graph], Template]] = {
    "Detail a Mask": detail_a_mask,
    "Edit Model Flux Kontext": editing.kontext,
    "Edit Model Qwen": editing.qwen,
    "Faces": faces,
    "Faces Hands and Eyes": faces_hands_and_eyes,
    "Frames of a Clip": frames,
    "Inpainting Model": inpainting_model,
    "Moving Parts": moving.moving_parts,
    "Moving Parts Video Model": moving.video_model,
    "Options Compared": options_compared,
    "Plan First": plan_first,
    "Refiner": refiner,
    "Several Masks": several_masks,
}
