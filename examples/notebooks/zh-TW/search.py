# %% [markdown]
# # 用 Optuna 搜尋
#
# 要多少個神經元？學習率要多大？Optuna 提出建議，簡短的訓練給出答案，落後的試驗提早結束。

# %%
import optuna

import chainrule as cr
from chainrule import nn, optim
from chainrule.tracking import OptunaPruning

cr.set_language("zh-TW")
optuna.logging.set_verbosity(optuna.logging.WARNING)
data = cr.data.spiral(1500, classes=3, noise=0.05)
train, rest = data.split(0.6, seed=0, stratify=True)
validation, test = rest.split(0.5, seed=0, stratify=True)
train

# %% [markdown]
# 一次試驗：由 Optuna 選定網路與學習率，得到驗證損失。`OptunaPruning` 回報每個週期的結果，不值得繼續時就結束這次訓練。


# %%
def trainer_of(params):
    cr.manual_seed(0)
    width = params["width"]
    layers = [nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()]
    return cr.Trainer(
        nn.Sequential(*layers, nn.Linear(width, 3)),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=params["lr"]),
    )


def objective(trial):
    params = {
        "width": trial.suggest_categorical("width", [8, 16, 32, 64]),
        "lr": trial.suggest_float("lr", 1e-4, 0.3, log=True),
    }
    history = trainer_of(params).fit(
        train,
        epochs=20,
        validation=validation,
        callbacks=OptunaPruning(trial),
        progress=False,
    )
    return history.epochs[-1]["validation_loss"]


study = optuna.create_study(
    direction="minimize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_warmup_steps=5),
)
study.optimize(objective, n_trials=30)
study.best_params

# %% [markdown]
# 有多少次試驗做到最後？

# %%
pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
f"{len(study.trials)} trials, {pruned} pruned"

# %% [markdown]
# 優勝者是依驗證損失選出來的，所以這個數字高估了它。它真正的價值要看測試資料，那是誰都沒看過的。

# %%
trainer = trainer_of(study.best_params)
history = trainer.fit(train, epochs=60, validation=validation)
history

# %%
trainer.evaluate(test)

# %% [markdown]
# **動手試試。** 把 dropout 的比率當作第三個參數；`n_trials=100`；不用剪枝器（`optuna.pruners.NopPruner()`）：會多花多少時間，優勝者更好嗎？
