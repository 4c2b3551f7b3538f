"""How a report's numbers were made, and where each method comes from."""

from collections.abc import Collection
from dataclasses import dataclass

from analysis.study import StudyRecord


@dataclass(frozen=True)
class Method:
    """One method, with what it is used for and its source.

    Attributes:
        name: what it is called.
        use: what it does here, in a sentence.
        source: authors, title and year.
        metrics: beginnings of names of metrics that it makes; empty for a method of the tests.
        sections: the report's sections that use it; empty for one that every report uses.
    """

    name: str
    use: str
    source: str
    metrics: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()


METHODS = (
    Method(
        "Sign-flip test",
        "Exact p of paired differences over seeds: all patterns of signs are counted.",
        "R. A. Fisher, The Design of Experiments, 1935",
    ),
    Method(
        "t-interval",
        "95 % interval of a mean over seeds.",
        "Student, The probable error of a mean, 1908",
    ),
    Method(
        "Equivalence by two one-sided tests",
        "That two arms are similar within a margin fixed beforehand.",
        "D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics, 1987",
    ),
    Method(
        "Max-T with joint sign flips",
        "Corrects p's that were looked at together, keeping their correlation; past 16 seeds Holm.",
        "P. H. Westfall and S. S. Young, Resampling-Based Multiple Testing, 1993",
        sections=("inference", "ranks", "code", "scaling", "ablations"),
    ),
    Method(
        "Mixed model",
        "Arm by generation with seeds as blocks and slopes of chains, by restricted likelihood.",
        "N. M. Laird and J. H. Ware, Random-effects models for longitudinal data, Biometrics, 1982",
        sections=("inference",),
    ),
    Method(
        "Hedges' g",
        "Differences in standard deviations, free of small-sample bias.",
        "L. V. Hedges, Journal of Educational Statistics, 1981",
        sections=("inference", "ranks", "code", "scaling"),
    ),
    Method(
        "Thresholds as order statistics",
        "The alarm's threshold, and a bound on false alarms that holds though it was looked for.",
        "S. S. Wilks, Annals of Mathematical Statistics, 1941; C. J. Clopper and E. S. Pearson, "
        "Biometrika, 1934",
        sections=("warnings",),
    ),
    Method(
        "Interval of a median by order statistics",
        "Leads, some of them censored, whatever their distribution.",
        "W. R. Thompson, Annals of Mathematical Statistics, 1936",
        sections=("warnings",),
    ),
    Method(
        "Interval of a ratio of means",
        "The share of a loss that is left, from pairs of what was lost and what is left.",
        "E. C. Fieller, Journal of the Royal Statistical Society B, 1954",
        sections=("recovery",),
    ),
    Method(
        "Stochastic Lanczos quadrature",
        "The spectrum's density, from Hessian-vector products alone.",
        "S. Ubaru, J. Chen and Y. Saad, SIAM J. Matrix Anal. Appl., 2017; B. Ghorbani, S. Krishnan "
        "and Y. Xiao, ICML 2019",
        metrics=("hessian/",),
    ),
    Method(
        "Trace and norm by probe vectors",
        "The bulk without its outliers.",
        "M. F. Hutchinson, Communications in Statistics, 1989",
        metrics=("hessian/",),
    ),
    Method(
        "KL from the truth",
        "The grammar of `stories` gives every story's exact probability.",
        "this project, collapse/language/corpora/stories",
        metrics=("truth/",),
    ),
    Method(
        "Participation ratio",
        "How many directions a head's keys use.",
        "M. Gao and S. Ganguli, Current Opinion in Neurobiology, 2015",
        metrics=("svd/",),
    ),
    Method(
        "distinct-n",
        "Different n-grams over all n-grams of equally many texts.",
        "J. Li et al., A diversity-promoting objective function, NAACL 2016",
        metrics=("quality/distinct_",),
    ),
    Method(
        "Self-BLEU",
        "How much each text is like the others.",
        "Y. Zhu et al., Texygen, SIGIR 2018",
        metrics=("quality/self_bleu",),
    ),
    Method(
        "MAUVE",
        "How near the distribution of texts is to people's, on a judge's features.",
        "K. Pillutla et al., NeurIPS 2021",
        metrics=("quality/mauve",),
    ),
    Method(
        "BLEU and ROUGE-L",
        "Continuations beside what people wrote.",
        "K. Papineni et al., ACL 2002 (sacrebleu: M. Post, 2018); C.-Y. Lin, 2004",
        metrics=("quality/bleu", "quality/rouge_l"),
    ),
    Method(
        "Centred kernel alignment",
        "How alike activations are to generation 0's; the debiased estimator.",
        "S. Kornblith et al., ICML 2019; L. Song et al., JMLR 2012",
        metrics=("cka/",),
    ),
    Method(
        "Filter-normalised slices",
        "The loss around a model in two random directions.",
        "H. Li et al., Visualizing the loss landscape of neural nets, NeurIPS 2018",
        metrics=("landscape/",),
    ),
    Method(
        "Variable projection",
        "Power laws: at each exponent the rest is linear, so that the exponent alone is searched.",
        "G. H. Golub and V. Pereyra, SIAM Journal on Numerical Analysis, 1973",
        sections=("scaling",),
    ),
    Method(
        "Bootstrap over seeds",
        "Intervals of the laws' exponents.",
        "B. Efron, Bootstrap methods: another look at the jackknife, Annals of Statistics, 1979",
        sections=("scaling",),
    ),
    Method(
        "lm-eval",
        "Nine tasks, public ones by the harness's own definitions.",
        "L. Gao et al., A framework for few-shot language model evaluation, EleutherAI",
        metrics=("benchmark/",),
    ),
)


def methods_of(record: StudyRecord, sections: Collection[str]) -> tuple[Method, ...]:
    """The methods behind what a study measured and its report shows."""
    measured = tuple(record.measurements["metric"].unique())
    return tuple(
        one
        for one in METHODS
        if (not one.sections or not {*one.sections}.isdisjoint(sections))
        and (not one.metrics or any(name.startswith(one.metrics) for name in measured))
    )
