#!/usr/bin/env bash
# The paper's ablation on the small model: all of it, without projection layers, without attention across views; each trained
# for the same number of steps from the same seed, then measured. About an hour and a half on two CPU cores for 2000 steps.
# Usage: benchmarks/viewdiff_ablation.sh [STEPS]
set -euo pipefail
STEPS=${1:-2000}
for CASE in full no-projection no-attention; do
    case $CASE in
        full) CHANGES=() ;;
        no-projection) CHANGES=(--config.multiview.placement.up 0 --config.multiview.placement.no-middle) ;;
        no-attention) CHANGES=(--config.multiview.attention.frames own) ;;
    esac
    RUN=runs/viewdiff-ablation-$CASE
    novelview train viewdiff --preset small --out "$RUN" --resume --recipe.steps "$STEPS" \
        --rhythm.save 250 --rhythm.evaluate 1000000 "${CHANGES[@]}"
    python benchmarks/viewdiff_quality.py --run "$RUN" --name "$CASE" --out benchmarks/results/viewdiff_ablation.md
done
