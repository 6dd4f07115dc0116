import keras
import numpy as np
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from kcars.objectives.confusion import BalancedMetrics, ConfusionMatrix, TopFive, balanced_metrics


def test_matrix_of_four_photos():
    metric = ConfusionMatrix(3)
    metric.update_state(np.array([0, 0, 1, 1]), np.eye(3)[[0, 1, 1, 1]])
    assert np.asarray(metric.matrix).tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    result = metric.result()
    assert float(result["accuracy"]) == 0.75
    assert float(result["balanced_accuracy"]) == 0.75  # class 2 was not seen
    metric.reset_state()
    assert np.asarray(metric.matrix).sum() == 0


def test_rows_of_shares_count_as_their_largest_class():
    shares = np.array([[0.9, 0.1, 0], [0.6, 0, 0.4], [0, 1, 0], [0.2, 0.8, 0]], np.float32)
    scores = np.eye(3, dtype=np.float32)[[0, 1, 1, 1]]
    matrix, top = ConfusionMatrix(3), TopFive(1, name="top5")
    matrix.update_state(shares, scores)
    top.update_state(shares, scores)
    assert np.asarray(matrix.matrix).tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert float(top.result()["top5"]) == 0.75


def test_balanced_metrics_of_a_fitted_epoch_agree_with_scikit_learn():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(64, 5)).astype("float32"), generator.integers(0, 4, 64)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, {"model": keras.layers.Dense(4, name="model", trainable=False)(inputs)})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", {"model": loss}, metrics={"model": balanced_metrics(4)})
    recorded = []
    balanced = BalancedMetrics(recorded.extend, 4)
    logs = model.fit(x, {"model": y}, batch_size=16, verbose=0, callbacks=[balanced]).history
    predicted = model.predict(x, verbose=0)["model"].argmax(1)
    assert np.isclose(logs["macro_f1"][0], f1_score(y, predicted, average="macro"))
    assert np.isclose(logs["balanced_accuracy"][0], balanced_accuracy_score(y, predicted))
    ((epoch, *recall),) = recorded
    assert epoch == 1
    assert np.allclose(recall, recall_score(y, predicted, average=None), atol=1e-6)
