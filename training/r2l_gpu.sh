#!/usr/bin/env bash
# R2L's W256D88 on one GPU: a grid as teacher, 10,000 pictures of it, then the photographs. Call it until it says "trained".
# Usage: training/r2l_gpu.sh CAPTURE [RUN [SECONDS [PRESET]]]; each piece of so many seconds ends saved.
set -euo pipefail
CAPTURE=$1
RUN=${2:-runs/$(basename "$CAPTURE")-r2l-gpu}
PIECE=${3:-540}
PRESET=${4:-W256D88}
COMMON=(--device cuda --rhythm.save 1000 --rhythm.evaluate 5000)
if [ -f "$RUN/run.json" ]; then
    TRAIN=(novelview train --resume "$RUN")
else
    TRAIN=(novelview train r2l --preset "$PRESET" --data "$CAPTURE" --out "$RUN"
           --teacher grid:gpu --recipe.steps 60000 --recipe.decay-steps 100000
           --recipe.precision bfloat16 --finetune.steps 5000 --finetune.learning-rate 5e-5)
fi
CODE=0
timeout --signal=TERM "$PIECE" "${TRAIN[@]}" "${COMMON[@]}" || CODE=$?
if [ "$CODE" -eq 124 ]; then
    echo "saved; call again to go on"
else
    exit "$CODE"
fi
