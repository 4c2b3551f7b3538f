import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.scaling.dynamics import returns
from analysis.scaling.factors import arm_answers, associations
from analysis.scaling.rates import best_rates
from analysis.scaling.recommend import best_arm
from analysis.scaling.tables import OVERALL, ScalingTables, scaling_tables, shape_arms
from analysis.scaling.tasks import size_gains, task_links, within_arms
from tests.analysis.made_up_scaling import (
    ARMS,
    BEST_RATE,
    SETTINGS,
    SHAPES,
    made_up_dynamics,
    made_up_scaling,
    study_of_scaling,
)

LOSS = "human/nll_nats"


def tables_of(rows: pd.DataFrame | None = None) -> ScalingTables:
    found = scaling_tables(study_of_scaling(rows), SETTINGS)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def tables() -> ScalingTables:
    return tables_of()


def test_arms_of_a_law_differ_in_shape_alone(tables: ScalingTables) -> None:
    assert shape_arms(tables) == tuple(SHAPES)
    assert "untrained" not in tables.trained
    assert set(tables.trained) == set(ARMS) - {"untrained"}


def test_bits_compare_arms_of_different_vocabularies(tables: ScalingTables) -> None:
    assert tables.loss == LOSS
    rows = made_up_scaling(range(2))
    sizes = [
        (arm, s, 0, "corpus/vocabulary_size", 100.0 + len(arm)) for arm in ARMS for s in (0, 1)
    ]
    more = pd.DataFrame(sizes, columns=rows.columns)
    assert tables_of(pd.concat([rows, more])).loss == "human/bits_per_byte"


def test_doublings_are_counted_back_from_the_last_step() -> None:
    rows = made_up_dynamics()
    loss = returns(rows, "medium", LOSS)
    assert loss is not None
    assert [one.end for one in loss.doublings] == [2500.0, 5000.0, 10000.0]
    first, middle, last = loss.doublings
    assert first.gain == pytest.approx(0.5, abs=0.03)
    # From 2,500 to the end of all gains at 4,000; 2,500 is read between its neighbours.
    assert middle.gain == pytest.approx(0.5 * np.log2(4000 / 2500), abs=0.03)
    assert first.is_told
    assert middle.is_told
    assert not last.is_told
    assert loss.stalls_at == 5000.0
    wide = rows[rows["metric"] == LOSS].pivot(index="step", columns="seed", values="value")
    differences = wide.loc[5000] - wide.loc[10000]
    low, high = stats.t.interval(0.95, 5, differences.mean(), stats.sem(differences))
    assert last.interval == pytest.approx((low, high))
    score = returns(rows, "medium", OVERALL)
    assert score is not None
    assert score.doublings[0].gain == pytest.approx(0.1, abs=0.03)
    assert score.law is None
    assert returns(rows, "small", LOSS) is None


def test_gains_to_the_end_do_not_stall() -> None:
    rows = made_up_dynamics()
    rows = rows[rows["step"] <= 4000]
    loss = returns(rows, "medium", LOSS)
    assert loss is not None
    assert loss.stalls_at is None


def test_tasks_that_follow_the_loss_rank_arms_alike(tables: ScalingTables) -> None:
    links = task_links(tables, np.random.default_rng(0))
    assert links is not None
    assert len(links.arms) == len(ARMS) - 1
    place = {task: number for number, task in enumerate(links.tasks)}
    able = (place["arithmetic"], place["lambada"])
    assert links.between_TxT[able] > 0.9
    assert links.low_TxT[able] > 0.8
    assert links.holds_TxT[able]
    assert not links.holds_TxT[place["piqa"]].any()
    # Noise of items is each task's own: within arms nothing is left of what size does.
    assert abs(links.within_TxT[able]) < 0.35
    theirs = stats.spearmanr(
        *(
            tables.means(f"benchmark/{task}/acc")[list(links.arms)]
            for task in ("arithmetic", "lambada")
        )
    )
    assert links.between_TxT[able] == pytest.approx(theirs.statistic)
    told = {one.task: one.rho for one in links.foretelling}
    assert min(told, key=lambda task: told[task]) == "piqa"
    assert told["squad"] > 0.9


def test_what_moves_a_whole_arm_is_not_within_it() -> None:
    rng = np.random.default_rng(2)
    own = rng.normal(size=(30, 6, 1))
    of_arms = 10 * rng.normal(size=(1, 6, 1))
    linked = np.concatenate([own + of_arms, 2 * own + of_arms, rng.normal(size=own.shape)], axis=2)
    r = within_arms(linked)
    assert r[0, 1] == pytest.approx(1)
    assert abs(r[0, 2]) < 0.25
    assert np.isnan(within_arms(linked[:1])).all()


def test_tasks_that_gain_from_size(tables: ScalingTables) -> None:
    found = {one.task: one for one in size_gains(tables, shape_arms(tables))}
    assert {task for task, one in found.items() if one.verdict == "gains"} == set(found) - {"piqa"}
    assert found["piqa"].verdict == "undecided"
    # Accuracy starts from chance: half as much room, half the slope.
    assert found["squad"].slope == pytest.approx(found["hellaswag"].slope / 0.75, rel=0.1)


def test_planted_hyperparameters_are_found(tables: ScalingTables) -> None:
    found, why = associations(tables)
    assert why == ""
    of_loss = {one.factor: one for one in found if one.measure == LOSS}
    assert set(of_loss) == {"parameters", "learning_rate", "sequence_length", "optimizer"}
    assert of_loss["parameters"].effect < 0
    assert of_loss["parameters"].is_told
    assert of_loss["parameters"].partial_r < -0.5
    assert of_loss["sequence_length"].effect == pytest.approx(0, abs=0.01)
    assert not of_loss["sequence_length"].is_told
    assert of_loss["optimizer"].is_told
    of_score = {one.factor: one for one in found if one.measure == OVERALL}
    assert of_score["parameters"].effect > 0


def test_seeds_as_blocks_give_the_coefficients_of_one_joint_model(tables: ScalingTables) -> None:
    """A second way: ordinary least squares over all chains with a column for every seed."""
    found, _ = associations(tables)
    theirs = []
    arms, columns = list(tables.trained), []
    for arm in arms:
        rate, length = (tables.number(arm, name) for name in ("learning_rate", "sequence_length"))
        assert rate
        assert length
        size = SHAPES[str(SETTINGS[arm]["preset"])]
        columns.append([np.log2(size), np.log2(rate), np.log2(length), "adamw" in arm])
    chains = tables.by_seed(LOSS, arms)
    blocks = np.repeat(np.eye(len(chains)), len(arms), axis=0)
    model = np.hstack([np.tile(np.array(columns, dtype=float), (len(chains), 1)), blocks])
    theirs = np.linalg.lstsq(model, chains.to_numpy().ravel(), rcond=None)[0][:4]
    assert [one.effect for one in found if one.measure == LOSS] == pytest.approx(theirs)


def test_a_bend_is_not_handed_to_the_optimizer() -> None:
    """Small models want higher rates, AdamW costs 0.05 nats and was tried at a low rate alone."""
    drawn = np.random.default_rng(0)
    arms: dict[str, dict[str, object]] = {}
    rows = []
    for shape in ("small", "medium", "large", "xlarge"):
        for rate in (0.005, 0.01, 0.02, 0.05):
            has_both = rate == 0.01 and shape in ("medium", "large")
            for optimizer in ("muon", "adamw") if has_both else ("muon",):
                arm = f"{shape}_{rate}_{optimizer}"
                arms[arm] = {"preset": shape, "learning_rate": rate, "optimizer": optimizer}
                arms[arm] |= {"sequence_length": 512, "baseline_steps": 1000}
                size = np.log2(SHAPES[shape] / 1e6)
                loss = 2 - 0.2 * size + 0.1 * (np.log2(rate / 0.08) + 0.5 * size) ** 2
                loss += 0.05 * (optimizer == "adamw")
                for seed in range(6):
                    noisy = loss + 0.002 * drawn.normal()
                    values = {LOSS: noisy, "train/body_parameters": SHAPES[shape], OVERALL: -noisy}
                    rows += [(arm, seed, 0, name, value) for name, value in values.items()]
    table = pd.DataFrame(rows, columns=["arm", "seed", "generation", "metric", "value"])
    found = scaling_tables(study_of_scaling(table, arms=tuple(arms), control_arm=""), arms)
    assert found is not None
    told = {one.factor: one for one in associations(found)[0] if one.measure == LOSS}
    assert told["optimizer"].effect == pytest.approx(0.05, abs=0.005)
    assert told["optimizer"].is_told


def test_hyperparameters_that_change_together_are_not_told_apart() -> None:
    rows = made_up_scaling(range(3))
    together = {arm: {**SETTINGS[arm], "sequence_length": SHAPES[arm]} for arm in SHAPES}
    record = study_of_scaling(rows, arms=tuple(SHAPES))
    found = scaling_tables(record, together)
    assert found is not None
    told, why = associations(found)
    assert told == ()
    assert why.startswith("The arms do not tell the hyperparameters apart")


def test_three_seeds_decide_nothing_and_say_so() -> None:
    few = arm_answers(tables_of(made_up_scaling(range(3))))
    assert len(few) == 2 * (len(ARMS) - 2)
    assert {one.verdict for one in few} == {"undecided"}
    assert few[0].reasons == ("3 seeds can reach p = 0.25 at best; 6 are needed.",)


def test_enough_seeds_decide(tables: ScalingTables) -> None:
    found = {
        (one.asked.first, one.asked.at): one
        for one in arm_answers(tables_of(made_up_scaling(range(8))))
    }
    assert found["tiny", "loss"].verdict == "higher"
    assert found["xlarge", "overall score"].verdict == "higher"
    assert found["long", "loss"].verdict == "similar"
    assert found["tiny", "overall score"].asked.unit == "points"


def test_the_best_arm_and_those_it_is_not_told_from(tables: ScalingTables) -> None:
    rng = np.random.default_rng(0)
    best = best_arm(tables, LOSS, False, rng)
    assert best is not None
    assert best.arm == "xlarge"
    assert best.share == 1.0
    assert best.equals == ()
    assert best.mean == pytest.approx(tables.means(LOSS)["xlarge"])
    twin = made_up_scaling(range(6))
    copied = twin[twin["arm"] == "xlarge"].assign(arm="long")
    noise = np.random.default_rng(1).normal(0, 1e-3, len(copied))
    copied = copied.assign(value=copied["value"] + noise)
    two = best_arm(tables_of(pd.concat([twin[twin["arm"] != "long"], copied])), LOSS, False, rng)
    assert two is not None
    assert {two.arm, *two.equals} == {"xlarge", "long"}
    assert two.share < 1.0


def test_one_seed_tells_nothing_apart() -> None:
    best = best_arm(tables_of(made_up_scaling([0])), OVERALL, True, np.random.default_rng(0))
    assert best is not None
    assert len(best.equals) == best.n_arms - 1


def test_the_best_rate_is_the_planted_one(tables: ScalingTables) -> None:
    (curve,) = best_rates(tables)
    assert curve.arms == ("rate_0.005", "medium", "rate_0.02", "rate_0.05")
    assert curve.is_inside
    assert curve.best == pytest.approx(BEST_RATE, rel=0.03)
    assert curve.interval is not None
    assert curve.interval[0] < BEST_RATE < curve.interval[1]


def test_a_best_rate_at_the_end_is_no_minimum() -> None:
    rows = made_up_scaling(range(3))
    record = study_of_scaling(rows, arms=tuple(arm for arm in ARMS if arm != "rate_0.005"))
    rows = record.measurements
    low = (rows["arm"] == "medium") & (rows["metric"] == LOSS)
    rows.loc[low, "value"] -= 1.0
    found = scaling_tables(record, SETTINGS)
    assert found is not None
    (curve,) = best_rates(found)
    assert not curve.is_inside
    assert curve.best == pytest.approx(0.01)
    assert curve.interval is None
