#!/usr/bin/env bash
# All that needs an accelerator, in one run of about five minutes: recordings, lessons 10 to 15, tests, a report.
#
#   bash tests/benchmarks/on_an_accelerator.sh [FOLDER]
#
# Run it in the repository root, in an environment with the course's packages; it needs no network. Recordings go to
# data/recorded/; FOLDER (default: a new one in the temporary folder) gets them too, with the logs and report.txt.
set -u
out=${1:-$(mktemp -d)}
mkdir -p "$out"
export PYTHONPATH=$PWD
python=${PYTHON:-python}

if ! "$python" -c 'import sys, torch; sys.exit(not torch.accelerator.is_available())'; then
    echo "torch finds no accelerator on this machine." >&2
    exit 2
fi

failed=0
step() {  # NAME COMMAND…: runs a step, and notes its time and whether it worked
    local name=$1 began=$SECONDS
    shift
    if "$@" >"$out/$name.log" 2>&1; then state=ok; else state=FAILED failed=1; fi
    printf '%-28s %-7s %4d s\n' "$name" "$state" $((SECONDS - began)) | tee -a "$out/report.txt"
}

"$python" - >"$out/report.txt" <<'P'
import torch
from nnopt_lab.workbench import device

here = device.find("accelerator")
print(device.describe(here), "torch", torch.__version__)
P
for name in accelerator accelerator_products accelerator_engines accelerator_training; do
    step "record_$name" timeout 240 "$python" -m nnopt_lab record "$name"
    cp "data/recorded/$name.json" "$out/" 2>/dev/null
done
step tests timeout 240 "$python" -m pytest -q -o addopts=--import-mode=importlib -m "accelerator" tests
for lesson in 10_parallelism 11_mixed_precision 12_hardware 13_accelerator 14_choosing 15_capstone; do
    step "run_$lesson" timeout 150 "$python" -m nnopt_lab run "$lesson" --solved
done
cat "$out/report.txt"
exit $failed
