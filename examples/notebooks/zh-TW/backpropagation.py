# %% [markdown] slideshow={"slide_type": "slide"}
# # 手算反向傳播
#
# 訓練的一步，連同全部的數字：前向傳播到損失，反向傳播算出梯度，然後更新（教科書 3.2 到 3.7）。

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("zh-TW")
W1, b1 = np.array([[0.1, 0.4], [-0.2, 0.3]]), np.array([0.1, -0.1])
W2, b2 = np.array([[0.5, -0.6]]), np.array([0.2])
x, y, lr = np.array([1.0, 0.5]), np.array([1.0]), 0.5


def f(z):
    return 1 / (1 + np.exp(-z))


# %% [markdown] slideshow={"slide_type": "slide"}
# ## 前向傳播
#
# z⁽ˡ⁾ = W⁽ˡ⁾a⁽ˡ⁻¹⁾ + b⁽ˡ⁾、a⁽ˡ⁾ = f(z⁽ˡ⁾)，從輸入一直到 ŷ；然後是損失 ℒ = ½(ŷ − y)²。

# %% slideshow={"slide_type": "-"}
z1 = W1 @ x + b1
a1 = f(z1)
z2 = W2 @ a1 + b2
a2 = f(z2)
loss = float(((a2 - y) ** 2).sum() / 2)
loss

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 反向傳播
#
# 誤差項 δ⁽ˡ⁾ = ∂ℒ/∂z⁽ˡ⁾ 從輸出開始，經過 Wᵀ 與 f′ 往回傳。Sigmoid 的 f′ = a(1 − a)。

# %% slideshow={"slide_type": "-"}
delta2 = (a2 - y) * a2 * (1 - a2)
delta1 = (W2.T @ delta2) * a1 * (1 - a1)
dW2, db2 = np.outer(delta2, a1), delta2
dW1, db1 = np.outer(delta1, x), delta1
delta1.round(5)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 更新
#
# 每個參數逆著梯度移動：W ← W − η ∂ℒ/∂W。

# %% slideshow={"slide_type": "-"}
mine = {"z1": z1, "a1": a1, "z2": z2, "a2": a2, "loss": loss}
mine |= {"delta2": delta2, "delta1": delta1, "dW2": dW2, "dW1": dW1}
mine |= {"W1": W1 - lr * dW1, "W2": W2 - lr * dW2}

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 算對了嗎？
#
# `cr.check_work` 批改這些數字；算錯的，會指出是哪種錯誤。

# %% slideshow={"slide_type": "-"}
model = nn.Sequential(
    nn.Linear(2, 2, dtype="float64"),
    nn.Sigmoid(),
    nn.Linear(2, 1, dtype="float64"),
    nn.Sigmoid(),
)
state = {"0.weight": W1, "0.bias": b1, "2.weight": W2, "2.bias": b2}
model.load_state_dict(state)
cr.check_work(model, x, y, "half_squared", mine, lr=lr).verdict()

# %% [markdown] slideshow={"slide_type": "fragment"}
# 現在故意犯一個錯：δ⁽¹⁾ 忘了 f′。之後的數字由它正確推得，仍然給分。

# %% slideshow={"slide_type": "-"}
wrong = W2.T @ delta2
slipped = mine | {"delta1": wrong, "dW1": np.outer(wrong, x)}
slipped["W1"] = W1 - lr * slipped["dW1"]
cr.check_work(model, x, y, "half_squared", slipped, lr=lr)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 機器自己的帳
#
# 同一步由框架來做：每個公式、每個數字，以及網絡的圖。


# %% slideshow={"slide_type": "-"}
def half_squared(p, t):
    return ((p - t) ** 2).sum() / 2


cr.explain(model, x, y, loss=half_squared, optimizer=optim.SGD(lr=lr))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 不靠公式的核對
#
# 差商 (ℒ(w + h) − ℒ(w − h))/2h 也得到同一個導數。

# %% slideshow={"slide_type": "-"}
cr.check_gradients(lambda w: ((w @ cr.tensor(x)).sigmoid() ** 2).sum(), W1)

# %% [markdown] slideshow={"slide_type": "slide"}
# **動手試試。** 換一份數字的練習：`chainrule worksheet 2-2sigmoid-1sigmoid --seed 7`。或把 Sigmoid 換成 ReLU：哪些 δ 是 0，為什麼？
