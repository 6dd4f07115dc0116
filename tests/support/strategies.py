"""The shortest strategy, as a file."""

MINIMAL = """
task: classify
data: {size_px: 64}
model: {backbone: simple_resnet}
loss: {name: cross_entropy}
train: {epochs: 1, batch: 4, learning_rate: 1e-3}
"""


def written(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)
