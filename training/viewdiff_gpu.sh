#!/usr/bin/env bash
# ViewDiff's published recipes on sequences of CO3Dv2. One GPU of 24 GB: the small preset; several: the large one by torchrun.
# Usage: training/viewdiff_gpu.sh PREPARED [RUN [GPUS]]; start it again to go on after a stop. Before it:
#   novelview data prepare CO3D --out PREPARED --captions captions.json
#   novelview data prior PREPARED/prior --captions captions.json
set -euo pipefail
PREPARED=$1
RUN=${2:-runs/viewdiff}
GPUS=${3:-1}
FIRST=$PREPARED/$(head -n 1 "$PREPARED/scenes.txt")
if [ -f "$RUN/run.json" ]; then
    TRAIN=(train --resume "$RUN")
elif [ "$GPUS" -gt 1 ]; then
    TRAIN=(train viewdiff --preset published --out "$RUN")
else
    # In bfloat16, with activations computed again for the gradient, as the published code could not.
    TRAIN=(train viewdiff --preset published-small --out "$RUN" --recipe.precision bfloat16
           --config.learn.checkpointing)
fi
if [ ! -f "$RUN/run.json" ]; then
    # The first one's held-out views tell how training goes; all views of the others are learnt from.
    tail -n +2 "$PREPARED/scenes.txt" > "$PREPARED/others.txt"
    TRAIN+=(--data "$FIRST" --more "$PREPARED/others.txt" --masks keep --no-normalise
            --config.learn.prior "$PREPARED/prior")
fi
TRAIN+=(--rhythm.save 500 --rhythm.evaluate 5000)
if [ "$GPUS" -gt 1 ]; then
    exec torchrun --nproc-per-node "$GPUS" --no-python -- novelview "${TRAIN[@]}"
fi
exec novelview "${TRAIN[@]}"
