"""JAX: one jitted lax.scan over all the steps of a call, state donated.

784-128-64-10, ReLU, softmax with cross-entropy, Adam, float32. A new number of steps
compiles anew: warm up with the shape that will be timed.
"""

import os

import numpy as np

LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
LAYERS = ("0", "2", "4")


def build():
    """The jitted function; JAX is imported here, after the threads are set."""
    import jax
    import jax.numpy as jnp

    def loss_of(params, x, y):
        (W1, b1), (W2, b2), (W3, b3) = params
        a = jnp.maximum(x @ W1.T + b1, 0)
        a = jnp.maximum(a @ W2.T + b2, 0)
        logs = jax.nn.log_softmax(a @ W3.T + b3)
        return -jnp.take_along_axis(logs, y[:, None], axis=1).mean()

    def train(state, x, y, order, scales):
        def step(state, inputs):
            params, m, v = state
            index, rate, root = inputs
            loss, g = jax.value_and_grad(loss_of)(params, x[index], y[index])
            m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
            v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
            params = jax.tree.map(
                lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + EPS), params, m, v
            )
            return (params, m, v), loss

        return jax.lax.scan(step, state, (order, *scales))

    return jax, jax.jit(train, donate_argnums=0)


class Peer:
    name = "JAX jit + scan"

    def __init__(
        self,
        x_uint8: np.ndarray,
        y: np.ndarray,
        batch: int,
        weights: dict[str, np.ndarray],
        threads: int,
    ):
        # XLA reads these once in a process, when its first computation starts.
        os.environ.setdefault("NPROC", str(threads))
        os.environ.setdefault("PJRT_NPROC", str(threads))
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        self.jax, self.train = build()

        x = x_uint8.reshape(len(x_uint8), -1) * np.float32(1 / 255)

        def put(array: np.ndarray):
            # A copy: the state is donated, and the caller keeps the arrays.
            return self.jax.device_put(array.copy())

        self.x, self.y = put(x), put(y.astype(np.int32))
        params = [
            (put(weights[f"{layer}.weight"]), put(weights[f"{layer}.bias"]))
            for layer in LAYERS
        ]
        zeros = self.jax.numpy.zeros_like
        self.state = (
            params,
            self.jax.tree.map(zeros, params),
            self.jax.tree.map(zeros, params),
        )
        self.step = 0

    def run(self, order: np.ndarray) -> np.ndarray:
        # Bias corrections depend on the step alone, so they come as tables.
        t = self.step + 1 + np.arange(len(order), dtype=np.float64)
        self.step += len(order)
        scales = (
            (LR / (1 - BETA1**t)).astype(np.float32),
            (1 / np.sqrt(1 - BETA2**t)).astype(np.float32),
        )
        self.state, losses = self.train(self.state, self.x, self.y, order, scales)
        return np.asarray(losses)
