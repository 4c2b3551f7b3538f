import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from collapse.errors import BadCorpus, StoreError
from collapse.language.corpora import package_index
from collapse.language.corpora.package_index import WheelPackage, cache_folder, fetch_wheel

MakeWheel = Callable[[str, str], Path]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLLAPSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packages"


@pytest.fixture
def make_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> MakeWheel:
    """Pip looks for wheels in a folder of the test, and has no network to look elsewhere."""
    house = tmp_path / "house"
    house.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house))

    def make(version: str, tags: str) -> Path:
        path = house / f"tiny_thing-{version}-{tags}.whl"
        info = f"tiny_thing-{version}.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("tiny.py", f"version = {version!r}\n")
            archive.writestr(
                f"{info}/METADATA",
                f"Metadata-Version: 2.1\nName: tiny-thing\nVersion: {version}\n"
                "Requires-Dist: no-such-thing\nRequires-Python: >=3.99\n",
            )
            archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tags}\n")
            archive.writestr(f"{info}/RECORD", "")
        return path

    return make


def test_fetched_once_by_pip_itself(make_wheel: MakeWheel, cache: Path) -> None:
    original = make_wheel("1.5", "py3-none-any")
    make_wheel("1.6", "py3-none-any")
    wheel = fetch_wheel("tiny-thing", "1.5")
    assert wheel == cache / "tiny-thing-1.5" / original.name
    assert wheel.read_bytes() == original.read_bytes()
    assert [path.name for path in cache.iterdir()] == ["tiny-thing-1.5"]
    original.unlink()
    assert fetch_wheel("tiny-thing", "1.5") == wheel
    package = WheelPackage("tiny-thing", "1.5", wheel)
    assert list(package.sources(12)) == [("tiny.py", b"version = '1")]


def test_compiled_wheels_are_those_of_one_platform(make_wheel: MakeWheel) -> None:
    for tags in ("cp311-cp311-win_amd64", "cp311-cp311-macosx_11_0_arm64"):
        make_wheel("1.5", tags)
    with pytest.raises(BadCorpus, match="no wheel"):
        fetch_wheel("tiny-thing", "1.5")
    make_wheel("1.5", "cp311-cp311-manylinux_2_40_x86_64")  # newer than many a machine's own
    assert fetch_wheel("tiny-thing", "1.5").name.endswith("manylinux_2_40_x86_64.whl")


def test_a_missing_version_is_told_from_a_missing_name(make_wheel: MakeWheel, cache: Path) -> None:
    make_wheel("1.5", "py3-none-any")
    with pytest.raises(BadCorpus) as caught:
        fetch_wheel("tiny-thing", "2.0")
    message = str(caught.value)
    assert "tiny-thing==2.0 is not installed" in message
    assert "no wheel of that version (it has ... 1.5)" in message
    assert f"put its wheel into {cache / 'tiny-thing-2.0'}" in message
    assert "\n" not in message
    with pytest.raises(BadCorpus, match="no wheel of that name"):
        fetch_wheel("no-such-thing", "2.0")
    assert list(cache.iterdir()) == []


def test_without_network_it_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadCorpus, match="index cannot be reached; install that version"):
        fetch_wheel("tiny-thing", "1.5")


def test_a_changed_wheel_is_refused_and_one_put_there_by_hand_is_taken(
    make_wheel: MakeWheel, cache: Path
) -> None:
    original = make_wheel("1.5", "py3-none-any")
    wheel = fetch_wheel("tiny-thing", "1.5")
    wheel.write_bytes(wheel.read_bytes() + b"!")
    with pytest.raises(BadCorpus, match=r"is not as it was fetched .*delete .*tiny-thing-1\.5"):
        fetch_wheel("tiny-thing", "1.5")
    by_hand = cache / "tiny-thing-9"
    by_hand.mkdir()
    (by_hand / "tiny_thing-9-py3-none-any.whl").write_bytes(original.read_bytes())
    assert fetch_wheel("tiny-thing", "9").parent == by_hand
    (by_hand / "another-9-py3-none-any.whl").write_bytes(original.read_bytes())
    make_wheel("9", "py3-none-any")
    with pytest.raises(BadCorpus, match="should hold one wheel of tiny-thing 9"):
        fetch_wheel("tiny-thing", "9")


def test_two_processes_that_fetch_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, version: str, place: Path, folder: Path) -> None:
        (place / "mine.whl").write_bytes(b"wheel")
        folder.mkdir()
        (folder / "theirs.whl").write_bytes(b"wheel")

    monkeypatch.setattr(package_index, "_download", download)
    assert fetch_wheel("tiny-thing", "1.5").name == "theirs.whl"
    assert [path.name for path in cache.iterdir()] == ["tiny-thing-1.5"]


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLLAPSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="COLLAPSE_CACHE names another place"):
        fetch_wheel("tiny-thing", "1.5")


@pytest.mark.parametrize(
    ("complaint", "reason"),
    [
        ("/x/python: No module named pip\n", "has no pip"),
        (
            "WARNING: Retrying ... NewConnectionError('Failed to establish a new connection')",
            "reach",
        ),
        ("Temporary failure in name resolution", "cannot be reached"),
        (
            "ERROR: Could not find a version that satisfies the requirement six==99 "
            "(from versions: 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)\nERROR: No matching",
            r"the package index has no wheel of that version \(it has ... 1.2, 1.3, 1.4, 1",
        ),
        ("(from versions: none)", "the package index has no wheel of that name"),
        ("warning\nERROR: disk full\n\n", "pip failed: ERROR: disk full"),
        ("", "it said nothing"),
    ],
)
def test_reasons(complaint: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    with pytest.raises(BadCorpus, match=reason):
        raise BadCorpus(package_index._reason(complaint))


def test_damaged_wheels_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    path.write_bytes(b"not a zip")
    with pytest.raises(BadCorpus, match=r"cannot be read .*delete its folder"):
        WheelPackage("x", "1", path).paths()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.py", "answer = 42\n")
    path.write_bytes(path.read_bytes().replace(b"answer = 42", b"answer = 41"))
    with pytest.raises(BadCorpus, match="cannot be read"):
        list(WheelPackage("x", "1", path).sources(1000))


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLAPSE_CACHE", "~/mine")
    assert cache_folder() == Path.home() / "mine" / "packages"
    monkeypatch.delenv("COLLAPSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/collapse/packages")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "collapse" / "packages"
