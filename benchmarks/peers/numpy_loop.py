"""The loop that one writes by hand in NumPy: in-place ufuncs, buffers made once.

784-128-64-10, ReLU, softmax with cross-entropy, Adam, float32. Weights are held as
(inputs, outputs), so that every product reads its operands as they lie in memory.
"""

import numpy as np
from threadpoolctl import ThreadpoolController

LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
BLOCK = 65536  # elements that Adam takes at a time, so that they stay in the cache
LAYERS = ("0", "2", "4")


def split(flat: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Views of the flat vector, one for each shape, one after the other."""
    stops = np.cumsum([int(np.prod(shape)) for shape in shapes])
    pieces = np.split(flat[: stops[-1]], stops[:-1])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes)]


class Peer:
    name = "NumPy by hand"

    def __init__(
        self,
        x_uint8: np.ndarray,
        y: np.ndarray,
        batch: int,
        weights: dict[str, np.ndarray],
        threads: int,
    ):
        self.threads = threads
        self.pools = ThreadpoolController()  # a search through the process: once
        self.x = x_uint8.reshape(len(x_uint8), -1) * np.float32(1 / 255)
        self.y = y.astype(np.intp)

        arrays = []
        for layer in LAYERS:
            arrays += [weights[f"{layer}.weight"].T, weights[f"{layer}.bias"]]
        shapes = [array.shape for array in arrays]
        size = sum(array.size for array in arrays)

        # One flat vector each: parameters, gradients, both moments, scratch.
        vectors = np.zeros((5, size), np.float32)
        self.params, self.grads = split(vectors[0], shapes), split(vectors[1], shapes)
        self.blocks = [
            [vector[start : start + BLOCK] for vector in vectors]
            for start in range(0, size, BLOCK)
        ]
        for param, array in zip(self.params, arrays):
            param[...] = array
        self.step = 0

        inputs = self.x.shape[1]
        hidden1, hidden2, classes = (bias.size for bias in self.params[1::2])

        def buffer(width: int, dtype: type = np.float32) -> np.ndarray:
            return np.empty((batch, width), dtype)

        self.rows = np.arange(batch)
        self.xb, self.column = buffer(inputs), buffer(1)
        self.a1, self.d1, self.on1 = (
            buffer(hidden1),
            buffer(hidden1),
            buffer(hidden1, bool),
        )
        self.a2, self.d2, self.on2 = (
            buffer(hidden2),
            buffer(hidden2),
            buffer(hidden2, bool),
        )
        self.z = buffer(classes)

    def run(self, order: np.ndarray) -> np.ndarray:
        losses = np.empty(len(order), np.float32)
        with self.pools.limit(limits=self.threads, user_api="blas"):
            for i, index in enumerate(order):
                losses[i] = self.forward_backward(index)
                self.adam()
        return losses

    def forward_backward(self, index: np.ndarray) -> float:
        W1, b1, W2, b2, W3, b3 = self.params
        dW1, db1, dW2, db2, dW3, db3 = self.grads
        xb, a1, a2, z, column = self.xb, self.a1, self.a2, self.z, self.column
        d1, d2, rows = self.d1, self.d2, self.rows

        # mode="clip" lets take write straight into its target.
        np.take(self.x, index, axis=0, out=xb, mode="clip")
        y = self.y[index]

        np.dot(xb, W1, out=a1)
        a1 += b1
        np.maximum(a1, 0, out=a1)
        np.dot(a1, W2, out=a2)
        a2 += b2
        np.maximum(a2, 0, out=a2)
        np.dot(a2, W3, out=z)
        z += b3

        # The loss, then z becomes δ = (softmax(z) - one-hot(y)) / batch.
        np.max(z, axis=1, keepdims=True, out=column)
        z -= column
        at_label = z[rows, y]
        np.exp(z, out=z)
        np.sum(z, axis=1, keepdims=True, out=column)
        loss = (np.log(column[:, 0]) - at_label).mean()
        z /= column
        z[rows, y] -= 1
        z *= np.float32(1 / len(rows))

        np.dot(a2.T, z, out=dW3)
        np.sum(z, axis=0, out=db3)
        np.dot(z, W3.T, out=d2)
        np.greater(a2, 0, out=self.on2)
        d2 *= self.on2
        np.dot(a1.T, d2, out=dW2)
        np.sum(d2, axis=0, out=db2)
        np.dot(d2, W2.T, out=d1)
        np.greater(a1, 0, out=self.on1)
        d1 *= self.on1
        np.dot(xb.T, d1, out=dW1)
        np.sum(d1, axis=0, out=db1)
        return loss

    def adam(self) -> None:
        """Adam, with the moments held as m / (1 - β1) and v / (1 - β2).

        That saves two passes over memory; those factors and the bias corrections
        go into the step size and ε.
        """
        self.step += 1
        root = np.sqrt((1 - BETA2) / (1 - BETA2**self.step))
        rate = LR * (1 - BETA1) / (1 - BETA1**self.step) / root

        for p, g, m, v, t in self.blocks:
            m *= np.float32(BETA1)
            m += g
            v *= np.float32(BETA2)
            np.multiply(g, g, out=g)
            v += g
            np.sqrt(v, out=t)
            t += np.float32(EPS / root)
            np.divide(m, t, out=t)
            t *= np.float32(rate)
            p -= t
