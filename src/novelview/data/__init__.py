"""Scenes: reading captures in every common format, splits, sampling for training, and procedural scenes."""
