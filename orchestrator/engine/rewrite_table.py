"""The one table of what took the place of which flag, forwards and back (`value_rewrites` has values and variables).

Read in the parsers of all known releases and in the sources of the releases at each boundary. Where the same flag has
several rows, the first one that the release can follow counts. Every flag that any release lost has a row
(a test compares); flags that came have one where there is a way back.
"""

from __future__ import annotations

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.flag_values import Flags
from orchestrator.engine.flags import flags
from orchestrator.engine.rewrites import (
    Parts,
    Rewrite,
    Write,
    asks,
    by_value,
    gone,
    inside,
    same,
    taken_apart,
)

_V0_SCHEDULER = "it tuned the scheduler of the V0 engine: speed only, answers stay the same"
_V0_BLOCKS = "blocks are managed one way only; the flag had no effect any more"
_ADAPTERS = "prompt adapters are gone from vLLM"
_TYPICAL = "only one way to accept guessed tokens is left: is exact rejection sampling right for this service?"
_DRAFT = "write `speculative-config: {model: ..., num_speculative_tokens: ...}`"
_NGRAM = "[ngram]"
_ONE_TASK = "a runner and a conversion were one task: which task is this pair?"


def _draft_model(value: FlagValue, _: Flags) -> Parts | None:
    key, word = ("method", "ngram") if value == _NGRAM else ("model", value)
    return ((("speculative-config", key), word),)


def _draft_flags(value: FlagValue, _: Flags) -> Parts | None:
    if not isinstance(value, dict) or not set(value) <= {*_SPECULATIVE, "method"}:
        return None
    method = value.get("method")
    if method not in (None, "ngram") or (method == "ngram" and "model" in value):
        return None
    named: Parts = ((("speculative-model",), _NGRAM),) if method == "ngram" else ()
    return (*named, *(((_SPECULATIVE[key],), part) for key, part in value.items() if key in _SPECULATIVE))


def _reasoning(value: FlagValue, flags: Flags) -> Parts | None:
    return () if value is True or "reasoning-parser" not in flags else None


def _graph_sizes(value: FlagValue, _: Flags) -> Parts | None:
    sizes: list[FlagValue] = value if isinstance(value, list) else [value]
    if len(sizes) == 1:
        return ((("max-cudagraph-capture-size",), sizes[0]),)
    return ((("cudagraph-capture-sizes",), sizes),)


def _several_graph_sizes(value: FlagValue, _: Flags) -> Parts | None:
    return ((("cuda-graph-sizes",), value),) if isinstance(value, list) and len(value) > 1 else None


def _task_of_runner(value: FlagValue, flags: Flags) -> Parts | None:
    convert = flags.get("convert", "auto")
    if value in ("generate", "draft", "auto") and convert in ("auto", "none"):
        return () if value == "auto" else ((("task",), value),)
    is_pooling = value in ("pooling", "auto") and convert in ("embed", "classify", "reward")
    return ((("task",), convert),) if is_pooling else None


def _task_of_convert(value: FlagValue, flags: Flags) -> Parts | None:
    if "runner" in flags:
        return () if value in ("auto", "none") or flags["runner"] in ("pooling", "auto") else None
    return () if value in ("auto", "none") else ((("task",), value),)


def _backend(value: FlagValue, _: Flags) -> Parts | None:
    """Options after a colon (`xgrammar:no-fallback`) became flags of their own."""
    return ((("structured-outputs-config", "backend"), value),) if value in _BACKENDS else None


def _pooler(name: str) -> Write:
    """The mapping under its other name, as far as its keys are the same in all releases."""

    def write(value: FlagValue, _: Flags) -> Parts | None:
        is_known = isinstance(value, dict) and set(value) <= _POOLER_KEYS
        return (((name,), value),) if is_known else None

    return write


_BACKENDS = ("auto", "xgrammar", "guidance", "outlines", "lm-format-enforcer")
_POOLER_KEYS = {"pooling_type", "step_tag_id", "returned_token_ids"}


_POOLING: tuple[tuple[FlagValue, Parts], ...] = tuple(
    (task, ((("runner",), "pooling"), (("convert",), convert)))
    for task, convert in (("embed", "embed"), ("embedding", "embed"), ("classify", "classify"), ("reward", "reward"))
)
_GENERATING: tuple[tuple[FlagValue, Parts], ...] = (
    ("auto", ()),
    ("generate", ((("runner",), "generate"),)),
    ("transcription", ((("runner",), "generate"),)),
    ("draft", ((("runner",), "draft"),)),
)
_SPECULATIVE = {
    "model": "speculative-model",
    "num_speculative_tokens": "num-speculative-tokens",
    "draft_tensor_parallel_size": "speculative-draft-tensor-parallel-size",
    "max_model_len": "speculative-max-model-len",
    "quantization": "speculative-model-quantization",
    "prompt_lookup_max": "ngram-prompt-lookup-max",
    "prompt_lookup_min": "ngram-prompt-lookup-min",
}
_GUIDED = {
    "backend": "guided-decoding-backend",
    "disable_fallback": "guided-decoding-disable-fallback",
    "disable_any_whitespace": "guided-decoding-disable-any-whitespace",
    "disable_additional_properties": "guided-decoding-disable-additional-properties",
}
_EXPERTS = {
    "num_redundant_experts": "num-redundant-experts",
    "window_size": "eplb-window-size",
    "step_interval": "eplb-step-interval",
    "log_balancedness": "eplb-log-balancedness",
}

_FORWARDS: tuple[Rewrite, ...] = (
    gone("engine-use-ray", "the front end no longer runs in a process of Ray: answers stay the same"),
    by_value(
        "worker-use-ray",
        ("distributed-executor-backend",),
        ((True, ((("distributed-executor-backend",), "ray"),)), (False, ())),
        how="write `distributed-executor-backend: ray`",
        why="the executor has a name instead of a switch",
    ),
    asks(
        "quantization-param-path",
        "scales of the KV cache come from the checkpoint now: does this one have them?",
        how="write `kv-cache-dtype: fp8`",
        new=("kv-cache-dtype",),
    ),
    Rewrite(
        old="speculative-model",
        new=("speculative-config",),
        how=_DRAFT,
        why="guessing ahead is one mapping",
        write=_draft_model,
    ),
    inside("num-speculative-tokens", "speculative-config", "num_speculative_tokens", how=_DRAFT),
    *(
        inside(flag, "speculative-config", key)
        for key, flag in _SPECULATIVE.items()
        if key not in ("model", "num_speculative_tokens")
    ),
    asks(
        "speculative-disable-by-batch-size",
        "not every release honours it: does this service need to stop guessing under load?",
    ),
    gone("speculative-disable-mqa-scorer", "it chose between two ways to score the same tokens"),
    gone("spec-decoding-acceptance-method", _TYPICAL, only=("rejection_sampler",)),
    asks("typical-acceptance-sampler-posterior-alpha", _TYPICAL),
    asks("typical-acceptance-sampler-posterior-threshold", _TYPICAL),
    asks(
        "disable-logprobs-during-spec-decoding",
        "log probabilities are always computed now: do clients rely on their absence?",
    ),
    Rewrite(
        old="enable-reasoning",
        new=("reasoning-parser",),
        how="delete the line; `reasoning-parser` is enough",
        why="`reasoning-parser` alone turns it on: is it meant to be on or off?",
        write=_reasoning,
    ),
    gone(
        "device",
        "the image decides: which one is built for this device?",
        how="delete the line; the image decides",
        only=("auto", "cuda"),
    ),
    gone("use-v2-block-manager", _V0_BLOCKS),
    gone("num-scheduler-steps", _V0_SCHEDULER),
    gone("multi-step-stream-outputs", _V0_SCHEDULER),
    gone("scheduler-delay-factor", "no release delays prompts any more: is that right for this service?", only=(0,)),
    gone("preemption-mode", "preempted requests are always computed anew, the engine no longer swaps"),
    gone("disable-async-output-proc", _V0_SCHEDULER),
    gone("num-lookahead-slots", "the engine reserves the slots for guessed tokens itself"),
    gone("max-num-partial-prefills", "prompts share each step by the budget of tokens alone: speed only"),
    gone("max-long-partial-prefills", "prompts share each step by the budget of tokens alone: speed only"),
    gone("swap-space", "the engine no longer swaps", how="delete the line; the engine no longer swaps"),
    same("max-context-len-to-capture", "max-seq-len-to-capture"),
    *(
        gone(
            name,
            "CUDA graphs no longer end at a length of the sequence",
            how="delete the line, or write `max-cudagraph-capture-size` (a batch size, not a length)",
        )
        for name in ("max-context-len-to-capture", "max-seq-len-to-capture")
    ),
    gone("enable-lora-bias", "adapters with a bias are refused now: do these have one?", only=(False,)),
    asks("long-lora-scaling-factors", "long-context adapters are gone from vLLM: which adapters shall be served?"),
    gone(
        "lora-extra-vocab-size",
        "adapters can no longer add tokens: do these add any?",
        only=(256,),
    ),
    asks("qlora-adapter-name-or-path", "the adapter is no longer given here", how="write `lora-modules` instead"),
    gone("enable-prompt-adapter", _ADAPTERS + ": how shall this service do without?", only=(False,)),
    *(
        gone(name, _ADAPTERS + ", so its limits mean nothing")
        for name in ("max-prompt-adapters", "max-prompt-adapter-token")
    ),
    asks("prompt-adapters", _ADAPTERS + ": how shall this service do without?"),
    *(
        gone(name, "tokenizers no longer run in a pool: answers stay the same")
        for name in ("tokenizer-pool-size", "tokenizer-pool-type", "tokenizer-pool-extra-config")
    ),
    asks("override-neuron-config", "Neuron left vLLM for a plugin: how is that one configured?"),
    Rewrite(
        old="guided-decoding-backend",
        new=("structured-outputs-config",),
        how="write `structured-outputs-config.backend` with the same value",
        why="the same setting is a key of `structured-outputs-config`: which of its backends and options is meant?",
        write=_backend,
    ),
    *(
        inside(flag, "structured-outputs-config", key)
        for key, flag in _GUIDED.items()
        if key not in ("backend", "disable_fallback")
    ),
    gone(
        "guided-decoding-disable-fallback",
        "no release says that in another way for sure: may another backend step in?",
        only=(False,),
    ),
    Rewrite(
        old="override-pooler-config",
        new=("pooler-config",),
        how="write `pooler-config` with the same value",
        why="the same mapping under another name: what are these keys called now?",
        write=_pooler("pooler-config"),
    ),
    *(inside(flag, "eplb-config", key, how=f"write `eplb-config: {{{key}: ...}}`") for key, flag in _EXPERTS.items()),
    by_value(
        "task",
        ("runner", "convert"),
        (*_GENERATING, *_POOLING),
        how="write `runner` (`generate` or `pooling`) and, for embeddings, `convert: embed`",
        why="a task became a runner and a conversion: is this model a cross-encoder or an embedding model?",
    ),
    Rewrite(
        old="cuda-graph-sizes",
        new=("cudagraph-capture-sizes", "max-cudagraph-capture-size"),
        how="write `cudagraph-capture-sizes`, or `max-cudagraph-capture-size` for a single size",
        why="one number was the largest size, several are the sizes themselves",
        write=_graph_sizes,
    ),
    by_value(
        "disable-mm-preprocessor-cache",
        ("mm-processor-cache-gb",),
        ((True, ((("mm-processor-cache-gb",), 0),)), (False, ())),
        how="write `mm-processor-cache-gb: 0`",
        why="a cache of 0 GiB is none",
    ),
    gone("mm-cache-preprocessor", "processed images are cached unless told otherwise", only=(True,)),
    by_value(
        "enable-multimodal-encoder-data-parallel",
        ("mm-encoder-tp-mode",),
        ((True, ((("mm-encoder-tp-mode",), "data"),)), (False, ())),
        how="write `mm-encoder-tp-mode: data`",
        why="the way to share the encoder has a name instead of a switch",
    ),
    by_value(
        "disable-log-requests",
        ("enable-log-requests",),
        ((True, ()), (False, ((("enable-log-requests",), True),))),
        how="delete the line; requests are not logged unless `enable-log-requests: true`",
        why="the default turned round",
    ),
    gone("logits-processor-pattern", "requests can no longer name a processor, so none has to be kept out"),
    gone("disable-frontend-multiprocessing", "the front end always runs in a process of its own"),
    gone(
        "calculate-kv-scales",
        "scales are no longer calculated at the start: does the checkpoint have them?",
        only=(False,),
    ),
    asks("override-attention-dtype", "attention computes in the type of the model now: is that precise enough?"),
    same("chat-template-text-format", "chat-template-content-format"),
    by_value(
        "expand-tools-even-if-tool-choice-none",
        ("exclude-tools-when-tool-choice-none",),
        ((True, ()), (False, ((("exclude-tools-when-tool-choice-none",), True),))),
        how="delete the line, or write `exclude-tools-when-tool-choice-none: true`",
        why="the default turned round",
    ),
    asks("expand-tools-even-if-tool-choice-none", "the release has no say in that: shall the model see the tools?"),
    gone("use-gpu-for-pooling-score", "it chose where scores are computed, not what they are"),
    gone("enable-bf16x3-router-gemm", "the kernel is gone: is the usual one precise enough?", only=(False,)),
    gone(
        "enable-mamba-fine-grained-prefix-cache",
        "prefixes of recurrent layers are cached another way: which one is wanted?",
        only=(False,),
    ),
)

_BACK: tuple[Rewrite, ...] = (
    Rewrite(
        old="speculative-config",
        new=("speculative-model",),
        how="write `speculative-model` and `num-speculative-tokens`",
        why="its keys were flags of their own: what shall become of those that were none?",
        write=_draft_flags,
    ),
    taken_apart(
        "structured-outputs-config", _GUIDED, how="write `guided-decoding-backend`", main="guided-decoding-backend"
    ),
    Rewrite(
        old="pooler-config",
        new=("override-pooler-config",),
        how="write `override-pooler-config` with the same value",
        why="the same mapping under another name: what were these keys called?",
        write=_pooler("override-pooler-config"),
    ),
    taken_apart("eplb-config", _EXPERTS, how="write `num-redundant-experts`", main="num-redundant-experts"),
    Rewrite(
        old="runner",
        new=("task",),
        how="write `task`",
        why=_ONE_TASK,
        write=_task_of_runner,
    ),
    Rewrite(
        old="convert",
        new=("task",),
        how="write `task`",
        why=_ONE_TASK,
        write=_task_of_convert,
    ),
    Rewrite(
        old="cudagraph-capture-sizes",
        new=("cuda-graph-sizes",),
        how="write `cuda-graph-sizes`",
        why="a single size would be taken for the largest of many",
        write=_several_graph_sizes,
    ),
    Rewrite(
        old="max-cudagraph-capture-size",
        new=("cuda-graph-sizes",),
        how="write `cuda-graph-sizes` with this one number",
        why="one number is the largest size",
        write=lambda value, _: ((("cuda-graph-sizes",), [value]),) if value else None,
    ),
    by_value(
        "mm-processor-cache-gb",
        ("disable-mm-preprocessor-cache",),
        ((0, ((("disable-mm-preprocessor-cache",), True),)), (4, ())),
        how="write `disable-mm-preprocessor-cache: true` to have no cache",
        why="the cache is on or off there: is its usual size right?",
    ),
    by_value(
        "mm-encoder-tp-mode",
        ("enable-multimodal-encoder-data-parallel",),
        (("data", ((("enable-multimodal-encoder-data-parallel",), True),)), ("weights", ())),
        how="write `enable-multimodal-encoder-data-parallel: true` for `data`",
        why="the way to share the encoder is a switch there",
    ),
    by_value(
        "enable-log-requests",
        ("disable-log-requests",),
        ((False, ((("disable-log-requests",), True),)), (True, ())),
        how="write `disable-log-requests: true` not to log requests",
        why="the default is the other way round there",
    ),
    same("chat-template-content-format", "chat-template-text-format"),
    by_value(
        "exclude-tools-when-tool-choice-none",
        ("expand-tools-even-if-tool-choice-none",),
        ((False, ((("expand-tools-even-if-tool-choice-none",), True),)), (True, ())),
        how="delete the line, or write `expand-tools-even-if-tool-choice-none: true` for `false`",
        why="the default is the other way round there",
    ),
)

REWRITES: tuple[Rewrite, ...] = (*_FORWARDS, *_BACK)


def rewrite_of(name: str, release: Release) -> Rewrite | None:
    """The row that says what becomes of a flag, by its own name, in a release; None when nothing is known."""
    known = flags(release)
    return next((row for row in REWRITES if row.old == name and all(new in known for new in row.new)), None)
