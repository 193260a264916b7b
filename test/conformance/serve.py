"""Answers each request, a line of JSON on stdin, with a line on stdout. `run.mjs` starts it."""

import json
import os
import shutil
import sys
import traceback

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, os.path.dirname(__file__))

import torch  # noqa: E402

from pictures import photos  # noqa: E402
from probes import measure  # noqa: E402

current = None


def make(library, name, form, folder):
    """Writes a model, pixels and photos to the folder; returns the expected results."""
    global current
    current = None
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    current = model_class(library)(name, folder, form)
    prepared = []
    transform = current.transform()
    for photo, image in photos().items() if transform else ():
        write(folder, f"{photo}.rgb", image.tobytes())
        expected = transform(image)
        write(folder, f"{photo}.expected", expected.tobytes())
        shape = list(expected.shape) if hasattr(expected, "shape") else None
        prepared.append({"photo": photo, "size": image.size, "shape": shape})
    if current.pixels is None:
        return {"photos": prepared, "side": current.side}
    write(folder, "pixels.bin", current.pixels.numpy().tobytes())
    result = current.run().double()
    return {
        "expected": result.tolist(),
        "deviation": result.std().item() if len(result) > 1 else 1,
        "magnified": current.magnified,
        "mean": list(current.config["mean"]),
        "std": list(current.config["std"]),
        "photos": prepared,
    }


def model_class(library):
    if library == "timm":
        from timm_models import TimmModel

        return TimmModel
    if library.startswith("processors"):
        from processors import ProcessorModel

        return ProcessorModel
    from transformers_models import TransformersModel

    return TransformersModel


def config(name, form, folder):
    """Writes the config of a model of timm beside no weights."""
    from timm_models import write_config

    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    write_config(name, folder, form)


def versions():
    import timm
    import transformers

    return {"torch": torch.__version__.split("+")[0], "timm": timm.__version__, "transformers": transformers.__version__}


def write(folder, name, data):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def list_names(library):
    if library == "timm":
        from timm_models import names
    elif library.startswith("processors"):
        from processors import names
    else:
        from transformers_models import names
    return names()


def answer(request):
    operation = request.pop("op")
    if operation == "list":
        return list_names(**request)
    if operation == "make":
        return make(**request)
    if operation == "config":
        return config(**request)
    if operation == "versions":
        return versions()
    if operation == "probe":
        return measure(current.model, current.run) if current.probed else {}
    raise ValueError(operation)


def main():
    torch.set_num_threads(int(os.environ.get("FQVIT_CONFORMANCE_THREADS", "1")))
    out = os.dup(1)
    os.dup2(2, 1)  # sends what libraries print to stderr
    with os.fdopen(out, "w") as replies:
        for line in sys.stdin:
            try:
                reply = {"ok": answer(json.loads(line))}
            except Exception as error:  # noqa: BLE001: the library may raise any error
                reply = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
            replies.write(json.dumps(reply) + "\n")
            replies.flush()


main()
