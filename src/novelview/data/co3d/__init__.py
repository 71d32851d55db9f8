"""CO3Dv2 (Common Objects in 3D) as training data: read, recentred, cropped and written as ordinary captures."""
