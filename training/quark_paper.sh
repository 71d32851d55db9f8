#!/usr/bin/env bash
# The paper's schedule (section 3.4): 16 GPUs, batch 16, 250,000 steps at half and 350,000 at full resolution.
# Usage: training/quark_paper.sh RUN CAPTURE [CAPTURE ...]; LPIPS is replaced as methods/quark/README.md says.
set -euo pipefail
RUN=$1
FIRST=$2
shift 2
GPUS=${GPUS:-16}
if [ -f "$RUN/run.json" ]; then
    exec torchrun --nproc-per-node "$GPUS" --no-python novelview train --resume "$RUN"
fi
exec torchrun --nproc-per-node "$GPUS" --no-python novelview train quark --preset quark --max-side 1920 \
    --data "$FIRST" --more "$@" --out "$RUN"
