"""Makes the models of the other runtimes from a float checkpoint in the project's own format.

    python make_models.py CHECKPOINT.safetensors --name deit_tiny --out models [--images DIR]
        [--calibration 32] [--only f32.onnx,...]

Reads DeiT and ViT with timm's names and Swin with Microsoft's, 224x224, and writes into the folder
    NAME.f32.onnx          float32
    NAME.u8-dynamic.onnx   uint8 weights, activations quantised at run time (quantize_dynamic), as
                           transformers.js ships them
    NAME.s8-static.onnx    int8 weights per channel, calibrated activations (QDQ)
    NAME.f32.tflite        float32
    NAME.s8-static.tflite  int8 linear layers with calibrated activations, the rest float32
    NAME.s8-full.tflite    everything int8 (the TFLite converter's full integer quantisation)
    NAME.s8-dynamic.tflite int8 linear layers, activations quantised at run time
Calibrates on the photos of DIR (short side 256, centre crop), or on noise without it.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from forward import IMAGE_SIZE, MEAN, STD, forward, is_swin

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--calibration", type=int, default=32)
    parser.add_argument("--only", type=lambda text: text.split(","))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.astype(np.float32) for name, value in load_file(options.checkpoint).items()}
    weights = {name: value for name, value in weights.items() if not name.endswith(("attn_mask", "position_index"))}
    images = calibration_images(options.images, options.calibration)
    print(f"{options.name}: {'Swin' if is_swin(weights) else 'ViT'}, calibration on {len(images)} images")
    for kind, make in KINDS.items():
        if options.only and kind not in options.only:
            continue
        path = options.out / f"{options.name}.{kind}"
        make(weights, images, path, options.out / options.name)
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


def calibration_images(folder, count):
    """Normalised images, f32 [1, 224, 224, 3]."""
    if folder is None:
        random = np.random.default_rng(0)
        pixels = [random.integers(0, 256, (IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8) for _ in range(count)]
    else:
        files = sorted(f for f in folder.iterdir() if f.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        # every so many: files sorted by class would otherwise be of the first classes only
        pixels = [read_pixels(files[i]) for i in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)]
    return [((p.astype(np.float32) / 255 - MEAN) / STD)[None] for p in pixels]


def read_pixels(path):
    image = Image.open(path).convert("RGB")
    if image.size != (IMAGE_SIZE, IMAGE_SIZE):
        scale = 256 / min(image.size)
        image = image.resize([max(256, int(side * scale)) for side in image.size], Image.BICUBIC)
        left, top = ((side - IMAGE_SIZE) // 2 for side in image.size)
        image = image.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE))
    return np.asarray(image)


def onnx_float(weights, _images, path, _stem):
    import onnx
    from onnx_ops import OnnxOps

    ops = OnnxOps()
    onnx.save(ops.model(forward(ops, weights, "pixel_values"), IMAGE_SIZE, len(weights["head.bias"])), path)


def onnx_dynamic(_weights, _images, path, stem):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # the settings of transformers.js' own conversion script for a model with a convolution
    quantize_dynamic(
        f"{stem}.f32.onnx",
        path,
        per_channel=False,
        reduce_range=False,
        weight_type=QuantType.QUInt8,
        extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
    )


def onnx_static(_weights, images, path, stem):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter(images)

        def get_next(self):
            image = next(self.left, None)
            return None if image is None else {"pixel_values": np.ascontiguousarray(image.transpose(0, 3, 1, 2))}

    quantize_static(
        f"{stem}.f32.onnx",
        path,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )


def convert(weights, images=None):
    """A .tflite file; everything int8 where there are images to calibrate on."""
    import tensorflow as tf
    from tf_ops import TfOps

    module = tf.Module()
    signature = [tf.TensorSpec([1, IMAGE_SIZE, IMAGE_SIZE, 3], tf.float32, "pixel_values")]
    run = tf.function(lambda pixel_values: {"logits": forward(TfOps(), weights, pixel_values)}, signature)
    module.run = run
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=run.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if images:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image] for image in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return converter.convert()


def tflite_float(weights, _images, path, _stem):
    path.write_bytes(convert(weights))


def tflite_full(weights, images, path, _stem):
    path.write_bytes(convert(weights, images))


def tflite_dynamic(_weights, _images, path, stem):
    requantize(stem, path, "add_dynamic_config", num_bits=8)


def tflite_static(_weights, images, path, stem):
    requantize(stem, path, "add_static_config", images, activation_num_bits=8, weight_num_bits=8)


def requantize(stem, path, config, images=(), **bits):
    """ai-edge-quantizer on the linear layers of the float file."""
    from ai_edge_quantizer import qtyping, quantizer

    quantize = quantizer.Quantizer(f"{stem}.f32.tflite")
    for operation in ("FULLY_CONNECTED", "CONV_2D"):
        getattr(quantize, config)(regex=".*", operation_name=qtyping.TFLOperationName(operation), **bits)
    calibration = None
    if images:
        data = [{"pixel_values": image} for image in images]
        calibration = quantize.calibrate({"serving_default": data}, num_threads=2)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.tflite"
        quantize.quantize(calibration).export_model(made)
        path.write_bytes(made.read_bytes())


# in this order: the quantised ones read the float ones
KINDS = {
    "f32.onnx": onnx_float,
    "u8-dynamic.onnx": onnx_dynamic,
    "s8-static.onnx": onnx_static,
    "f32.tflite": tflite_float,
    "s8-static.tflite": tflite_static,
    "s8-dynamic.tflite": tflite_dynamic,
    "s8-full.tflite": tflite_full,
}

if __name__ == "__main__":
    main()
