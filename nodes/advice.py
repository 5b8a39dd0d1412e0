"""What to connect where something else, or nothing, is connected: the last sentence of errors."""

from __future__ import annotations

SEGS_SOURCE = "Connect SEGS, such as the output of 'MASK to SEGS' or of a detector"
DETECTOR_SOURCES = {
    "BBOX_DETECTOR": "Connect the BBOX_DETECTOR of a detector provider",
    "SEGM_DETECTOR": "Connect the SEGM_DETECTOR of a detector provider whose model finds outlines (a segm model)",
}
SAM_SOURCE = "Load the model with 'SAMLoader (Impact)' or 'Detector Provider (SAM3)' and connect its SAM_MODEL"
BROKEN_DETECTOR = "Connect another detector, or update the pack it is from"
SEG_SOURCE = "Connect a SEG_ELT, such as the output of 'Decompose (SEGS)'"
