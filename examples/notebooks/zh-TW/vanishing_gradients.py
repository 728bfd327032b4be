# %% [markdown] slideshow={"slide_type": "slide"}
# # 梯度消失
#
# 為什麼用 Sigmoid 的深層網絡幾乎學不會：從每一層的梯度來看（教科書 3.8）。

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("zh-TW")
z = cr.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
cr.grad(lambda z: z.sigmoid().sum())(z)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Sigmoid 的 f′ 最大只有 ¼，在 z = 0。每一層都再乘上一次：

# %% slideshow={"slide_type": "-"}
[round(0.25**layers, 10) for layers in (1, 2, 4, 8)]

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 兩個八層的網絡
#
# 它們只有 f 不同。*探針*（probes）在訓練的每一步裡記錄每一層梯度的長度。

# %% slideshow={"slide_type": "-"}
data = cr.data.moons(400, noise=0.1)


def trained(f):
    cr.manual_seed(0)
    layers = [nn.Linear(2, 16), f()]
    for _ in range(6):
        layers += [nn.Linear(16, 16), f()]
    trainer = cr.Trainer(
        nn.Sequential(*layers, nn.Linear(16, 2)),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=0.1, momentum=0.9),
        probes=["grad_norm/*"],
    )
    return trainer, trainer.fit(data, epochs=60, batch_size=20, progress=False)


sigmoid, of_sigmoid = trained(nn.Sigmoid)
relu, of_relu = trained(nn.ReLU)
of_sigmoid

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 一層一層看
#
# 訓練開始時的梯度，從第一層到最後一層。用 Sigmoid 時，前面幾層幾乎收不到；ReLU 的 f′ 不是 0 就是 1，每一層都收得到。


# %% slideshow={"slide_type": "-"}
def at_the_start(history):
    names = [f"grad_norm/{2 * k}.weight" for k in range(8)]
    return np.array([history.steps[name][:10].mean() for name in names])


np.stack([at_the_start(of_sigmoid), at_the_start(of_relu)], 1)

# %% slideshow={"slide_type": "fragment"}
first, last = at_the_start(of_sigmoid)[[0, -1]]
bool(first < last / 1000)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 結果
#
# 用 Sigmoid 的網絡停留在亂猜，另一個學會了。

# %% slideshow={"slide_type": "-"}
[round(t.evaluate(data)["accuracy"], 2) for t in (sigmoid, relu)]

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 診斷
#
# 不必告訴它要找什麼，doctor 也會找出來，附上證據與療法。

# %% slideshow={"slide_type": "-"}
cr.diagnose(sigmoid, data)

# %% [markdown] slideshow={"slide_type": "slide"}
# **動手試試。** 把 Sigmoid 換成 `nn.Tanh`；只用四層；在每個 `nn.Linear` 後面加上 `nn.BatchNorm1d(16)`；改用 `optim.Adam(lr=0.01)`。哪一種能讓第一層學起來？
