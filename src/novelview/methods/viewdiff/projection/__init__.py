"""The projection layer: the features of all frames become one grid of voxels, which is rendered back into every frame."""
