"""The one table of keys: checks, JSON Schema, docs/profiles.md and the shipped profiles all read it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from orchestrator.config.checks_of_text import (
    CACHE,
    ENVIRONMENT_NAME,
    FILE_NAME,
    GPU,
    IMAGE,
    IP_ADDRESS,
    MODEL,
    PROJECT,
    RELEASE,
    REVISION,
    SECRET_NAME,
    SERVICE,
)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _without_default(schema: dict[str, Any]) -> None:
    """For keys whose default is "not written": an empty text or 0 that nobody may write."""
    del schema["default"]


class Section(BaseModel):
    """A mapping with these keys and no others; nothing is converted."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=_dashed,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


def _choose_gpus(value: object) -> str:
    return "list" if isinstance(value, list) else "auto"


GpuList = Annotated[list[Annotated[Any, AfterValidator(GPU), WithJsonSchema(GPU.schema)]], Field(min_length=1)]
Gpus = Annotated[
    Annotated[Literal["auto"], Tag("auto")] | Annotated[GpuList, Tag("list")],
    Discriminator(_choose_gpus),
]
EnvironmentName = Annotated[str, AfterValidator(ENVIRONMENT_NAME), WithJsonSchema(ENVIRONMENT_NAME.schema)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
FileName = Annotated[str, AfterValidator(FILE_NAME), WithJsonSchema(FILE_NAME.schema)]
CacheName = Annotated[str, AfterValidator(CACHE), WithJsonSchema(CACHE.schema)]
SecretName = Annotated[
    str | None, AfterValidator(SECRET_NAME), WithJsonSchema({"anyOf": [SECRET_NAME.schema, {"type": "null"}]})
]


class RequireSection(Section):
    """What must hold before a placement counts."""

    full_length_requests: Annotated[
        float,
        Field(
            gt=0,
            le=1_000_000,
            description="How many requests of `max-model-len` tokens must fit in the KV cache at once.",
            examples=[1],
        ),
    ] = 1.0


MOST_REPLICAS = 1000
"""More than any machine has GPUs."""

ServiceNames = list[Annotated[str, AfterValidator(SERVICE), WithJsonSchema(SERVICE.schema)]]


class ApartSection(Section):
    """Services to keep away from."""

    gpu: Annotated[
        ServiceNames,
        Field(description="Services that never have a GPU in common with this one.", examples=[["medium"]]),
    ] = Field(default_factory=list)
    host: Annotated[
        ServiceNames,
        Field(description="Services that never run on the same host as this one.", examples=[["medium"]]),
    ] = Field(default_factory=list)


class TogetherSection(Section):
    """Services to be beside."""

    gpu: Annotated[
        ServiceNames,
        Field(
            description="Services on whose GPU this one runs; each takes one GPU, and replicas go in pairs, by number.",
            examples=[["micro"]],
        ),
    ] = Field(default_factory=list)
    host: Annotated[
        ServiceNames,
        Field(description="Services on whose host this one runs.", examples=[["micro"]]),
    ] = Field(default_factory=list)


class ServiceSection(Section):
    """One model service: a file of its own."""

    service: Annotated[
        str,
        AfterValidator(SERVICE),
        WithJsonSchema(SERVICE.schema),
        Field(description="The service's name, unique in the deployment.", examples=["medium"]),
    ]
    model: Annotated[
        str,
        AfterValidator(MODEL),
        WithJsonSchema(MODEL.schema),
        Field(
            description="What to serve: the id of a model on the hub, or a directory (relative to this file).",
            examples=["Qwen/Qwen3-32B-AWQ"],
        ),
    ]
    revision: Annotated[
        str,
        AfterValidator(REVISION),
        WithJsonSchema(REVISION.schema),
        Field(
            description="The commit, branch or tag of the model. Without it: the default branch.",
            examples=["main"],
            json_schema_extra=_without_default,
        ),
    ] = ""
    gpus: Annotated[
        Gpus,
        Field(
            description="The GPUs to run on, by index or UUID, or `auto`: the planner chooses.",
            examples=[[0, 1]],
        ),
    ] = "auto"
    sharing: Annotated[
        Literal["exclusive", "shared"],
        Field(description="`exclusive`: no other service may use the same GPUs.", examples=["exclusive"]),
    ] = "shared"
    priority: Annotated[
        int,
        Field(ge=0, le=1000, description="Who gets what is scarce first: more is more important.", examples=[100]),
    ] = 0
    replicas: Annotated[
        int,
        Field(
            ge=1,
            le=MOST_REPLICAS,
            description="How many containers serve the model: `mini-1`, `mini-2`, … on GPUs of their own. Where `gpus` "
            "is a list, it holds those of all of them.",
            examples=[2],
        ),
    ] = 1
    spread: Annotated[
        Literal["gpu", "host"],
        Field(
            description="What no two replicas have in common: `gpu`, no GPU; `host`, no host. With `host`, `gpus` may "
            "list the indices of one replica, which then hold for every host.",
            examples=["host"],
        ),
    ] = "gpu"
    apart_from: Annotated[
        ApartSection,
        Field(
            description="Services, with all their replicas, that this one keeps away from.",
            examples=[{"gpu": ["medium"]}],
        ),
    ] = ApartSection()
    together_with: Annotated[
        TogetherSection,
        Field(
            description="Services that this one is placed beside.",
            examples=[{"gpu": ["micro"]}],
        ),
    ] = TogetherSection()
    port: Annotated[
        PortNumber,
        Field(
            description="The port on the host, of the first replica; the others take the next ones. Without it: given "
            "out in the order of the services.",
            examples=[8001],
            json_schema_extra=_without_default,
        ),
    ] = 0
    require: Annotated[RequireSection, Field(description="What must hold before a placement counts.")] = (
        RequireSection()
    )
    environment: Annotated[
        dict[EnvironmentName, str],
        Field(
            description="Environment variables of the container, plain text. Secrets do not belong here: "
            "see `secrets` of the deployment file.",
            examples=[{"NCCL_P2P_DISABLE": "1"}],
            json_schema_extra={"additionalProperties": False},
        ),
    ] = Field(default_factory=dict)
    vllm: Annotated[
        dict[str, Any],
        Field(
            description="Flags of `vllm serve`, spelt as there without the leading dashes. `null` removes a default "
            "of the deployment.",
            examples=[{"max-model-len": 32768}],
        ),
    ] = Field(default_factory=dict)


class DefaultsSection(Section):
    """What every service gets unless its own file says otherwise."""

    vllm: Annotated[
        dict[str, Any],
        Field(
            description="Flags of `vllm serve` for every service; the service's own win.",
            examples=[{"gpu-memory-utilization": 0.99}],
        ),
    ] = Field(default_factory=dict)


class PortsSection(Section):
    """Where the services listen on the host."""

    address: Annotated[
        str,
        AfterValidator(IP_ADDRESS),
        WithJsonSchema(IP_ADDRESS.schema),
        Field(description="The address of the host to listen on.", examples=["127.0.0.1"]),
    ] = "127.0.0.1"
    first: Annotated[
        PortNumber,
        Field(description="The first port; services without a `port` get the next free one.", examples=[8001]),
    ] = 8001


class CachesSection(Section):
    """What is mounted as caches."""

    huggingface: Annotated[
        CacheName,
        Field(description="Downloaded models: a named volume, or a path on the host.", examples=["huggingface-cache"]),
    ] = "huggingface-cache"
    vllm: Annotated[
        CacheName,
        Field(description="What vLLM compiles: a named volume, or a path on the host.", examples=["vllm-cache"]),
    ] = "vllm-cache"


class SecretsSection(Section):
    """Names of environment variables that hold secrets; the values never stand in a file."""

    api_key: Annotated[
        SecretName,
        Field(
            description="The variable that holds the API key of the services; `null`: none.", examples=["VLLM_API_KEY"]
        ),
    ] = "VLLM_API_KEY"
    hf_token: Annotated[
        SecretName,
        Field(description="The variable that holds the token for the hub; `null`: none.", examples=["HF_TOKEN"]),
    ] = "HF_TOKEN"  # noqa: S105 (a name, not a value)


class DeploymentSection(Section):
    """The deployment: one file per project, recognised by its key `project`."""

    project: Annotated[
        str,
        AfterValidator(PROJECT),
        WithJsonSchema(PROJECT.schema),
        Field(description="The project's name; Docker Compose uses it too.", examples=["qwen3-tiers"]),
    ]
    vllm_release: Annotated[
        str,
        AfterValidator(RELEASE),
        WithJsonSchema(RELEASE.schema),
        Field(
            description="The vLLM release that runs. It decides which flags exist and how memory is accounted.",
            examples=["0.32.0"],
        ),
    ]
    image: Annotated[
        str,
        AfterValidator(IMAGE),
        WithJsonSchema(IMAGE.schema),
        Field(
            description="The container image, pinned by tag or digest. Without it: the official image of the release.",
            examples=["vllm/vllm-openai:v0.32.0"],
            json_schema_extra=_without_default,
        ),
    ] = ""
    services: Annotated[
        list[FileName],
        Field(
            min_length=1,
            description="The service files, relative to this one, in order.",
            examples=[["medium.yaml", "mini.yaml"]],
        ),
    ]
    defaults: Annotated[
        DefaultsSection, Field(description="What every service gets unless its own file says otherwise.")
    ] = DefaultsSection()
    ports: Annotated[PortsSection, Field(description="Where the services listen on the host.")] = PortsSection()
    caches: Annotated[CachesSection, Field(description="What is mounted as caches.")] = CachesSection()
    secrets: Annotated[
        SecretsSection,
        Field(description="Names of environment variables that hold secrets; the values never stand in a file."),
    ] = SecretsSection()
