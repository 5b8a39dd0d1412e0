"""Reads what a pickle describes without doing any of it.

A pickle is a small program: it names functions and classes of Python and says what to call. This is a machine for the
instructions that ``torch.save`` writes, and for no others. A name stays a name and is never looked up, so there is
nothing that could be called or imported; a call becomes plain data where it is one of the few that stand for data, and
is refused otherwise. Source of the instructions: Python's ``pickletools``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .names import PLAIN_CALLS, Name, is_expected, makes_nothing

MOST_INSTRUCTIONS = 1_500_000
MOST_BYTES = 2**25
MOST_MEMO = 2**32
MOST_WHOLE = 2**31  # of a dictionary's keys that are numbers
MOST_BYTES_OF_NUMBER = 16
LONGEST_NAME = 1024  # bytes


class PickleError(ValueError):
    """What the pickle does that no detector's file needs, or how it is broken; continues "the file ..."."""


@dataclass(eq=False)
class Made:
    """An object that the pickle describes: its class by name, what it would be made from, and its attributes."""

    of: Name
    args: tuple[object, ...] = ()
    state: dict[object, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """Something outside the pickle, which torch calls a persistent id: of a storage, what it is and where it lies."""

    parts: tuple[object, ...]


@dataclass(frozen=True, eq=False)
class Call:
    """A call of one of ``PLAIN_CALLS``, not done."""

    name: Name
    args: tuple[object, ...]


Instruction = Callable[["Machine"], None]


class Machine:
    """One pickle's instructions, done on values that do nothing.

    Args:
        pickle: bytes that begin with a pickle; more may follow.
        made_of: what a call in ``PLAIN_CALLS`` stands for.
    """

    def __init__(self, pickle: bytes, made_of: Callable[[Call], object]) -> None:
        self._bytes = pickle
        self._made_of = made_of
        self.position = 0
        self._stack: list[object] = []
        self._marked: list[list[object]] = []
        self._memo: dict[int, object] = {}

    def run(self) -> object:
        """The value that the pickle describes; ``position`` then is where it ends.

        Raises:
            PickleError: for an instruction, a name or a call that no detector's file needs, and for a broken pickle.
        """
        if len(self._bytes) > MOST_BYTES:
            raise PickleError(f"has a description of more than {MOST_BYTES >> 20} MB")
        try:
            for _ in range(MOST_INSTRUCTIONS):
                code = self._take(1)
                if code == b".":
                    return self._stack.pop()
                instruction = _INSTRUCTIONS.get(code)
                if instruction is None:
                    raise PickleError(f"has the pickle instruction {code!r}, which detectors' files don't have")
                instruction(self)
        except PickleError:
            raise
        except (LookupError, struct.error, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise PickleError("is damaged: its description can't be read") from error
        raise PickleError(f"has a description of more than {MOST_INSTRUCTIONS} instructions")

    # --- bytes ----------------------------------------------------------------------------------------------------

    def _take(self, count: int) -> bytes:
        taken = self._bytes[self.position : self.position + count]
        if len(taken) < count:
            raise PickleError("ends too early")
        self.position += count
        return taken

    def _number(self, layout: str) -> int:
        return int(struct.unpack(layout, self._take(struct.calcsize(layout)))[0])

    def _line(self) -> str:
        end = self._bytes.find(b"\n", self.position, self.position + LONGEST_NAME)
        if end < 0:
            raise PickleError("ends too early")
        line = self._bytes[self.position : end]
        self.position = end + 1
        return line.decode("utf-8")

    # --- the stack ------------------------------------------------------------------------------------------------

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _to_mark(self) -> list[object]:
        items, self._stack = self._stack, self._marked.pop()
        return items

    def mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def pop_mark(self) -> None:
        self._to_mark()

    def duplicate(self) -> None:
        self._push(self._stack[-1])

    def put(self, index: int) -> None:
        if not 0 <= index < MOST_MEMO:
            raise PickleError("is damaged: its description can't be read")
        self._memo[index] = self._stack[-1]

    def memoize(self) -> None:
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        self._push(self._memo[index])

    # --- plain values ---------------------------------------------------------------------------------------------

    def protocol(self) -> None:
        if not 2 <= self._number("<B") <= 5:
            raise PickleError("has a pickle of an unknown version")

    def frame(self) -> None:
        self._take(8)

    def long(self, count: int) -> None:
        if not 0 <= count <= MOST_BYTES_OF_NUMBER:
            raise PickleError(f"has a number of {count} bytes")
        self._push(int.from_bytes(self._take(count), "little", signed=True))

    def real(self) -> None:
        self._push(struct.unpack(">d", self._take(8))[0])

    def text(self, count: int) -> None:
        self._push(self._take(count).decode("utf-8", "surrogatepass"))

    def raw(self, count: int) -> None:
        self._push(self._take(count))

    def tuple_of(self, count: int) -> None:
        if count > len(self._stack):
            raise IndexError
        start = len(self._stack) - count
        self._stack[start:] = [tuple(self._stack[start:])]

    def marked_tuple(self) -> None:
        self._push(tuple(self._to_mark()))

    def marked_list(self) -> None:
        self._push(self._to_mark())

    def marked_dict(self) -> None:
        items = self._to_mark()
        self._push({})
        self._set(items)

    def marked_frozenset(self) -> None:
        self._push(Made(Name("builtins", "frozenset"), (self._to_mark(),)))

    def empty_set(self) -> None:
        self._push(Made(Name("builtins", "set"), ([],)))

    # --- filling --------------------------------------------------------------------------------------------------

    def append(self) -> None:
        self._extend([self._stack.pop()])

    def appends(self) -> None:
        self._extend(self._to_mark())

    def _extend(self, items: Iterable[object]) -> None:
        """Onto a list or a set; what other objects hold is of no use here."""
        target = self._stack[-1]
        if isinstance(target, Made) and target.args and isinstance(target.args[0], list):
            target = target.args[0]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Made):
            raise TypeError

    def set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def set_items(self) -> None:
        self._set(self._to_mark())

    def _set(self, items: list[object]) -> None:
        target = self._stack[-1]
        if isinstance(target, dict):
            target.update(_entries(zip(items[::2], items[1::2], strict=True)))
        elif not isinstance(target, Made):
            raise TypeError

    def build(self) -> None:
        """Attributes of an object; those of a dictionary are of no use here."""
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, Made):
            for part in state if isinstance(state, tuple) else (state,):
                if isinstance(part, dict):
                    target.state.update(part)
        elif not isinstance(target, dict):
            raise PickleError("gives attributes to what can't have any, which detectors' files don't do")

    # --- names and calls ------------------------------------------------------------------------------------------

    def name_of_lines(self) -> None:
        module = self._line()
        self._name(module, self._line())

    def name_of_stack(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        named = Name(module, name)
        if not is_expected(named):
            raise PickleError(f"names {named}, which may run code and is no part of a detector")
        self._push(named)

    def reference(self) -> None:
        parts = self._stack.pop()
        if not isinstance(parts, tuple):
            raise TypeError
        # plain files of torch know a class so, with its program's text, which is of no use here
        is_class = len(parts) == 4 and parts[0] == "module" and isinstance(parts[1], Name)
        self._push(parts[1] if is_class else Reference(parts))

    def new(self) -> None:
        args, name = self._stack.pop(), self._stack.pop()
        self._push(Made(self._class(name), _tuple(args)))

    def new_with_keywords(self) -> None:
        self._stack.pop()
        self.new()

    def _class(self, name: object) -> Name:
        if not isinstance(name, Name):
            raise PickleError("makes an object of what is no class, which may run code")
        return name

    def call(self) -> None:
        args, name = _tuple(self._stack.pop()), self._stack.pop()
        if not isinstance(name, Name):
            raise PickleError("calls what it made itself, which may run code")
        if name in PLAIN_CALLS:
            self._push(self._made_of(Call(name, args)))
        elif makes_nothing(name, args):
            self._push(Made(name, args))
        else:
            raise PickleError(f"calls {name}, which may run code and is no part of a detector")


def _tuple(value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise TypeError
    return value


def _entries(pairs: Iterable[tuple[object, object]]) -> Mapping[object, object]:
    """Those with a key that is a text or a small whole number: no other is asked for, some would be slow to keep."""
    return {
        key: value
        for key, value in pairs
        if isinstance(key, str) or (isinstance(key, int) and -MOST_WHOLE <= key < MOST_WHOLE)
    }


def _counted(do: Callable[[Machine, int], None], layout: str) -> Instruction:
    """With a number that stands in the pickle."""
    return lambda machine: do(machine, machine._number(layout))


def _fixed(do: Callable[[Machine, int], None], count: int) -> Instruction:
    return lambda machine: do(machine, count)


def _constant(value: object) -> Instruction:
    return lambda machine: machine._push(value)


def _empty(kind: Callable[[], object]) -> Instruction:
    return lambda machine: machine._push(kind())


_INSTRUCTIONS: dict[bytes, Instruction] = {
    b"\x80": Machine.protocol,
    b"\x95": Machine.frame,
    b"(": Machine.mark,
    b"0": Machine.pop,
    b"1": Machine.pop_mark,
    b"2": Machine.duplicate,
    b"q": _counted(Machine.put, "<B"),
    b"r": _counted(Machine.put, "<I"),
    b"\x94": Machine.memoize,
    b"h": _counted(Machine.get, "<B"),
    b"j": _counted(Machine.get, "<I"),
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"J": _counted(Machine._push, "<i"),
    b"K": _counted(Machine._push, "<B"),
    b"M": _counted(Machine._push, "<H"),
    b"\x8a": _counted(Machine.long, "<B"),
    b"\x8b": _counted(Machine.long, "<i"),
    b"G": Machine.real,
    b"X": _counted(Machine.text, "<I"),
    b"\x8c": _counted(Machine.text, "<B"),
    b"\x8d": _counted(Machine.text, "<Q"),
    b"U": _counted(Machine.raw, "<B"),
    b"T": _counted(Machine.raw, "<I"),
    b"C": _counted(Machine.raw, "<B"),
    b"B": _counted(Machine.raw, "<I"),
    b"\x8e": _counted(Machine.raw, "<Q"),
    b")": _constant(()),
    b"t": Machine.marked_tuple,
    b"\x85": _fixed(Machine.tuple_of, 1),
    b"\x86": _fixed(Machine.tuple_of, 2),
    b"\x87": _fixed(Machine.tuple_of, 3),
    b"]": _empty(list),
    b"l": Machine.marked_list,
    b"a": Machine.append,
    b"e": Machine.appends,
    b"}": _empty(dict),
    b"d": Machine.marked_dict,
    b"s": Machine.set_item,
    b"u": Machine.set_items,
    b"\x8f": Machine.empty_set,
    b"\x90": Machine.appends,
    b"\x91": Machine.marked_frozenset,
    b"b": Machine.build,
    b"c": Machine.name_of_lines,
    b"\x93": Machine.name_of_stack,
    b"Q": Machine.reference,
    b"R": Machine.call,
    b"\x81": Machine.new,
    b"\x92": Machine.new_with_keywords,
}
