"""The closed form: a training step's bytes from the architecture's numbers alone, term by term, without torch.

It describes the step of bench.worker.train.loop on a CUDA card: autocast runs products in the recipe's precision,
attention is flash attention, trained weights and their AdamW states are float32. It predicts the second step, when the
states exist. `layers` and `working` state what a layer keeps; the method's own formula counts the trained weights.
"""

from bench.methods import ADAPTER, ALL, HEAD, INT8, NF4
from bench.methods.parameters import formula
from bench.models import ENCODER
from bench.models.shapes import head_parameters, linear_layers, query_size, stack_parameters
from bench.predict import terms
from bench.predict.formula import layers, savings, working
from bench.predict.question import Question
from bench.predict.terms import Peaks

SINGLE = 4  # bytes of a float32
IDS = 8  # bytes of an int64
BLOCK = 64  # weights that share a scale in NF4 (arXiv:2305.14314)
SCALES_BLOCK = 256  # scales that share a second scale under double quantisation
TABLES = 2048  # bytes per packed layer: its codes' two tables and the offset, each rounded up to 512


class NoClosedForm(ValueError):
    """The method or the model has no closed form; the trace has the figure."""


def closed_form(question: Question, chunk: int = 0, double: bool = True) -> Peaks:
    """The bytes of the question's step.

    chunk: positions whose logits exist at once, 0 for all (or what the recipe says); double: NF4 quantises its scales.
    Raises NoClosedForm for a method whose update is not two thin products, for attention that is written out, and for
    attention heads that together are wider than the feed-forward layer.
    """
    check(question)
    resting = {**weights(question, double), terms.BATCH: 3 * layers.tokens(question) * IDS}
    count = formula(question.entry, question.method, question.recipe, question.labels)
    trains = count * savings.trained_width(question.recipe)
    resting[terms.ADAPTER] = trains
    resting[terms.STATES] = savings.state_bytes(question.recipe, count)
    single, half = logits_bytes(question, chunk)
    trainer = question.trainer
    kept, at_work = layers.kept_for_backward(question), working.working_set(question)
    in_forward = kept + layers.cached_in_forward(question)
    logits = trainer.half_forward * half + trainer.single_forward * single
    in_backward = trainer.half_backward * half + trainer.single_backward * single
    below = kept - layers.kept_by_head(question)  # kept for the layers when the head's backward is done
    of_one = below // layers.layer_count(question.entry)
    first, second, third, last = gradients(question, trains)
    moments = (
        {terms.KEPT: kept, terms.LOGITS: in_backward, terms.GRADIENTS: first},
        {terms.KEPT: kept, terms.LOGITS: half, terms.WORKING: working.head_gradient(question), terms.GRADIENTS: first},
        {terms.KEPT: below, terms.WORKING: at_work, terms.GRADIENTS: second},
        {terms.KEPT: of_one, terms.WORKING: at_work, terms.GRADIENTS: third},
        {terms.GRADIENTS: last},
    )
    backward = max(moments, key=lambda moment: sum(moment.values()))
    in_forward += max(0, working.at_hand(question) - logits)  # before the logits exist
    forward = {terms.KEPT: in_forward, terms.LOGITS: logits, terms.GRADIENTS: first}
    return Peaks({
        terms.FORWARD: tidy(resting, forward),
        terms.BACKWARD: tidy(resting, backward),
        terms.OPTIMIZER: tidy(resting, {terms.GRADIENTS: trains}),
    })  # fmt: skip


def check(question: Question) -> None:
    """Raise NoClosedForm if the question has no closed form."""
    method, entry = question.method, question.entry
    if method.trains == ADAPTER and not method.thin_products:
        why = method.no_closed_form or "its update is not two thin products beside each layer"
        raise NoClosedForm(f"{method.name} has no closed form: {why}; the trace has its figure")
    if not entry.family.fused_attention:
        why = "its attention keeps a score for each pair of tokens"
        raise NoClosedForm(f"{entry.name} has no closed form: {why}; the trace has its figure")
    heads, inner = query_size(entry), layers.feedforward_size(entry)
    if heads > inner:
        why = f"its heads are {heads:,} wide together and its feed-forward layer {inner:,}"
        raise NoClosedForm(f"{entry.name} has no closed form: {why}; the trace has its figure")


def gradients(question: Question, trains: int) -> tuple[int, int, int, int]:
    """Bytes of gradients at the loss, in the last layer, in the first layer, and when the embeddings have theirs.

    trains: bytes of all gradients. A step with gradient accumulation holds all of them from its second micro-batch on,
    and each new gradient beside them until it is added. A tied table's gradient is the sum of the head's, which waits
    until then, and the embeddings'.
    """
    method, count = question.method, layers.layer_count(question.entry)
    tied = layers.is_tied(question)
    each = savings.trained_width(question.recipe)
    table = int(question.entry.config["vocab_size"]) * layers.hidden_size(question.entry) * each
    embeddings = table * (method.trains == ALL or (method.trains == HEAD and tied))
    head = head_parameters(question.entry, question.labels) * each * (method.trains != ADAPTER)
    of_layers = trains - embeddings - (0 if tied else head)
    waiting = embeddings * tied
    end = (3 if tied else 1) * embeddings
    if question.recipe.gradient_accumulation_steps > 1:
        return trains, trains + waiting, trains + waiting, trains + end
    return 0, head, head + of_layers * (count - 1) // count, trains - embeddings + end


def tidy(*parts: dict[str, int]) -> dict[str, int]:
    """All terms in one dict, in reading order, without terms of zero bytes."""
    joined = {name: amount for part in parts for name, amount in part.items() if amount}
    return {name: joined[name] for name in terms.ORDER if name in joined}


def weights(question: Question, double: bool = True) -> dict[str, int]:
    """Bytes of the stored base; none if every weight trains, as those count as trained weights."""
    entry, method, labels = question.entry, question.method, question.labels
    if method.trains == ALL:
        return {}
    own = layers.width(question)
    stack = linear_layers(entry)
    linear = sum(layer.inputs * layer.outputs for layer in stack)
    tied = layers.is_tied(question)
    embeddings = entry.config["vocab_size"] * layers.hidden_size(entry)
    other = stack_parameters(entry) - linear - embeddings
    head = 0 if tied or method.trains != ADAPTER or entry.kind == ENCODER else head_parameters(entry, labels)
    table = 0 if not tied and not savings.embeddings_on_card(question.recipe) else embeddings
    found = {terms.EMBEDDINGS: (table + head) * layers.embedding_width(question)}
    found[terms.OTHER] = other * layers.norm_width(question)
    if method.trains != ADAPTER and tied:
        found[terms.EMBEDDINGS] = 0  # a tied head that trains is the embedding
    if method.storage == NF4:
        scales = linear // BLOCK
        found |= {terms.PACKED: linear // 2, terms.SCALES: quantised_scales(scales, double) + TABLES * len(stack)}
        if savings.head_is_packed(question.recipe):
            found[terms.PACKED] += (table + head) // 2
            found[terms.SCALES] += quantised_scales(table // BLOCK, False) + quantised_scales(head // BLOCK, double)
            found[terms.EMBEDDINGS] = 0
    elif method.storage == INT8:
        found |= {terms.PACKED: linear, terms.SCALES: sum(layer.outputs for layer in stack) * SINGLE}
    else:
        found[terms.LINEAR] = linear * own
    return found


def quantised_scales(scales: int, double: bool) -> int:
    """Bytes of NF4's scales: a float32 each, or (double quantisation) one byte each and a float32 for every 256."""
    return scales + scales // SCALES_BLOCK * SINGLE if double else scales * SINGLE


def logits_bytes(question: Question, chunk: int = 0) -> tuple[int, int]:
    """(single, half): bytes of one copy of the logits that exist at once, in float32 and in the model's output dtype.

    The loss casts them to float32, then to log-probabilities. Its backward holds the log-probabilities, their gradient
    and the gradient of the logits.
    """
    recipe = question.recipe
    classes = question.labels or question.entry.config["vocab_size"]
    tokens = layers.tokens(question)
    chunk = min(tokens, chunk or savings.chunk_tokens(recipe) or tokens)
    single, half = (min(chunk, positions) for positions in question.trainer.positions(tokens, classes))
    return single * classes * SINGLE, half * classes * layers.product_bytes(question)
