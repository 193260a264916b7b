"""Builds a TensorFlow graph.

The TFLite converter turns it into FULLY_CONNECTED, BATCH_MATMUL, SOFTMAX and GELU.
"""

import tensorflow as tf


class TfOps:
    def constant(self, value):
        return tf.constant(value)

    def patches(self, image, weight, bias):
        dim, _, patch, _ = weight.shape
        x = tf.nn.conv2d(image, tf.constant(weight.transpose(2, 3, 1, 0)), patch, "VALID") + bias
        return tf.reshape(x, [-1, dim])

    def linear(self, x, weight, bias=None):
        y = tf.matmul(x, tf.constant(weight.T))
        return y if bias is None else y + bias

    def layer_norm(self, x, gamma, beta, eps):
        mean = tf.reduce_mean(x, -1, keepdims=True)
        centred = x - mean
        variance = tf.reduce_mean(centred * centred, -1, keepdims=True)
        return centred * tf.math.rsqrt(variance + eps) * gamma + beta

    def gelu(self, x):
        return tf.nn.gelu(x, approximate=False)

    def scores(self, q, k):
        return tf.matmul(q, tf.transpose(k, [0, 2, 1, 3]), transpose_b=True)

    def matmul(self, a, b):
        return tf.matmul(a, b)

    def softmax(self, x):
        return tf.nn.softmax(x)

    def add(self, a, b):
        return a + b

    def scale(self, x, factor):
        return x * factor

    def reshape(self, x, shape):
        return tf.reshape(x, shape)

    def transpose(self, x, order):
        return tf.transpose(x, order)

    def slice(self, x, axis, start, end):
        index = [slice(None)] * len(x.shape)
        index[axis] = slice(start, end)
        return x[tuple(index)]

    def concat(self, parts, axis):
        return tf.concat(parts, axis)

    def mean_rows(self, x):
        return tf.reduce_mean(x, 0, keepdims=True)
