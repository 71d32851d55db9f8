#!/usr/bin/env bash
# Quark's bundled weights: 2 CPU cores, about 2 3/4 hours, procedural scenes alone. Start it again to go on after a stop.
set -euo pipefail
RUN=${1:-runs/quark-small}
if [ -f "$RUN/run.json" ]; then
    exec novelview train --resume "$RUN" --rhythm.save 250 --rhythm.evaluate 1000
fi
exec novelview train quark --preset small --out "$RUN" --rhythm.save 250 --rhythm.evaluate 1000
