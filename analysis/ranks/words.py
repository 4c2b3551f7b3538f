"""What the ranks of a study say, in sentences made from its answers."""

from collections.abc import Sequence

from analysis.comparisons.answers import Answer
from analysis.comparisons.words import ended, numbers, signed
from analysis.ranks.findings import ArmChange, RankFindings
from analysis.ranks.formats import between, correlation, tokens_in_words
from analysis.ranks.gains import GainRelation
from analysis.ranks.questions import CONTRASTS, EQUAL_LOSS, QUESTIONS
from analysis.ranks.surgery import PRESET_PERCENT

_LEADS = {
    "cause": {
        "lower": "QK-norm costs rank: it is more than a reporter",
        "higher": "K keeps more rank with QK-norm than without: QK-norm does not cost rank",
        "similar": "K's rank is similar with and without QK-norm",
        "undecided": "Undecided whether QK-norm causes or only reports a low rank of K",
    },
    "gains": {
        "lower": "Learned gains cost rank, against gains frozen at 1",
        "higher": "K keeps more rank with learned gains than with gains frozen at 1",
        "similar": "K's rank is similar with learned and with frozen gains",
        "undecided": "Undecided whether learned gains change K's rank",
    },
    "norm": {
        "lower": "The norm costs rank even with its gains frozen",
        "higher": "K keeps more rank with a norm of frozen gains than with none",
        "similar": "K's rank is similar under a norm of frozen gains and under none",
        "undecided": "Undecided whether the norm by itself changes K's rank",
    },
    "muon": {
        "lower": "With QK-norm, Muon leaves K less rank than AdamW alone",
        "higher": "With QK-norm, Muon leaves K more rank than AdamW alone",
        "similar": "With QK-norm, K's rank is similar under Muon and under AdamW alone",
        "undecided": "Undecided whether Muon changes K's rank with QK-norm",
    },
    "muon_plain": {
        "lower": "Without QK-norm, Muon leaves K less rank than AdamW alone",
        "higher": "Without QK-norm, Muon leaves K more rank than AdamW alone",
        "similar": "Without QK-norm, K's rank is similar under Muon and under AdamW alone",
        "undecided": "Undecided whether Muon changes K's rank without QK-norm",
    },
    "data": {
        "lower": "Complex text leaves K less rank than simple text",
        "higher": "Complex text leaves K more rank than simple text: rank adapts to the text",
        "similar": "K's rank is similar after simple and after complex text: it does not adapt",
        "undecided": "Undecided whether K's rank adapts to the text",
    },
}
_CHANGES = {
    "sudden": "is sudden",
    "gradual": "is gradual: no step between two checkpoints explains it",
    "neither": "is neither one step nor one smooth change",
    "undecided": "may be sudden or gradual: undecided",
    "not shown": "is not shown: neither a step nor a smooth change",
    "not measured": "was not measured",
}


def sentences(found: RankFindings) -> tuple[str, ...]:
    """The findings, one sentence or two a question, in the order of R5.7."""
    return (
        fall_in_words(found),
        *(_contrast_in_words(found, one.question) for one in CONTRASTS),
        _change_in_words(found),
        _timing_in_words(found),
        _proxy_in_words(found),
        gains_in_words(found),
    )


def short(found: RankFindings) -> tuple[str, ...]:
    """The findings in a line each, with effect and interval at equal tokens."""
    asked = [(lead(found, one.question), found.answer(one.question)) for one in CONTRASTS]
    asked.append((proxy_lead(found), found.answer("gain_as_svd")))
    change = found.change(found.roles.qknorm_muon)
    gradual = [f"Its change under QK-norm, Muon {_CHANGES[change.word]}."] if change else []
    told = [
        f"{words} ({numbers(answer)}{_if_other_at_equal_loss(found, answer)})."
        for words, answer in asked
        if answer.mean is not None
    ]
    return (f"{fall_title(found, found.arms)}.", *gradual, *told)


def _if_other_at_equal_loss(found: RankFindings, answer: Answer) -> str:
    verdict = found.answer(answer.asked.question, EQUAL_LOSS).verdict
    return "" if verdict == answer.verdict else f"; at equal loss {verdict}"


def lead(found: RankFindings, question: str) -> str:
    """The answer to one contrast in a clause, at equal tokens."""
    answer = found.answer(question)
    if answer.verdict == "not measured":
        return f"Not measured: {QUESTIONS[question][0].lower()}{QUESTIONS[question][1:]}"
    if (question, answer.verdict) == ("cause", "similar") and _falls(found):
        return "K loses as much rank without QK-norm: QK-norm reports it and does not cause it"
    return _LEADS[question][answer.verdict]


def _falls(found: RankFindings) -> bool:
    """Whether K loses rank in the arm with QK-norm at all."""
    label = found.roles.label(found.roles.qknorm_muon)
    return any(one.asked.at == label and one.verdict == "lower" for one in found.falls)


def lead_with_size(found: RankFindings, question: str) -> str:
    """The same with the size of the difference, for a title."""
    answer = found.answer(question)
    if not answer.is_decided or answer.mean is None:
        return lead(found, question)
    return f"{lead(found, question)} ({signed(answer.mean)} {answer.asked.unit})"


def fall_in_words(found: RankFindings) -> str:
    """Whether K's rank falls in training, arm by arm."""
    groups: dict[str, list[str]] = {}
    for one in found.falls:
        share = ""
        if one.mean is not None and one.asked.reference:
            end = one.asked.reference + one.mean
            share = f" ({one.asked.reference:.1f} to {end:.1f}, n = {one.n_seeds})"
        groups.setdefault(one.verdict, []).append(f"{one.asked.at}{share}")
    words = {
        "lower": "falls under",
        "higher": "rises under",
        "similar": "stays within the margin under",
        "undecided": "is undecided under",
        "not measured": "was not followed under",
    }
    told = [f"{words[verdict]} {'; '.join(arms)}" for verdict, arms in groups.items()]
    return f"From random weights to the end of training, K's participation ratio {', '.join(told)}."


def fall_title(found: RankFindings, arms: Sequence[str]) -> str:
    """What K's rank does in training under these arms, short enough for a title."""
    labels = [found.roles.label(arm) for arm in arms]
    told = [one for one in found.falls if one.mean is not None and one.asked.at in labels]
    if not told:
        return "K's participation ratio in training"
    fallen = [one for one in told if one.verdict == "lower"]
    if not fallen:
        risen = sum(one.verdict == "higher" for one in told)
        rest = f", and a rise in {risen}" if risen else ""
        return f"No fall of K's rank is shown in any of {len(told)} arms{rest}"
    most = min(fallen, key=lambda one: (one.mean or 0.0) / (one.asked.reference or 1.0))
    start, end = most.asked.reference or 0.0, (most.asked.reference or 0.0) + (most.mean or 0.0)
    which = f"{len(fallen)} of {len(told)} arms" if len(told) > 1 else most.asked.at
    where = f"most under {most.asked.at}: " if len(told) > 1 else ""
    return f"K loses rank in training in {which}, {where}{start:.1f} to {end:.1f} directions"


def gains_title(gains: GainRelation) -> str:
    """Gain against what its coordinate carries, short enough for a title."""
    told = f"Gain and key RMS correlate by {correlation(gains.with_rms)} within layers"
    before = correlation(gains.with_unit)
    if gains.unit_interval is None:
        return f"{told}, by {before} before the gain (one seed: undecided)"
    if gains.unit_interval[0] <= 0 <= gains.unit_interval[1]:
        return f"{told}; before the gain no relation is shown ({before})"
    return f"{told}, and by {before} even before the gain"


def _contrast_in_words(found: RankFindings, question: str) -> str:
    tokens, loss = found.answer(question), found.answer(question, EQUAL_LOSS)
    told = f"{lead(found, question)}. At equal tokens: {ended(numbers(tokens))}"
    if tokens.verdict == "undecided":
        told += f" {' '.join(tokens.reasons)}"
    if loss.verdict == "not measured":
        return f"{told} At equal loss: {ended(numbers(loss))}"
    same = "the same" if loss.verdict == tokens.verdict else loss.verdict
    note = f" {loss.asked.note}" if loss.asked.note else ""
    return f"{told} At equal loss {same}: {ended(numbers(loss))}{note}"


def _change_in_words(found: RankFindings) -> str:
    """Sudden or gradual, of the control arm or else of all there are."""
    change = found.change(found.roles.qknorm_muon)
    if change is None and found.changes:
        return " ".join(
            f"The change of K's rank under {one.arm} {_CHANGES[one.word]} ({change_numbers(one)})."
            for one in found.changes
        )
    if change is None:
        return "Sudden or gradual was not measured: too few checkpoints on the way."
    label = found.roles.label(change.arm)
    told = f"The change of K's rank under {label} {_CHANGES[change.word]}"
    told += f" ({change_numbers(change)}); the loss's is {change.loss.word}."
    if change.word == "sudden" and change.rank.step:
        before, after = change.rank.step
        told += f" It lies between {tokens_in_words(before)} and {tokens_in_words(after)} tokens."
        told += (
            "" if before else " Before the first checkpoint a fast smooth change looks the same."
        )
    if change.word == "undecided":
        told += " Neither kind is rejected with so few points and so much noise."
    return told


def change_numbers(change: ArmChange) -> str:
    """The p's of a change, corrected over the arms, and the verdicts on single chains."""
    flat, gradual, sudden = change.rank_p
    counts = {word: change.alone.count(word) for word in dict.fromkeys(change.alone)}
    alone = ", ".join(f"{count} {word}" for word, count in counts.items())
    return (
        f"corrected p if flat {flat:.2g}, if gradual {gradual:.2g}, if sudden {sudden:.2g}; "
        f"chains by themselves: {alone}"
    )


def _timing_in_words(found: RankFindings) -> str:
    timing = found.answer("timing")
    words = {
        "higher": "Half of K's change comes later than half of the loss's",
        "lower": "Half of K's change comes before half of the loss's",
        "similar": "K's rank and the loss do half of their change at the same place",
        "undecided": "Undecided whether K's rank changes where the loss does",
        "not measured": "Where K's rank changes beside the loss is not told",
    }
    reasons = " ".join(timing.reasons) if timing.verdict == "undecided" else ""
    return f"{words[timing.verdict]}: {ended(numbers(timing))} {reasons}".rstrip()


def proxy_lead(found: RankFindings) -> str:
    """Whether gains can stand for the SVD (A ~ B >> C), in a clause."""
    as_svd, to_gain = (found.answer(one) for one in ("gain_as_svd", "random_to_gain"))
    if as_svd.verdict == "not measured":
        return "Not measured: whether gains are a proxy of rank"
    where = f"{PRESET_PERCENT:.0f} %"
    better = {
        "higher": "and a better one than chance",
        "lower": "and a worse one than chance",
        "similar": "and no better than chance",
    }.get(to_gain.verdict, "but whether better than chance is undecided")
    words = {
        "similar": f"Gains are as good a guide to pruning {where} as the SVD, {better}",
        "higher": f"Gains are a poorer guide to pruning {where} than the SVD, {better}",
        "lower": f"Gains are a better guide to pruning {where} than the SVD, {better}",
    }
    return words.get(as_svd.verdict, "Undecided whether gains are as good a guide as the SVD")


def _proxy_in_words(found: RankFindings) -> str:
    parts = []
    for question in ("gain_as_svd", "random_to_gain", "random_to_svd"):
        one = found.answer(question)
        reasons = " ".join(one.reasons) if one.verdict == "undecided" else ""
        compared = f"{one.asked.first.capitalize()} less {one.asked.second}"
        if one.mean is not None:
            parts.append(f"{compared}: {ended(numbers(one))} {reasons}".rstrip())
    told = " ".join(parts)
    at = found.answer("gain_as_svd").asked.at
    return f"{proxy_lead(found)}. Loss at {at}. {told}" if told else f"{proxy_lead(found)}."


def gains_in_words(found: RankFindings) -> str:
    """Gain against what its coordinate carries, and how much of that is by construction."""
    gains = found.gains
    if gains is None:
        return "There are no learned gains to set against singular values."
    more = "no relation is shown before the gain"
    if gains.unit_interval and not gains.unit_interval[0] <= 0 <= gains.unit_interval[1]:
        side = "more" if gains.with_unit > 0 else "less"
        more = f"coordinates of larger gain carry {side} even before the gain"
    return (
        f"Within layers, gain and key RMS correlate by {correlation(gains.with_rms)}"
        f"{between(gains.rms_interval)}, in part by construction; gain and the RMS before the "
        f"gain by {correlation(gains.with_unit)}{between(gains.unit_interval)}: {more} "
        f"(Spearman, n = {gains.n_chains})."
    )
