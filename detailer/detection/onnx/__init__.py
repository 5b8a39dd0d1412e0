"""Detectors in ONNX files: what such a file is, who runs it, and the kinds of detectors that are known."""
