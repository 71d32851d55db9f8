#!/usr/bin/env bash
# LVSM's small network on one H200: 30 minutes in pieces of 9, each ended by a signal on which the run is saved.
# Usage: training/lvsm_small_gpu.sh [RUN [SECONDS]]; call it until it says "trained".
set -euo pipefail
RUN=${1:-runs/lvsm-small-gpu}
SECONDS_PER_PIECE=${2:-540}
COMMON=(--device cuda --rhythm.save 500 --rhythm.evaluate 2000)
if [ -f "$RUN/run.json" ]; then
    TRAIN=(novelview train --resume "$RUN")
else
    TRAIN=(novelview train lvsm --preset small --out "$RUN" --recipe.steps 20000 --recipe.hold-steps 12000
           --recipe.batch 32 --recipe.precision bfloat16)
fi
CODE=0
timeout --signal=TERM "$SECONDS_PER_PIECE" "${TRAIN[@]}" "${COMMON[@]}" || CODE=$?
if [ "$CODE" -eq 124 ]; then
    echo "saved; call again to go on"
else
    exit "$CODE"
fi
