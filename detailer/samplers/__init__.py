"""KSAMPLER and KSAMPLER_ADVANCED: samplers as values that other nodes run, whole or tile by tile."""
