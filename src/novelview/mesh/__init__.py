"""Triangle meshes of implicit surfaces: made, bettered, textured and looked at."""
