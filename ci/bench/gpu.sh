#!/usr/bin/env bash
# Training on one large GPU: this engine, augmenting on the CPU and on the device, timm's loader and loop, and synthetic
# tensors on the device. ConvNeXt-Tiny and ViT-B/16 at 224 px, bf16, channels-last, with and without torch.compile, from
# JPEGs of 256 to 500 px that it makes itself. It needs no network and installs nothing.
#
#   ci/bench/gpu.sh [OUT] [options of train.py]     OUT: default ci/bench/results/gpu-<date>
#   ci/bench/gpu.sh --tiny [OUT]                    the same on the CPU with a tiny configuration, to see that it works
#
# In pieces, into one OUT: --models convnext_tiny --compile no, then --models vit_base_patch16_224 …; --rounds 1 is faster.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-python3}
tiny=
if [ "${1:-}" = --tiny ]; then
    tiny=yes
    shift
fi
out=
case "${1:-}" in
    -* | "") ;;
    *) out=$1 && shift ;;
esac

missing=$("$python" - <<'EOF'
import importlib.util

modules = "torch torchvision timm accelerate safetensors cv2 PIL numpy pandas pyarrow pydantic yaml sklearn iterstrat"
modules += " jinja2 tqdm matplotlib psutil"
print(*(name for name in modules.split() if importlib.util.find_spec(name) is None))
EOF
)
if [ -n "$missing" ]; then
    echo "error: $python cannot import: $missing (PYTHON=… names another one)" >&2
    exit 1
fi

if [ -n "$tiny" ]; then
    exec "$python" ci/bench/train.py --out "${out:-build/bench/gpu-tiny}" --device cpu --contenders ours-cpu ours-device timm \
        synthetic --models test_convnext test_vit --precisions bf16 --compile no --rounds 1 --epochs 2 --images 64 \
        --valid 32 --image-px 256 500 --batch-size 16 --size 64 --workers 1 "$@"
fi
if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "error: torch sees no GPU here; ci/bench/gpu.sh --tiny runs on the CPU" >&2
    exit 1
fi
exec "$python" ci/bench/train.py --out "${out:-ci/bench/results/gpu-$(date +%F)}" --device cuda --contenders ours-cpu \
    ours-device timm synthetic --models convnext_tiny vit_base_patch16_224 --precisions bf16 --compile no yes --rounds 2 \
    --epochs 3 --images 6144 --valid 512 --image-px 256 500 --batch-size 256 --size 224 --lr 5e-4 "$@"
