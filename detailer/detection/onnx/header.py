"""What an ONNX file says of itself, read before anything runs it: inputs, outputs, metadata.

An ONNX file may name other files for its weights, by any path. Whoever runs it would read them, so a file that does is
refused. Source of the layout: ``onnx.proto`` and the encoding of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_FIELDS = 2_000_000
MOST_DEPTH = 32
MOST_TEXT = 2**22  # bytes of the metadata

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5

# Numbers of the fields that are read, by message
_GRAPH, _METADATA, _TRAINING, _FUNCTION = 7, 14, 20, 25
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE = 1, 5, 11, 12, 15
_ATTRIBUTE = 5
_EXTERNAL, _LOCATION, _TENSOR_NAME = 13, 14, 8

# Where tensors and graphs lie within messages: message -> field -> message
_WITHIN: dict[str, dict[int, str]] = {
    "model": {_GRAPH: "graph", _TRAINING: "training", _FUNCTION: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {_NODE: "node", _INITIALIZER: "tensor", _SPARSE: "sparse"},
    "node": {_ATTRIBUTE: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}


class OnnxHeaderError(ValueError):
    """What is wrong with an ONNX file; continues "the file ..."."""


@dataclass(frozen=True)
class Value:
    """An input or an output.

    Attributes:
        kind: the type of its numbers, as ONNX counts them.
        shape: its sides; 0 where the file leaves one open.
    """

    name: str
    kind: int
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} [{', '.join(str(side or '?') for side in self.shape)}]"


FLOAT, UINT8, INT32, INT64, FLOAT16 = 1, 2, 6, 7, 10
WHOLE = (INT32, INT64)
"""Types of numbers."""


@dataclass(frozen=True)
class Header:
    """What is given to the net, what it gives, and what else its file says, by key."""

    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"it takes {_listed(self.inputs)} and gives {_listed(self.outputs)}"


def _listed(values: list[Value]) -> str:
    return ", ".join(map(str, values[:8])) or "nothing"


def read_header(file: bytes) -> Header:
    """Raises:
    OnnxHeaderError: for what is no ONNX file, and where a tensor of it lies in another file.
    """
    try:
        return _Reader().header(memoryview(file))
    except (IndexError, UnicodeError) as error:
        raise OnnxHeaderError("is damaged, or no ONNX file") from error


class _Reader:
    def __init__(self) -> None:
        self._fields = 0

    def header(self, file: memoryview) -> Header:
        header = Header()
        graphs = 0
        for number, _, value in self._read(file):
            if number == _METADATA:
                texts = {key: bytes(text) for key, _, text in self._read(_message(value))}
                if sum(map(len, texts.values())) > MOST_TEXT:
                    raise OnnxHeaderError("has more metadata than any detector")
                header.metadata[texts.get(1, b"").decode("utf-8")] = texts.get(2, b"").decode("utf-8")
            elif number == _GRAPH:
                graphs += 1
                self._graph(_message(value), header)
        if graphs != 1:
            raise OnnxHeaderError("is no ONNX file")
        self._look(file, "model", 0)
        return header

    def _graph(self, graph: memoryview, header: Header) -> None:
        inputs: list[Value] = []
        constants: set[str] = set()
        for number, _, value in self._read(graph):
            if number == _INPUT:
                inputs.append(self._value(_message(value)))
            elif number == _OUTPUT:
                header.outputs.append(self._value(_message(value)))
            elif number == _INITIALIZER:
                names = [part for key, _, part in self._read(_message(value)) if key == _TENSOR_NAME]
                constants.update(_text(name) for name in names)
        header.inputs.extend(value for value in inputs if value.name not in constants)  # old files list those too

    def _value(self, info: memoryview) -> Value:
        name, kind, shape = "", 0, list[int]()
        for number, _, value in self._read(info):
            if number == 1:
                name = _text(value)
            elif number == 2:
                tensor = [part for key, _, part in self._read(_message(value)) if key == 1]
                for key, _, part in self._read(_message(tensor[0])) if tensor else ():
                    if key == 1:
                        kind = _number(part)
                    elif key == 2:
                        shape = [
                            self._side(_message(side)) for each, _, side in self._read(_message(part)) if each == 1
                        ]
        return Value(name, kind, tuple(shape))

    def _side(self, dimension: memoryview) -> int:
        sides = [_number(value) for number, _, value in self._read(dimension) if number == 1]
        return sides[0] if sides and 0 < sides[0] < 2**31 else 0

    def _look(self, message: memoryview, kind: str, depth: int) -> None:
        """Look for tensors that lie in other files.

        Raises:
            OnnxHeaderError: if there is one.
        """
        if depth > MOST_DEPTH:
            raise OnnxHeaderError("has graphs within graphs without end")
        within = _WITHIN[kind]
        for number, form, value in self._read(message):
            if kind == "tensor" and (number == _EXTERNAL or (number == _LOCATION and _number(value) != 0)):
                raise OnnxHeaderError("keeps its weights in another file, which is not opened")
            if number in within and form == _BYTES:
                self._look(_message(value), within[number], depth + 1)

    def _read(self, message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
        """The fields of a message: number, form and value."""
        place = 0
        while place < len(message):
            self._fields += 1
            if self._fields > MOST_FIELDS:
                raise OnnxHeaderError("has more parts than any detector")
            key, place = _varint(message, place)
            form = key & 7
            if form == _VARINT:
                value, place = _varint(message, place)
                yield key >> 3, form, value
                continue
            if form == _BYTES:
                length, place = _varint(message, place)
            elif form in (_EIGHT, _FOUR):
                length = 8 if form == _EIGHT else 4
            else:
                raise OnnxHeaderError("is damaged, or no ONNX file")
            if place + length > len(message):
                raise OnnxHeaderError("is cut short, or no ONNX file")
            yield key >> 3, form, message[place : place + length]
            place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise IndexError


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise OnnxHeaderError("is damaged, or no ONNX file")
    return value


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise OnnxHeaderError("is damaged, or no ONNX file")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode("utf-8")
