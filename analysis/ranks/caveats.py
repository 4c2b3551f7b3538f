"""What the ranks of a study do not say: what is missing, and where K's companions disagree."""

from dataclasses import astuple

from analysis.comparisons.answers import Answer
from analysis.comparisons.words import few_seeds, signed
from analysis.ranks.chains import COMPANIONS, PRIMARY_SITE
from analysis.ranks.changes import MOST_IN_ONE
from analysis.ranks.findings import RankFindings
from analysis.ranks.formats import tokens_in_words
from analysis.ranks.questions import EQUAL_TOKENS, MARGIN_SHARE, QUESTIONS


def cautions(found: RankFindings) -> tuple[str, ...]:
    """All of it, one sentence or two each."""
    return (
        *doubts(found),
        *few_seeds(len(found.seeds)),
        _margin(found),
        f"K is taken at the site {PRIMARY_SITE} (W_k x, before norm and rotation). Its rank "
        "depends on a gauge that changes nothing in the model; those of scores_centred "
        "and W_qk do not, that of K_centred does.",
        "Layers and heads are averaged within a chain: only seeds are replicates. Where something "
        "is called similar, that is not corrected for the number of answers.",
        "Sudden and gradual are meant of this schedule: what happens between two checkpoints is "
        f"not seen, and a gradual change has at most {100 * MOST_IN_ONE:.0f} % of itself there.",
        "A rank that falls is no loss of quality by itself.",
    )


def doubts(found: RankFindings) -> list[str]:
    """What speaks against these findings in particular: gaps, and companions that differ."""
    return [*_missing(found), *_companions(found)]


def fall_doubts(found: RankFindings) -> list[str]:
    """Where K's own change in training is not that of its companions; alike arms together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for answer in found.falls:
        if others := _not_bearing_out(found, answer):
            names = tuple(other.split(" ")[0] for other in others)
            alike.setdefault((answer.verdict, *names), []).append(answer.asked.at)
    return [
        f"That K's rank is {verdict} after training under {'; '.join(arms)} is not borne out "
        f"by {' or '.join(names)}."
        for (verdict, *names), arms in alike.items()
    ]


def side_of_zero(answer: Answer) -> int:
    """Whether a 95 % interval lies above 0 (1), below it (-1), or holds it (0)."""
    if answer.interval is None or answer.interval[0] <= 0 <= answer.interval[1]:
        return 0
    return 1 if answer.interval[0] > 0 else -1


def agrees(answer: Answer, companion: Answer) -> bool | None:
    """Whether a companion of K moves as K does; None where either cannot tell.

    Where K is higher or lower, the companion's interval must lie on the same side of 0; where K is
    similar, the companion's must not lie wholly beyond its own margin.
    """
    if not answer.is_decided or companion.interval is None:
        return None
    if answer.verdict == "similar":
        low, high = companion.interval
        return not (low > companion.asked.margin or high < -companion.asked.margin)
    return side_of_zero(companion) == (1 if answer.verdict == "higher" else -1)


def companion_of(found: RankFindings, which: str, answer: Answer) -> Answer | None:
    """The same question asked of a companion; None where K was asked at equal loss."""
    if answer.asked.at == EQUAL_TOKENS or answer.asked.question == "fall":
        for one in found.companions[which]:
            if (one.asked.question, one.asked.at) == (answer.asked.question, answer.asked.at):
                return one
    return None


def _companions(found: RankFindings) -> list[str]:
    """The findings on K that companions do not bear out: those on arms first, then on falls."""
    told = []
    for answer in found.answers:
        if others := _not_bearing_out(found, answer):
            told.append(
                f"{QUESTIONS[answer.asked.question]} K says {answer.verdict}; it is not borne out "
                f"by {' or '.join(others)}."
            )
    return [*told, *fall_doubts(found)]


def _not_bearing_out(found: RankFindings, answer: Answer) -> list[str]:
    """The companions that do not agree with an answer, with their intervals."""
    told = []
    for which in COMPANIONS:
        companion = companion_of(found, which, answer)
        if companion and companion.interval and agrees(answer, companion) is False:
            low, high = companion.interval
            told.append(f"{which} (95 % {signed(low)} to {signed(high)})")
    return told


def _missing(found: RankFindings) -> list[str]:
    told = []
    absent = [found.roles.label(arm) for arm in astuple(found.roles) if arm not in found.arms]
    if absent:
        told.append(f"The study has no arm {', '.join(absent)}.")
    if found.missing:
        chains = ", ".join(
            f"{one.arm} seed {one.seed} "
            + (f"(until {tokens_in_words(one.last_tokens)})" if one.last_tokens else "(nothing)")
            for one in found.missing
        )
        told.append(
            f"{len(found.missing)} of {found.n_planned} chains have no rank at the last "
            f"checkpoint: {chains}. If they broke for what was asked, the estimates are "
            "too small."
        )
    return told


def _margin(found: RankFindings) -> str:
    source = (
        "by the study's claims"
        if found.is_preset
        else f"at {100 * MARGIN_SHARE:.0f} % of what is compared with"
    )
    return (
        f"Differences count where the 95 % interval lies beyond a margin that was preset {source} "
        "(of losses, 0.05 nats; of places, one doubling of tokens)."
    )
