//! What is counted in memory arrives in the database, once, and is added up over all processes.

use std::time::Duration;

use baton_domain::{CallStatus, HandlerId};
use baton_storage::{CountedCall, Counts, HandlerRank, Place, Removed, Span, Sweep};
use chrono::TimeDelta;

use crate::fixture::{Fixture, after, count, now, on_both};

on_both!(
    what_is_counted_is_written_by_minute_and_hour,
    what_is_written_again_replaces_itself,
    what_two_processes_count_is_added_up,
    a_row_that_is_begun_again_replaces_none,
    handlers_are_ranked_and_have_their_spread,
    old_minutes_and_hours_are_removed,
    nothing_is_lost_while_the_table_cannot_be_written,
);

fn call(handler: i64, status: CallStatus, ms: u64) -> CountedCall {
    CountedCall {
        handler_id: HandlerId(handler),
        status,
        duration: Some(Duration::from_millis(ms)),
        waited: Some(Duration::from_millis(3)),
        is_events_first: handler == 1,
    }
}

fn skipped(handler: i64) -> CountedCall {
    CountedCall {
        handler_id: HandlerId(handler),
        status: CallStatus::Skipped,
        duration: None,
        waited: None,
        is_events_first: false,
    }
}

/// What was counted in the hour before and after the instant of these tests.
async fn minutes(f: &Fixture, span: Span, handler: Option<i64>) -> Vec<(i64, Counts)> {
    let found = f.store.minutes(span, handler.map(HandlerId), after(-3600), after(3600)).await.unwrap();
    found.into_iter().map(|(at, counts)| ((at - now()).num_seconds(), counts)).collect()
}

async fn what_is_counted_is_written_by_minute_and_hour(f: Fixture) {
    f.store.count_published(3, after(1));
    f.store.count_published(0, after(61));
    f.store.count_calls(&[call(1, CallStatus::Success, 10), call(2, CallStatus::Fail, 20), skipped(2)], after(59));
    f.store.count_published(4, after(119));
    assert_eq!(minutes(&f, Span::Minute, None).await, [], "nothing is written until it is asked for");
    f.store.write_counts(after(120)).await.unwrap();
    let all = minutes(&f, Span::Minute, None).await;
    let [(0, first), (60, second)] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((first.published, first.succeeded, first.failed, first.skipped, first.duration_us), (3, 1, 1, 1, 30_000));
    assert_eq!((first.durations.count(), first.first_calls.count()), (2, 1), "only the first call of an event counts here");
    assert_eq!((second.published, second.attempts()), (4, 0));
    let second_handler = minutes(&f, Span::Minute, Some(2)).await;
    let [(0, of_two)] = second_handler.as_slice() else { panic!("{second_handler:?}") };
    assert_eq!((of_two.published, of_two.succeeded, of_two.failed, of_two.skipped), (0, 0, 1, 1));
    assert_eq!((of_two.durations.count(), of_two.first_calls.count()), (1, 1));
    let hours = minutes(&f, Span::Hour, None).await;
    assert_eq!(hours.len(), 1);
    assert_eq!((hours[0].0, hours[0].1.published, hours[0].1.attempts()), (0, 7, 2));
}

async fn what_is_written_again_replaces_itself(f: Fixture) {
    for round in 0..5 {
        f.store.count_calls(&[call(7, CallStatus::Success, 10)], after(round));
        f.store.write_counts(after(round)).await.unwrap();
        f.store.write_counts(after(round)).await.unwrap();
    }
    assert_eq!(minutes(&f, Span::Minute, Some(7)).await[0].1.succeeded, 5);
    assert_eq!(minutes(&f, Span::Hour, Some(7)).await[0].1.durations.count(), 5);
    assert_eq!(count(&f, "SELECT count(*) FROM minutes").await, 4, "a minute and an hour, of the handler and of all");
}

async fn what_two_processes_count_is_added_up(f: Fixture) {
    let other = f.other_store().await;
    for store in [&f.store, &other] {
        store.count_published(2, now());
        store.count_calls(&[call(1, CallStatus::Success, 10)], now());
        store.write_counts(now()).await.unwrap();
    }
    let all = minutes(&f, Span::Minute, None).await;
    assert_eq!((all.len(), all[0].1.published, all[0].1.durations.count()), (1, 4, 2));
}

/// Clocks are set back now and then.
async fn a_row_that_is_begun_again_replaces_none(f: Fixture) {
    for at in [now(), after(86_400), now()] {
        f.store.count_published(1, at);
        f.store.write_counts(at).await.unwrap();
    }
    assert_eq!(minutes(&f, Span::Minute, None).await[0].1.published, 2);
    assert_eq!(minutes(&f, Span::Hour, None).await[0].1.published, 2);
}

async fn handlers_are_ranked_and_have_their_spread(f: Fixture) {
    let mut calls = vec![call(1, CallStatus::Success, 5); 30];
    calls.extend(vec![call(2, CallStatus::Fail, 10); 3]);
    calls.extend([call(2, CallStatus::Success, 400), call(3, CallStatus::Success, 2000), skipped(4)]);
    for at in [now(), after(90)] {
        f.store.count_calls(&calls, at);
    }
    f.store.write_counts(now()).await.unwrap();
    for span in [Span::Minute, Span::Hour] {
        let ranked = async |rank, most| f.store.handler_counts(span, now(), after(3600), &[rank], most).await.unwrap();
        let ids = |found: &[baton_storage::HandlerCounts]| found.iter().map(|h| h.handler_id.0).collect::<Vec<_>>();
        assert_eq!(ids(&ranked(HandlerRank::Failures, 50).await), [2, 1, 3, 4]);
        assert_eq!(ids(&ranked(HandlerRank::Duration, 50).await), [3, 2, 1, 4]);
        let both = [HandlerRank::Failures, HandlerRank::Duration];
        let first_of = async |most| f.store.handler_counts(span, now(), after(3600), &both, most).await.unwrap();
        assert_eq!(ids(&first_of(1).await), [2, 3]);
        assert_eq!(ids(&first_of(2).await), [2, 1, 3], "none twice");
        assert_eq!(ids(&first_of(50).await), [2, 1, 3, 4]);
        let busiest = ranked(HandlerRank::Attempts, 2).await;
        assert_eq!(ids(&busiest), [1, 2]);
        let two = &busiest[1].counts;
        assert_eq!((two.succeeded, two.failed, two.duration_us, two.durations.count()), (2, 6, 860_000, 8));
        assert_eq!(busiest[1].name, None, "nobody has saved it");
        let p99 = two.durations.quantile(0.99).unwrap().as_secs_f64();
        assert!((0.36..0.44).contains(&p99), "{p99}");
        assert_eq!(two.first_calls.count(), 8);
    }
    assert_eq!(f.store.handler_counts(Span::Minute, after(120), after(3600), &[HandlerRank::Failures], 9).await.unwrap(), []);
}

async fn old_minutes_and_hours_are_removed(f: Fixture) {
    for handler in 0..700 {
        f.store.count_calls(&[call(handler + 1, CallStatus::Success, 1)], now());
    }
    f.store.count_published(1, after(7200));
    f.store.write_counts(after(7200)).await.unwrap();
    let (mut place, mut removed, mut batches) = (Place::default(), Removed::default(), 0);
    loop {
        let swept = f.store.sweep(Sweep::Minutes, TimeDelta::hours(1), after(7200), place).await.unwrap();
        removed += swept.removed;
        batches += 1;
        let Some(next) = swept.next else { break };
        place = next;
    }
    assert_eq!(removed, Removed { minutes: 2 * 701, ..Removed::default() });
    assert!(batches <= 4, "{batches}");
    assert_eq!(count(&f, "SELECT count(*) FROM minutes").await, 2, "what is young stays");
}

async fn nothing_is_lost_while_the_table_cannot_be_written(f: Fixture) {
    let rename = async |from: &str, to: &str| {
        use sqlx::{AssertSqlSafe, Connection, Executor, SqlSafeStr};
        let text = AssertSqlSafe(format!("ALTER TABLE {from} RENAME TO {to}")).into_sql_str();
        if f.store.is_sqlite() {
            sqlx::SqliteConnection::connect(f.database.url()).await.unwrap().execute(text).await.unwrap();
        } else {
            sqlx::PgConnection::connect(f.database.url()).await.unwrap().execute(text).await.unwrap();
        }
    };
    f.store.count_published(5, now());
    rename("minutes", "elsewhere").await;
    f.store.write_counts(now()).await.unwrap_err();
    f.store.count_published(2, after(1));
    f.store.write_counts(after(1)).await.unwrap_err();
    rename("elsewhere", "minutes").await;
    f.store.write_counts(after(600)).await.unwrap();
    assert_eq!(minutes(&f, Span::Minute, None).await[0].1.published, 7);
}
