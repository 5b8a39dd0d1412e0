"""What several templates are made of: the files that they load, prompts, the picture, the detailer, the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from templates.graph import Graph, Model, Node, Output
from templates.layout import Cell

HUB = "https://huggingface.co"
SD15, SDXL, REFINER = (
    "v1-5-pruned-emaonly-fp16.safetensors",
    "sd_xl_base_1.0.safetensors",
    "sd_xl_refiner_1.0.safetensors",
)
INPAINTING, FACES = "512-inpainting-ema.safetensors", "mediapipe_face_fp32.safetensors"
SAM3, WAN = "sam3.1_multiplex_fp16.safetensors", "wan2.1_t2v_1.3B_fp16.safetensors"
WAN_TEXT, WAN_VAE = "umt5_xxl_fp8_e4m3fn_scaled.safetensors", "wan_2.1_vae.safetensors"
KONTEXT, KONTEXT_VAE = "flux1-dev-kontext_fp8_scaled.safetensors", "ae.safetensors"
KONTEXT_TEXT = "clip_l.safetensors", "t5xxl_fp8_e4m3fn_scaled.safetensors"
QWEN, QWEN_VAE = "qwen_image_edit_2509_fp8_e4m3fn.safetensors", "qwen_image_vae.safetensors"
QWEN_TEXT = "qwen_2.5_vl_7b_fp8_scaled.safetensors"
QWEN_LIGHTNING = "Qwen-Image-Edit-2509-Lightning-4steps-V1.0-bf16.safetensors"
_WAN_FILES = f"{HUB}/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files"
_FLUX_TEXTS = f"{HUB}/comfyanonymous/flux_text_encoders/resolve/main"
_QWEN_FILES = f"{HUB}/Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files"
YOLO_FACES, YOLO_HANDS = "bbox/face_yolov8m.pt", "bbox/hand_yolov8s.pt"
MODELS = (
    Model(SD15, f"{HUB}/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/{SD15}", "checkpoints"),
    Model(SDXL, f"{HUB}/stabilityai/stable-diffusion-xl-base-1.0/resolve/main/{SDXL}", "checkpoints"),
    Model(REFINER, f"{HUB}/stabilityai/stable-diffusion-xl-refiner-1.0/resolve/main/{REFINER}", "checkpoints"),
    Model(INPAINTING, f"{HUB}/Comfy-Org/stable_diffusion_2.1_repackaged/resolve/main/{INPAINTING}", "checkpoints"),
    Model(FACES, f"{HUB}/Comfy-Org/mediapipe/resolve/main/detection/{FACES}", "detection"),
    Model(SAM3, f"{HUB}/Comfy-Org/sam3.1/resolve/main/checkpoints/{SAM3}", "checkpoints"),
    Model(WAN, f"{_WAN_FILES}/diffusion_models/{WAN}", "diffusion_models"),
    Model(WAN_TEXT, f"{_WAN_FILES}/text_encoders/{WAN_TEXT}", "text_encoders"),
    Model(WAN_VAE, f"{_WAN_FILES}/vae/{WAN_VAE}", "vae"),
    Model(
        KONTEXT, f"{HUB}/Comfy-Org/flux1-kontext-dev_ComfyUI/resolve/main/split_files/diffusion_models/{KONTEXT}",
        "diffusion_models",
    ),
    Model(KONTEXT_TEXT[0], f"{_FLUX_TEXTS}/{KONTEXT_TEXT[0]}", "text_encoders"),
    Model(KONTEXT_TEXT[1], f"{_FLUX_TEXTS}/{KONTEXT_TEXT[1]}", "text_encoders"),
    Model(
        KONTEXT_VAE, f"{HUB}/Comfy-Org/Lumina_Image_2.0_Repackaged/resolve/main/split_files/vae/{KONTEXT_VAE}", "vae"
    ),
    Model(
        QWEN, f"{HUB}/Comfy-Org/Qwen-Image-Edit_ComfyUI/resolve/main/split_files/diffusion_models/{QWEN}",
        "diffusion_models",
    ),
    Model(QWEN_TEXT, f"{_QWEN_FILES}/text_encoders/{QWEN_TEXT}", "text_encoders"),
    Model(QWEN_VAE, f"{_QWEN_FILES}/vae/{QWEN_VAE}", "vae"),
    Model(
        QWEN_LIGHTNING,
        f"{HUB}/lightx2v/Qwen-Image-Lightning/resolve/main/Qwen-Image-Edit-2509/{QWEN_LIGHTNING}", "loras",
    ),
    # the page compares the name with the widget's value, which has the folder before it
    Model(YOLO_FACES, f"{HUB}/Bingsu/adetailer/resolve/main/face_yolov8m.pt", "ultralytics"),
    Model(YOLO_HANDS, f"{HUB}/Bingsu/adetailer/resolve/main/hand_yolov8s.pt", "ultralytics"),
)  # fmt: skip
PICTURE = "example.png"  # comes with ComfyUI
SAMPLING: dict[str, Any] = {"steps": 20, "cfg": 7.0, "sampler_name": "dpmpp_2m", "scheduler": "karras"}


@dataclass(frozen=True)
class Prompted:
    """A checkpoint with its prompts."""

    checkpoint: Node
    positive: Node
    negative: Node

    def parts(self) -> dict[str, Any]:
        outputs: dict[str, Any] = {name.lower(): self.checkpoint.out(name) for name in ("MODEL", "CLIP", "VAE")}
        ends = {"positive": self.positive, "negative": self.negative}
        return outputs | {name: node.out("CONDITIONING") for name, node in ends.items()}


def prompted(graph: Graph, text: str, checkpoint: str = SD15, name: str = "", width: int = 280) -> Prompted:
    loader = graph.add("CheckpointLoaderSimple", min(width + 10, 290), name or None, ckpt_name=checkpoint)
    clip = loader.out("CLIP")
    of = f" of the {name.lower()}" if name else ""
    return Prompted(
        loader,
        graph.add("CLIPTextEncode", (width, 90), f"Prompt{of}", "green", clip=clip, text=text),
        graph.add("CLIPTextEncode", (width, 90), f"Negative{of}", "red", clip=clip, text="blurry, low quality"),
    )


def painted(graph: Graph, title: str = "Picture: paint the mask", height: int = 360, width: int = 290) -> Node:
    return graph.add("LoadImage", (width, height), title, image=PICTURE)


def mask_detailer(graph: Graph, title: str | None = None, look: int = 0, **given: Any) -> Node:
    """The mask detailer with settings for Stable Diffusion 1.5."""
    usual: dict[str, Any] = {
        "guide_size": 512,
        "crop_factor": 2.0,
        "noise_mask_feather": 20,
        "feather": 5,
        "denoise": 0.5,
    }
    width = given.pop("width", 320)
    return graph.add("MaskDetailerPipe", width, title, look, **(SAMPLING | usual | given))


def saver(
    graph: Graph, images: Output, title: str = "Result", look: int = 0, width: int = 350, height: int = 380
) -> Node:
    size = (width, height)
    return graph.add("SaveImage", size, title, look, images=images, filename_prefix="mask_detailer")


PAINTED_PANELS = [("1  Picture and model", 1), ("2  Prompt", 2), ("3  Detail", 1), ("4  Result", 1)]


def painted_cells(
    picture: Node, note: Node, prompt: Prompted, pipe: Node, work: list[Node], results: list[Node]
) -> list[Cell]:
    """The picture's wires run straight over the note, the model's over the prompts."""
    return [
        Cell(0, 0, [picture]), Cell(0, 1, [prompt.checkpoint]), Cell(1, 0, [note], 90),
        Cell(1, 1, [prompt.positive, prompt.negative], 96), Cell(2, 1, [pipe]), Cell(3, 0, work), Cell(4, 0, results),
    ]  # fmt: skip
