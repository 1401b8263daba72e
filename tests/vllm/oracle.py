"""Runs under the interpreter of the real vLLM: answers one JSON request per line about what that vLLM would do.

Every request is an object with `ask`; every answer is an object with `ok`, and with `error` (vLLM's own words) when it
is false. Importing vLLM takes long, so one process serves many requests. Answers leave through the file descriptor that
was the standard output; whatever vLLM prints goes to the standard error.

- `parse`: `argv` (after `vllm serve`) -> `values`, what the argument parser made of it (JSON, else `repr`)
- `variables` -> `names` of all environment variables, and the text of `envs.py`
- `variable`: `name`, `text` -> `value`, what `vllm.envs` makes of it
- `model`: `argv` -> `max_model_len`, `dtype` and `quantization` of the real ModelConfig
- `cache`: `argv`, `available_bytes` (a list), `in_flight_batches` -> what the KV-cache planner does with the specs that
  the real model class reports, built on torch's meta device as the first of the ranks
- `layers`: `argv` (any model; gives the lengths), `layers` (specs in plain words), `available_bytes`,
  `in_flight_batches`, perhaps `stages` (of a pipeline), `state_mode` (of recurrent layers), `stored_whole` (no hybrid
  allocator) -> the planner's answer for these layers
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

Answer = dict[str, Any]
PLANNER_CLASSES = {
    "full": ("FullAttentionSpec", {}),
    "sliding": ("SlidingWindowSpec", {"sliding_window": "window"}),
    "chunked": ("ChunkedLocalAttentionSpec", {"attention_chunk_size": "window"}),
    "latent": ("MLAAttentionSpec", {}),
}
"""By the plain word: vLLM's class, and its names for what a layer says beyond heads, sizes and dtype."""


@functools.cache
def _parser() -> Any:
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser(prog="vllm")
    ServeSubcommand().subparser_init(parser.add_subparsers())
    return parser


class Refused(Exception):  # noqa: N818 (the word vLLM would use)
    """vLLM said no, in these words."""


def _parse(argv: list[str]) -> Any:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            arguments = _parser().parse_args(["serve", *argv])
    except SystemExit as stop:
        raise Refused(said.getvalue().strip().rpartition("error: ")[2] or f"exit code {stop.code}") from stop
    if arguments.model_tag is not None:
        arguments.model = arguments.model_tag
    return arguments


def _plain(value: object) -> object:
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return repr(value)


def parse(request: Answer) -> Answer:
    values = vars(_parse(request["argv"]))
    return {"values": {name: _plain(value) for name, value in values.items() if not callable(value)}}


def _engine_arguments(argv: list[str]) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.launchers.cli_args import validate_parsed_serve_args

    arguments = _parse(argv)
    validate_parsed_serve_args(arguments)
    return AsyncEngineArgs.from_cli_args(arguments)


def model(request: Answer) -> Answer:
    config = _engine_arguments(request["argv"]).create_model_config()
    return {
        "max_model_len": config.max_model_len,
        "dtype": str(config.dtype).removeprefix("torch."),
        "quantization": config.quantization,
    }


def _engine_config(request: Answer) -> Any:
    """The whole configuration; `in_flight_batches` stands for what another platform would schedule ahead."""
    from vllm.usage.usage_lib import UsageContext

    config = _engine_arguments(request["argv"]).create_engine_config(usage_context=UsageContext.OPENAI_API_SERVER)
    config.scheduler_config.async_scheduling = request["in_flight_batches"] == 2
    if config.max_concurrent_batches != request["in_flight_batches"]:
        raise Refused(f"{config.max_concurrent_batches} batches in flight, wanted {request['in_flight_batches']}")
    config.cache_config.kv_cache_layout = "LBNHC"  # the engine core settles it; it does not matter for equal pages
    return config


@contextlib.contextmanager
def _first_of(ranks: int) -> Iterator[None]:
    """As if this process were rank 0 of a tensor-parallel group: it is alone, and its group says how many it has."""
    from vllm.distributed import parallel_state

    try:
        parallel_state.init_distributed_environment(
            world_size=1, rank=0, local_rank=0, backend="gloo", distributed_init_method="tcp://127.0.0.1:0"
        )
        parallel_state.initialize_model_parallel(1, 1)
        parallel_state.get_tp_group().world_size = ranks
        yield
    finally:
        parallel_state.destroy_model_parallel()
        parallel_state.destroy_distributed_environment()


def _keeps(layer: Any) -> bool:
    return not getattr(layer, "kv_sharing_target_layer_name", None)


def _specs_of_the_model(config: Any) -> dict[str, Any]:
    """Of every layer that keeps something; those that read what another layer keeps are left out, as runners do."""
    import torch
    from vllm.config import get_layers_from_vllm_config, set_current_vllm_config
    from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase
    from vllm.model_executor.model_loader.utils import initialize_model
    from vllm.platforms import current_platform

    parallel = config.parallel_config
    with set_current_vllm_config(config), _first_of(parallel.tensor_parallel_size), torch.device("meta"):
        initialize_model(vllm_config=config)
        current_platform.update_block_size_for_backend(config)  # as the executor does once the model is there
        layers = get_layers_from_vllm_config(config, AttentionLayerBase)
        own = {
            name: layer for name, layer in layers.items() if not getattr(layer, "kv_sharing_target_layer_name", None)
        }
        specs = {name: layer.get_kv_cache_spec(config) for name, layer in own.items()}
    return {name: spec for name, spec in specs.items() if spec is not None}


def _spec(layer: Answer, block_size: int) -> Any:
    import torch
    from vllm.v1 import kv_cache_interface

    if layer["kind"] == "recurrent":
        return kv_cache_interface.MambaSpec(
            block_size=block_size,
            shapes=((layer["state_bytes"],),),
            dtypes=(torch.int8,),
            page_size_padded=layer["page_bytes"],
            num_speculative_blocks=layer["speculative_tokens"],
        )
    name, options = PLANNER_CLASSES[layer["kind"]]
    return getattr(kv_cache_interface, name)(
        block_size=block_size,
        num_kv_heads=layer["kv_heads"],
        head_size=layer["head_size"],
        dtype=getattr(torch, layer["dtype"]),
        **{theirs: layer[ours] for theirs, ours in options.items()},
    )


def _stages(specs: dict[str, Any], stages: int) -> list[dict[str, Any]]:
    """The layers of each pipeline stage, divided as vLLM divides them."""
    from vllm.distributed.utils import get_pp_indices

    names = list(specs)
    bounds = (get_pp_indices(len(names), stage, stages) for stage in range(stages))
    return [{name: specs[name] for name in names[start:end]} for start, end in bounds]


def _planned(config: Any, specs: dict[str, Any], available_bytes: int) -> Answer:
    from vllm.v1.core.kv_cache_utils import get_kv_cache_configs

    longest = config.model_config.max_model_len
    workers = _stages(specs, config.parallel_config.pipeline_parallel_size)
    try:
        cache, *_ = get_kv_cache_configs(config, workers, [available_bytes] * len(workers))
        return {"accepted": True, **_capacity(config, cache)}
    except ValueError as refusal:
        return {"accepted": False, "reason": str(refusal)}
    finally:
        config.model_config.max_model_len = longest


def _capacity(config: Any, cache: Any) -> Answer:
    from vllm.v1.core.kv_cache_utils import get_kv_cache_capacity

    tokens, concurrency = get_kv_cache_capacity(config, cache)
    return {
        "max_model_len": config.model_config.max_model_len,
        "num_blocks": cache.num_blocks,
        "tokens": tokens,
        "concurrency": concurrency,
        "groups": [[type(g.kv_cache_spec).__name__, len(g.layer_names)] for g in cache.kv_cache_groups],
    }


def _plans(config: Any, specs: dict[str, Any], request: Answer) -> Answer:
    first = next(iter(specs.values()))
    return {
        "layers": len(specs),
        "first_layer": {"page_bytes": first.page_size_bytes, "block_tokens": first.block_size},
        "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        "max_model_len": config.model_config.max_model_len,
        "plans": [_planned(config, specs, size) for size in request["available_bytes"]],
    }


def cache(request: Answer) -> Answer:
    config = _engine_config(request)
    return _plans(config, _specs_of_the_model(config), request)


@functools.cache
def _configuration(argv: tuple[str, ...], in_flight_batches: int) -> Any:
    return _engine_config({"argv": list(argv), "in_flight_batches": in_flight_batches})


def layers(request: Answer) -> Answer:
    config = _configuration(tuple(request["argv"]), request["in_flight_batches"])
    config.model_config.max_model_len = request["max_model_len"]
    config.scheduler_config.max_num_batched_tokens = request["max_num_batched_tokens"]
    config.parallel_config.pipeline_parallel_size = request.get("stages", 1)
    config.cache_config.mamba_cache_mode = request.get("state_mode", "none")
    config.scheduler_config.disable_hybrid_kv_cache_manager = request.get("stored_whole", False)
    block_size = request["block_size"]
    specs = {f"model.layers.{i}.attn": _spec(layer, block_size) for i, layer in enumerate(request["layers"])}
    return _plans(config, specs, request)


def variable(request: Answer) -> Answer:
    """What `vllm.envs` makes of one variable that is set to a text."""
    from vllm import envs

    before = dict(os.environ)
    os.environ[request["name"]] = request["text"]
    try:
        return {"value": _plain(envs.environment_variables[request["name"]]())}
    finally:
        os.environ.clear()
        os.environ.update(before)


def variables(_: Answer) -> Answer:
    from vllm import envs

    return {"names": sorted(envs.environment_variables), "source": open(envs.__file__).read()}


def about(_: Answer) -> Answer:
    import vllm
    from vllm.platforms import current_platform

    return {"version": vllm.__version__, "platform": current_platform.device_name}


ANSWERED = (about, parse, model, cache, layers, variable, variables)
ASKED: dict[str, Callable[[Answer], Answer]] = {ask.__name__: ask for ask in ANSWERED}


def answer(line: str) -> Answer:
    request = json.loads(line)
    try:
        return {"ok": True, **ASKED[request["ask"]](request)}
    except Exception as refusal:  # vLLM's refusals have many classes; the tests look at its words
        return {"ok": False, "kind": type(refusal).__name__, "error": str(refusal)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(answer(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
