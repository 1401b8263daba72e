"""Choices that one release has under another name, and variables that releases stopped reading.

Read in the parsers of all known releases and in the sources of the releases at each boundary.
"""

from __future__ import annotations

from orchestrator.domain.profile import FlagValue
from orchestrator.domain.release import Release
from orchestrator.engine.rewrites import Parts, ValueRewrite, VariableRewrite

VALUE_REWRITES: tuple[ValueRewrite, ...] = (
    ValueRewrite(flag="reasoning-parser", old="GptOss", new="openai_gptoss", why="renamed"),
    ValueRewrite(flag="reasoning-parser", old="openai_gptoss", new="GptOss", why="renamed"),
    ValueRewrite(flag="reasoning-parser", old="glm4_moe", new="glm45", why="renamed"),
    ValueRewrite(flag="reasoning-parser", old="glm45", new="glm4_moe", why="renamed"),
    ValueRewrite(flag="reasoning-parser", old="qwen3", new="deepseek_r1", why="both read what is between think tags"),
    ValueRewrite(flag="task", old="embed", new="embedding", why="renamed"),
    ValueRewrite(flag="prefix-caching-hash-algo", old="builtin", new="sha256", why="only a faster hash is gone"),
    ValueRewrite(flag="prefix-caching-hash-algo", old="sha256_cbor_64bit", new="sha256_cbor", why="a longer hash"),
    ValueRewrite(flag="prefix-caching-hash-algo", old="sha256_cbor", new="sha256", why="only the encoding differs"),
    ValueRewrite(flag="quantization", old="nvfp4", new="modelopt_fp4", why="renamed"),
    ValueRewrite(flag="quantization", old="modelopt_fp4", new="nvfp4", why="renamed"),
)
"""Choices that one release has and another has not."""

_BACKENDS = {
    "FLASH_ATTN": "FLASH_ATTN",
    "FLASH_ATTN_VLLM_V1": "FLASH_ATTN",
    "FLASHINFER": "FLASHINFER",
    "FLASHINFER_VLLM_V1": "FLASHINFER",
    "TRITON_ATTN": "TRITON_ATTN",
    "TRITON_ATTN_VLLM_V1": "TRITON_ATTN",
    "FLEX_ATTENTION": "FLEX_ATTENTION",
    "FLASHMLA": "FLASHMLA",
    "TRITON_MLA": "TRITON_MLA",
    "CUTLASS_MLA": "CUTLASS_MLA",
    "FLASHINFER_MLA": "FLASHINFER_MLA",
    "FLASH_ATTN_MLA": "FLASH_ATTN_MLA",
}


def _backend_flag(text: str) -> Parts | None:
    name = _BACKENDS.get(text.upper())
    return None if name is None else ((("attention-backend",), name),)


def _backend_variable(value: FlagValue) -> str | None:
    return _BACKENDS.get(value.upper()) if isinstance(value, str) else None


VARIABLE_REWRITES: tuple[VariableRewrite, ...] = (
    VariableRewrite(
        variable="VLLM_ATTENTION_BACKEND",
        last=Release.of("0.14.1"),
        flag="attention-backend",
        since=Release.of("0.13.0"),
        how="write `attention-backend` under `vllm:`",
        why="the release reads the flag, and this backend is not among those that kept their name",
        write=_backend_flag,
        back=_backend_variable,
    ),
    VariableRewrite(
        variable="VLLM_USE_V1",
        last=Release.of("0.11.0"),
        flag="",
        since=Release.of("0.11.1"),
        how="delete the line",
        why="the V0 engine is gone: does this service work with V1?",
        write=lambda text: () if text == "1" else None,
        back=lambda _: None,
    ),
)
"""Variables of vLLM that releases stopped reading; they would be ignored without a word."""
