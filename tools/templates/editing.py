"""The templates for edit models: the part itself is what the model is shown, and the prompt is an instruction."""

from __future__ import annotations

from typing import Any

from templates import notes
from templates.graph import Graph, Node, Output
from templates.layout import Cell, Template
from templates.parts import (
    KONTEXT,
    KONTEXT_TEXT,
    KONTEXT_VAE,
    QWEN,
    QWEN_LIGHTNING,
    QWEN_TEXT,
    QWEN_VAE,
    mask_detailer,
    painted,
    saver,
)

PANELS = [("1  Picture and model", 1), ("2  Instruction", 2), ("3  Detail", 1), ("4  Result", 1)]
INSTRUCTION = "Restore fine, natural detail. Keep the person, expression, pose, colours and light exactly as they are."


def kontext(graph: Graph) -> Template:
    picture = painted(graph)
    model = graph.add("UNETLoader", 290, "Edit model", unet_name=KONTEXT)
    first, second = KONTEXT_TEXT
    texts = graph.add("DualCLIPLoader", 290, clip_name1=first, clip_name2=second, type="flux")
    vae = graph.add("VAELoader", 290, vae_name=KONTEXT_VAE)
    told = graph.add("CLIPTextEncode", (280, 110), "Instruction", "green", clip=texts.out("CLIP"), text=INSTRUCTION)
    guided = graph.add("FluxGuidance", 280, conditioning=told.out("CONDITIONING"), guidance=2.5)
    nothing = graph.add("ConditioningZeroOut", 280, conditioning=guided.out("CONDITIONING"))
    parts: dict[str, Any] = {
        "model": model.out("MODEL"), "clip": texts.out("CLIP"), "vae": vae.out("VAE"),
        "positive": guided.out("CONDITIONING"), "negative": nothing.out("CONDITIONING"),
    }  # fmt: skip
    loaders, prompts = [texts, model, vae], [told, guided, nothing]
    note = graph.note(notes.EDIT_MODEL_FLUX_KONTEXT, 280)
    return edited(graph, picture, (loaders, prompts, [note]), parts)


def qwen(graph: Graph) -> Template:
    picture = painted(graph)
    model = graph.add("UNETLoader", 290, "Edit model", unet_name=QWEN)
    quick = graph.add("LoraLoaderModelOnly", 290, "In 4 steps", model=model.out("MODEL"), lora_name=QWEN_LIGHTNING)
    texts = graph.add("CLIPLoader", 290, clip_name=QWEN_TEXT, type="qwen_image")
    vae = graph.add("VAELoader", 290, vae_name=QWEN_VAE)
    shifted = graph.add("ModelSamplingAuraFlow", 280, model=quick.out("MODEL"), shift=3.0)

    def told(title: str, colour: str, text: str) -> Node:
        shown: dict[str, Output] = {"clip": texts.out("CLIP"), "image1": picture.out("IMAGE")}
        return graph.add("TextEncodeQwenImageEditPlus", (280, 180), title, colour, prompt=text, **shown)

    positive, negative = told("Instruction", "green", INSTRUCTION), told("Negative", "red", "")
    parts: dict[str, Any] = {
        "model": shifted.out("MODEL"), "clip": texts.out("CLIP"), "vae": vae.out("VAE"),
        "positive": positive.out("CONDITIONING"), "negative": negative.out("CONDITIONING"),
    }  # fmt: skip
    loaders, prompts = [texts, model, quick, vae], [positive, negative]
    note = graph.note(notes.EDIT_MODEL_QWEN, 280)
    return edited(graph, picture, (loaders, prompts, [shifted, note]), parts, steps=4)


def edited(
    graph: Graph, picture: Node, columns: tuple[list[Node], list[Node], list[Node]], parts: dict[str, Any],
    steps: int = 20,
) -> Template:  # fmt: skip
    """The same for both: a painted part goes through the model that ``parts`` make a pipe of, as its own reference.

    Args:
        columns: the loaders, the prompts, and what stands below the prompts.
    """
    loaders, prompts, below = columns
    pipe = graph.add("ToBasicPipe", 280, **parts)
    options = graph.add("MaskDetailerOptions", 280, references="crop", size_mode="model")
    detailer = mask_detailer(
        graph, image=picture.out("IMAGE"), mask=picture.out("MASK"), basic_pipe=pipe.out("basic_pipe"),
        detail_options=options.out("detail_options"), steps=steps, cfg=1.0, sampler_name="euler", scheduler="simple",
        denoise=1.0, guide_size=1024,
    )  # fmt: skip
    result = saver(graph, detailer.out("image"))
    crops = graph.add("PreviewImage", (350, 300), "The parts, enlarged", images=detailer.out("cropped_refined"))
    cells = [
        Cell(0, 0, [picture]), Cell(0, 1, loaders), Cell(1, 0, prompts), Cell(1, 1, below),
        Cell(2, 0, [pipe, options]), Cell(3, 0, [detailer]), Cell(4, 0, [result, crops]),
    ]  # fmt: skip
    told = prompts[0]
    asked = [(picture, "image"), (told, "prompt" if "prompt" in told.widgets else "text"), (detailer, "denoise")]
    return Template(graph, cells, PANELS, [*asked, (detailer, "seed")], [result])
