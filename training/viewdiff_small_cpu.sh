#!/usr/bin/env bash
# ViewDiff's small model: 2 CPU cores, about 4 hours, procedural objects alone. Start it again to go on after a stop.
set -euo pipefail
RUN=${1:-runs/viewdiff-small}
if [ -f "$RUN/run.json" ]; then
    exec novelview train --resume "$RUN" --rhythm.save 250 --rhythm.evaluate 500
fi
exec novelview train viewdiff --preset small --out "$RUN" --rhythm.save 250 --rhythm.evaluate 500
