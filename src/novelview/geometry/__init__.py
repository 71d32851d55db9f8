"""Pure functions on tensors: rigid motions, lenses, rays, warps, intervals. Knows no other part of the program."""
