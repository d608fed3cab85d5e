#!/usr/bin/env bash
# All that needs an accelerator: recordings (about 5 minutes on an H100), tests (2 or more), lessons 10 to 15.
#
#   bash tests/benchmarks/on_an_accelerator.sh [FOLDER [PART…]]
#
# Run it in the repository root, in an environment with the course's packages; it needs no network, and starts no set-up
# where a package is missing. PART is recordings, tests or lessons; without any, all run. Recordings go to
# data/recorded/; FOLDER (default: a new one in the temporary folder) gets them too, with the logs and report.txt.
set -u
out=${1:-$(mktemp -d)}
mkdir -p "$out"
parts=" ${*:2} "
[ $# -gt 1 ] || parts=" recordings tests lessons "
export PYTHONPATH=$PWD
python=${PYTHON:-python}

if ! "$python" -c 'import sys, torch; sys.exit(not torch.accelerator.is_available())'; then
    echo "torch finds no accelerator on this machine." >&2
    exit 2
fi

failed=0
course() { timeout "$1" "$python" -c 'from nnopt_lab.cli import main; main()' "${@:2}"; }
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
if [[ $parts == *" recordings "* ]]; then
    for name in accelerator accelerator_products accelerator_engines accelerator_training; do
        step "record_$name" course 240 record "$name"
        cp "data/recorded/$name.json" "$out/" 2>/dev/null
    done
fi
if [[ $parts == *" tests "* ]]; then  # an interrupt, unlike a kill, makes pytest report what failed until then
    mapfile -t files < <(grep -rl 'mark\.accelerator' tests --include='test_*.py')
    step tests timeout -s INT 240 "$python" -m pytest -v --tb=short -o addopts=--import-mode=importlib -p tests.plugin \
        -m accelerator "${files[@]}"
fi
if [[ $parts == *" lessons "* ]]; then
    for lesson in 10_parallelism 11_mixed_precision 12_hardware 13_accelerator 14_choosing 15_capstone; do
        step "run_$lesson" course 400 run "$lesson" --solved
    done
fi
cat "$out/report.txt"
exit $failed
