# %% [markdown] slideshow={"slide_type": "slide"}
# # 手寫數字（MNIST）
#
# 第一次訓練：兩層的網絡，以及一路上看得到的東西（教科書 3.2.3）。由上而下執行每個儲存格；全部大約十秒。

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("zh-TW")
train, test = cr.data.mnist()
train

# %% [markdown] slideshow={"slide_type": "slide"}
# 這是資料集的*檢視*：裡面有什麼，以及最前面的幾張圖與它們的標籤。每張圖是一列 784 個 0 到 1 之間的數字。網絡讀進這樣一列，算出 64 個數字，再由這些算出十個分數，每個數字一個。

# %% slideshow={"slide_type": "-"}
cr.manual_seed(0)
model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
model

# %% [markdown] slideshow={"slide_type": "slide"}
# 還沒學之前只能亂猜：十個大約對一個。

# %% slideshow={"slide_type": "-"}
trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=1e-3))
trainer.evaluate(test)

# %% [markdown] slideshow={"slide_type": "slide"}
# 訓練：每一步看 64 張圖，把每個權重逆著梯度的方向移動一點點。一個週期（epoch）就是把 60,000 張圖全部看過一遍。

# %% slideshow={"slide_type": "-"}
history = trainer.fit(train, epochs=3, batch_size=64, validation=test)
history

# %% [markdown] slideshow={"slide_type": "slide"}
# 第一層學到了什麼？它有 64 列，每列衡量各個像素：紅色讓這個神經元變大，藍色讓它變小。

# %% slideshow={"slide_type": "-"}
model[0]

# %% [markdown] slideshow={"slide_type": "slide"}
# 還有哪些數字認錯？圖下方是網絡的答案。

# %% slideshow={"slide_type": "-"}
answers = trainer.predict(test.x[:]).argmax(1)
wrong = np.flatnonzero(answers != test.y)
cr.data.Dataset(test.x[wrong], answers[wrong], classes=10, name="mistakes")

# %% [markdown] slideshow={"slide_type": "slide"}
# **動手試試。** 學習率改成 0.1，再改成 1e-5；神經元從 64 個減為 8 個；訓練十個週期。其中哪一項會改變訓練損失與驗證損失之間的距離？
