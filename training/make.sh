#!/usr/bin/env bash
# Makes one of the bundled models again, from the pictures to the integer checkpoint: training/make.sh deit|swin CIFAR
# CIFAR is a folder with train/CLASS/*.jpg and test/CLASS/*.jpg. A run that was cut short goes on where it was.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 's/^# //p' "$0" | head -2; exit 2; }
model=$1 data=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."

# before the long part: what it ends with must be there
npm install --ignore-scripts --no-save --no-audit --no-fund --silent
npm run build --silent

runs=training/runs
[ -x "$runs/venv/bin/python" ] || python3 -m venv "$runs/venv"
"$runs/venv/bin/pip" install --quiet -r training/requirements.txt
"$runs/venv/bin/python" training/train.py "$model" --data "$data" --runs "$runs" --out "training/weights/${model}_cifar10.safetensors" "${@:3}"

node dist/cli/main.js quantize "training/weights/${model}_cifar10.safetensors" --calibration "$data/train" --force -o "models/${model}_cifar10.safetensors"
node dist/cli/main.js eval "models/${model}_cifar10.safetensors" --images "$data/test" --reference "training/weights/${model}_cifar10.safetensors"
