"""Clips: hard cuts, parts followed over frames, and the windows in which they are worked on."""
