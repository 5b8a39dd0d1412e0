"""A network of our own among the models that ComfyUI manages: loaded for its work, given back after it."""

from __future__ import annotations

import torch
from mask_detailer.detailer.host.placement import AUTO, CPU, MODES, PREFER_GPU, Placement


def loaded() -> list[torch.nn.Module]:
    import comfy.model_management as management

    return [each.model.model for each in management.current_loaded_models if each.model is not None]


def holds(network: torch.nn.Module) -> bool:
    return any(each is network for each in loaded())


def test_loaded_around_its_work(as_on_a_gpu: None) -> None:
    first, second, third = (torch.nn.Sequential(torch.nn.Linear(4, 4)) for _ in MODES)
    weights = first[0].weight.clone()
    auto, kept, never = (
        Placement(network, mode, room=1000) for network, mode in ((first, AUTO), (second, PREFER_GPU), (third, CPU))
    )
    assert not holds(first) and holds(second) and not holds(third)
    for placement in (auto, kept, never):
        placement.load()
    assert holds(first) and holds(second) and not holds(third)
    for placement in (auto, kept, never):
        placement.release()
    assert not holds(first) and holds(second) and not holds(third)
    assert torch.equal(first[0].weight, weights)
    auto.load()
    assert holds(first)


def test_nothing_to_do_on_a_cpu() -> None:
    for mode in MODES:
        network = torch.nn.Linear(4, 4)
        placement = Placement(network, mode, room=0)
        placement.load()
        assert not holds(network)
        placement.release()
