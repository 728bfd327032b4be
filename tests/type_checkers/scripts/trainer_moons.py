"""The Trainer on two moons, with metrics, early stopping and a callback."""

import chainrule as cr
from chainrule import nn, optim, training


class Note(training.Callback):
    """Remembers the best validation loss."""

    def __init__(self) -> None:
        self.best = float("inf")

    def on_epoch(self, trainer: cr.Trainer) -> None:
        row = trainer.history.epochs[-1]
        self.best = min(self.best, row["validation_loss"])
        if row["validation_accuracy"] == 1.0:
            trainer.stop()


train, test = cr.data.moons(200, seed=0).split(0.75, seed=0)
cr.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
trainer = cr.Trainer(
    model,
    loss=nn.CrossEntropyLoss(label_smoothing=0.05),
    optimizer=optim.Adam(lr=0.02),
    metrics=["accuracy", cr.metrics.F1()],
    engine="numpy",
    seed=3,
)
note = Note()
stop = training.EarlyStopping(patience=4, monitor="validation_loss", mode="min")
history = trainer.fit(
    train,
    epochs=6,
    batch_size=30,
    validation=test,
    callbacks=[note, stop],
    progress=False,
)
measured = trainer.evaluate(test)
print(f"{measured['accuracy']:.2f} {measured['loss']:.3f} {note.best:.3f}")
print(history.epochs[-1]["train_loss"], history.steps["loss"][:3])
probabilities = trainer.predict(test.x[:4])
print(probabilities.argmax(axis=1), trainer.epoch, trainer.finished)
