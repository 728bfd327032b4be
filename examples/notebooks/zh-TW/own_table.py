# %% [markdown]
# # 用自己的表格
#
# 一張常見的表格：有數字、有文字、有空格。這裡的表格是造出來的，所以答案已知：租金是每平方公尺 4.5，市中心再加 120，另有一點雜訊。

# %%
import csv

import numpy as np

import chainrule as cr
from chainrule import nn, optim

cr.set_language("zh-TW")
rng = np.random.default_rng(0)
with open("flats.csv", "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["area", "floor", "district", "rent"])
    for _ in range(400):
        area, floor = rng.integers(25, 140), rng.integers(0, 9)
        district = ["centre", "north", "south"][rng.integers(3)]
        rent = 4.5 * area + 120 * (district == "centre") + rng.normal(0, 10)
        table.writerow([area, "" if floor == 8 else floor, district, round(rent, 2)])

# %% [markdown]
# 每一欄裡裝的是什麼，由所有的列看出來。文字欄的每個值各成為一個 0 與 1 的特徵；缺少的數字以平均值填補，並另有一個特徵註明哪裡缺了。

# %%
data = cr.data.read_csv("flats.csv", target="rent")
data

# %%
data.report.notes()

# %% [markdown]
# 五分之一的列留作測試。`Standardize` 只量測*訓練*用的列，並成為模型的一部分；`Unstandardize` 把答案換算回租金。

# %%
train, test = data.split(0.8, seed=0)
cr.manual_seed(0)
model = nn.Sequential(
    nn.Standardize.of(train.x),
    nn.Linear(len(data.feature_names), 16),
    nn.ReLU(),
    nn.Linear(16, 1),
    nn.Unstandardize.of(train.y),
)
trainer = cr.Trainer(model, loss=nn.MSELoss(), optimizer=optim.Adam(lr=1e-2))
history = trainer.fit(train, epochs=60, batch_size=32, validation=test)
history

# %% [markdown]
# 平均絕對誤差與雜訊本身的 8 相差不多：再多就無從得知了。

# %%
trainer.evaluate(test)

# %% [markdown]
# 它知道市中心貴多少嗎？兩間公寓，除了地區之外完全相同：

# %%
trainer.save("flats.ckpt")
with open("new.csv", "w", encoding="utf-8") as file:
    file.write("district,area,floor\ncentre,60,2\nsouth,60,2\n")
new = cr.data.read("new.csv", format=trainer.format, target=False)
trainer.predict(new.x)

# %% [markdown]
# **動手試試。** 把 `flats.csv` 換成您自己的檔案：只需說明目標欄的名稱。目標欄若是文字就成為分類：這時最後一層的輸出與類別一樣多，損失函數是 `nn.CrossEntropyLoss()`。
