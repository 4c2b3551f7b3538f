import json
from pathlib import Path

import pyarrow  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse.errors import BadCorpus
from collapse.language.corpora.files import FileCorpus, _pieces_between_marks

TINYSTORIES = Path(__file__).parents[4] / "shared" / "data" / "tinystories"


def read(path: Path, text_column: str = "text") -> list[str]:
    return list(FileCorpus.open(str(path), text_column).documents())


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_json_lines(path: Path, texts: list[str]) -> Path:
    return write(path, "".join(json.dumps({"text": text}) + "\n" for text in texts))


def test_text_file_is_cut_at_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "\nOne\nstory. \n\n  \nTwo.\r\n\r\nThree")
    assert read(path) == ["One\nstory.", "Two.", "Three"]


def test_text_file_with_marks_is_cut_at_marks_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "One\n\nstory.\n<|endoftext|>\nTwo.<|endoftext|>Three.\n")
    assert read(path) == ["One\n\nstory.", "Two.", "Three."]


@settings(deadline=None)
@given(st.text(st.sampled_from("ab \n<|")))
def test_marks_are_cut_like_str_split(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    text = text.replace("ab", "<|endoftext|>") + "x"
    path = write(tmp_path_factory.mktemp("marks") / "a.txt", text)
    assert list(_pieces_between_marks(path)) == text.split("<|endoftext|>")


def test_json_lines_are_read_exactly(tmp_path: Path) -> None:
    texts = [" two\n\nlines ", "é \u2028 \x00 😀", "x"]
    path = write_json_lines(tmp_path / "a.jsonl", [*texts, "", "  \n"])
    assert read(path) == texts
    raw = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\r\n\n" for text in texts)
    assert read(write(tmp_path / "b.jsonl", b"\xef\xbb\xbf" + raw.encode())) == texts


def test_parquet_is_read_exactly(tmp_path: Path) -> None:
    texts = [f"text {number}\n" for number in range(3000)]
    pyarrow.parquet.write_table(
        pyarrow.table({"id": texts, "story": texts}), tmp_path / "a.parquet"
    )
    assert read(tmp_path / "a.parquet", "story") == texts


def test_folder_pools_its_files_in_name_order(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "validation.jsonl", ["v"])
    write_json_lines(tmp_path / "train.jsonl", ["t"])
    write(tmp_path / "README.md", "not read")
    write(tmp_path / ".hidden.txt", "not read")
    assert read(tmp_path) == ["t", "v"]


def test_limit_is_on_documents_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "one"}\n{"text": "two"}\nnot JSON\n')
    assert list(FileCorpus.open(str(path)).documents(2)) == ["one", "two"]


def test_fingerprint_follows_content_not_place(tmp_path: Path) -> None:
    def fingerprint(path: Path, column: str = "text") -> str:
        return FileCorpus.open(str(path), column).fingerprint

    one = write_json_lines(tmp_path / "one.jsonl", ["a", "b"])
    moved = write_json_lines(tmp_path / "moved.jsonl", ["a", "b"])
    changed = write_json_lines(tmp_path / "changed.jsonl", ["a", "c"])
    assert fingerprint(one) == fingerprint(moved)
    assert fingerprint(one) != fingerprint(changed)
    assert fingerprint(one) != fingerprint(one, "body")
    as_text = write(tmp_path / "one.txt", one.read_bytes())
    assert fingerprint(one) != fingerprint(as_text)
    assert len(fingerprint(tmp_path)) == 64


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "text\nx\n", ["a.csv", ".csv", ".parquet"]),
        ("a.jsonl", "", ["a.jsonl", "empty"]),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', ["a.jsonl line 2", "JSON"]),
        ("a.jsonl", "[1]\n", ["a.jsonl line 1", "list"]),
        ("a.jsonl", '{"text": "a"}\n\n{"body": "b"}\n', ["line 3", "'text'", "'body'"]),
        ("a.jsonl", "{}\n", ["line 1", "'text'", "none"]),
        ("a.jsonl", '{"text": null}\n', ["line 1", "NoneType"]),
        ("a.jsonl", '{"text": "\\ud800"}\n', ["line 1", "surrogate"]),
        ("a.jsonl", '{"text": "a", "n": ' + "9" * 5000 + "}\n", ["line 1", "JSON"]),
        ("a.jsonl", "[" * 100_000, ["line 1", "JSON"]),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', ["line 2", "UTF-8"]),
        ("a.txt", b"fine\n\xff\xfe", ["a.txt line 2", "UTF-8"]),
        ("a.parquet", "no parquet at all, but long enough", ["a.parquet", "Parquet"]),
    ],
)
def test_faults_are_named(
    tmp_path: Path, name: str, content: str | bytes, words: list[str]
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(BadCorpus) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_faults_of_parquet_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"n": [1], "t": ["a"]}), path)
    with pytest.raises(BadCorpus, match=r"no column 'text'; its columns: n, t"):
        read(path)
    with pytest.raises(BadCorpus, match=r"row 1: field 'n' is int"):
        read(path, "n")
    whole = path.read_bytes()
    for cut in (4, len(whole) // 2, len(whole) - 1):
        write(path, whole[:cut])
        with pytest.raises(BadCorpus, match=r"a\.parquet"):
            read(path)


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadCorpus, match="no such file or folder"):
        read(tmp_path / "nothing.txt")
    with pytest.raises(BadCorpus, match=r"no \.txt"):
        read(tmp_path)


@pytest.mark.skipif(not TINYSTORIES.is_dir(), reason="shared/data is not beside the repository")
def test_tinystories() -> None:
    stories = read(TINYSTORIES)
    assert len(stories) == 6_935 + 770
    assert len(set(stories)) == len(stories)
