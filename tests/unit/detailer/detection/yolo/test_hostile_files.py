"""Files that would run code, lie about themselves or take all memory: refused in a sentence, and nothing happens."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mask_detailer.detailer.detection.yolo.checkpoint import read_checkpoint
from mask_detailer.detailer.detection.yolo.values import YoloError
from support.pickled import archived, building, calling, deflated_zeros, named_as_the_library, save_honest, tensor

CANARY = "canary"
MOST_BYTES = 2**20  # of memory, beside twice the file's size
HUGE = 10 * 2**30


@pytest.fixture(autouse=True)
def nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file is made, and no module imported."""
    monkeypatch.chdir(tmp_path)
    import torch.utils.serialization.config  # noqa: F401 - what torch.save imports when it is first used

    before = set(sys.modules)
    yield
    assert not (tmp_path / CANARY).exists()
    assert set(sys.modules) <= before


def refused(tmp_path: Path, file: bytes) -> str:
    """The sentence with which a file is refused."""
    path = tmp_path / "face.pt"
    path.write_bytes(file)
    with pytest.raises(YoloError) as raised:
        read_checkpoint(path)
    message = str(raised.value)
    assert message.startswith("face.pt ") and len(message) < 400 and "\n" not in message
    return message


def refused_in_little_memory(tmp_path: Path, file: bytes) -> str:
    """The same; whoever reads it takes little memory beside twice the file's size."""
    tracemalloc.start()
    try:
        message = refused(tmp_path, file)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(file) + MOST_BYTES
    finally:
        tracemalloc.stop()
    return message


MAKE_CANARY = f"touch {CANARY}"
CALLS = {
    "os.system": (MAKE_CANARY,),
    "posix.system": (MAKE_CANARY,),
    "nt.system": (MAKE_CANARY,),
    "subprocess.Popen": (["touch", CANARY],),
    "subprocess.check_output": (["touch", CANARY],),
    "builtins.eval": (f"open('{CANARY}', 'w')",),
    "builtins.exec": (f"open('{CANARY}', 'w')",),
    "__builtin__.eval": (f"open('{CANARY}', 'w')",),
    "builtins.open": (CANARY, "w"),
    "builtins.__import__": ("this",),
    "importlib.import_module": ("this",),
    "runpy.run_path": ("evil.py",),
    "pathlib.os.system": (MAKE_CANARY,),
    "torch.hub.load": ("evil/repo", "model"),
    "torch.load": ("evil.pt",),
    "torch.storage._load_from_bytes": (b"\x80\x02.",),
    "torch.serialization.load": ("evil.pt",),
    "torch.utils.cpp_extension.load": ("evil", "evil.cpp"),
    "ultralytics.utils.downloads.safe_download": ("http://evil.example/x",),
    "ultralytics.YOLO": ("evil.pt",),
    "ultralytics.utils.os.system": (MAKE_CANARY,),
    "models.experimental.attempt_load": ("evil.pt",),
    "utils.downloads.attempt_download": ("evil.pt",),
    "torch.nn.modules.module.Module": ("one", "two"),
    "numpy.load": ("evil.npy",),
    "pickle.loads": (b"\x80\x02.",),
    "ctypes.CDLL": ("evil.so",),
    "operator.attrgetter": ("system",),
    "functools.partial": (print,),
    "webbrowser.open": ("http://evil.example",),
    "pip._internal.main": (["install", "evil"],),
    "copyreg.__newobj__": (object,),
    "builtins.setattr": (1, 2, 3),
    "pty.spawn": ("sh",),
    "shutil.rmtree": (".",),
}


@pytest.mark.parametrize("function", CALLS)
def test_a_call_is_refused(tmp_path: Path, function: str) -> None:
    message = refused(tmp_path, archived(calling(function, *CALLS[function])))
    assert function in message and "nothing of it was run" in message


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source")
def test_a_call_beside_an_honest_model_is_refused(tmp_path: Path) -> None:
    """In a file of torch.save's own, where one would look for it last."""

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return exec, (f"open({CANARY!r}, 'w')",)

    from support.pickled import honest

    with named_as_the_library():
        for plain in (False, True):
            made = io.BytesIO()
            torch.save(honest(updates=Evil()), made, _use_new_zipfile_serialization=not plain)
            assert "builtin" in refused(tmp_path, made.getvalue())


EXTENSION = b"\x80\x02\x82\x01."
INSTRUCTIONS = {
    "class": b"\x80\x02(X\x01\x00\x00\x00xios\nsystem\n.",
    "object": b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x00xo.",
    "object of an expected class": b"\x80\x02(cultralytics.nn.tasks\nDetectionModel\no.",
    "one-byte extension": EXTENSION,
    "two-byte extension": b"\x80\x02\x83\x01\x00.",
    "four-byte extension": b"\x80\x02\x84\x01\x00\x00\x00.",
    "reference in text": b"\x80\x02Pstorage\n.",
    "protocol 0": b"\x80\x00cos\nsystem\n(S'x'\ntR.",
    "out-of-band buffer": b"\x80\x05\x97.",
    "name from the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.",
    "dotted name": b"\x80\x04\x8c\x11ultralytics.utils\x8c\x09os.system\x93\x8c\x01x\x85R.",
    "call of a result": b"\x80\x02c__builtin__\ngetattr\nX\x01\x00\x00\x00aX\x01\x00\x00\x00b\x86R)R.",
    "state of a class": building("os._wrap_close", {"a": 1}),
    "state of a name": b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n}b.",
    "object of a result": b"\x80\x02cpathlib\nPath\n)R)\x81.",
}


@pytest.mark.parametrize("kind", INSTRUCTIONS)
def test_an_instruction_is_refused(tmp_path: Path, kind: str) -> None:
    import copyreg

    copyreg.add_extension("os", "system", 1)
    try:
        refused(tmp_path, archived(INSTRUCTIONS[kind]))
    finally:
        copyreg.remove_extension("os", "system", 1)


def test_what_a_class_would_do_with_its_state_is_not_done(tmp_path: Path) -> None:
    """One of the library's names, which in this process would run: it is not looked up."""
    from support.pickled import DetectionModel

    done: list[object] = []
    DetectionModel.__setstate__ = lambda self, state: done.append(state)  # type: ignore[method-assign]
    try:
        with named_as_the_library():
            refused(tmp_path, archived(building("ultralytics.nn.tasks.DetectionModel", {"_modules": {}})))
    finally:
        del DetectionModel.__setstate__
    assert not done


def test_nested_archives_are_not_opened(tmp_path: Path) -> None:
    inner = archived(calling("os.system", MAKE_CANARY))
    refused(tmp_path, archived(inner))
    refused(tmp_path, archived(b"\x80\x02B" + struct.pack("<I", len(inner)) + inner + b"."))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("face.pt", inner)
    assert "none of torch.save" in refused(tmp_path, made.getvalue())


def test_ten_gigabytes_of_zeros_are_not_unpacked(tmp_path: Path) -> None:
    assert "compressed" in refused_in_little_memory(tmp_path, deflated_zeros(HUGE))


def test_ten_gigabytes_on_disk_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "face.pt"
    with path.open("wb") as file:  # it takes no room there
        file.write(archived(b"\x80\x02}."))
        file.truncate(HUGE)
    with pytest.raises(YoloError, match="more than any detector"):
        read_checkpoint(path)


def lying(change: dict[str, int]) -> bytes:
    """A zip file whose list says something else of its pickle: what is changed in its entry, by place and size."""
    file = bytearray(archived(b"\x80\x02}.", {"0": bytes(64)}))
    entry = file.index(b"PK\x01\x02")
    for place, value in change.items():
        offset, size = (int(part) for part in place.split("/"))
        file[entry + offset : entry + offset + size] = value.to_bytes(size, "little")
    return bytes(file)


LIES = {
    "a size beyond the file": {"20/4": 2**31, "24/4": 2**31},
    "a size of 64 bits that is not there": {"20/4": 2**32 - 1, "24/4": 2**32 - 1},
    "another size unpacked": {"24/4": 2**30},
    "an offset beyond the file": {"42/4": 2**31},
    "an offset into another member": {"42/4": 9},
    "another checksum": {"16/4": 1},
    "encrypted": {"8/2": 1},
    "an unknown compression": {"10/2": 99},
    "a name longer than the list": {"28/2": 60000},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_zip_is_refused(tmp_path: Path, lie: str) -> None:
    refused_in_little_memory(tmp_path, lying(LIES[lie]))


def test_a_zip_with_two_members_of_a_name_or_too_many_is_refused(tmp_path: Path) -> None:
    made = io.BytesIO()
    with pytest.warns(UserWarning), zipfile.ZipFile(made, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02}.")
        file.writestr("net/data.pkl", calling("os.system", MAKE_CANARY))
    assert "two members" in refused(tmp_path, made.getvalue())
    end = archived(b"\x80\x02}.")
    place = end.index(b"PK\x05\x06")
    assert "members" in refused(tmp_path, end[:place] + end[place:][:8] + b"\xff\xff\xff\xff" + end[place + 12 :])
    assert refused(tmp_path, end[: place + 12] + struct.pack("<II", 2**31, 0) + end[place + 20 :])


BOMBS = {
    "a place in the memo": b"\x80\x02}r\xff\xff\xff\xff0.",
    "a long text": b"\x80\x02X\xff\xff\xff\xff.",
    "a longer one": b"\x80\x04\x8d" + b"\xff" * 8 + b".",
    "a large number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "a number of many bytes": b"\x80\x02\x8b\x00\x00\x10\x00" + b"\x7f" * 2**20 + b".",
    "nothing": b"",
    "no end": b"\x80\x02" + b"N" * 1000,
    "nested tuples": b"\x80\x02)" + b"\x85" * 2**18 + b".",
    "a nested tuple as a key": b"\x80\x02})" + b"\x85" * 2**18 + b"Ns.",
    "nested lists": b"\x80\x02" + b"]" * 2**18 + b"a" * (2**18 - 1) + b".",
    "itself": b"\x80\x02]q\x00h\x00a.",
    "marks": b"\x80\x02" + b"(" * 2**18 + b"1" * 2**18 + b"N.",
    "nothing to take": b"\x80\x020.",
    "too many marks taken": b"\x80\x02(11.",
    "no such place": b"\x80\x02h\x07.",
    "no text": b"\x80\x02X\x01\x00\x00\x00\xff.",
    "an unhashable key": b"\x80\x02}]Ns.",
    "odd pairs": b"\x80\x02}(Nu.",
    "a name without end": b"\x80\x02c" + b"a" * 5000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused(tmp_path: Path, bomb: str) -> None:
    refused(tmp_path, archived(BOMBS[bomb]))


def test_a_pickle_of_millions_of_instructions_is_refused(tmp_path: Path) -> None:
    assert "instructions" in refused(tmp_path, archived(b"\x80\x02" + b"N0" * 10**6 + b"."))
    assert "where at most" in refused(tmp_path, archived(b"N" * (2**25 + 1)))


def test_modules_within_modules_without_end_are_refused(tmp_path: Path) -> None:
    """A few instructions that describe 2^40 modules, and a module within itself."""
    kind = b"cultralytics.nn.tasks\nDetectionModel\n)\x81"
    modules = b"}X\x08\x00\x00\x00_modules}"
    pair = b"(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00u"
    doubling = b"\x80\x02" + kind + b"q\x000" + (kind + modules + pair + b"sbq\x000") * 40 + b"h\x00."
    assert "more parts" in refused(tmp_path, archived(doubling))
    itself = b"\x80\x02" + kind + b"q\x00" + modules + pair + b"sb."
    assert "more parts" in refused(tmp_path, archived(itself))


TENSORS = {
    "larger than what is stored": tensor((5,), (1,)),
    "spread wider than it": tensor((2,), (4,)),
    "repeated without end": tensor((2**30,), (0,)),
    "more dimensions than torch has": tensor((1,) * 70, (1,) * 70),
    "beginning behind it": tensor((1,), (1,), offset=4),
    "beginning before it": tensor((1,), (1,), offset=-1),
    "running backwards": tensor((2,), (-1,), offset=3),
    "of a negative size": tensor((-4,), (1,)),
    "of a size that is no number": tensor(("4",), (1,)),  # type: ignore[arg-type]
    "of a true size": tensor((True,), (1,)),
    "of fewer steps than sizes": tensor((2, 2), (1,)),
    "of overflowing sizes": tensor((2**40, 2**40), (0, 0)),
    "stored longer than the member": tensor((4,), (1,), count=5),
    "stored shorter than the member": tensor((1,), (1,), count=1),
    "stored without end": tensor((4,), (1,), count=2**62),
    "stored in another member": tensor((4,), (1,), key="9"),
    "stored outside": tensor((4,), (1,), key="../../etc/passwd"),
    "stored under a number": tensor((4,), (1,), key=0),
    "of a kind that is none": tensor((4,), (1,), kind="torch Tensor"),
    "of a quantized kind": tensor((4,), (1,), kind="torch QInt8Storage"),
    "of another word": tensor((4,), (1,), word="module"),
}


@pytest.mark.parametrize("lie", TENSORS)
def test_a_tensor_that_lies_is_refused(tmp_path: Path, lie: str) -> None:
    refused_in_little_memory(tmp_path, TENSORS[lie])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_files_are_refused_by_what_they_are(tmp_path: Path) -> None:
    assert "no file of torch.save" in refused(tmp_path, b"")
    assert "no file of torch.save" in refused(tmp_path, b"<html>not found</html>")
    assert "no file of torch.save" in refused(tmp_path, pickle.dumps({"a": 1}, 4))
    assert "cut short" in refused(tmp_path, archived(b"\x80\x02}.")[:-30])
    assert "holds no detector" in refused(tmp_path, archived(b"\x80\x02}."))
    made = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), made)
    assert "TorchScript" in refused(tmp_path, made.getvalue())


def test_nothing_else_is_written_where_a_file_is_read(tmp_path: Path) -> None:
    read_checkpoint(save_honest(tmp_path / "face.pt"))
    assert [path.name for path in tmp_path.iterdir()] == ["face.pt"]
