"""The image of a release: its name, how it is started, which cards and drivers its kernels are built for."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.release import Release

ENTRYPOINT = ("vllm", "serve")
"""Written out by us: the image's own entrypoint is the server module up to 0.11.0 and this from 0.11.1 on."""

HEALTH_PATH = "/health"
"""200 when the engine is alive, 503 when it died; nothing listens before it is ready. The image has no HEALTHCHECK."""

Capability = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild:
    """How the default images from `since` on are built.

    `architectures` are the compute capabilities with compiled kernels. `toolkit_driver` is the driver branch that came
    with the CUDA version; `minimum_driver` the oldest branch that CUDA's minor-version compatibility allows.
    """

    since: Release
    cuda: tuple[int, int]
    architectures: tuple[Capability, ...]
    toolkit_driver: int
    minimum_driver: int


_BEFORE_BLACKWELL = ((7, 0), (7, 5), (8, 0), (8, 6), (8, 9), (9, 0))
_FIRST_BLACKWELL = ((7, 0), (7, 5), (8, 0), (8, 9), (9, 0), (10, 0))
_ALL_BLACKWELL = (*_FIRST_BLACKWELL, (12, 0))
_SINCE_CUDA_13 = ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (11, 0), (12, 0))

IMAGE_BUILDS: tuple[ImageBuild, ...] = (
    ImageBuild(
        since=Release.of("0.6.0"),
        cuda=(12, 4),
        architectures=_BEFORE_BLACKWELL,
        toolkit_driver=550,
        minimum_driver=525,
    ),
    ImageBuild(
        since=Release.of("0.9.0"),
        cuda=(12, 8),
        architectures=_FIRST_BLACKWELL,
        toolkit_driver=570,
        minimum_driver=525,
    ),
    ImageBuild(
        since=Release.of("0.9.2"),
        cuda=(12, 8),
        architectures=_ALL_BLACKWELL,
        toolkit_driver=570,
        minimum_driver=525,
    ),
    ImageBuild(
        since=Release.of("0.11.1"),
        cuda=(12, 9),
        architectures=_ALL_BLACKWELL,
        toolkit_driver=575,
        minimum_driver=525,
    ),
    ImageBuild(
        since=Release.of("0.20.0"),
        cuda=(13, 0),
        architectures=_SINCE_CUDA_13,
        toolkit_driver=580,
        minimum_driver=580,
    ),
)
"""From the Dockerfiles of the releases (`torch_cuda_arch_list`, `CUDA_VERSION`) and NVIDIA's compatibility tables."""


def default_image(release: Release) -> str:
    """The image on Docker Hub that vLLM publishes for a release."""
    return f"vllm/vllm-openai:v{release}"


def image_build(release: Release) -> ImageBuild:
    """How the default image of a release is built; the oldest known build for older releases."""
    return next((build for build in reversed(IMAGE_BUILDS) if build.since <= release), IMAGE_BUILDS[0])


def is_compiled_for(build: ImageBuild, capability: Capability) -> bool:
    """Whether kernels run on a card: compiled code runs within its major version, on its own minor and later ones.

    PTX is left out on purpose: PyTorch's own kernels in the image are not covered by it.
    """
    major, minor = capability
    return any(built_major == major and built_minor <= minor for built_major, built_minor in build.architectures)
