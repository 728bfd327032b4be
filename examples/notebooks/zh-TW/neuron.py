# %% [markdown] slideshow={"slide_type": "slide"}
# # 一個神經元
#
# 一個神經元計算什麼、權重是什麼意思，以及單獨一個做不到什麼（教科書 2.2）。

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("zh-TW")
x, w, b = np.array([1.0, 0.5]), np.array([0.8, -0.4]), 0.1
z = float(w @ x + b)
round(z, 4)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 加權和，然後是 f
#
# 每個輸入按權重計算；偏置 b 移動閾值。不論 f 是什麼，這個 z 都一樣。激活函數 f 再由它得出輸出：y = f(wᵀx + b)。

# %% slideshow={"slide_type": "-"}
functions = [nn.Sigmoid(), nn.Tanh(), nn.ReLU()]
{type(f).__name__: round(f(cr.tensor([z])).item(), 4) for f in functions}

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 同一件事，寫成一層
#
# 只有一個神經元的層，其權重矩陣只有一列。在它的圖裡，每個權重是一條線。

# %% slideshow={"slide_type": "-"}
model = nn.Sequential(nn.Linear(2, 1, dtype="float64"), nn.Sigmoid())
model.load_state_dict({"0.weight": w[None], "0.bias": [b]})
model.picture(x[None])

# %% [markdown] slideshow={"slide_type": "fragment"}
# 數字一樣嗎？

# %% slideshow={"slide_type": "-"}
bool(np.isclose(model([x]).item(), 1 / (1 + np.exp(-z))))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 它學會一條直線
#
# 在 wᵀx + b = 0 的地方，神經元猶豫不決：那是兩類之間的一條直線。下面這些點可以用一條直線分開，訓練會找到一條。

# %% slideshow={"slide_type": "subslide"}
rng = np.random.default_rng(0)
points = rng.normal(size=(300, 2)).astype(np.float32)
above = (points @ [1.0, 2.0] > 0.5).astype(np.float32)[:, None]
cr.manual_seed(0)
neuron = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
trainer = cr.Trainer(neuron, loss=nn.BCELoss(), optimizer=optim.Adam(lr=0.05))
history = trainer.fit((points, above), epochs=60, batch_size=30)
history

# %% slideshow={"slide_type": "-"}
right = (trainer.predict(points) > 0.5) == (above > 0.5)
slopes = neuron[0].weight.numpy()[0]
[round(float(right.mean()), 2), round(float(slopes[1] / slopes[0]), 1)]

# %% [markdown] slideshow={"slide_type": "fragment"}
# 第二個數字是兩個權重之比：這些點是用 2 做出來的。

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 它學不會什麼
#
# XOR：其中一個，但不是兩個都是。沒有一條直線能把兩個 1 放在同一側（Minsky 與 Papert，1969）。一個神經元不管訓練多久，四個點最多對三個；加上幾個神經元的隱藏層，就找得到答案。

# %% slideshow={"slide_type": "-"}
corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
xor = np.array([[0], [1], [1], [0]], np.float32)


def right_after_training(*layers):
    trainer = cr.Trainer(
        nn.Sequential(*layers, nn.Sigmoid()),
        loss=nn.BCELoss(),
        optimizer=optim.Adam(lr=0.1),
    )
    trainer.fit((corners, xor), epochs=400, batch_size=4, progress=False)
    return int(((trainer.predict(corners) > 0.5) == (xor > 0.5)).sum())


cr.manual_seed(1)
one = right_after_training(nn.Linear(2, 1))
more = right_after_training(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
f"{one}/4, {more}/4"

# %% [markdown] slideshow={"slide_type": "slide"}
# **動手試試。** 把 XOR 換成 AND 與 OR：一個神經元學得會嗎？那時權重是多少，直線在哪裡？
