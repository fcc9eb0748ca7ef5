//! When the next run is due.

use baton_storage::{RunState, ServiceRun};
use chrono::{DateTime, TimeDelta, Utc};

/// How long after a run that was not done it is tried again, where the schedule is not shorter.
const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(5);

/// When a run is due, by the last one that ended: of whatever process, since the schedule is that of the installation. `earliest` is when
/// this process begins to ask at all.
pub(crate) fn due(last: Option<&ServiceRun>, every: TimeDelta, earliest: DateTime<Utc>) -> DateTime<Utc> {
    let Some(run) = last else { return earliest };
    let (from, after) = match run.state {
        RunState::Failed => (run.finished_at, every.min(AGAIN_AFTER)),
        _ => (run.started_at, every),
    };
    from.and_then(|from| from.checked_add_signed(after)).unwrap_or(DateTime::<Utc>::MAX_UTC).max(earliest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn ended(state: RunState, minute: i64) -> ServiceRun {
        ServiceRun {
            id: 1,
            service: "cleaner".into(),
            state,
            params: json!({}),
            asked_at: at(minute - 1),
            started_at: Some(at(minute - 1)),
            finished_at: Some(at(minute)),
            runner: None,
            lease_until: None,
            result: None,
            error: None,
        }
    }

    #[test]
    fn a_run_is_due_after_the_last_one_and_not_before_the_start() {
        let hour = TimeDelta::hours(1);
        let (done, failed) = (ended(RunState::Done, 101), ended(RunState::Failed, 101));
        for (last, every, earliest, expected) in [
            (None, hour, 7, 7),
            (Some(&done), hour, 7, 160),
            (Some(&done), hour, 500, 500),
            (Some(&failed), hour, 7, 106),
            (Some(&failed), TimeDelta::minutes(2), 7, 103),
        ] {
            assert_eq!(due(last, every, at(earliest)), at(expected), "{every} {earliest}");
        }
        assert_eq!(due(Some(&done), TimeDelta::MAX, at(7)), DateTime::<Utc>::MAX_UTC);
    }
}
