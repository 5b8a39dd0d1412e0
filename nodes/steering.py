"""Nodes that steer the browser and the queue, where its user allows that, and some that hold up or show a run."""

from __future__ import annotations

import logging
import time

from ..detailer import host, plain_values, steering
from . import schema
from .registry import DEBUG, LOGIC, LOGIC_TEST, Node
from .schema import ANY, MAX_SEED, Input, Inputs, InputTypes, Shown

logger = logging.getLogger("mask_detailer")

SLICE = 0.1  # seconds between two looks for the user's interrupt
MODES = {"Stop": 0, "Mute": 2, "Bypass": 4}  # as the browser numbers what a node is switched to
REMOTE = {"ImpactRemoteInt": int, "ImpactRemoteBoolean": bool}
ALLOWED = " Only where the setting 'Let nodes change widgets and queue' is on."
SIGNAL_OUT = "The signal as it came in."


def _signal() -> Input:
    return schema.link(ANY, "Handed on as it is; the node acts once it is there.")


def _large(default: int, least: int, tooltip: str) -> Input:
    return "INT", {"default": default, "min": least, "max": MAX_SEED, "tooltip": tooltip}


def _target() -> Inputs:
    return {
        "node_id": _large(0, 0, "The number of the node to change, as the browser shows it."),
        "widget_name": ("STRING", {"multiline": False, "tooltip": "The name of the widget to change."}),
    }


def _mode(on: str, off: str, tooltip: str) -> Input:
    return schema.switch(True, on, off, tooltip)


def _shown(result: tuple[object, ...], *said: str | None) -> Shown:
    """The outputs, and on the node why nothing was done."""
    return {"ui": {"text": [text for text in said if text is not None]}, "result": result}


class _Signalled(Node):
    """What acts once a signal is there, and hands it on."""

    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("signal_opt",)
    OUTPUT_TOOLTIPS = (SIGNAL_OUT,)
    OUTPUT_NODE = True


class _End(Node):
    """What gives nothing."""

    RETURN_TYPES = ()
    OUTPUT_TOOLTIPS = ()
    OUTPUT_NODE = True


class ImpactControlBridge(Node, name="Control Bridge", menu=LOGIC):
    """What hangs on it, run or left out."""

    DESCRIPTION = (
        "Hands on a value, or leaves out all that hangs on it. Bypassing is the browser's: it bypasses the nodes "
        "behind and queues once more, only where the setting 'Let nodes change widgets and queue' is on."
    )
    SEARCH_ALIASES = ("mute", "bypass", "stop", "gate")
    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("value",)
    OUTPUT_TOOLTIPS = ("The value as it came in; where the mode is off, nothing that hangs on it is run.",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        behavior = (
            "What off means. Stop and Mute: what hangs on this node is left out of the run. Bypass: the nodes right "
            "behind it are bypassed."
        )
        return {
            "required": {
                "value": schema.link(ANY, "What is handed on."),
                "mode": _mode("Active", "Stop/Mute/Bypass", "On: the value goes on. Off: as behavior says."),
                "behavior": (list(MODES), {"tooltip": behavior}),
            },
            "hidden": {"unique_id": "UNIQUE_ID", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    @classmethod
    def IS_CHANGED(cls, mode: object = True, behavior: object = "Stop", **_: object) -> object:
        """What is bypassed already, the workflow says and no input."""
        return float("nan") if behavior == "Bypass" and mode is False else ""

    def doit(
        self, value: object, mode: bool, behavior: str, unique_id: object = None, extra_pnginfo: object = None
    ) -> Shown:
        behind = dict(host.workflows.nodes_behind(extra_pnginfo, str(unique_id)))
        if behavior != "Bypass":
            return _shown((value if mode else host.nodes.blocked(),))
        wanted = 0 if mode else MODES["Bypass"]
        others = [node for node, state in behind.items() if state != wanted]
        if behind and not others:
            return _shown((value,))
        said = steering.steer(self.ID, "modes", nodes=others, mode=wanted, queue=True) if others or not mode else None
        return _shown((value if mode else host.nodes.blocked(),), said)


class ImpactConditionalStopIteration(_End, menu=LOGIC):
    """An end of queueing again and again."""

    DESCRIPTION = "Stops the browser from queueing again by itself, where a condition holds." + ALLOWED
    SEARCH_ALIASES = ("stop auto queue", "end loop", "stop iteration")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"cond": ("BOOLEAN", {"forceInput": True, "tooltip": "Whether to stop."})}}

    def doit(self, cond: bool | None) -> Shown:
        return _shown((), steering.steer(self.ID, "stop") if cond else None)


class ImpactQueueTrigger(_Signalled, name="Queue Trigger", menu=LOGIC_TEST):
    """The workflow once more."""

    DESCRIPTION = "Has the browser queue the open workflow once more." + ALLOWED
    SEARCH_ALIASES = ("queue again", "loop", "repeat")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"signal": _signal(), "mode": _mode("Trigger", "Don't trigger", "Whether to queue.")}}

    def doit(self, signal: object, mode: bool) -> Shown:
        return _shown((signal,), steering.steer(self.ID, "queue") if mode else None)


class ImpactQueueTriggerCountdown(Node, name="Queue Trigger (Countdown)", menu=LOGIC_TEST):
    """The workflow several times more."""

    DESCRIPTION = "Has the browser queue the open workflow until it ran a number of times; the node counts." + ALLOWED
    SEARCH_ALIASES = ("queue again", "loop", "repeat n times", "counter")
    RETURN_TYPES = (ANY, "INT", "INT")
    RETURN_NAMES = ("signal_opt", "count", "total")
    OUTPUT_TOOLTIPS = (SIGNAL_OUT, "Which run this is; the first is 0.", "How many there are in all.")
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "count": _large(0, 0, "Which run this is. The node counts up, and back to 0 after the last."),
                "total": _large(10, 1, "How many runs there are in all."),
                "mode": _mode("Trigger", "Don't trigger", "Whether to queue."),
            },
            "optional": {"signal": _signal()},
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def doit(self, count: int, total: int, mode: bool, signal: object = None, unique_id: object = None) -> Shown:
        said = None
        if mode:
            goes_on = count < total - 1
            about = {"target": str(unique_id), "name": "count", "value": count + 1 if goes_on else 0}
            said = steering.steer(self.ID, "widget", **about, queue=goes_on)
        return _shown((signal, count, total), said)


class ImpactSetWidgetValue(_Signalled, name="Set Widget Value", menu=LOGIC_TEST):
    """A widget of another node changed."""

    DESCRIPTION = "Has the browser write a value into a widget, for the runs after this one." + ALLOWED
    SEARCH_ALIASES = ("change widget", "write widget")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        value = "The value to write; the first of these inputs that is connected counts."
        return {
            "required": {"signal": _signal(), **_target()},
            "optional": {
                f"{kind.lower()}_value": (kind, {"forceInput": True, "tooltip": value})
                for kind in ("BOOLEAN", "INT", "FLOAT", "STRING")
            },
        }

    def doit(
        self,
        signal: object,
        node_id: int,
        widget_name: str,
        boolean_value: bool | None = None,
        int_value: int | None = None,
        float_value: float | None = None,
        string_value: str | None = None,
    ) -> Shown:
        given = (boolean_value, int_value, float_value, string_value)
        value = next((one for one in given if one is not None), None)
        if value is None:
            return _shown((signal,))
        about = {"target": str(node_id), "name": widget_name, "value": value}
        return _shown((signal,), steering.steer(self.ID, "widget", **about))


class ImpactNodeSetMuteState(_Signalled, name="Set Mute State", menu=LOGIC_TEST):
    """Another node muted or not."""

    DESCRIPTION = "Has the browser mute a node, or switch it on again, for the runs after this one." + ALLOWED
    SEARCH_ALIASES = ("mute node", "unmute node")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "signal": _signal(),
                "node_id": _target()["node_id"],
                "set_state": _mode("active", "mute", "On: the node is run. Off: it is muted."),
            }
        }

    def doit(self, signal: object, node_id: int, set_state: bool) -> Shown:
        about = {"nodes": [str(node_id)], "mode": 0 if set_state else MODES["Mute"]}
        return _shown((signal,), steering.steer(self.ID, "modes", **about))


class _Remote(_End):
    """A value that another node of the prompt gets before it runs; see ``steering.set_remotely``."""

    def doit(self, node_id: int, widget_name: str, value: object) -> Shown:
        about = {"target": str(node_id), "name": widget_name, "value": value}
        return _shown((), steering.steer(self.ID, "widget", **about))


class ImpactRemoteInt(_Remote, name="Remote Int (on prompt)", menu=LOGIC_TEST):
    """A whole number for another node."""

    DESCRIPTION = "Writes a whole number into a number widget of another node as the workflow is queued." + ALLOWED
    SEARCH_ALIASES = ("remote control", "set number")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {**_target(), "value": _large(0, -MAX_SEED, "The value to write.")}}


class ImpactRemoteBoolean(_Remote, name="Remote Boolean (on prompt)", menu=LOGIC_TEST):
    """On or off for another node."""

    DESCRIPTION = "Writes on or off into a switch of another node as the workflow is queued." + ALLOWED
    SEARCH_ALIASES = ("remote control", "set switch")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {**_target(), "value": schema.switch(True, "True", "False", "The value to write.")}}


class ImpactSleep(_Signalled, name="Sleep", menu=LOGIC_TEST):
    """A pause."""

    DESCRIPTION = "Waits a number of seconds. Stopping the run ends the wait."
    SEARCH_ALIASES = ("wait", "delay", "pause")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        seconds: Input = "FLOAT", {"default": 0.5, "min": 0, "max": 3600, "tooltip": "How long to wait, in seconds."}
        return {"required": {"signal": _signal(), "seconds": seconds}}

    def doit(self, signal: object, seconds: float) -> tuple[object]:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            host.devices.check_interrupted()
            time.sleep(min(left, SLICE))
        return (signal,)


class ImpactLogger(_End, menu=DEBUG):
    """A value shown."""

    DESCRIPTION = "Writes a value into the log and into its own text."
    SEARCH_ALIASES = ("log", "print", "show value", "debug")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        text = "The value of the last run appears here. What stands here has no effect."
        return {
            "required": {
                "data": schema.link(ANY, "The value to show."),
                "text": ("STRING", {"multiline": True, "tooltip": text}),
            }
        }

    def doit(self, data: object, text: str) -> Shown:
        shape = getattr(data, "shape", None)
        written = plain_values.brief_text(data)
        logger.info("%s: %s%s", self.ID, "" if shape is None else f"{list(shape)} ", written)
        return {"ui": {"text": [written]}, "result": ()}
