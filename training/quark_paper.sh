#!/usr/bin/env bash
# The paper's schedule (section 3.4): 16 GPUs, batch 16, 250,000 steps at half and 350,000 at full resolution.
# Usage: [LPIPS_TRUNK=vgg16.pth LPIPS_LINEAR=vgg.pth] training/quark_paper.sh RUN CAPTURE [CAPTURE ...]
# Without these two files, methods/quark/README.md says what stands in for LPIPS.
set -euo pipefail
RUN=$1
FIRST=$2
shift 2
GPUS=${GPUS:-16}
if [ -f "$RUN/run.json" ]; then
    exec torchrun --nproc-per-node "$GPUS" --no-python -- novelview train --resume "$RUN"
fi
exec torchrun --nproc-per-node "$GPUS" --no-python -- novelview train quark --preset quark --max-side 1920 \
    --data "$FIRST" --more "$@" --out "$RUN" \
    --config.lpips-trunk "${LPIPS_TRUNK:-}" --config.lpips-linear "${LPIPS_LINEAR:-}"
