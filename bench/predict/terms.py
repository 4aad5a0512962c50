"""What the bytes of a training step are of, and its phases: the words that both predictions use."""

LINEAR = "weights, not quantised"
PACKED = "weights, quantised codes"
SCALES = "scales of the quantised"
EMBEDDINGS = "embeddings and head"
OTHER = "norms, biases, buffers"
ADAPTER = "what trains"
GRADIENTS = "gradients"
STATES = "optimizer states"
BATCH = "batch"
KEPT = "kept for backward"
WORKING = "working set of a layer"
LOGITS = "logits and loss"
UPDATE = "optimizer's own"

ORDER = (LINEAR, PACKED, SCALES, EMBEDDINGS, OTHER, ADAPTER, GRADIENTS, STATES, BATCH, KEPT, WORKING, LOGITS, UPDATE)

FORWARD = "forward"
BACKWARD = "backward"
OPTIMIZER = "optimizer"
PHASES = (FORWARD, BACKWARD, OPTIMIZER)
