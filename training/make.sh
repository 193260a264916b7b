#!/usr/bin/env bash
# Trains a bundled model, from images to integer checkpoint: training/make.sh deit|swin CIFAR
# CIFAR has train/CLASS/*.jpg and test/CLASS/*.jpg. An interrupted run continues.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 's/^# //p' "$0" | head -2; exit 2; }
model=$1 data=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."

# before the training, which takes hours: the command that it ends with must work
npm install --ignore-scripts --no-save --no-audit --no-fund --silent
npm run build --silent

runs=training/runs
[ -x "$runs/venv/bin/python" ] || python3 -m venv "$runs/venv"
"$runs/venv/bin/pip" install --quiet -r training/requirements.txt
"$runs/venv/bin/python" training/train.py "$model" --data "$data" --runs "$runs" --out "training/weights/${model}_cifar10.safetensors" "${@:3}"

node dist/cli/main.js quantize "training/weights/${model}_cifar10.safetensors" --calibration "$data/train" --force -o "models/${model}_cifar10.safetensors"
node dist/cli/main.js eval "models/${model}_cifar10.safetensors" --images "$data/test" --reference "training/weights/${model}_cifar10.safetensors"
