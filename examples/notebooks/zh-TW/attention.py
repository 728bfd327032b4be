# %% [markdown] slideshow={"slide_type": "slide"}
# # 注意力
#
# 網絡如何查找東西：查詢（query）、鍵（key）與值（value），先手算，再訓練。

# %% slideshow={"slide_type": "-"}
import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("zh-TW")
Q = np.array([[2.0, 0.0]])
K = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
V = np.array([[10.0], [20.0], [30.0]])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 手算
#
# 查詢與每個鍵有多合？Q Kᵀ，再除以 √d，免得長的向量蓋過一切；softmax 把它變成份額；結果是各個值的混合。

# %% slideshow={"slide_type": "-"}
scores = Q @ K.T / np.sqrt(2)
shares = np.exp(scores) / np.exp(scores).sum()
[shares.round(4).tolist(), (shares @ V).round(4).tolist()]

# %% [markdown] slideshow={"slide_type": "fragment"}
# 用框架的函數算，也一樣：

# %% slideshow={"slide_type": "-"}
attended = nn.functional.scaled_dot_product_attention(Q, K, V)
bool(np.isclose(attended.item(), (shares @ V).item()))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 一個任務
#
# 一列八個數字，其中一個做了記號。是哪一個數字？固定的位置幫不上忙：網絡必須去找記號。

# %% slideshow={"slide_type": "-"}
rng = np.random.default_rng(0)


def sequences(n):
    digits, marked = rng.integers(10, size=(n, 8)), rng.integers(8, size=n)
    x = np.zeros((n, 8, 11), np.float32)
    x[..., :10] = np.eye(10)[digits]
    x[np.arange(n), marked, 10] = 1
    return x, digits[np.arange(n), marked], marked


x, y, _ = sequences(4000)
test_x, test_y, test_marked = sequences(500)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 網絡
#
# 用所有位置的平均來發問；鍵與值由每個位置上的內容學來。


# %% slideshow={"slide_type": "-"}
class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(11, 16)
        self.attention = nn.MultiheadAttention(16, 1, batch_first=True)
        self.answer = nn.Linear(16, 10)

    def look(self, x):
        h = self.embed(x)
        return self.attention(h.mean(1, keepdim=True), h, h)

    def forward(self, x):
        return self.answer(self.look(x)[0][:, 0])


cr.manual_seed(0)
model = Lookup()
model.picture(test_x[:1])

# %% slideshow={"slide_type": "subslide"}
trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=5e-3))
history = trainer.fit((x, y), epochs=12, batch_size=50, validation=(test_x, test_y))
history

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 它看哪裡
#
# 前幾個測試序列的注意力份額，每列一個序列：亮的位置就是記號的位置。

# %% slideshow={"slide_type": "-"}
shares = model.look(test_x)[1].numpy()[:, 0]
cr.tensor(shares[:16])

# %% slideshow={"slide_type": "fragment"}
found = float((shares.argmax(1) == test_marked).mean())
[found > 0.95, trainer.evaluate((test_x, test_y))["accuracy"] > 0.95]

# %% [markdown] slideshow={"slide_type": "slide"}
# **動手試試。** 做兩個記號，答案是兩個數字之和：份額會變成什麼樣子？把 16 個特徵改成 64 個、又不除以 √d，還學得會嗎？
