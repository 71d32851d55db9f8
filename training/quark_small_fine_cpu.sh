#!/usr/bin/env bash
# Quark's bundled weights, second part: photographs of as many pixels as 480x270 have. 2 CPU cores, about 1 1/2 hours,
# procedural scenes alone, from the weights of the first part. Start it again to go on after a stop.
set -euo pipefail
FIRST=${1:-runs/quark-small} RUN=${2:-runs/quark-small-fine}
if [ -f "$RUN/run.json" ]; then
    exec novelview train --resume "$RUN" --rhythm.save 100 --rhythm.evaluate 600
fi
exec novelview train quark --preset small --start "$FIRST" --out "$RUN" --rhythm.save 100 --rhythm.evaluate 600 \
    --config.size 360 --config.crop 256 --config.half-resolution 0 \
    --recipe.steps 1500 --recipe.learning-rate 2e-4 --recipe.warmup-steps 100
