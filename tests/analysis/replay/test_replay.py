import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.replay.__main__ import PICTURE, main, write_replay
from analysis.replay.published import PublishedGeneration, read_published, replay, replay_trends
from collapse.errors import BadInput
from tests.conftest import SHARED_DATA

PUBLISHED = SHARED_DATA / "published" / "recursion_102m"
needs_data = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="shared data is not there")

# The published generation 0.
RITZ = [
    26.00632667541504, 23.877086639404297, 19.816694259643555, 19.0198974609375,
    16.907262802124023, 15.23199462890625, 14.54155445098877, 14.015238761901855,
    12.301151275634766, 11.700515747070312, 11.32181167602539, -2.395317316055298,
    -2.1205835342407227, -1.8142579793930054, -1.508628010749817, -1.0454334020614624,
    -0.41891559958457947, -0.00023025558039080352, 0.06657759100198746, 0.7254626750946045,
    1.423762559890747, 2.3475570678710938, 3.1336848735809326, 4.104678153991699,
    5.120105266571045, 5.987789630889893, 9.701517105102539, 9.399876594543457,
    7.255507469177246, 8.196432113647461,
]  # fmt: skip
TOP = [25.84781265258789, 23.92129898071289, 19.772245407104492]
STORED = {"bulk_center": 6.536275216676066, "bulk_width": 6.857090255902913,
          "spectral_ratio": 3.769501594402502}  # fmt: skip


def generation(number: int, scale: float = 1.0) -> PublishedGeneration:
    stored = STORED | {k: scale * v for k, v in STORED.items() if k != "spectral_ratio"}
    return PublishedGeneration(number, scale * np.array(RITZ), scale * np.array(TOP), stored)


def write(folder: Path, number: int, **changes: Any) -> None:
    content = {"generation": number, "eigenvalue_density": RITZ, "top_eigenvalues": TOP} | STORED
    (folder / f"generation_{number}.json").write_text(json.dumps(content | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        write(tmp_path, number)
    return tmp_path


def test_generation_0_is_replayed_to_every_printed_digit() -> None:
    row = replay((generation(0),)).loc[0]
    assert row["largest_deviation"] < 1e-12
    assert round(row["spectral_ratio"], 2) == 3.77
    assert round(row["bulk_center"], 2) == 6.54
    assert round(row["bulk_width"], 2) == 6.86
    assert round(row["lambda_max"], 2) == 25.85
    assert round(row["lambda_min"], 1) == -2.4
    assert round(row["iqr_ratio"], 2) == 1.94
    assert (row["negative_ritz_values"], row["negative_zeros"], row["ritz_values"]) == (7, 1, 30)
    assert (row["quoted_loss"], row["degradation"]) == (4.49, 0)
    assert row["is_as_printed"]


def test_other_numbers_are_told_from_the_printed_ones() -> None:
    """The ratio knows no scale: twice the same generation is not what was printed."""
    table = replay((generation(0), generation(1, 7.0)))
    assert list(table["is_as_printed"]) == [True, False]
    assert table["spectral_ratio"].loc[1] == pytest.approx(table["spectral_ratio"].loc[0])
    assert table["lambda_max"].loc[1] == pytest.approx(7 * table["lambda_max"].loc[0])


@needs_data
def test_published_table_comes_out_again() -> None:
    table = replay(read_published(PUBLISHED))
    assert table["is_as_printed"].all()
    assert table["largest_deviation"].max() < 1e-12

    def rounded(name: str, digits: int) -> list[float]:
        return [round(float(value), digits) for value in table[name]]

    assert rounded("spectral_ratio", 2) == [3.77, 3.48, 3.12, 2.10, 1.78, 2.16]
    assert rounded("degradation", 0)[1:] == [8, 17, 44, 53, 43]
    assert rounded("iqr_ratio", 2) == [1.94, 1.98, 1.66, 1.12, 0.96, 1.14]
    ends = table.loc[[0, 5]]
    assert [round(v, 2) for v in ends["lambda_max"]] == [25.85, 133.28]
    assert round(float(ends["lambda_max"].loc[5] / ends["lambda_max"].loc[0]), 2) == 5.16
    assert [round(v, 2) for v in ends["bulk_center"]] == [6.54, -27.45]
    assert [round(v, 2) for v in ends["bulk_width"]] == [6.86, 61.82]
    assert [round(v, 1) for v in ends["lambda_min"]] == [-2.4, -123.9]
    assert list(ends["negative_ritz_values"]) == [7, 17]
    assert list(table["ritz_values"]) == [30] * 6


@needs_data
def test_indicators_of_the_published_chain() -> None:
    trends = replay_trends(replay(read_published(PUBLISHED))).set_index("indicator")
    words = trends["trend"].to_dict()
    assert [words[name] for name in trends.index[:4]] == ["falls", "falls", "rises", "rises"]
    assert words["Smallest eigenvalue"] == "falls"
    # Two pairs of fifteen go up: 4 over 5, and 3 below 5.
    assert trends.loc["Ratio decline", "tau"] == pytest.approx(-11 / 15)


@needs_data
def test_page_as_kept_in_the_docs_is_the_one_that_is_made(tmp_path: Path) -> None:
    made = write_replay(PUBLISHED, tmp_path).read_text(encoding="utf-8")
    kept = Path(__file__).resolve().parents[3] / "docs" / "results" / "published_recursion"
    assert made == (kept / "README.md").read_text(encoding="utf-8")
    assert (kept / PICTURE).read_bytes()[:4] == b"\x89PNG"
    for words in ("24.7 %", "prints 24", "3.77 | 3.48 | 3.12 | 2.10 | 1.78 | 2.16", "to the last"):
        assert words in " ".join(made.split())
    assert made.count("nothing can be concluded") + made.count("nothing can be\nconcluded") == 2


def test_page_says_what_does_not_agree(folder: Path, tmp_path: Path) -> None:
    text = " ".join(write_replay(folder, tmp_path / "page").read_text(encoding="utf-8").split())
    assert "but not with the printed digits of generation 1, 2, 3, 4, 5" in text
    assert (tmp_path / "page" / PICTURE).is_file()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generation": 4}, "does not say that it is generation 3"),
        ({"eigenvalue_density": None}, "eigenvalue_density must be 2 or more finite numbers"),
        ({"eigenvalue_density": [1.0]}, "eigenvalue_density must be 2 or more"),
        ({"top_eigenvalues": ["a"]}, "top_eigenvalues must be 1 or more"),
        ({"top_eigenvalues": [[1.0]]}, "top_eigenvalues must be 1 or more"),
        ({"bulk_width": float("nan")}, "bulk_width must be 1 or more finite"),
    ],
)
def test_odd_files_are_named(folder: Path, changes: dict[str, Any], words: str) -> None:
    write(folder, 3, **changes)
    with pytest.raises(BadInput, match=r"generation_3\.json") as error:
        read_published(folder)
    assert words in str(error.value)


def test_missing_files_are_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--to", str(folder / "page")]
    assert main([str(folder), *words]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "page" / "README.md")
    (folder / "generation_5.json").write_text("{")
    assert main([str(folder), *words]) == 2
    assert "no JSON" in capsys.readouterr().err
    (folder / "generation_5.json").unlink()
    assert main([str(folder), *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: cannot read ")
    assert said.count("\n") == 1
    shutil.rmtree(folder)
    assert main([str(folder), *words]) == 2
    assert "is no folder" in capsys.readouterr().err
