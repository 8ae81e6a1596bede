"""What a search says at its end."""

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState

from lstm_ae.errors import UserError
from lstm_ae.sweeps.results import conclude, revalidation_table


def failing(found, failed, complete=0):
    study = optuna.create_study()
    for number in range(failed + complete):
        trial = study.ask(found.space)
        trial.set_user_attr("reason", "it broke")
        study.tell(trial, None if number < failed else 1.0, TrialState.FAIL if number < failed else None)
    return study


FAILED_SEARCHES = [(0.5, 3, 1, True), (0.5, 4, 0, True), (1, 4, 0, False)]


@pytest.mark.parametrize(("rate", "failed", "complete", "advised"), FAILED_SEARCHES)
def test_a_failed_search_says_why_and_advises_what_is_not_set_already(search, rate, failed, complete, advised):
    found = search("sweep=grid", "model.hidden_size=2,3,4,5", f"hydra.sweeper.max_failure_rate={rate}")
    with pytest.raises(UserError, match=rf"{failed} of 4 trials failed[\s\S]*it broke") as raised:
        conclude(found, failing(found, failed, complete))
    assert ("hydra.sweeper.max_failure_rate=1; for a fresh start" in str(raised.value)) == advised
    assert "fresh start: study_name=..." in str(raised.value)


def test_settings_that_were_trained_again_are_ranked_by_their_means(search):
    found = replace(search("sweep=grid", "model.hidden_size=2,3", "seed=1,2"), repeat_keys=["seed"])
    study = optuna.create_study()
    values = {(2, 1): 0.1, (2, 2): 0.5, (3, 1): 0.2, (3, 2): 0.2}
    for (size, seed), value in values.items():
        study.enqueue_trial({"model.hidden_size": size, "seed": seed})
        study.tell(study.ask(found.space), value)
    assert revalidation_table(study.trials, found) == [
        "val/loss 0.2 +- 0 over 2 run(s): model.hidden_size=3",
        "val/loss 0.3 +- 0.283 over 2 run(s): model.hidden_size=2",
    ]
