"""An image made from this machine's own files: a Python, what it links to, and the stand-in for `vllm`."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable
from pathlib import Path

LEFT_OUT = re.compile(r"/(test|tests|idlelib|tkinter|turtledemo|ensurepip|site-packages|__pycache__|config-[^/]*)(/|$)")


def shared_libraries(binaries: Iterable[Path]) -> set[Path]:
    """What the dynamic loader would load for these files, as `ldd` says."""
    said = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(/\S+)(?= \(0x)", said)}


def image_as_tar() -> bytes:
    """A root file system with Python at /usr/bin/python3 and the stand-in at /usr/local/bin/vllm."""
    interpreter = Path(sys.executable).resolve()
    library = Path(sysconfig.get_paths()["stdlib"])
    extensions = [path for path in (library / "lib-dynload").glob("*.so") if not path.name.startswith("_t")]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(library, filter=lambda member: None if LEFT_OUT.search("/" + member.name) else member)
        for path in {interpreter, *shared_libraries([interpreter, *extensions])}:
            tar.add(path.resolve(), arcname=str(path))
        link = tarfile.TarInfo("usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, str(interpreter)
        tar.addfile(link)
        tar.add(
            Path(__file__).with_name("stand_in_for_vllm.py"),
            arcname="usr/local/bin/vllm",
            filter=lambda member: member.replace(mode=0o755),
        )
    return packed.getvalue()


def import_image(name: str) -> None:
    path = "ENV PATH=/usr/local/bin:/usr/bin:/bin"
    subprocess.run(["docker", "import", "-c", path, "-", name], input=image_as_tar(), capture_output=True, check=True)
