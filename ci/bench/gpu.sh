#!/usr/bin/env bash
# What one large GPU does with all four tasks, from random weights and data that is made here. It needs no network and
# installs nothing. A part that fails is named at the end; the others go on.
#
#   ci/bench/gpu.sh [OUT] [PART …] [options of train.py]     OUT: default ci/bench/results/gpu-<date>
#   ci/bench/gpu.sh --tiny [OUT] [PART …]                    the same on the CPU, tiny, to see that it works
#
#   training   classify: ConvNeXt-Tiny and ViT-B/16 at 224 px, bf16, with and without torch.compile, from JPEGs of 256 to
#              500 px: this engine, augmenting on the CPU and on the device, timm's loader and loop, synthetic tensors
#   frozen     emotion: ViT-B/16, 10, 11 and all blocks frozen, with train.cache_frozen and without, bf16
#   clip       clip: ViT-L/14 at 64 px, fp16, both heads, with its peak memory
#   fsdp       ViT-B/16 whole and as FSDP cuts it; with one card in one process, which is all that NCCL allows there
#   align      25,000 images, 125,000 captions: the baseline's loop, its MLP and align-modern in this engine, a ranking
#
# In pieces, into one OUT: training --models convnext_tiny --compile no, then training --models vit_base_patch16_224 …
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

python=${PYTHON:-python3}
every="training frozen clip fsdp align"
tiny= out= parts=
if [ "${1:-}" = --tiny ]; then
    tiny=yes
    shift
fi
while [ $# -gt 0 ]; do
    case " $every " in
        *" $1 "*) parts="$parts $1" ;;
        *)
            [[ $1 == -* || -n $out ]] && break
            out=$1
            ;;
    esac
    shift
done
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
    echo "error: no part is called $1: there are $every" >&2
    exit 1
fi

missing=$("$python" - <<'END'
import importlib.util

modules = "torch torchvision timm accelerate safetensors cv2 PIL numpy pandas pyarrow pydantic yaml sklearn iterstrat"
modules += " jinja2 tqdm matplotlib psutil"
print(*(name for name in modules.split() if importlib.util.find_spec(name) is None))
END
)
if [ -n "$missing" ]; then
    echo "error: $python cannot import: $missing (PYTHON=… names another one)" >&2
    exit 1
fi
if [ -z "$tiny" ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "error: torch sees no GPU here; ci/bench/gpu.sh --tiny runs on the CPU" >&2
    exit 1
fi
if [ -n "$tiny" ]; then
    export CUDA_VISIBLE_DEVICES= # as on a machine without one
    out=${out:-build/bench/gpu-tiny}
    data=(--images 64 --valid 32 --image-px 64 96) # one set of images for all parts
else
    out=${out:-ci/bench/results/gpu-$(date +%F)}
    data=(--images 6144 --valid 512 --image-px 256 500)
fi

training() {
    if [ -n "$tiny" ]; then
        "$python" ci/bench/train.py --out "$out" "${data[@]}" --device cpu --contenders ours-device timm --models test_vit \
            --precisions bf16 --rounds 1 --epochs 2 --batch-size 16 --size 64 --workers 1 "$@"
    else
        "$python" ci/bench/train.py --out "$out" "${data[@]}" --device cuda --contenders ours-cpu ours-device timm \
            synthetic --models convnext_tiny vit_base_patch16_224 --precisions bf16 --compile no yes --rounds 2 \
            --epochs 3 --batch-size 256 --size 224 --lr 5e-4 "$@"
    fi
}

frozen() {
    if [ -n "$tiny" ]; then
        "$python" ci/bench/frozen.py --out "$out/frozen" "${data[@]}" --task emotion --model test_vit --freeze 1 --size 64 \
            --batch-size 16 --epochs 2 --rounds 1
    else
        "$python" ci/bench/frozen.py --out "$out/frozen" "${data[@]}" --task emotion --model vit_base_patch16_224 \
            --size 224 --batch-size 128 --epochs 4 --rounds 2 --precision bf16
    fi
}

clip() { large clip clip-linear clip-prompts; }
fsdp() { large fsdp vit vit-fsdp; }
large() {
    local name=$1
    shift
    if [ -n "$tiny" ]; then
        "$python" ci/bench/large.py "${@: -1}" --out "$out/$name" "${data[@]}" --epochs 2 --tiny
    else
        "$python" ci/bench/large.py "$@" --out "$out/$name" "${data[@]}" --epochs 3
    fi
}

align() {
    if [ -n "$tiny" ]; then
        "$python" ci/bench/align.py --work build/bench/align-tiny --out "$out/align" --images 200 --text 32 --image 48 \
            --limit 2 --modern-epochs 1
    else
        "$python" ci/bench/align.py --work build/bench/align --out "$out/align"
    fi
}

failed=
for part in ${parts:-$every}; do
    echo "== $part"
    "$part" "$@" || failed="$failed $part"
done
if [ -n "$failed" ]; then
    echo "error: failed:$failed" >&2
    exit 1
fi
