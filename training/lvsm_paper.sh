#!/usr/bin/env bash
# The paper's schedule for scenes: 100,000 steps at 256 pixels, then 20,000 at 512 with a smaller rate and batch.
# Usage: [VGG=vgg19.pth] [PRESET=decoder-only] [GPUS=64] [SHARDS=1] training/lvsm_paper.sh RUN CAPTURE LIST.txt
# LIST.txt names one video per line (`novelview data unpack` writes one); CAPTURE, one of them, fills run.json and is watched.
set -euo pipefail
RUN=$1
CAPTURE=$2
LIST=$3
GPUS=${GPUS:-64}
LAUNCH=(torchrun --nproc-per-node "$GPUS" --no-python -- novelview train)
FLAGS=()
[ -n "${SHARDS:-}" ] && FLAGS+=(--shards)
[ -n "${VGG:-}" ] && FLAGS+=(--config.vgg "$VGG")

stage() {  # RUN, then what differs from the preset
    local run=$1
    shift
    if [ -f "$run/run.json" ]; then
        "${LAUNCH[@]}" --resume "$run"
    else
        "${LAUNCH[@]}" lvsm --preset "${PRESET:-decoder-only}" --data "$CAPTURE" --more "$LIST" --out "$run" \
            "${FLAGS[@]}" "$@"
    fi
}

stage "$RUN-256"
stage "$RUN-512" --start "$RUN-256" --config.train-size 512 --config.size 512 \
    --recipe.steps 20000 --recipe.learning-rate 1e-4 --recipe.batch 128
