#!/usr/bin/env bash
# Takes one job after the other; here a job is only a line.
set -u

trap 'echo "worker $$: finishing after $jobs jobs"; exit 0' INT TERM

jobs=0
echo "worker $$: begins, one job every ${INTERVAL:=1} s"
while true; do
    jobs=$((jobs + 1))
    echo "worker $$: job $jobs done"
    sleep "$INTERVAL"
done
