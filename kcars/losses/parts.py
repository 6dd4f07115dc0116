"""Building blocks of losses: one-hot labels, smoothing, class weights, pairs of a batch."""

from keras import ops

SMALLEST = 1e-7
SMALLEST_SQUARE = 1e-12
FAR = 1e9  # Above every distance and cosine; a placeholder for "none".


def one_hot(labels, outputs):
    """Labels (n,) or (n, 1) of any numeric type as float32 rows of the shape of `outputs` (n, classes); rows are returned unchanged."""
    if are_rows(labels, outputs):
        return ops.cast(labels, "float32")
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
    return ops.one_hot(labels, outputs.shape[-1], dtype="float32")


def are_rows(labels, outputs) -> bool:
    """Whether labels are class shares of the shape of `outputs` (n, classes), not class numbers (n,) or (n, 1)."""
    return len(labels.shape) == 2 and labels.shape[-1] == outputs.shape[-1] > 1


def smoothed_cross_entropy(target, logits, smoothing: float):
    """Cross entropy (n,) of rows of class shares, with the share `smoothing` spread evenly over all classes."""
    target = target * (1.0 - smoothing) + smoothing / target.shape[-1]
    return -ops.sum(target * ops.log_softmax(ops.cast(logits, "float32")), axis=-1)


def weights(alpha: float | list[float]):
    """One number, or one per class (classes,), as a float32 array that broadcasts over rows of classes."""
    return ops.convert_to_tensor(alpha, dtype="float32")


def focus(doubt, gamma: float):
    """doubt^gamma, with doubt kept above 0, where powers below 1 have no finite gradient."""
    return ops.power(ops.maximum(doubt, SMALLEST), gamma)


def pair_masks(labels):
    """(same, different), each (n, n) float32: 1 for two photos that form such a pair; photos are not paired with themselves."""
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
    equal = ops.cast(labels[:, None] == labels[None, :], "float32")
    return equal - ops.eye(ops.shape(labels)[0]), 1.0 - equal


def cosines(vectors):
    """Cosines (n, n) float32 of unit vectors (n, d)."""
    vectors = ops.cast(vectors, "float32")
    return ops.matmul(vectors, ops.transpose(vectors))


def distances(cosine):
    """Euclidean distances of unit vectors from their cosines; squares are kept above 1e-12, as the root's gradient at 0 is infinite."""
    return ops.sqrt(ops.maximum(2.0 - 2.0 * cosine, SMALLEST_SQUARE))


def masked_mean(values, mask):
    """Mean (n,) of each row of values (n, n) where the mask is 1; 0 for rows without any."""
    return ops.sum(values * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)


def log_one_plus_sum(exponents, mask):
    """log(1 + sum of exp(exponents)) (n,), over the elements of each row where the mask is 1."""
    terms = ops.where(mask > 0, exponents, -FAR)
    return ops.logsumexp(ops.concatenate([ops.zeros_like(terms[:, :1]), terms], axis=1), axis=1)
