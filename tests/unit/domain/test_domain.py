"""The words of the trade keep their promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.diagnostics import Diagnostic, Report, Severity, Span
from orchestrator.domain.inventory import Gpu, Host, Inventory, Link, LinkKind
from orchestrator.domain.plan import KvCacheLayout, KvGroup
from orchestrator.domain.profile import Places, ServiceProfile
from orchestrator.domain.release import Release
from orchestrator.domain.units import GIB, ByteRange, as_gib, gib, total


def test_a_range_that_is_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="not a range: 2 <= 1 <= 3"):
        ByteRange(2, 1, 3)


def test_independent_errors_add_as_the_root_of_their_squares() -> None:
    sizes = [ByteRange(1000, 1300, 1800), ByteRange(1600, 2000, 3200)]
    assert total(sizes) == ByteRange(3300 - 500, 3300, 3300 + 1300)
    assert sizes[0] + sizes[1] == ByteRange(2600, 3300, 5000)


def test_exact_sizes_add_to_an_exact_size() -> None:
    assert total([ByteRange(1, 2, 4), ByteRange.exactly(10)]) == ByteRange(11, 12, 14)
    assert total([]) == ByteRange.exactly(0)


def test_gib_are_powers_of_two() -> None:
    assert gib(1.5) == 3 * GIB // 2
    assert as_gib(3 * GIB) == 3.0


@pytest.mark.parametrize(
    "text", ["0.32", "0.32.0rc1", "0.32.0 ", "latest", "", "0.1234567.0", "٠.1.0", "0.10.02", "0.032.0"]
)
def test_what_is_no_release_parses_to_none(text: str) -> None:
    assert Release.parse(text) is None
    with pytest.raises(ValueError, match="not a vLLM release"):
        Release.of(text)


def test_releases_order_as_they_were_made() -> None:
    texts = ["0.6.1.post2", "0.6.2", "0.8.5", "0.8.5.post1", "0.10.0", "0.32.0"]
    assert sorted(map(Release.of, reversed(texts))) == [Release.of(text) for text in texts]
    assert str(Release.of("v0.32.0")) == "0.32.0"
    assert Release.of("v0.32.0") == Release.of("0.32.0")


def _finding(line: int, code: str = "E100", severity: Severity = Severity.ERROR) -> Diagnostic:
    return Diagnostic(code=code, message="no", severity=severity, span=Span(file="a.yaml", line=line))


def test_a_report_gives_its_findings_by_place_and_each_once() -> None:
    report = Report()
    report.extend([_finding(3), _finding(1), _finding(3)])
    report.add(Diagnostic(code="E101", message="everywhere"))
    assert [finding.span.line if finding.span else None for finding in report] == [None, 1, 3]
    assert len(report) == 4


def test_warnings_are_no_errors() -> None:
    assert not Report([_finding(1, severity=Severity.WARNING)]).has_errors
    assert Report([_finding(1)]).has_errors


def test_places_fall_back_to_the_nearest_parent_and_then_to_the_file() -> None:
    parent, value = Span(file="a.yaml", line=3), Span(file="a.yaml", line=4, column=9)
    places = Places("a.yaml", keys={("vllm",): parent}, values={("vllm", "max-model-len"): value})
    assert places.value(("vllm", "max-model-len")) == value
    assert places.key(("vllm", "max-model-len")) == parent
    assert places.value(("gpus", 0)) == Span(file="a.yaml")


def test_a_flag_remembers_whether_the_service_or_the_deployment_wrote_it() -> None:
    own = Places("mini.yaml", keys={("vllm", "dtype"): Span(file="mini.yaml", line=5)})
    default = Places("deployment.yaml", keys={("defaults", "vllm", "seed"): Span(file="deployment.yaml", line=9)})
    service = ServiceProfile(
        name="mini",
        model="m",
        vllm={"dtype": "auto", "seed": 1},
        places=own,
        origins={"dtype": own, "seed": default},
    )
    assert service.flag_value("dtype") == Span(file="mini.yaml", line=5)
    assert service.flag_value("seed") == Span(file="deployment.yaml", line=9)
    assert service.flag_value("unwritten") == Span(file="mini.yaml")


def test_equality_of_profiles_forgets_places() -> None:
    assert ServiceProfile(name="a", model="m", places=Places("x")) == ServiceProfile(name="a", model="m")


def _gpu(index: int) -> Gpu:
    return Gpu(index=index, uuid=f"GPU-{index}", name="card", total_bytes=10, free_bytes=7)


def test_a_link_is_found_whichever_way_round_it_is_asked_for() -> None:
    link = Link(first="GPU-0", second="GPU-1", kind=LinkKind.HOST_BRIDGE)
    host = Host(name="box", gpus=(_gpu(0), _gpu(1)), links=(link,))
    assert host.link("GPU-1", "GPU-0") == host.link("GPU-0", "GPU-1") == link
    assert host.link("GPU-0", "GPU-2") is None
    assert Inventory(hosts=(host,), source="test").gpu("GPU-1").used_bytes == 3


def test_nvlink_is_known_of_a_card_whose_links_are() -> None:
    bridge = Link(first="GPU-0", second="GPU-1", kind=LinkKind.NVLINK, nvlinks=4)
    slow = Link(first="GPU-0", second="GPU-2", kind=LinkKind.HOST_BRIDGE)
    host = Host(name="box", gpus=tuple(_gpu(index) for index in range(4)), links=(bridge, slow))
    assert [host.has_nvlink(f"GPU-{index}") for index in range(4)] == [True, True, False, None]


def test_nvlink_is_the_nearest_link_and_another_socket_the_farthest() -> None:
    assert LinkKind.NVLINK.distance == 0
    assert max(LinkKind, key=lambda kind: kind.distance) is LinkKind.ACROSS_SOCKETS


@given(tokens=st.integers(0, 10**6), window=st.integers(1, 10**5), block=st.integers(1, 2048))
def test_a_window_never_takes_more_blocks_than_full_attention_and_its_spare_one(
    tokens: int, window: int, block: int
) -> None:
    full = KvGroup(block_tokens=block)
    sliding = KvGroup(block_tokens=block, token_cap=window, extra_blocks=1)
    assert sliding.blocks_for(tokens) <= full.blocks_for(tokens) + 1


@given(tokens=st.integers(1, 10**6), requests=st.floats(0.1, 64))
def test_bytes_for_requests_hold_that_many_requests(tokens: int, requests: float) -> None:
    layout = KvCacheLayout(block_bytes=4096, groups=(KvGroup(block_tokens=16),), reserved_blocks=1)
    blocks = layout.blocks_in(layout.bytes_for(tokens, requests)) - layout.reserved_blocks
    assert blocks >= layout.blocks_for(tokens) * requests
    assert blocks - 1 < layout.blocks_for(tokens) * requests
