#!/usr/bin/env bash
# Runs a command on ARM64, which QEMU emulates: tools/arm64.sh ROOT [COMMAND…]
#
# The first call makes ROOT, a small Debian with Python and the packages that the tests
# need; most of its time is the second stage of debootstrap (minutes). The command runs
# in /chainrule, which is this checkout. As root, on Debian; for example
#
#     tools/arm64.sh /var/tmp/arm64 python3 -m pytest -n0 tests/engines/native/test_profile.py
#     CHAINRULE_ARM64=/var/tmp/arm64 .venv/bin/pytest -n0 -m arm64
#
# QEMU_CPU is the processor, neoverse-n1 by default. Not "max": kernels for SME multiply
# matrices wrongly under QEMU 10.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
root=$1
shift

if [ ! -e "$root/ready" ]; then
  apt-get update -q
  apt-get install -q -y --no-install-recommends qemu-user-static binfmt-support debootstrap
  formats=/proc/sys/fs/binfmt_misc
  mountpoint -q $formats || mount -t binfmt_misc binfmt_misc $formats
  [ -e $formats/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >$formats/register
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
  suite=$(apt-get indextargets --format '$(CODENAME)' 'Created-By: Packages' | head -n 1)
  debootstrap --arch=arm64 --foreign --variant=minbase --include=python3 "$suite" "$root" "$mirror"
  chroot "$root" /debootstrap/debootstrap --second-stage
  version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  platforms=()
  for glibc in 2_28 2_27 2_17; do platforms+=(--platform "manylinux_${glibc}_aarch64"); done
  python3 -m pip install -q --target "$root/packages" --only-binary=:all: \
    "${platforms[@]}" --platform manylinux2014_aarch64 --python-version "$version" \
    --implementation cp --abi "cp${version/./}" --abi abi3 --abi none \
    numpy llvmlite ml_dtypes platformdirs safetensors threadpoolctl rich click pydantic docstring_parser \
    pytest pytest-xdist hypothesis mpmath array-api-strict
  mkdir -p "$root/chainrule"
  touch "$root/ready"
fi
[ $# -gt 0 ] || exit 0

# In a namespace of its own: what is mounted goes with it. LLVM reads /proc/cpuinfo.
exec unshare --mount bash -c '
  root=$1 here=$2; shift 2
  mount --rbind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  mount --bind "$here" "$root/chainrule"
  exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root LANG=C.UTF-8 \
    QEMU_CPU="${QEMU_CPU:-neoverse-n1}" PYTHONDONTWRITEBYTECODE=1 \
    CHAINRULE_CACHE=/tmp/chainrule PYTHONPATH=/chainrule/src:/chainrule:/packages \
    bash -c "cd /chainrule && exec \"\$@\"" - "$@"
' - "$root" "$here" "$@"
