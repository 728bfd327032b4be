#!/usr/bin/env bash
# Conformance of the engine xla on the accelerator that JAX finds first.
set -euo pipefail
cd "$(dirname "$0")/../.."
python -c 'import jax; print(jax.devices())'
python -m pytest -q -n0 -m 'slow or not slow' tests/xla -k 'not processes' "$@"
