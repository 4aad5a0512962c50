"""The closed form: a training step's bytes from the architecture's numbers alone, term by term, without torch.

For bench.worker.train.loop's step on a CUDA card: products in the recipe's precision by autocast, flash attention, what
trains and its AdamW states in float32. The second step, when the states exist. What a layer keeps is written
down in `layers` and `working`; what trains is counted by the method's own formula.
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
SCALES_BLOCK = 256  # scales that share a second one where they are quantised again
TABLES = 2048  # bytes a packed layer: its codes' two tables and the offset, each rounded up to 512


class NoClosedForm(ValueError):
    """The method has none, or the model; the trace has the figure."""


def closed_form(question: Question, chunk: int = 0, double: bool = True) -> Peaks:
    """The bytes of the question's step.

    Raises NoClosedForm for a method whose update is not two thin products, and for heads that together are wider than
    the feed-forward layer.
    chunk: positions whose logits exist at once, 0 for all (or as the recipe says); double: NF4's scales quantised.
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
    below = kept - layers.kept_by_head(question)  # for the layers, when the head is through
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
    in_forward += max(0, working.at_hand(question) - logits)  # before there are logits
    forward = {terms.KEPT: in_forward, terms.LOGITS: logits, terms.GRADIENTS: first}
    return Peaks({
        terms.FORWARD: tidy(resting, forward),
        terms.BACKWARD: tidy(resting, backward),
        terms.OPTIMIZER: tidy(resting, {terms.GRADIENTS: trains}),
    })  # fmt: skip


def check(question: Question) -> None:
    """Raises NoClosedForm where there is none."""
    method, entry = question.method, question.entry
    if method.trains == ADAPTER and not method.thin_products:
        why = method.no_closed_form or "its update is not two thin products beside each layer"
        raise NoClosedForm(f"{method.name} has no closed form: {why}; the trace has its figure")
    heads, inner = query_size(entry), layers.feedforward_size(entry)
    if heads > inner:
        why = f"its heads are {heads:,} wide together and its feed-forward layer {inner:,}"
        raise NoClosedForm(f"{entry.name} has no closed form: {why}; the trace has its figure")


def gradients(question: Question, trains: int) -> tuple[int, int, int, int]:
    """Bytes of gradients at the loss, in the last layer, in the first, and when the embeddings have theirs.

    trains: of all. A step that accumulates has all of them from its second micro-batch on, and each new one beside them
    until it is added. A tied table's is summed of the head's, which waits until then, and the embeddings'.
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
    """All terms in one, in the order a person reads them, without those of nothing."""
    joined = {name: amount for part in parts for name, amount in part.items() if amount}
    return {name: joined[name] for name in terms.ORDER if name in joined}


def weights(question: Question, double: bool = True) -> dict[str, int]:
    """Bytes of the base as it is stored; none where every weight trains, for those are counted as what trains."""
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
    """Bytes of NF4's scales: float32 each, or (double quantisation) one byte each and a float32 for every 256."""
    return scales + scales // SCALES_BLOCK * SINGLE if double else scales * SINGLE


def logits_bytes(question: Question, chunk: int = 0) -> tuple[int, int]:
    """(single, half): one copy of the logits that exist at once in float32, and as the model gives them.

    The loss makes them float32, then log-probabilities; its backward holds those, their gradient and the logits'.
    """
    recipe = question.recipe
    classes = question.labels or question.entry.config["vocab_size"]
    tokens = layers.tokens(question)
    chunk = min(tokens, chunk or savings.chunk_tokens(recipe) or tokens)
    single, half = (min(chunk, positions) for positions in question.trainer.positions(tokens, classes))
    return single * classes * SINGLE, half * classes * layers.computed(question)
