"""What the completions of a study do not say."""

from analysis.code.arms import DISTILLED, DRIVERS
from analysis.code.findings import CodeFindings
from analysis.code.questions import BITS_MARGIN, RATE_MARGIN_POINTS
from analysis.code.tables import BITS, COLLAPSE, PARSE, PARSE_HUMAN, CodeTables
from analysis.comparisons.words import few_seeds
from collapse.figures.view import percent

_MUCH_APART = 0.02


def cautions(found: CodeFindings) -> tuple[str, ...]:
    """All of it, one sentence or two each."""
    tables = found.tables
    return (
        *missing(tables),
        *few_seeds(len(tables.seeds)),
        f"A difference counts where its 95 % interval lies beyond a preset margin: "
        f"{RATE_MARGIN_POINTS:.0f} points of collapse or parse rate, {BITS_MARGIN} bits per byte. "
        "Where something is called similar, that is not corrected for the number of answers.",
        "Completions of one model are no replicates: only seeds are.",
        "Classes look at characters alone: good code may be called partial, and prose good. A "
        "completion parses where a line or more of it is Python after its prompt; that it does "
        "what the prompt asks for is not measured.",
        *_ceilings(tables),
        *_teacher(tables),
    )


def missing(tables: CodeTables) -> list[str]:
    """Arms that the study lacks, and chains that lack a number."""
    told = []
    absent = [f"{arm} ({driver})" for driver, arm in DRIVERS.items() if arm not in tables.arms]
    if tables.control is None:
        told.append("The study has no control: no arm is compared.")
    elif absent:
        told.append(f"The study has no arm {', '.join(absent)}.")
    if tables.missing:
        chains = ", ".join(f"{arm} seed {seed}" for arm, seed in tables.missing)
        told.append(
            f"{len(tables.missing)} of {len(tables.planned)} chains have no completions: {chains}. "
            "If they broke because they collapsed, the estimates are too small."
        )
    completed = tables.values[COLLAPSE].notna()
    for metric, words in ((PARSE, "parse rate"), (BITS, "bits per byte")):
        lost = int((completed & tables.values[metric].isna()).to_numpy().sum())
        if lost:
            told.append(f"{lost} chains with completions have no {words}.")
    return told


def _ceilings(tables: CodeTables) -> list[str]:
    """Completions have equally many tokens, not equally much text."""
    people = tables.means(PARSE_HUMAN)
    if not people or max(people.values()) - min(people.values()) <= _MUCH_APART:
        return []
    least, most = min(people, key=people.__getitem__), max(people, key=people.__getitem__)
    return [
        "Completions have equally many tokens in all arms, and so more or less text, by the "
        f"vocabulary: people's code, cut alike, parses in {percent(people[least])} with the tokens "
        f"of {least} and in {percent(people[most])} with those of {most}."
    ]


def _teacher(tables: CodeTables) -> list[str]:
    if DISTILLED not in tables.arms:
        return []
    return [f"The compute of {DISTILLED} is the student's alone: its teacher's is not counted."]
