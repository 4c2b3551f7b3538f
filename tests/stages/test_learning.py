import pytest

from collapse.errors import BadParameter
from collapse.parameters.doors import Baseline, RecurseStep
from collapse.stages.learning import ClosedForm, Descent, choose_learning
from collapse.stages.schedule import PlannedPoint


def test_presets_are_trained_unless_they_have_a_closed_form() -> None:
    trained = choose_learning(RecurseStep(steps=7), tokens_offered=900, steps=7)
    assert isinstance(trained, Descent)
    assert (trained.steps, trained.tokens_seen) == (7, 7 * RecurseStep().tokens_per_step)
    counted = choose_learning(RecurseStep(preset="categorical"), tokens_offered=900, steps=7)
    assert isinstance(counted, ClosedForm)
    assert (counted.steps, counted.tokens_seen) == (1, 900)


def test_rates_of_later_generations_are_scaled() -> None:
    parameters = RecurseStep(learning_rate=0.5, muon_learning_rate=0.25)
    recipe = choose_learning(
        parameters, tokens_offered=900, steps=7, learning_rate_scale=0.1
    ).describe()
    assert (recipe["learning_rate"], recipe["muon_learning_rate"]) == (0.05, 0.025)
    assert recipe["steps"] == 7


def test_a_closed_form_refuses_what_it_has_no_place_for() -> None:
    point = PlannedPoint(0, 0, 0)
    with pytest.raises(BadParameter, match="checkpoint_tokens"):
        choose_learning(Baseline(preset="gaussian"), tokens_offered=9, steps=1, schedule=[point])
    with pytest.raises(BadParameter, match="freeze"):
        choose_learning(Baseline(preset="gaussian", freeze="q_proj"), tokens_offered=9, steps=1)
