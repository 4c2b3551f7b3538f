"""All that a study's completions say: the answers, and the numbers behind them."""

from dataclasses import dataclass

from analysis.code.questions import decoding_comparisons, trained_comparisons
from analysis.code.tables import CodeTables, code_tables
from analysis.comparisons.answers import Answer, answers
from analysis.study import StudyRecord


@dataclass(frozen=True, eq=False)
class CodeFindings:
    """What the completions of a study say.

    Attributes:
        tables: one number a chain.
        answers: arms with a training of their own against the control, and the interaction of
            vocabulary and capacity, in the outcomes of ``questions.OUTCOMES``; one family.
        decodings: the control's model, decoded in other ways; a family of its own.
    """

    tables: CodeTables
    answers: tuple[Answer, ...]
    decodings: tuple[Answer, ...]

    def answer(self, question: str, outcome: str) -> Answer | None:
        """The answer of an arm, or of the interaction, in an outcome by its label."""
        return next(
            (
                one
                for one in (*self.answers, *self.decodings)
                if (one.asked.question, one.asked.at) == (question, outcome)
            ),
            None,
        )


def code_findings(record: StudyRecord) -> CodeFindings | None:
    """Work out everything; None for a study in which no completion was classed."""
    tables = code_tables(record)
    if tables is None:
        return None
    return CodeFindings(
        tables,
        answers(trained_comparisons(tables)),
        answers(decoding_comparisons(tables)),
    )
