#!/usr/bin/env bash
# A small network on one H200: 30 minutes in pieces of 9, each ended by a signal on which the run is saved.
# Usage: training/small_gpu.sh METHOD [RUN [SECONDS]]; call it until it says "trained".
set -euo pipefail
METHOD=$1
RUN=${2:-runs/$METHOD-small-gpu}
SECONDS_PER_PIECE=${3:-540}
COMMON=(--device cuda --rhythm.save 500 --rhythm.evaluate 2000)
case $METHOD in
    quark) RECIPE=(--recipe.batch 8) ;;
    lvsm) RECIPE=(--recipe.batch 32 --recipe.hold-steps 12000) ;;
    dvr-single) RECIPE=(--recipe.batch 64) ;;
    viewdiff) RECIPE=(--recipe.batch 36 --recipe.learning-rate 1e-3) ;;
    *) echo "no recipe for $METHOD: quark, lvsm, dvr-single or viewdiff" >&2; exit 2 ;;
esac
if [ -f "$RUN/run.json" ]; then
    TRAIN=(novelview train --resume "$RUN")
else
    TRAIN=(novelview train "$METHOD" --preset small --out "$RUN" --recipe.steps 20000
           --recipe.precision bfloat16 "${RECIPE[@]}")
fi
CODE=0
timeout --signal=TERM "$SECONDS_PER_PIECE" "${TRAIN[@]}" "${COMMON[@]}" || CODE=$?
if [ "$CODE" -eq 124 ]; then
    echo "saved; call again to go on"
else
    exit "$CODE"
fi
