"""The way of the picture, one stage a file: plan, crop, prepare, sample, restore, paste; run carries it out."""
