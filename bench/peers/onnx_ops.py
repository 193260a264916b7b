"""Builds an ONNX graph as exporters write it: LayerNormalization, MatMul, Add, Softmax, Erf."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class OnnxOps:
    def __init__(self):
        self.nodes, self.initializers = [], []

    def model(self, output, image_size, classes):
        self.nodes.append(helper.make_node("Identity", [output], ["logits"]))
        graph = helper.make_graph(
            self.nodes,
            "model",
            [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 3, image_size, image_size])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, classes])],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def constant(self, value):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def patches(self, image, weight, bias):
        dim, _, patch, _ = weight.shape
        x = self._node(
            "Conv",
            [image, self.constant(weight), self.constant(bias)],
            kernel_shape=[patch, patch],
            strides=[patch, patch],
        )
        return self.transpose(self.reshape(x, [dim, -1]), [1, 0])

    def linear(self, x, weight, bias=None):
        y = self._node("MatMul", [x, self.constant(weight.T)])
        return y if bias is None else self.add(y, self.constant(bias))

    def layer_norm(self, x, gamma, beta, eps):
        inputs = [x, self.constant(gamma), self.constant(beta)]
        return self._node("LayerNormalization", inputs, axis=-1, epsilon=eps)

    def gelu(self, x):
        erf = self._node("Erf", [self._node("Div", [x, self._scalar(2**0.5)])])
        y = self._node("Mul", [x, self.add(erf, self._scalar(1))])
        return self._node("Mul", [y, self._scalar(0.5)])

    def scores(self, q, k):
        return self.matmul(q, self.transpose(k, [0, 2, 3, 1]))

    def matmul(self, a, b):
        return self._node("MatMul", [a, b])

    def softmax(self, x):
        return self._node("Softmax", [x], axis=-1)

    def add(self, a, b):
        return self._node("Add", [a, b])

    def scale(self, x, factor):
        return self._node("Mul", [x, self._scalar(factor)])

    def reshape(self, x, shape):
        return self._node("Reshape", [x, self.constant(np.array(shape, np.int64))])

    def transpose(self, x, order):
        return self._node("Transpose", [x], perm=order)

    def slice(self, x, axis, start, end):
        bounds = [self.constant(np.array([n], np.int64)) for n in (start, end, axis)]
        return self._node("Slice", [x, *bounds])

    def concat(self, parts, axis):
        return self._node("Concat", parts, axis=axis)

    def mean_rows(self, x):
        return self._node("ReduceMean", [x], axes=[0], keepdims=1)

    def _scalar(self, value):
        return self.constant(np.float32(value))

    def _node(self, kind, inputs, **attributes):
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}_{output}", **attributes))
        return output
