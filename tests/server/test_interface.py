"""What the server tells of our nodes is what saved workflows rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from mask_detailer.nodes import NODE_CLASS_MAPPINGS, OWN_NODES
from support import interface
from support.client import Client
from support.server import CHECKOUT, Server

NODES = tuple(NODE_CLASS_MAPPINGS)
# of newer releases of the Impact Pack, and our own: optional and last
PARTS = {"parts_labels", "parts_order", "parts_most", "parts_only"}
OUTDATED = {"defaultInput"}  # the page warns of it: a widget has its socket in any case
LATER_INPUTS = {
    "tiled_encode",
    "tiled_decode",
    "crop_batch",
    "detail_options",
    "choices",
    "onnx_detector",
    "tolerance",
    "mask",
    "segs",
} | PARTS
SWITCHES = ("ImpactSwitch", "LatentSwitch", "SEGSSwitch")
LATER_NODES = {"DetailerForEachAutoRetry"}  # of newer releases of the Impact Pack
SHARED_NODES = tuple(node for node in NODES if node not in OWN_NODES | LATER_NODES)  # those of the contract
NEEDED = {  # nodes of ours that are offered only beside these of ComfyUI
    "MaskDetailerRTDETRProvider": "RTDETR_detect",
    "MaskDetailerSAM3Provider": "SAM3_Detect",
    "MaskDetailerFaceLandmarkProvider": "MediaPipeFaceLandmarker",
    "MaskDetailerUprightFaceHook": "MediaPipeFaceLandmarker",
    "MaskDetailerLayers": "AddLayer",
}
FILES = {"ImageReceiver": ("image",), "LatentReceiver": ("latent",)}  # choices of what lies in a server's folders
OUTPUT_FACTS = ("output", "output_name", "output_is_list", "output_node")


def contract(node: str) -> dict[str, Any]:
    wanted = interface.nodes()[node]
    if node == "SEGSLabelFilterDetailerHookProvider":  # its segs were required, but could never be used
        wanted["inputs"]["optional"] = {"segs": wanted["inputs"]["required"].pop("segs")}
    if node == "SAMLoader":  # one in four of saved prompts lacks it
        wanted["inputs"]["optional"] = {"device_mode": wanted["inputs"]["required"].pop("device_mode")}
    if node == "ONNXDetectorSEGS":  # old files call the detector onnx_detector
        given = wanted["inputs"]
        given["optional"] = {"bbox_detector": given["required"].pop("bbox_detector"), **given["optional"]}
    if node in SWITCHES:  # older prompts lack it
        given = wanted["inputs"]
        given["optional"] = {"sel_mode": given["required"].pop("sel_mode"), **given["optional"]}
    return wanted


@pytest.fixture(scope="module")
def object_info(server: Server) -> dict[str, Any]:
    return Client(server.url).object_info()


@pytest.fixture(params=NODES)
def node(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=SHARED_NODES)
def shared_node(request: pytest.FixtureRequest) -> str:
    return request.param


def test_none_is_missing() -> None:
    known = set(interface.nodes())
    assert len(known) == 94 + 51 + 29 + 4 + 5 + 11 + 4
    assert set(NODES) == known | OWN_NODES | LATER_NODES


def test_name_and_outputs(object_info: dict[str, Any], shared_node: str) -> None:
    ours, wanted = object_info[shared_node], contract(shared_node)
    if wanted["output"] == ["COMBO: schedulers"]:
        assert ours["output"] == [object_info["MaskDetailerPipe"]["input"]["required"]["scheduler"][0]]
        wanted["output"] = ours["output"]
    assert {key: ours[key] for key in ("display_name", "category", *OUTPUT_FACTS)} == {
        key: wanted[key] for key in ("display_name", "category", *OUTPUT_FACTS)
    }


def test_inputs(object_info: dict[str, Any], shared_node: str) -> None:
    """Same names in the same order, and each option of the contract with its value; we may add options."""
    ours, wanted = object_info[shared_node]["input"], contract(shared_node)["inputs"]
    for group in ("required", "optional"):
        expected = wanted.get(group, {})
        given = ours.get(group, {})
        assert list(given)[: len(expected)] == list(expected)
        assert group == "optional" or len(given) == len(expected)
        assert set(given) - set(expected) <= LATER_INPUTS
        for name, (kind, *options) in expected.items():
            if kind.startswith("COMBO: "):
                fits(given[name][0], kind.removeprefix("COMBO: "), object_info)
            else:
                assert given[name][0] == kind
            for option, value in (options[0] if options else {}).items():
                if option in OUTDATED:
                    continue
                assert given[name][1][option] == value, f"{name}.{option}"


def fits(choices: list[str], wanted: str, object_info: dict[str, Any]) -> None:
    """A list of choices as the contract writes it down: in full, by its first entries, or by where it comes from."""
    core = object_info["KSampler"]["input"]["required"]
    if wanted.startswith("["):
        first = json.loads(wanted)
        assert choices[: len(first)] == first
        assert len(choices) == len(first) or "Select" in first[0]  # files follow, where there are some
    elif "first:" in wanted:
        first = json.loads(wanted.split("first:")[1].replace("'", '"'))
        assert choices[: len(first)] == first and len(choices) > len(first)
    elif "input folder" in wanted:
        assert choices == sorted(choices)
    elif wanted.startswith("'Select"):
        assert wanted.startswith(f"'{choices[0]}'")
    elif wanted == "files of sams, then ESAM":
        assert choices[-1] == "ESAM" and not any("hq" in name for name in choices)
    elif "files of folder" in wanted:
        assert "bbox/" not in wanted or all(choice.startswith(("bbox/", "segm/")) for choice in choices)
    elif wanted == "None + the extra schedulers":
        assert choices[0] == "None" and "AYS SDXL" in choices
    else:
        cores = core["sampler_name" if "SAMPLERS" in wanted else "scheduler"][0]
        assert choices[: len(cores)] == cores
        assert (len(choices) > len(cores)) == ("extra" in wanted)


def is_offered(node: str, object_info: dict[str, Any]) -> bool:
    return node not in NEEDED or NEEDED[node] in object_info


@pytest.mark.parametrize("needing", NEEDED)
def test_offered_only_beside_what_it_needs(object_info: dict[str, Any], needing: str) -> None:
    assert (needing in object_info) == is_offered(needing, object_info)


def test_own_nodes_are_not_in_the_contract(object_info: dict[str, Any]) -> None:
    assert set(object_info) >= {node for node in OWN_NODES if is_offered(node, object_info)}
    assert not OWN_NODES & set(interface.nodes())


def test_everything_is_explained(object_info: dict[str, Any], node: str) -> None:
    if not is_offered(node, object_info):
        pytest.skip("this ComfyUI has nothing for it")
    info = object_info[node]
    for group in ("required", "optional"):
        for name, (_, *options) in info["input"].get(group, {}).items():
            assert options[0].get("tooltip"), f"{name} has no tooltip"
    assert len(info["output_tooltips"]) == len(info["output"]) and all(info["output_tooltips"])
    assert info["description"]
    assert info["search_aliases"]


def test_help_page(server: Server, node: str) -> None:
    """The browser finds the node's help where ComfyUI serves it."""
    served = Client(server.url).request(f"/extensions/mask_detailer/docs/{quote(node)}.md").decode()
    assert served == (CHECKOUT / "js" / "docs" / f"{node}.md").read_text(encoding="utf-8")


def test_oldest_supported_release(server: Server, object_info: dict[str, Any], tmp_path: Path) -> None:
    """The pack loads in ComfyUI 0.16.3 and shows itself the same, apart from the lists that ComfyUI owns."""
    oldest = CHECKOUT / ".env" / "comfyui" / "0.16.3"
    if not oldest.is_dir():
        pytest.skip("no ComfyUI 0.16.3 here; `dev.py test` without COMFYUI_PATH fetches it")
    with Server(tmp_path, comfyui=oldest, log=tmp_path / "server.log") as old_server:
        old_info = Client(old_server.url).object_info()
    assert not set(NEEDED) & set(old_info)
    for node in (each for each in NODES if each not in NEEDED):
        ours = {key: value for key, value in object_info[node].items() if key in old_info[node]}
        theirs = {key: value for key, value in old_info[node].items() if key in ours}
        for info in (ours, theirs):
            for group in info["input"].values():
                for name in {"sampler_name", "scheduler", "extra_scheduler", *FILES.get(node, ())} & set(group):
                    group[name] = [*group[name][1:]]
        assert ours == theirs
