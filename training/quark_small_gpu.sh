#!/usr/bin/env bash
# Quark's small network on one H200: 30 minutes in pieces of 9, each ended by a signal on which the run is saved.
# Usage: training/quark_small_gpu.sh [RUN [SECONDS]]; call it until it says "trained".
set -euo pipefail
RUN=${1:-runs/quark-small-gpu}
SECONDS_PER_PIECE=${2:-540}
COMMON=(--device cuda --rhythm.save 500 --rhythm.evaluate 2000)
if [ -f "$RUN/run.json" ]; then
    timeout --signal=TERM "$SECONDS_PER_PIECE" novelview train --resume "$RUN" "${COMMON[@]}" && exit 0
else
    timeout --signal=TERM "$SECONDS_PER_PIECE" novelview train quark --preset small --out "$RUN" "${COMMON[@]}" \
        --recipe.steps 20000 --recipe.batch 8 --recipe.precision bfloat16 && exit 0
fi
echo "saved; call again to go on"
