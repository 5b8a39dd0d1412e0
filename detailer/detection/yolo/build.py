"""From a YOLO file to a net: each row of its description names a block, which is made from the file's tensors.

How wide and deep a net is, nobody has to say: it stands in the tensors' shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from .attention import PSA, A2C2f, c3k2_inner
from .blocks import C2, C3, CIB, ELAN, SPP, AConv, ADown, Bottleneck, C2f, CBFuse, CBLinear, Concat, SCDown
from .heads import Head, Seen
from .tensors import MissingTensorError, Tensors, conv
from .values import DETECT, SEGMENT, Checkpoint, YoloError

TRIAL = 64  # pixels: the side of the picture with which a net is tried
# What no net of these families comes near: beyond it a file wants memory and nothing else.
MOST_ROWS, MOST_SOURCES, MOST_NUMBER, MOST_VALUES = 512, 32, 16, 2**20

Args = Sequence[object]


@dataclass(frozen=True)
class Row:
    """A row of a description.

    Attributes:
        sources: which parts it takes what they gave from: counted from the start, or, below 0, from itself backwards.
        module: its block's name, without what stands before a dot.
        args: what else the description says of it; the first is mostly the number of channels.
    """

    sources: tuple[int, ...]
    module: str
    args: Args


def _flag(args: Args, place: int, default: bool) -> bool:
    return bool(args[place]) if len(args) > place else default


def _number(args: Args, place: int, default: int | None) -> int | None:
    value = args[place] if len(args) > place else default
    if value is None:
        return None
    number = int(str(value))
    if not 0 <= number <= MOST_NUMBER:
        raise ValueError(f"{number} is no kernel, stride or factor")
    return number


def _conv(tensors: Tensors, args: Args) -> nn.Module:
    return conv(tensors, stride=_number(args, 2, 1) or 1, padding=_number(args, 3, None))


def _area_attention(tensors: Tensors, args: Args) -> nn.Module:
    attends = _flag(args, 1, True)  # without, there are no areas, and their number is written as -1
    return A2C2f(tensors, (_number(args, 2, 1) or 1) if attends else 1)


def _upsample(tensors: Tensors, args: Args) -> nn.Module:
    return nn.Upsample(scale_factor=_number(args, 1, 2), mode="nearest")


def _bottlenecks(args: Args, default: bool) -> Callable[[Tensors], nn.Module]:
    return lambda part: Bottleneck(part, _flag(args, 1, default))


def _c2f_cib(tensors: Tensors, args: Args) -> nn.Module:
    return C2f(tensors, lambda part: CIB(part, _flag(args, 1, False)))


def _sppf(tensors: Tensors, args: Args) -> nn.Module:
    return SPP(tensors, "cv2", _number(args, 1, 5) or 5, _number(args, 2, 3) or 3, _flag(args, 3, False))


def _listed(args: Args) -> list[int]:
    (values,) = args
    if not isinstance(values, Sequence):
        raise ValueError(f"{values!r} is no list of numbers")
    return [int(str(value)) for value in values]


# What each name of a block stands for. A name that isn't here is not guessed at.
BLOCKS: Mapping[str, Callable[[Tensors, Args], nn.Module]] = {
    "A2C2f": _area_attention,
    "AConv": lambda tensors, args: AConv(tensors),
    "ADown": lambda tensors, args: ADown(tensors),
    "C2": lambda tensors, args: C2(tensors, _bottlenecks(args, True)),
    "C2PSA": lambda tensors, args: PSA(tensors),
    "C2f": lambda tensors, args: C2f(tensors, _bottlenecks(args, False)),
    "C2fCIB": _c2f_cib,
    "C3": lambda tensors, args: C3(tensors, _flag(args, 1, True)),
    "C3k2": lambda tensors, args: C2f(tensors, c3k2_inner),
    "CBFuse": lambda tensors, args: CBFuse(_listed(args)),
    "CBLinear": lambda tensors, args: CBLinear(tensors, _listed(args)),
    "Concat": lambda tensors, args: Concat(),
    "Conv": _conv,
    "ELAN1": lambda tensors, args: ELAN(tensors),
    "Identity": lambda tensors, args: nn.Identity(),
    "PSA": lambda tensors, args: PSA(tensors),
    "RepNCSPELAN4": lambda tensors, args: ELAN(tensors),
    "SCDown": lambda tensors, args: SCDown(tensors, _number(args, 2, 1) or 1),
    "SPPELAN": lambda tensors, args: SPP(tensors, "cv5", _number(args, 2, 5) or 5),
    "SPPF": _sppf,
    "Upsample": _upsample,
}


HEADS: Mapping[str, str] = {"Detect": DETECT, "Segment": SEGMENT, "v10Detect": DETECT}
"""What each name of a head stands for."""

# What heads that can't be used are for, in words.
OTHER_HEADS = {
    "Pose": "a net for poses",
    "Pose26": "a net for poses",
    "OBB": "a net for turned boxes",
    "OBB26": "a net for turned boxes",
    "Classify": "a classifier, which finds no boxes",
    "WorldDetect": "a YOLO-World net, which needs a text encoder",
    "YOLOEDetect": "a YOLOE net, which needs a text encoder",
    "YOLOESegment": "a YOLOE net, which needs a text encoder",
    "RTDETRDecoder": "an RT-DETR net",
    "Segment26": "a YOLO26 segmenter",
}


class Yolo(nn.Module):
    """A net of one picture at a time.

    Attributes:
        once: it gives each thing once, so that nothing is to be left out for lying over another.
        stride: pixels of the picture per cell of the coarsest level; sides of what it is shown are multiples of it.
        classes: how many it tells apart.
        masks: it gives masks too.
    """

    def __init__(self, rows: Sequence[Row], blocks: Sequence[nn.Module], head: Head) -> None:
        super().__init__()
        self.rows = list(rows)
        self.blocks = nn.ModuleList(blocks)
        self.head = head
        self.once = head.once
        self.classes = head.classes
        self.masks = head.prototypes is not None
        self.stride = 1
        self._last_use = _last_uses(self.rows)

    def forward(self, pixels: torch.Tensor) -> Seen:
        """What it says of a picture ``[1,3,h,w]`` 0..1, both sides multiples of its stride."""
        return self.head(self.levels(pixels), pixels.shape[2])

    def levels(self, pixels: torch.Tensor, most: float = math.inf) -> list[torch.Tensor]:
        """What the head is given.

        Raises:
            ValueError: where a part gives more than ``most`` values.
        """
        made: list[torch.Tensor | tuple[torch.Tensor, ...] | None] = []
        x = pixels
        for at, (row, block) in enumerate(zip(self.rows, self.blocks, strict=False)):
            given = [x if source == -1 else made[source] for source in row.sources]
            x = block(given[:-1], given[-1]) if isinstance(block, CBFuse) else block(*given)
            if isinstance(x, torch.Tensor) and x.numel() > most:
                raise ValueError(f"part {at} makes {x.numel()} values of a small picture")
            made.append(x)
            for done in self._last_use.get(at, ()):
                made[done] = None  # its memory is free for what comes
        return [x if source == -1 else made[source] for source in self.rows[-1].sources]  # type: ignore[misc]


def _last_uses(rows: Sequence[Row]) -> dict[int, list[int]]:
    """After which part of the net what which others gave is needed no more."""
    last = {source % len(rows): at for at, row in enumerate(rows) for source in row.sources if source != -1}
    uses: dict[int, list[int]] = {}
    for source in range(len(rows) - 1):
        uses.setdefault(last.get(source, source), []).append(source)
    return uses


def build(checkpoint: Checkpoint) -> Yolo:
    """The net of a YOLO file, with float32 weights on the CPU.

    Raises:
        YoloError: for what is no detector or segmenter of a family that is known here, and where tensors and
            description don't belong together.
    """
    rows = _rows(checkpoint)
    task = _task(checkpoint, rows[-1])
    model = Tensors(checkpoint.tensors, "model.")
    unknown = sorted({row.module for row in rows[:-1]} - BLOCKS.keys())
    if unknown:
        raise YoloError(f"{checkpoint.source} has parts that are not known here: {', '.join(unknown)}")
    try:
        blocks = [BLOCKS[row.module](model.at(at), row.args) for at, row in enumerate(rows[:-1])]
        head = Head(model.at(len(rows) - 1), task == SEGMENT)
    except MissingTensorError as error:
        raise _broken(checkpoint, f"the tensor {error.args[0]} is missing") from error
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        raise _broken(checkpoint, f"its description can't be followed ({error})") from error
    if left := Tensors(checkpoint.tensors, "", model.read).unread():
        raise _broken(checkpoint, f"its description says nothing of {len(left)} tensors, the first {left[0]}")
    net = Yolo(rows, blocks, head).eval()
    net.stride = _tried(checkpoint, net)
    return net


def _tried(checkpoint: Checkpoint, net: Yolo) -> int:
    """The coarsest level's stride, after a small picture has gone through the net."""
    with torch.inference_mode():
        try:
            levels = net.levels(torch.zeros(1, 3, TRIAL, TRIAL), MOST_VALUES)
            net.head(levels, TRIAL)
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise _broken(checkpoint, f"its tensors don't fit one another ({str(error).splitlines()[0]})") from error
    return max(TRIAL // min(level.shape[2:]) for level in levels)


def _broken(checkpoint: Checkpoint, why: str) -> YoloError:
    return YoloError(
        f"{checkpoint.source} can't be used as a detector: {why}", "Fetch the file anew, or use another one"
    )


def _rows(checkpoint: Checkpoint) -> list[Row]:
    description = checkpoint.description
    given = [*_listed_rows(description.get("backbone")), *_listed_rows(description.get("head"))]
    if not given:
        raise YoloError(f"{checkpoint.source} does not say what its net looks like")
    if len(given) > MOST_ROWS:
        raise _broken(checkpoint, f"its description has {len(given)} rows")
    activation = str(description.get("activation", "SiLU"))
    if "SiLU" not in activation:
        raise YoloError(f"{checkpoint.source} is a YOLO net with {activation} instead of SiLU")
    try:
        return [_row(entry) for entry in given]
    except (ValueError, TypeError) as error:
        raise _broken(checkpoint, f"its description can't be read ({error})") from error


def _listed_rows(rows: object) -> list[object]:
    return list(rows) if isinstance(rows, list | tuple) else []


def _row(entry: object) -> Row:
    if not isinstance(entry, list | tuple) or len(entry) != 4:
        raise ValueError(f"a row is from, repeats, module and args, not {str(entry)[:80]}")
    sources, _, module, args = entry
    several = sources if isinstance(sources, list | tuple) else [sources]
    if len(several) > MOST_SOURCES:
        raise ValueError(f"{module} takes {len(several)} others")
    if not isinstance(args, list | tuple):
        raise ValueError(f"the args of {module} are no list")
    return Row(tuple(int(source) for source in several), str(module).rpartition(".")[2], args)


def _task(checkpoint: Checkpoint, row: Row) -> str:
    """What the last row is for.

    Raises:
        YoloError: where that is nothing that can be used here.
    """
    if "anchors" in checkpoint.description or (row.module == "Detect" and len(row.args) > 1):
        raise YoloError(f"{checkpoint.source} is a YOLO net with anchors, such as YOLOv5 and v7")
    task = HEADS.get(row.module)
    if task is None:
        what = OTHER_HEADS.get(row.module, f"a net that ends with {row.module}")
        raise YoloError(f"{checkpoint.source} is {what}")
    if checkpoint.task not in ("", task):
        raise YoloError(f"{checkpoint.source} is a net for the task {checkpoint.task}")
    return task
