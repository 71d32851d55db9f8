#!/usr/bin/env bash
# LVSM's bundled weights: 2 CPU cores, about an hour, procedural objects alone. Start it again to go on after a stop.
set -euo pipefail
RUN=${1:-runs/lvsm-small}
if [ -f "$RUN/run.json" ]; then
    exec novelview train --resume "$RUN" --rhythm.save 200 --rhythm.evaluate 500
fi
exec novelview train lvsm --preset small --out "$RUN" --rhythm.save 200 --rhythm.evaluate 500
