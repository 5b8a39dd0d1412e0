"""All runs by their names."""

from engine.recording import detail_options, faces, families, masks, others, rare, segments
from engine.recording.parts import Runs

RUNS: Runs = {
    name: run
    for module in (masks, detail_options, segments, faces, families, others, rare)
    for name, run in module.RUNS.items()
}
