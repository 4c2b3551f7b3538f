import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import collapse
from collapse.errors import BadParameter
from collapse.numerics.completion_classes import (
    COMPLETION_CLASSES,
    classify_completion,
    completion_traits,
    summarise_completions,
)

PUBLISHED = (
    Path(__file__).resolve().parents[3]
    / "shared/data/published/code_mode_collapse/token_bigdata.jsonl"
)


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="../shared/data is not there")
def test_published_completions_to_the_count() -> None:
    rows = [json.loads(line) for line in PUBLISHED.read_text(encoding="utf-8").splitlines()]
    summary = summarise_completions([row["completion"] for row in rows])
    assert summary.completions == 52
    assert summary.counts == {
        "mode_collapse": 16,
        "repetitive": 28,
        "good": 0,
        "partial": 1,
        "noise": 7,
    }
    assert summary.failure_rate == 44 / 52
    assert f"{summary.failure_rate:.1%}" == "84.6%"
    assert f"{summary.mean_commonest_share:.2%}" == "59.74%"
    assert f"{summary.mean_distinct_characters:.1f}" == "2.8"
    assert (summary.with_keyword, summary.with_operator, summary.with_parentheses) == (1, 2, 2)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("::::::::::", "mode_collapse"),
        ("x", "mode_collapse"),
        ("\n\n" + " " * 60, "mode_collapse"),
        # Over 80 % comes before everything else, whatever is in the rest.
        ("return x = (1)" + "." * 57, "mode_collapse"),
        ("", "repetitive"),
        ("):):):):", "repetitive"),
        (" == ", "repetitive"),
        ("abcd" * 9, "repetitive"),
        ("abcde", "noise"),
        # Exactly 80 % is not over 80 %, neither with 4 different characters nor with 5.
        ("aaaaaaaabc", "repetitive"),
        ("a" * 16 + "bcde", "noise"),
        ("a" * 17 + "bcde", "mode_collapse"),
        ("\n    return a + b\n", "good"),
        ("iffy - as prose can be", "good"),
        ("x = 3 while y", "good"),
        ("\n    x + y\n", "partial"),
        ("print(hello)", "partial"),
        (")hello(", "partial"),
        ("(hello there", "noise"),
        ("return hello", "noise"),
        ("Return = DEF", "partial"),
        ("what : a , text % that . says & nothing", "noise"),
    ],
)
def test_classes_by_hand(text: str, kind: str) -> None:
    assert classify_completion(text) == kind


@pytest.mark.parametrize("keyword", ["def", "class", "if", "for", "while", "import", "return"])
@pytest.mark.parametrize("operator", "=+-*/><")
def test_every_keyword_goes_with_every_operator(keyword: str, operator: str) -> None:
    assert classify_completion(f"{keyword} {operator} zyq.") == "good"
    assert classify_completion(f"{keyword}, zyq.") == "noise"
    assert classify_completion(f"{operator}, zyq.") == "partial"


def test_self_is_a_keyword() -> None:
    assert completion_traits("itself").has_keyword
    assert not completion_traits("sel f").has_keyword


def test_traits_of_the_empty_text_are_not_invented() -> None:
    traits = completion_traits("")
    assert traits.commonest_share is None
    assert traits.distinct_characters == 0
    summary = summarise_completions(["", "aab"])
    assert summary.mean_commonest_share == 2 / 3
    assert summary.mean_distinct_characters == 1.0
    assert summarise_completions([""]).mean_commonest_share is None
    with pytest.raises(BadParameter, match="0 completions"):
        summarise_completions([])


@given(st.lists(st.text(alphabet="ab:)(= \nif", max_size=12), min_size=1, max_size=8))
def test_summary_adds_up(texts: list[str]) -> None:
    summary = summarise_completions(texts)
    kinds = [classify_completion(text) for text in texts]
    assert tuple(summary.counts) == COMPLETION_CLASSES
    assert [summary.counts[kind] for kind in COMPLETION_CLASSES] == [
        kinds.count(kind) for kind in COMPLETION_CLASSES
    ]
    failed = kinds.count("mode_collapse") + kinds.count("repetitive")
    assert summary.failure_rate == failed / len(texts)


def test_the_package_hands_it_out() -> None:
    assert collapse.classify_completion is classify_completion
    assert "classify_completion" in dir(collapse)
