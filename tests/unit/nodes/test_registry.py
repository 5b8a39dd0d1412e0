"""A node's id, name and place in the menu are said once, and everything else comes from there."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import mask_detailer.nodes
import pytest
from mask_detailer.detailer import host
from mask_detailer.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, OWN_NODES, register, routes
from mask_detailer.nodes.registry import NODES, Detailer, Node, in_order_of
from mask_detailer.nodes.schema import InputTypes
from mask_detailer.nodes.validate import InputError

FOLDER = Path(mask_detailer.nodes.__file__).parent
MENU = {
    "ImpactPack", "Debug", "Detailer", "Detector", "HuggingFace", "Legacy", "Logic", "Logic/_for_test", "Operation",
    "Pipe", "Prompt", "Regional", "Sampler", "sampling", "Simple", "__for_testing", "Upscale", "Util",
}  # fmt: skip


@pytest.fixture
def registered() -> Any:
    before = dict(NODES)
    yield NODES
    NODES.clear()
    NODES.update(before)


def test_mappings_are_the_registry() -> None:
    assert set(NODE_CLASS_MAPPINGS) == set(NODES)
    assert list(NODE_DISPLAY_NAME_MAPPINGS) == list(NODE_CLASS_MAPPINGS)
    for node_id, node in NODE_CLASS_MAPPINGS.items():
        assert node is NODES[node_id]
        assert node.ID == node.door.node == node_id and (node.__name__ == node_id or " " in node_id)
        assert NODE_DISPLAY_NAME_MAPPINGS[node_id] == node.NAME
        assert node.CATEGORY.removeprefix("ImpactPack/") in MENU
        assert node.FUNCTION == "doit"
        assert (node_id in OWN_NODES) == node.OWN


def test_offered_are_those_that_have_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.nodes, "registered_nodes", dict)
    monkeypatch.setattr(host.server, "when_serving", lambda do: None)
    monkeypatch.setattr(routes, "register", lambda: None)
    monkeypatch.setattr(NODES["MaskToSEGS"], "_needs", (lambda: False,))
    monkeypatch.setattr(NODES["EmptySegs"], "_needs", (lambda: True,))
    classes, names = register()
    assert set(classes) == set(names) == {node_id for node_id, node in NODES.items() if node.is_offered()}
    assert "EmptySegs" in classes and "MaskToSEGS" not in classes


def test_nothing_in_the_files_repeats_an_id() -> None:
    """But where an id is looked for that other packs know: in the text of errors that name another node."""
    for file in FOLDER.glob("*.py"):
        for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "Door":
                assert file.name == "registry.py", f"{file.name}, line {part.lineno}"
            if isinstance(part, ast.Assign):
                for target in part.targets:
                    name = getattr(target, "id", "")
                    assert name not in ("CATEGORY", "FUNCTION", "ID", "NAME"), f"{file.name}, line {part.lineno}"


def test_order_is_by_file_and_place() -> None:
    module = "mask_detailer.nodes.detailers"
    own = [node_id for node_id, node in NODES.items() if node.__module__ == module]
    assert own[0] == "MaskDetailerPipe"
    assert list(in_order_of(["mask_detailer.nodes.faces", module])) == ["FaceDetailer", "FaceDetailerPipe", *own]


def test_a_class_is_a_node(registered: dict[str, type[Node]]) -> None:
    class Shared(Node):
        """No node: it has no menu."""

        @classmethod
        def INPUT_TYPES(cls) -> InputTypes:
            return {"required": {"number": ("INT", {"min": 0, "max": 9})}, "hidden": {"unique_id": "UNIQUE_ID"}}

        def doit(self, number: int, unique_id: str = "") -> tuple[str]:
            return (f"{self.ID} {number!r} {unique_id}",)

    class One(Shared, name="The first", menu="Here"):
        pass

    class Two(Shared, menu="There", own=True, needs=lambda: False):
        pass

    assert "Shared" not in registered
    assert (registered["One"], registered["Two"]) == (One, Two)
    assert (One.ID, One.NAME, One.CATEGORY, One.OWN, One.is_offered()) == ("One", "The first", "Here", False, True)
    assert (Two.ID, Two.NAME, Two.CATEGORY, Two.OWN, Two.is_offered()) == ("Two", "Two", "There", True, False)
    assert One().doit(number=3.0) == ("One 3 ",)  # type: ignore[arg-type]
    assert Two().doit(4, "7") == ("Two 4 7",)
    for call in (lambda: One().doit(1, "7", 3), lambda: One().doit(1, number=2)):  # type: ignore[call-arg, misc]
        with pytest.raises(TypeError):
            call()
    with pytest.raises(InputError, match=r"^Two, input 'number': 10 is out of range\. Give 0 to 9$"):
        Two().doit(10)


def test_a_detailer_checks_by_itself(registered: dict[str, type[Node]]) -> None:
    class Three(Detailer, menu="Here"):
        @classmethod
        def INPUT_TYPES(cls) -> InputTypes:
            return {"required": {"number": ("INT", {"min": 0, "max": 9})}}

        def doit(self, **widgets: Any) -> tuple[Any]:
            return (widgets["number"], self.checked(widgets)["number"])  # type: ignore[return-value]

    assert Three().doit(number=3.0) == (3.0, 3)
    assert not hasattr(Three.doit, "__wrapped__") and hasattr(NODES["MaskToSEGS"].doit, "__wrapped__")
