"""CLIPSeg and a classifier of pictures as folders in the form of ``transformers``: very small, with random weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

CLIPSEG_SIDE = 32  # pixels of the picture that the small CLIPSeg sees
LABELS = ("Female", "Male", "Human Female", "boy", "cat", "dog")
REPOSITORY = "rizvandwiki/gender-classification-2"


def write_clipseg(folder: Path) -> Path:
    """A CLIPSeg whose answer depends on picture and text, with the words that ComfyUI's own tokenizer has."""
    import comfy.sd1_clip
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, ViTImageProcessor

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(1)
    config = CLIPSegConfig(
        text_config={**sizes, "max_position_embeddings": 77, "bos_token_id": 49406, "eos_token_id": 49407},
        vision_config={**sizes, "image_size": CLIPSEG_SIDE, "patch_size": 8},
        projection_dim=16,
        reduce_dim=8,
        extract_layers=[0, 1],
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    )
    network: Any = CLIPSegForImageSegmentation(config).eval()
    for parameter in network.parameters():  # as they are made, its answers hardly differ
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():  # where it is sure and where not: both in most pictures
        pixels = torch.randn(4, 3, CLIPSEG_SIDE, CLIPSEG_SIDE)
        logits = network(pixel_values=pixels, input_ids=torch.tensor([[49406, 1929, 49407]] * 4)).logits
        network.decoder.transposed_convolution.bias.sub_(logits.mean())
    network.save_pretrained(folder)
    mean = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    ViTImageProcessor(size={"height": CLIPSEG_SIDE, "width": CLIPSEG_SIDE}, **mean).save_pretrained(folder)
    words = Path(comfy.sd1_clip.__file__).parent / "sd1_tokenizer"
    for name in ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"):
        shutil.copy(words / name, folder / name)
    return folder


def write_classifier(folder: Path, labels: tuple[str, ...] = LABELS, **settings: Any) -> Path:
    """A ViT whose answer depends on the picture."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(2)
    config = ViTConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
        **settings,
    )
    network: Any = ViTForImageClassification(config).eval()
    torch.nn.init.normal_(network.classifier.weight, std=1.0)
    network.save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder
