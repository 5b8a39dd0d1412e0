"""YOLO detectors and segmenters, from the files that people have."""
