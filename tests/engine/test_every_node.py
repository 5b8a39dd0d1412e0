"""Every node of the pack, whichever it is, by what it declares: right kinds out, nothing written to, and no crash.

Where an input is odd, a node either gives the right kinds of outputs or an InputError that names node and input.

Not every node meets every odd form. Forms are grouped by the code that they put to the test, which is the same for all
nodes: the check of what comes in, the resizing of a mask, the repeating of a batch, the cutting at a border. Of each
group a node meets one form, in turn with the nodes beside it (``in_turn``), so that a node that goes another way at any
of these places is found, and each form meets nodes of all families. What a value of a group does in itself is tested
where that code is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine.any_node import (
    DISCS,
    NODES,
    SIZE,
    Values,
    arguments,
    declared,
    is_link,
    replaced,
    run_checked,
    run_or_refused,
    segs_in,
    values_of,
    with_link,
)
from engine.running import same
from engine.tiny_models import Pipe, mask_of, tiny_control_net
from mask_detailer import NODE_CLASS_MAPPINGS
from mask_detailer.core import SEG, SEGS, header_size
from mask_detailer.detailer import host
from mask_detailer.segs import files
from support.detectors import drawn
from support.ip_adapter import IPAdapterAdvanced
from support.sam_files import Vit, random_weights, sam1_tensors


def taking(kind: str) -> list[str]:
    """The nodes with an input of that kind."""
    return [node for node in NODES if with_link(node, kind)]


def in_turn(nodes: list[str], forms: Iterable[str], *groups: tuple[str, ...]) -> list[tuple[str, str]]:
    """(node, form) pairs: of each group of the forms one for each node, another than the node before it met."""
    assert sorted(forms) == sorted(form for group in groups for form in group)
    return [(node, group[place % len(group)]) for group in groups for place, node in enumerate(nodes)]


@pytest.fixture(scope="module")
def control_net(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_control_net(tmp_path_factory.mktemp("controlnet"))


@pytest.fixture(scope="module")
def sam_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a SAM whose weights are few and random."""
    folder = tmp_path_factory.mktemp("sams")
    torch.save(random_weights(sam1_tensors(Vit())).own, folder / "sam_vit_b.pth")
    return folder


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, sam_folder: Path, local_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """ComfyUI's folders, with files of segments and of a latent to load, its models, and IPAdapter Plus's node."""
    import folder_paths

    import nodes

    before = folder_paths.get_temp_directory(), folder_paths.get_output_directory()
    given = folder_paths.get_input_directory()
    folder_paths.set_input_directory(str(tmp_path / "input"))
    (tmp_path / "input").mkdir()
    sent = host.latent_files.to_picture({"samples": torch.ones(1, 4, 8, 8)}, torch.rand(64, 64, 3), {})
    (tmp_path / "input" / "sent.latent.png").write_bytes(sent)
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    folder_paths.set_output_directory(str(tmp_path / "output"))
    (tmp_path / "output" / "segs").mkdir(parents=True)
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "sams", ([str(sam_folder)], {".pth"}))
    folder_paths.filename_list_cache.pop("sams", None)
    for kind in ("clipseg", "classifiers"):
        monkeypatch.setitem(folder_paths.folder_names_and_paths, kind, ([str(local_models / kind)], set()))
    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "IPAdapterAdvanced", IPAdapterAdvanced)
    files.save(segs_in(SIZE), tmp_path / "output" / "segs" / f"segs_00001_{files.ENDING}")
    yield
    folder_paths.set_temp_directory(before[0])
    folder_paths.set_output_directory(before[1])
    folder_paths.set_input_directory(given)
    folder_paths.filename_list_cache.pop("sams", None)


@pytest.fixture
def values(unet: Pipe, control_net: Any) -> Values:
    """A small real value for each kind of link, anew for each test."""
    return values_of(unet, control_net)


# ------------------------------------------------------------------------------------------------ the ordinary


# their choices are files of detectors, and without a file there is nothing to choose: they have tests of their own
FROM_FILES = {"UltralyticsDetectorProvider", "ONNXDetectorProvider", "MaskDetailerConvertDetector"}
OLD_LINK = {"ONNXDetectorSEGS"}  # takes its detector by either of two optional inputs


@pytest.mark.parametrize("node_id", [node for node in NODES if node not in FROM_FILES | OLD_LINK])
def test_with_what_is_required(node_id: str, values: Values) -> None:
    run_checked(node_id, arguments(node_id, values, optional=False))


@pytest.mark.parametrize("node_id", [node for node in NODES if node not in FROM_FILES])
def test_with_all_that_is_optional(node_id: str, values: Values) -> None:
    run_checked(node_id, arguments(node_id, values, optional=True))


@pytest.mark.parametrize("node_id", [node for node in NODES if declared(node)])
def test_what_is_missing_is_named(node_id: str, values: Values) -> None:
    """A link that gives None: a node before it has nothing to give."""
    given = arguments(node_id, values, optional=True)
    for one in declared(node_id):
        if is_link(one):
            run_or_refused(node_id, given | {one.name: None})


TYPED = ("IMAGE", "MASK", "SEGS", "SEG_ELT", "SEGS_HEADER", "BASIC_PIPE", "DETAILER_PIPE", "LATENT", "CONTROL_NET")


@pytest.mark.parametrize("node_id", [node for node in NODES if any(one.kind in TYPED for one in declared(node))])
def test_another_kind_is_refused(node_id: str, values: Values) -> None:
    given = arguments(node_id, values, optional=True)
    for one in declared(node_id):
        if one.kind in TYPED:
            for wrong in ("text", 7, object()):
                run_or_refused(node_id, replaced(node_id, given, one.name, wrong))


# ------------------------------------------------------------------------------------------------ SEGS


@pytest.mark.parametrize("empty", [((0, 0), []), (SIZE, [])], ids=["no known size", "known size"])
@pytest.mark.parametrize("node_id", taking("SEGS"))
@pytest.mark.by_turns(3)
def test_no_segments(node_id: str, empty: SEGS, values: Values) -> None:
    """Nothing to do is no error: no segments stay none, and the picture stays as it is."""
    for optional in (False, True):
        given = arguments(node_id, values | {"SEGS": empty}, optional)
        outputs = run_checked(node_id, given)
        kinds = NODE_CLASS_MAPPINGS[node_id].RETURN_TYPES
        if kinds[0] == "SEGS" and node_id != "ImpactMakeTileSEGS":
            assert outputs[0][0][1] == []
        if kinds[0] == "IMAGE" and {"image", "segs"} <= given.keys() and "upscale_model_opt" not in given:
            assert torch.equal(outputs[0][0], torch.cat([*given["image"]]).reshape(outputs[0][0].shape))
        for kind, made in zip(kinds, outputs, strict=True):
            if kind in ("IMAGE", "MASK"):
                # a batch of the segments' masks and a list of their hints may have nothing in them
                assert all(0 not in value.shape[-3:] or (node_id, kind) == ("SAMDetectorSegmented", "MASK")
                           for value in made)  # fmt: skip


@pytest.mark.parametrize("node_id", taking("SEG_ELT"))
def test_a_segment_without_a_picture(node_id: str, values: Values) -> None:
    values["SEG_ELT"] = values["SEGS"][1][1]
    run_checked(node_id, arguments(node_id, values, optional=True))


def test_no_segments_to_assemble(values: Values) -> None:
    outputs = run_checked("ImpactAssembleSEGS", {"seg_header": [SIZE], "seg_elt": []})
    assert outputs == [[(SIZE, [])]]


OTHER_SIZES = {"twice": (128, 160), "narrow": (100, 30), "flat": (7, 200)}


@pytest.mark.parametrize(("node_id", "form"), in_turn(taking("SEGS"), OTHER_SIZES, (*OTHER_SIZES,)))
@pytest.mark.by_turns(2)
def test_segments_of_another_size(node_id: str, form: str, values: Values) -> None:
    """Each input of SEGS in turn; with a picture beside it, segments are moved to the picture's size."""
    given, size = arguments(node_id, values, optional=True), OTHER_SIZES[form]
    for one in declared(node_id):
        if one.kind != "SEGS":
            continue
        outputs = run_checked(node_id, given | {one.name: segs_in(size)})
        if NODE_CLASS_MAPPINGS[node_id].RETURN_TYPES[0] != "SEGS" or not with_link(node_id, "IMAGE"):
            continue
        keeps = ("ImpactControlNetApply", "ImpactIPAdapterApply", "ImpactSEGSClassify", "MaskDetailerReferences")
        keeps_size = node_id.startswith(keeps)
        assert header_size(outputs[0][0]) == (size if keeps_size else SIZE)


def odd(segs: SEGS, **fields: Any) -> SEGS:
    return segs[0], [SEG(**{name: getattr(seg, name) for name in SEG._fields} | fields) for seg in segs[1]]


ODD_SEGS: dict[str, Callable[[SEGS], SEGS]] = {
    "outside": lambda segs: odd(segs, crop_region=[100, 90, 120, 110], cropped_mask=np.ones((20, 20), np.float32)),
    "across the border": lambda segs: odd(
        segs, crop_region=[-5, -6, 15, 14], bbox=(-5, -6, 15, 14), cropped_mask=np.ones((20, 20), np.float32)
    ),
    "without pixels": lambda segs: odd(
        segs, crop_region=[9, 9, 9, 9], bbox=(9, 9, 9, 9), cropped_mask=np.ones((0, 0), np.float32), cropped_image=None
    ),
    "black": lambda segs: odd((*segs[:1], [segs[1][0]]), cropped_mask=np.zeros((18, 18), np.float32)),
    "frames": lambda segs: odd((*segs[:1], [segs[1][0]]), cropped_mask=torch.rand(3, 18, 18)),
    "64 bits": lambda segs: odd((*segs[:1], [segs[1][0]]), cropped_mask=np.ones((18, 18))),
    "booleans": lambda segs: odd((*segs[:1], [segs[1][0]]), cropped_mask=np.ones((18, 18), bool)),
    "image of another size": lambda segs: odd(segs, cropped_image=np.ones((2, 5, 9, 3), np.float32)),
    "no label": lambda segs: odd(segs, label=None),
    "a list as header": lambda segs: ([*segs[0]], segs[1]),  # type: ignore[return-value]
}


@pytest.mark.parametrize(
    ("node_id", "form"),
    in_turn(
        taking("SEGS"),
        ODD_SEGS,
        ("outside", "across the border"),
        ("without pixels", "black"),
        ("frames", "64 bits", "booleans"),
        ("image of another size", "no label", "a list as header"),
    ),
)
@pytest.mark.by_turns(3)
def test_odd_segments(node_id: str, form: str, values: Values) -> None:
    given = arguments(node_id, values, optional=True)
    for one in declared(node_id):
        if one.kind == "SEGS":
            run_or_refused(node_id, given | {one.name: ODD_SEGS[form](values["SEGS"])})


# ------------------------------------------------------------------------------------------------ masks


def random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2))


ODD_MASKS = {
    "other size": random(1, 20, 33),
    "larger": mask_of(128, 160, (20, 20, 60, 60)),
    "batch": random(2, *SIZE),
    "4-D batch": random(2, 1, *SIZE),
    "1x1": torch.ones(1, 1, 1),
    "1x1 batch": torch.ones(3, 1, 1),
    "7x5": random(1, 5, 7),
    "black": torch.zeros(1, *SIZE),
    "too bright": random(1, *SIZE) * 4 - 1,
    "not a number": torch.full((1, *SIZE), float("nan")),
    "none in it": torch.zeros(0, *SIZE),
    "no pixels": torch.zeros(1, 0, 80),
    "1-D": torch.ones(80),
    "5-D": torch.ones(1, 1, 1, *SIZE),
}
SAME_MASKS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "2-D": lambda mask: mask[0],
    "4-D": lambda mask: mask[None],
    "64 bits": lambda mask: mask.double(),
    "view": lambda mask: torch.stack([mask, mask], dim=-1)[..., 0],
}


@pytest.mark.parametrize(
    ("node_id", "form"),
    in_turn(
        taking("MASK"),
        ODD_MASKS,
        ("other size", "larger", "7x5"),
        ("1x1", "1x1 batch"),
        ("batch", "4-D batch"),
        ("black", "too bright", "not a number"),
        ("none in it", "no pixels", "1-D", "5-D"),
    ),
)
@pytest.mark.by_turns(3)
def test_odd_masks(node_id: str, form: str, values: Values) -> None:
    given = arguments(node_id, values, optional=True)
    for one in declared(node_id):
        if one.kind == "MASK":
            run_or_refused(node_id, replaced(node_id, given, one.name, ODD_MASKS[form]))


@pytest.mark.parametrize(("node_id", "form"), in_turn(taking("MASK"), SAME_MASKS, ("2-D", "4-D"), ("64 bits", "view")))
def test_other_forms_of_a_mask_mean_the_same(node_id: str, form: str, values: Values) -> None:
    given = arguments(node_id, values, optional=True)
    for one in declared(node_id):
        if one.kind == "MASK":
            wanted = run_checked(node_id, replaced(node_id, given, one.name, values["MASK"]))
            made = run_checked(node_id, replaced(node_id, given, one.name, SAME_MASKS[form](values["MASK"])))
            assert same(masks_in(made), masks_in(wanted))


def masks_in(outputs: Any) -> Any:
    """Nested outputs in which what holds a mask is that mask."""
    several = isinstance(outputs, list | tuple)
    return [masks_in(one) for one in outputs] if several else getattr(outputs, "mask", outputs)


# ------------------------------------------------------------------------------------------------ pictures

ODD_PICTURES = {
    "1x1": random(1, 1, 1, 3),
    "7x5": random(1, 5, 7, 3),
    "200x9": random(1, 9, 200, 3),
    "RGBA": torch.cat([drawn(*SIZE, DISCS)[0], random(1, *SIZE, 1)], dim=-1),
    "RGBA, another size": random(1, 33, 47, 4),
    "batch": torch.cat([drawn(*SIZE, DISCS)[0], drawn(*SIZE, DISCS[:1])[0]]),
    "batch, another size": random(3, 33, 47, 3),
    "no batch": drawn(*SIZE, DISCS)[0][0],
    "grey": random(1, *SIZE, 1),
    "black": torch.zeros(1, *SIZE, 3),
    "16 bits": random(1, *SIZE, 3).half(),
    "too bright": random(1, *SIZE, 3) * 4 - 1,
    "not a number": torch.full((1, *SIZE, 3), float("nan")),
    "none in it": torch.zeros(0, *SIZE, 3),
    "no pixels": torch.zeros(1, 0, 80, 3),
    "2-D": random(*SIZE),
    "5-D": random(1, 1, *SIZE, 3),
}
ONE_PICTURE = (
    "BboxDetector",
    "SegmDetector",
    "SAMDetector",
    "ImpactSimpleDetector",
    "SEGSDetailer",
    "MaskDetailerBoxes",
    "MaskDetailerTouchUp",
    "MaskDetailerLayers",
    "ONNXDetector",
)


@pytest.mark.parametrize(
    ("node_id", "form"),
    in_turn(
        taking("IMAGE"),
        ODD_PICTURES,
        ("1x1", "7x5", "200x9"),
        ("RGBA", "RGBA, another size"),
        ("batch", "batch, another size"),
        ("no batch", "grey", "16 bits"),
        ("black", "too bright", "not a number"),
        ("none in it", "no pixels", "2-D", "5-D"),
    ),
)
@pytest.mark.by_turns(3)
def test_odd_pictures(node_id: str, form: str, values: Values) -> None:
    """Each picture in turn. A detailed picture has the shape of what came in."""
    given = arguments(node_id, values, optional=True)
    picture = ODD_PICTURES[form]
    for one in declared(node_id):
        if one.kind != "IMAGE":
            continue
        outputs = run_or_refused(node_id, replaced(node_id, given, one.name, picture))
        both = node_id == "MaskDetailerWorstParts"  # compares two, and one stays as it was
        if form == "RGBA" or (form in ("batch", "RGBA, another size") and not both):
            assert outputs is not None or (form == "batch" and node_id.startswith(ONE_PICTURE)), "it is refused"
        node = NODE_CLASS_MAPPINGS[node_id]
        gives_it_back = node.RETURN_TYPES[0] == "IMAGE" and not getattr(node, "OUTPUT_IS_LIST", (False,))[0]
        if outputs is not None and gives_it_back and one.name == "image" and picture.ndim == 4:
            if "rounding_modulus" in given:
                continue  # it has a size of its own
            assert outputs[0][0].shape == picture.shape


@pytest.mark.parametrize("node_id", [node for node in taking("IMAGE") if with_link(node, "BBOX_DETECTOR")])
def test_nothing_found(node_id: str, values: Values) -> None:
    """A black picture: detectors find nothing in it."""
    values["IMAGE"] = torch.zeros(1, *SIZE, 3)
    outputs = run_checked(node_id, arguments(node_id, values, optional=True))
    kind = NODE_CLASS_MAPPINGS[node_id].RETURN_TYPES[0]
    if kind == "SEGS":
        assert outputs[0][0] == (SIZE, [])
    else:
        assert not outputs[0][0].any() and outputs[0][0].shape[1:3] == SIZE


# ------------------------------------------------------------------------------------------------ latents

ODD_LATENTS: dict[str, Any] = {
    "no samples": {"noise_mask": torch.ones(1, 64, 80)},
    "batch": {"samples": torch.zeros(3, 4, 8, 10)},
    "one cell": {"samples": torch.zeros(1, 4, 1, 1)},
    "odd sides": {"samples": torch.zeros(1, 4, 5, 7)},
    "mask of another size": {"samples": torch.zeros(1, 4, 8, 10), "noise_mask": torch.ones(1, 1, 20, 33)},
}


@pytest.mark.parametrize("form", ODD_LATENTS)
@pytest.mark.parametrize("node_id", taking("LATENT"))
@pytest.mark.by_turns(3)
def test_odd_latents(node_id: str, form: str, values: Values) -> None:
    run_or_refused(node_id, arguments(node_id, values | {"LATENT": ODD_LATENTS[form]}, optional=False))
