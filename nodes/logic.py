"""Nodes of the logic group: constants, comparisons, and which of two ways is taken."""

from __future__ import annotations

from typing import ClassVar

from ..detailer import plain_values
from ..detailer.values import BasicPipe
from . import schema
from .registry import DEBUG, LOGIC, LOGIC_TEST, PIPE, UTIL, Node
from .schema import ANY, Input, Inputs, InputTypes
from .validate import shown

LARGEST_FLOAT = 3.402823466e38
OPERATORS = {"and": lambda a, b: a and b, "or": lambda a, b: a or b, "xor": lambda a, b: a != b}
COMPARED = "How they compare. tt: always true. ff: always false."
GIVEN = "The value that is given."


def _linked(kind: str, tooltip: str) -> Input:
    """A number, text or switch that only comes by a link."""
    return kind, {"forceInput": True, "tooltip": tooltip}


class _Constant(Node):
    """A widget whose value is the output."""

    VALUE: ClassVar[Input]
    OUTPUT_TOOLTIPS = (GIVEN,)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"value": cls.VALUE}}

    def doit(self, value: object) -> tuple[object]:
        return (value,)


class ImpactInt(_Constant, menu=LOGIC):
    """A whole number."""

    DESCRIPTION = "A whole number, for several nodes at once."
    SEARCH_ALIASES = ("integer", "whole number", "int constant", "number")
    RETURN_TYPES = ("INT",)
    VALUE = schema.whole_number(0, GIVEN)


class ImpactFloat(_Constant, menu=LOGIC):
    """A number."""

    DESCRIPTION = "A number, for several nodes at once."
    SEARCH_ALIASES = ("float constant", "decimal", "number")
    RETURN_TYPES = ("FLOAT",)
    VALUE = ("FLOAT", {"default": 1.0, "min": -LARGEST_FLOAT, "max": LARGEST_FLOAT, "tooltip": GIVEN})


class ImpactBoolean(_Constant, menu=LOGIC):
    """On or off."""

    DESCRIPTION = "On or off, for several nodes at once."
    SEARCH_ALIASES = ("bool constant", "toggle", "true false")
    RETURN_TYPES = ("BOOLEAN",)
    VALUE = ("BOOLEAN", {"default": False, "tooltip": GIVEN})


class ImpactDummyInput(Node, menu=DEBUG):
    """Something to connect."""

    DESCRIPTION = "Gives the text DUMMY where an input must be connected but nothing of it is used."
    SEARCH_ALIASES = ("dummy", "placeholder input")
    RETURN_TYPES = (ANY,)
    OUTPUT_TOOLTIPS = ("The text DUMMY.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {}}

    def doit(self) -> tuple[str]:
        return ("DUMMY",)


class ImpactNeg(Node, menu=LOGIC):
    """The opposite."""

    DESCRIPTION = "Turns on into off, and off into on."
    SEARCH_ALIASES = ("not", "negate", "invert boolean")
    RETURN_TYPES = ("BOOLEAN",)
    OUTPUT_TOOLTIPS = ("True where the input is false.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"value": _linked("BOOLEAN", "What is turned round.")}}

    def doit(self, value: bool | None) -> tuple[bool]:
        return (not value,)


class ImpactLogicalOperators(Node, menu=LOGIC):
    """Two switches reckoned with."""

    DESCRIPTION = "Joins two conditions: both (and), at least one (or), exactly one (xor)."
    SEARCH_ALIASES = ("and", "or", "xor", "boolean logic")
    RETURN_TYPES = ("BOOLEAN",)
    OUTPUT_TOOLTIPS = ("Whether it holds.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "operator": (list(OPERATORS), {"tooltip": "and: both are true. or: one or both. xor: exactly one."}),
                "bool_a": _linked("BOOLEAN", "The first condition."),
                "bool_b": _linked("BOOLEAN", "The second condition."),
            }
        }

    def doit(self, operator: str, bool_a: bool | None, bool_b: bool | None) -> tuple[bool]:
        return (OPERATORS[operator](bool(bool_a), bool(bool_b)),)


class _OfTwo(Node):
    """What two values are to each other."""

    SIDES: ClassVar[Inputs] = {
        "a": schema.link(ANY, "The left value."),
        "b": schema.link(ANY, "The right value."),
    }

    def _holds(self, comparison: str, a: object, b: object) -> bool:
        """Raises InputError for two values that have no order, where one is asked for."""
        try:
            return plain_values.COMPARISONS[comparison](a, b)
        except plain_values.IncomparableError as error:
            found = f"{shown(b)} can't be compared with a, {shown(a)}"
            raise self.door.error("b", found, "Connect two numbers or two texts") from error


class ImpactCompare(_OfTwo, menu=LOGIC):
    """Two values held against each other."""

    DESCRIPTION = "Compares two values. Of pictures and the like it must hold for all of their numbers."
    SEARCH_ALIASES = ("compare", "equal", "greater", "less")
    RETURN_TYPES = ("BOOLEAN",)
    OUTPUT_TOOLTIPS = ("Whether it holds.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "cmp": (list(plain_values.COMPARISONS), {"tooltip": COMPARED}),
                **cls.SIDES,
            }
        }

    def doit(self, cmp: str, a: object, b: object) -> tuple[bool]:
        return (self._holds(cmp, a, b),)


class ImpactMinMax(_OfTwo, menu=LOGIC_TEST):
    """The larger or the smaller of two values."""

    DESCRIPTION = "Gives the larger or the smaller of two values."
    SEARCH_ALIASES = ("maximum", "minimum", "larger", "smaller")
    RETURN_TYPES = ("INT",)
    OUTPUT_TOOLTIPS = ("The one of both; it stays what it is, a number or a text.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "mode": schema.switch(True, "max", "min", "The larger one, or the smaller."),
                **cls.SIDES,
            }
        }

    def doit(self, mode: bool, a: object, b: object) -> tuple[object]:
        return (b if self._holds("a < b" if mode else "a > b", a, b) else a,)


class ImpactConvertDataType(Node, menu=LOGIC):
    """One value as text, number and switch."""

    DESCRIPTION = "Gives a value as text, as a number, as a whole number and as on or off."
    SEARCH_ALIASES = ("convert type", "to string", "to int", "to float", "cast")
    RETURN_TYPES = ("STRING", "FLOAT", "INT", "BOOLEAN")
    OUTPUT_TOOLTIPS = (
        "As text.",
        "As a number: false is 0; what is no number is 1.",
        "As a whole number; what comes after the point is cut off.",
        "True unless the number is 0.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"value": schema.link(ANY, "The value to convert.")}}

    def doit(self, value: object) -> tuple[str, float, int, bool]:
        text, number = plain_values.as_text(value), plain_values.as_number(value)
        return text, float(number), int(number), number != 0


class _Branch(Node):
    """One of two inputs, of which the other is not run."""

    RETURN_TYPES = (ANY,)
    OUTPUT_TOOLTIPS = ("What came in on the side that is taken; nothing (None) where none is connected there.",)

    def check_lazy_status(self, cond: object, **sides: object) -> list[str]:
        """The one input that is needed."""
        name = "tt_value" if self.checked({"cond": cond})["cond"] else "ff_value"
        return [name] if name in sides and sides[name] is None else []

    def doit(self, cond: bool, tt_value: object = None, ff_value: object = None) -> tuple[object]:
        return (tt_value if cond else ff_value,)


_COND: Input = ("BOOLEAN", {"default": False, "tooltip": "Which side is taken. Only that side is run."})
_SIDES: Inputs = {
    "tt_value": (ANY, {"lazy": True, "tooltip": "What is given where cond is true."}),
    "ff_value": (ANY, {"lazy": True, "tooltip": "What is given where cond is false."}),
}


class ImpactConditionalBranch(_Branch, menu=LOGIC):
    """One of two inputs."""

    DESCRIPTION = "Hands on one of two inputs, by a condition. The other side is not run."
    SEARCH_ALIASES = ("if else", "conditional", "branch")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"cond": _COND, **_SIDES}}


class ImpactConditionalBranchSelMode(_Branch, menu=LOGIC):
    """The same, either side optional."""

    DESCRIPTION = "Hands on one of two inputs, by a condition; either may be left open. The other side is not run."
    SEARCH_ALIASES = ("if else", "conditional on prompt", "branch")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {"required": {"cond": _COND}, "optional": dict(_SIDES)}


class ImpactIfNone(Node, menu=LOGIC):
    """Whether something came in."""

    DESCRIPTION = "Tells whether anything comes in, to switch between two ways."
    SEARCH_ALIASES = ("is none", "is connected", "exists")
    RETURN_TYPES = (ANY, "BOOLEAN")
    RETURN_NAMES = ("signal_opt", "bool")
    OUTPUT_TOOLTIPS = ("The signal as it came in.", "True where something came in; false where it is nothing (None).")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {},
            "optional": {
                "signal": schema.link(ANY, "Handed on as it is, to run this node after another."),
                "any_input": schema.link(ANY, "What is looked for."),
            },
        }

    def doit(self, signal: object = None, any_input: object = None) -> tuple[object, bool]:
        return signal, any_input is not None


class ImpactExecutionOrderController(Node, name="Execution Order Controller", menu=UTIL):
    """One thing after another."""

    DESCRIPTION = "Hands on a value once the signal is there, so that what makes the signal runs first."
    SEARCH_ALIASES = ("execution order", "run after", "wait for")
    RETURN_TYPES = (ANY, ANY)
    RETURN_NAMES = ("signal", "value")
    OUTPUT_TOOLTIPS = ("The signal as it came in.", "The value as it came in.")

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        return {
            "required": {
                "signal": schema.link(ANY, "What must be there first."),
                "value": schema.link(ANY, "What is handed on after it."),
            }
        }

    def doit(self, signal: object, value: object) -> tuple[object, object]:
        return signal, value


class AnyPipeToBasic(Node, name="Any PIPE -> BasicPipe", menu=PIPE):
    """The beginning of any pipe as a BASIC_PIPE."""

    DESCRIPTION = "Makes a BASIC_PIPE of the first five parts of another pipe, such as a DETAILER_PIPE."
    SEARCH_ALIASES = ("pipe to basic pipe", "convert pipe")
    RETURN_TYPES = ("BASIC_PIPE",)
    RETURN_NAMES = ("basic_pipe",)
    OUTPUT_TOOLTIPS = ("Model, clip, vae, positive and negative on one wire.",)

    @classmethod
    def INPUT_TYPES(cls) -> InputTypes:
        pipe = "A pipe that begins with model, clip, vae, positive and negative."
        return {"required": {"any_pipe": schema.link(ANY, pipe)}}

    def doit(self, any_pipe: object) -> tuple[tuple[object, ...]]:
        """Raises InputError for what is no pipe, or one of fewer parts."""
        parts = len(BasicPipe._fields)
        if not isinstance(any_pipe, tuple | list) or len(any_pipe) < parts:
            held = f" of {len(any_pipe)} things" if isinstance(any_pipe, tuple | list) else ""
            found = f"a {type(any_pipe).__name__}{held} is no pipe of {parts} parts or more"
            raise self.door.error("any_pipe", found, "Connect a BASIC_PIPE or a DETAILER_PIPE")
        return (tuple(any_pipe[:parts]),)
