"""A record that is written and read again tells the same story, and tampering shows."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest

from analysis import recompute
from analysis.kept import read_record, write_record
from analysis.report.writing import markdown_summary
from analysis.study import StudyRecord
from collapse.claims import claims_hash
from collapse.errors import BadInput
from tests.analysis.made_up_code import study_of_code
from tests.analysis.made_up_origins import made_up_origins
from tests.analysis.made_up_ranks import made_up_ranks, study_of_ranks
from tests.analysis.made_up_study import KL_CLAIM, made_up_study

HONEST = made_up_study(
    claims_hash=claims_hash([KL_CLAIM]),
    claims=(KL_CLAIM,),
    kinds={"replace": "replace", "fresh": "fresh"},
    arm_seeds={"replace": 1},
)


def same(one: StudyRecord, two: StudyRecord) -> None:
    for field in fields(one):
        mine, yours = getattr(one, field.name), getattr(two, field.name)
        if isinstance(mine, pd.DataFrame):
            pd.testing.assert_frame_equal(mine, yours, check_dtype=False)
        elif field.name == "ranks":
            for part in fields(mine):
                pd.testing.assert_frame_equal(
                    getattr(mine, part.name), getattr(yours, part.name), check_dtype=False
                )
        else:
            assert mine == yours, field.name


@pytest.mark.parametrize(
    "record",
    [HONEST, study_of_ranks(made_up_ranks()), study_of_code(), made_up_origins()],
    ids=["plain", "ranks", "code", "origins"],
)
def test_what_is_read_is_what_was_written(record: StudyRecord, tmp_path: Path) -> None:
    record = replace(record, claims_hash=claims_hash(record.claims))
    write_record(record, tmp_path)
    again = read_record(tmp_path)
    same(record, again)
    assert markdown_summary(again) == markdown_summary(record)


def test_a_record_written_over_a_larger_one_keeps_nothing_of_it(tmp_path: Path) -> None:
    write_record(study_of_code(), tmp_path)
    write_record(HONEST, tmp_path)
    same(HONEST, read_record(tmp_path))


def test_claims_that_were_changed_afterwards_show(tmp_path: Path) -> None:
    write_record(HONEST, tmp_path)
    path = tmp_path / "record.json"
    content = json.loads(path.read_text())
    content["claims"][0]["margin"] = 0.0001
    path.write_text(json.dumps(content))
    assert read_record(tmp_path).claims_changed
    assert "The claims were changed after" in markdown_summary(read_record(tmp_path))


def test_claims_that_were_never_hashed_were_not_changed(tmp_path: Path) -> None:
    record = replace(HONEST, claims_hash="")
    write_record(record, tmp_path)
    again = read_record(tmp_path)
    assert not again.claims_changed
    assert markdown_summary(again) == markdown_summary(record)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"name": "x"}', '{"claims": 3}'])
def test_what_is_no_record_is_refused_in_a_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "record.json").write_text(content)
    with pytest.raises(BadInput, match=r"record") as caught:
        read_record(tmp_path)
    assert "\n" not in str(caught.value)


def test_one_command_writes_the_report_again(tmp_path: Path, capsys) -> None:
    write_record(HONEST, tmp_path / "record")
    assert recompute.main([str(tmp_path / "record"), "--to", str(tmp_path / "to")]) == 0
    assert (tmp_path / "to" / "report.html").is_file()
    assert markdown_summary(HONEST) in capsys.readouterr().out
    assert recompute.main([str(tmp_path / "nowhere"), "--to", str(tmp_path / "to")]) == 2
    assert "holds no record" in capsys.readouterr().err
