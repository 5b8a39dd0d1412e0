"""Which classes and functions a detector's file may name, and which of them it may call. None is ever looked up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Name:
    """What a pickle calls something of Python's."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


PACKAGES = ("ultralytics", "models", "utils", "torch.nn.modules", "torch.optim", "torch.nn.parameter")
"""Where the classes of nets, losses and optimizers lie, in whichever release of the library."""

_BUILTINS = ("set", "frozenset", "list", "tuple", "dict", "object", "slice", "range", "complex", "bytearray", "getattr")
_PATHS = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
_DTYPES = ("half", "float", "double", "long", "int", "short", "strided")
STORAGES = {
    "HalfStorage": "float16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "BFloat16Storage": "bfloat16",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "BoolStorage": "bool",
}
"""torch's names for stored numbers, and the type of each."""

OTHERS: dict[str, tuple[str, ...]] = {
    "builtins": _BUILTINS,
    "__builtin__": _BUILTINS,
    "collections": ("OrderedDict", "defaultdict"),
    "copy_reg": ("_reconstructor",),
    "copyreg": ("_reconstructor",),
    "types": ("SimpleNamespace",),
    "argparse": ("Namespace",),
    "datetime": ("datetime", "date", "timedelta"),
    "_codecs": ("encode",),
    "numpy": ("dtype", "ndarray", "float16", "float32", "float64", "int32", "int64", "bool_"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,
    "torch": (*STORAGES, *STORAGES.values(), *_DTYPES, "Size", "Tensor", "device"),
    "torch._utils": ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state"),
    "torch.storage": ("TypedStorage", "UntypedStorage"),
    "torch.nn.functional": ("silu", "relu", "leaky_relu", "mish", "hardswish", "gelu"),
    "torch._C._nn": ("silu", "leaky_relu", "mish", "hardswish", "gelu"),
}
"""All else that such files name, by module."""

PLAIN_CALLS = frozenset(
    [
        Name("collections", "OrderedDict"),
        Name("collections", "defaultdict"),
        Name("torch", "Size"),
        *(Name("torch._utils", name) for name in OTHERS["torch._utils"]),
    ]
)
"""Calls whose result is data that is wanted."""


def is_expected(name: Name) -> bool:
    """Whether files of detectors name it."""
    if _is_below(name.module, PACKAGES):
        return "." not in name.name and not name.name.startswith("__")
    return name.name in OTHERS.get(name.module, ())


def makes_nothing(name: Name, args: tuple[object, ...]) -> bool:
    """Whether to call it would only make an object that is of no use here: one of a class, without arguments where the
    class is the library's.
    """
    if _is_below(name.module, PACKAGES):
        return not args and name.name[:1].isupper()
    return is_expected(name)


def _is_below(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)
