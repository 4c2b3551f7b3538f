"""What a study of scaling says, in sentences made from its findings."""

from analysis.comparisons.words import signed
from analysis.metrics import MINUS, metric_info
from analysis.metrics.tasks import TASKS
from analysis.scaling.dynamics import Returns, is_score
from analysis.scaling.factors import Association
from analysis.scaling.findings import ScalingFindings
from analysis.scaling.laws import Law, size_in_words
from analysis.scaling.recommend import Best
from analysis.scaling.tables import OVERALL, ScalingTables
from analysis.scaling.tasks import TaskLinks
from analysis.statistics import least_pairs, least_sign_flip_p
from collapse.figures.view import written

LEAST_SEEDS_FOR_BOOTSTRAP = 5


def sentences(found: ScalingFindings) -> list[str]:
    """All that is said, the recommendation first."""
    told = [*map(best_in_words, found.best), *_fewer_seeds(found.tables)]
    told += [law_in_words(law) for law in found.laws]
    told += [returns_in_words(one) for one in found.returns]
    told.append(factors_in_words(found))
    if found.tasks:
        told += [f"{tasks_title(found.tasks)}.", *_foretelling(found.tasks), gains(found.tasks)]
    return [*told, arms_in_words(found)]


def short(found: ScalingFindings) -> list[str]:
    """What a summary holds."""
    told = [*map(best_in_words, found.best), *_fewer_seeds(found.tables)]
    return [*told, *(law_in_words(law) for law in found.laws[:1]), factors_in_words(found)]


def cautions(found: ScalingFindings) -> list[str]:
    """What the numbers do not say."""
    told = _few_seeds(found)
    if found.missing:
        which = ", ".join(f"{arm} seed {seed}" for arm, seed in found.missing)
        told.append(f"Without an overall score: {which}. A seed that lacks an arm is left out.")
    told.append(
        "Arms of a law share one learning rate: where the best rate depends on size, the law of "
        "the best arms is another one. Nothing is said beyond the sizes that were trained."
    )
    told.append(
        "A coefficient is that in the middle of the sizes and rates, which may bend where there "
        "are arms enough to see it: of a learning rate with a minimum it says little. Intervals "
        "know of seeds, not of the model's shape; the paired comparisons are free of it."
    )
    told.append(
        "Losses compare arms of one tokenizer and one text; where vocabularies differ, bits per "
        "byte are used. Items of a task are no replicates here, and neither are steps."
    )
    return told


def _few_seeds(found: ScalingFindings) -> list[str]:
    """What the seeds that were really paired, and those that were drawn, are too few for."""
    told = []
    n_paired = max((one.n_seeds for one in found.answers), default=least_pairs())
    if n_paired < least_pairs():
        told.append(
            f"{n_paired} seed{'s' * (n_paired != 1)}: an exact paired test can reach "
            f"p = {least_sign_flip_p(n_paired):.3g} at best and decides nothing; "
            f"{least_pairs()} are needed."
        )
    n_drawn = min((one.n_seeds for one in (*found.best, found.tasks) if one), default=0)
    if n_drawn < LEAST_SEEDS_FOR_BOOTSTRAP:
        told.append(
            "Shares and percentiles over draws of so few seeds come from a handful of different "
            "draws: they are narrower than the truth. Those of the laws are widened by Student's t."
        )
    return told


def _fewer_seeds(tables: ScalingTables) -> list[str]:
    """Names the arms that the joint analyses leave out, and says why."""
    fewer = [
        f"{arm} ({tables.planned[arm]} of {tables.usual_seeds} seeds planned)"
        for arm in tables.trained
        if arm not in tables.joint
    ]
    if not fewer:
        return []
    return [
        "Left out where all arms are compared at once (best arm, hyperparameters, tasks), so that "
        f"no other arm loses seeds: {', '.join(fewer)}."
    ]


def best_in_words(best: Best) -> str:
    """The arm to take, and how sure the seeds are."""
    info = metric_info(best.metric)
    what = "overall score" if best.metric == OVERALL else info.label.lower()
    told = (
        f"{best.arm} has the best {what}, {_value(best)}, among {best.n_arms} arms; it is best in "
        f"{100 * best.share:.0f} % of draws of {best.n_seeds} seed{'s' * (best.n_seeds != 1)}."
    )
    if best.n_seeds == 1:
        return f"{told} One seed says nothing of how sure that is."
    if not best.equals:
        return f"{told} It is told from every other arm."
    return f"{told} Not told from it: {', '.join(best.equals)}."


def best_title(best: Best) -> str:
    """The recommendation, short enough for a title."""
    sure = f"best in {100 * best.share:.0f} % of draws of seeds"
    others = f"{len(best.equals)} other{'s' * (len(best.equals) != 1)}"
    if not best.equals:
        return f"{best.arm} scores best, {_value(best)} ({sure})"
    return f"{best.arm} scores best, {_value(best)}, but is not told from {others} ({sure})"


def _value(best: Best) -> str:
    info = metric_info(best.metric)
    unit = f" {info.unit}" if info.unit and not info.is_share else ""
    return f"{info.write(best.mean)}{unit}"


def law_in_words(law: Law) -> str:
    """The law with its intervals, or the refusal."""
    if not law.is_told or law.fits is None:
        return f"No power law of {law.of} over {law.over} is told. {law.refusal}"
    ends = " to ".join(written(end) for end in law.alpha_interval)
    without, with_floor = (100 * error for error in law.left_out_errors)
    chosen = (
        f"a floor of {written(float(law.fits.floor_D[0]))} "
        f"(95 % {written(law.floor_interval[0])} to {written(law.floor_interval[1])})"
        if law.has_floor
        else "no floor"
    )
    return (
        f"{law.of.capitalize()} falls with {law.over} to the power of "
        f"{MINUS}{written(law.alpha)} (exponent 95 % {ends}), with {chosen}: sizes left out are "
        f"missed by {without:.2g} % without and {with_floor:.2g} % with one; lack of fit "
        f"p = {law.fit_p:.2g}, {len(law.y_SxA)} seeds."
    )


def law_title(law: Law) -> str:
    """The law or the refusal, short enough for a title."""
    if not law.is_told:
        return f"No power law over {law.over}: {law.refusal[0].lower()}{law.refusal[1:-1]}"
    ends = " to ".join(written(end) for end in law.alpha_interval)
    floor = "above a floor" if law.has_floor else "without a floor"
    return (
        f"{law.of.capitalize()} falls with {law.over} to the power of {MINUS}{written(law.alpha)} "
        f"({ends}), {floor}"
    )


def returns_in_words(one: Returns) -> str:
    """What doublings of the steps bring."""
    told = []
    for doubling in one.doublings:
        gain = _gain(one, doubling.gain)
        ends = " to ".join(_gain(one, end) for end in doubling.interval or ())
        span = f"{size_in_words(doubling.start)} to {size_in_words(doubling.end)} steps"
        told.append(f"{span} {gain}" + (f" ({ends})" if ends else ""))
    law = f" {law_in_words(one.law)}" if one.law else ""
    return f"{returns_title(one)}. Gains: {'; '.join(told)}.{law}"


def returns_title(one: Returns) -> str:
    """Where doublings stop to bring anything certain, short enough for a title."""
    what = "score" if is_score(one.metric) else "loss"
    if not one.doublings:
        return f"The steps of {one.arm} are less than a doubling"
    if one.stalls_at is None:
        gain = _gain(one, one.doublings[-1].gain).removeprefix("+")
        unit = "" if is_score(one.metric) else " nats a token"
        return (
            f"The last doubling of the steps of {one.arm} still improves the {what} by {gain}{unit}"
        )
    return (
        f"From {size_in_words(one.stalls_at)} steps on no doubling is told to improve the {what} "
        f"of {one.arm}"
    )


def _gain(one: Returns, value: float) -> str:
    return f"{signed(100 * value)} points" if is_score(one.metric) else signed(value)


def factors_in_words(found: ScalingFindings) -> str:
    """Which hyperparameters go with loss and score."""
    told = [association_in_words(one) for one in found.associations if one.is_told]
    open_ones = [one for one in found.associations if not one.is_told]
    parts = [f"{'; '.join(told)}." if told else ""]
    if open_ones:
        names = dict.fromkeys(f"{one.factor} with {_of(one)}" for one in open_ones)
        parts.append(f"Not told to go together: {', '.join(names)}.".replace("_", " "))
    parts.append(found.not_associated)
    return (
        " ".join(part for part in parts if part)
        or "No hyperparameter is known to vary over the arms."
    )


def association_in_words(one: Association) -> str:
    """An effect with its interval, in a clause."""
    scale, unit = (100.0, "points") if one.measure == OVERALL else (1.0, "")
    ends = " to ".join(signed(scale * end) for end in one.interval or ())
    size = f"{signed(scale * one.effect)} {unit}".rstrip()
    step = f"{one.step[0].upper()}{one.step[1:]}"
    return f"{step}: {_of(one)} {size} ({ends})"


def _of(one: Association) -> str:
    return "score" if one.measure == OVERALL else "loss"


def tasks_title(links: TaskLinks) -> str:
    """How many pairs of tasks rank arms alike, short enough for a title."""
    n_tasks = len(links.tasks)
    pairs = [(i, j) for i in range(n_tasks) for j in range(i)]
    alike = sum(links.holds_TxT[pair] and links.between_TxT[pair] > 0 for pair in pairs)
    return (
        f"{alike} of {len(pairs)} pairs of tasks are told to rank the {len(links.arms)} arms alike"
    )


def _foretelling(links: TaskLinks) -> list[str]:
    known = [one for one in links.foretelling if one.rho == one.rho]
    if not known:
        return []
    best = max(known, key=lambda one: one.rho)
    ends = " to ".join(written(end) for end in best.interval or ())
    between = f" ({ends})" if ends else ""
    return [
        f"The other tasks together are best foretold by {TASKS[best.task]}: Spearman "
        f"{written(best.rho)}{between} over arms, the task itself left out of the score."
    ]


def gains(links: TaskLinks) -> str:
    """Which tasks gain from size."""
    if not links.gains:
        return "Which tasks gain from size is not told: fewer than three sizes."
    gaining = [
        f"{TASKS[one.task]} ({signed(100 * one.slope)} points)"
        for one in links.gains
        if one.verdict == "gains"
    ]
    losing = [TASKS[one.task] for one in links.gains if one.verdict == "loses"]
    told = (
        f"Ten times the parameters bring more to {', '.join(gaining)}" if gaining else ""
    ) or "No task is told to gain from size"
    rest = len(links.gains) - len(gaining) - len(losing)
    lost = f"; {', '.join(losing)} loses" if losing else ""
    return f"{told}{lost}; undecided for {rest} of {len(links.gains)} tasks."


def arms_in_words(found: ScalingFindings) -> str:
    """How the comparisons with the control came out."""
    if not found.answers:
        return "The study has no control: no arm is compared."
    decided = [one for one in found.answers if one.is_decided]
    told = "; ".join(f"{one.asked.first} {one.verdict} in {one.asked.at}" for one in decided)
    control = found.tables.control
    counted = f"{len(decided)} of {len(found.answers)} comparisons with {control} are decided"
    return f"{counted}: {told}." if told else f"{counted}."
