# %% [markdown]
# # 看進裡面
#
# 網路不是黑盒子：訓練一步裡的每個數字都寫得出來。先是一個小到能手算的網路，再看較長的訓練透露了什麼。

# %%
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("zh-TW")
cr.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1))
model[0]

# %% [markdown]
# 訓練的一步：向前算到損失，向後算出梯度，然後更新。所有數字都依照顯示的公式重新算過，並加以比對。

# %%
cr.explain(model, [0.5, 1.0], [1.0], loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1))

# %% [markdown]
# 導數對嗎？差商逐一驗證每個導數，並指出函數在哪裡有折點。

# %%
cr.check_gradients(lambda x: x.relu().sum(), [-1.0, 0.0, 2.0])

# %% [markdown]
# 接著訓練，並加上*探針*（probes）：在每一步裡記錄下來的數字。兩類的點排成兩個半月形。

# %%
data = cr.data.moons(400, noise=0.1)
cr.manual_seed(1)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
trainer = cr.Trainer(
    model,
    loss=nn.CrossEntropyLoss(),
    optimizer=optim.Adam(lr=0.02),
    probes=["activation_std/*", "update_ratio/*"],
)
history = trainer.fit(data, epochs=40, batch_size=32)
history

# %% [markdown]
# `history.steps` 裡有每一步的紀錄。權重在一步裡移動了多少，占自身大小的幾分之幾？千分之一左右是健康的；十分之一太劇烈，百萬分之一則等於原地不動。

# %%
ratio = history.steps["update_ratio/0.weight"]
np.round([ratio[:20].mean(), ratio[-20:].mean()], 4)

# %% [markdown]
# 訓練之後的權重：一層的圖像。

# %%
model[0]

# %% [markdown]
# **動手試試。** 把 `nn.Tanh()` 換成 `nn.Sigmoid()`，疊上五層，並加上探針 `"grad_norm/*"`：哪幾層收得到梯度，哪幾層收不到？
