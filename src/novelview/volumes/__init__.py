"""Scenes in dense grids: density and features at the nodes of a cube that a scene is warped into."""
