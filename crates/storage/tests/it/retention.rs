//! What is finished and old goes, everything else stays, and the balance does not notice.

mod history;
mod plans;
mod races;

use std::collections::BTreeSet;

use baton_domain::{CallStatus, EventId, EventStatus, ExecutionId, GenerationNumber, NewEvent};
use baton_storage::{BATCH_ROWS, DeliveryState, FedDispatch, Imbalance, Place, Record, Removed, Store, Sweep, audit};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::{NoContext, Timestamp, Uuid};

use crate::fixture::{Fixture, after, count, delivers, delivery, dies, ends, event, execution, finished, keyed, now, on_both};

on_both!(
    old_events_go_with_all_that_belongs_to_them,
    what_is_unfinished_stays_whatever_its_age,
    a_dead_letter_keeps_its_event_until_it_is_old_itself,
    executions_can_go_before_their_events,
    what_executions_say_of_their_event_stays_when_they_go,
    batches_are_bounded_and_pass_over_what_stays,
    with_nothing_old_one_look_is_enough,
    idempotency_keys_are_forgotten_after_their_time,
    an_event_stays_while_its_key_is_remembered,
);

const DAY: i64 = 24 * 3600;

/// When these tests clean: what is kept for 90 days is from later than ten days after [`now`].
pub(crate) fn cleaning() -> DateTime<Utc> {
    after(100 * DAY)
}

pub(crate) const KEEP: TimeDelta = TimeDelta::days(90);

/// An id made at this instant.
pub(crate) fn id_of(at: DateTime<Utc>) -> Uuid {
    Uuid::new_v7(Timestamp::from_unix(NoContext, at.timestamp().try_into().unwrap(), at.timestamp_subsec_nanos()))
}

/// An event received at this instant.
pub(crate) fn received(event: NewEvent, at: DateTime<Utc>) -> NewEvent {
    NewEvent { id: EventId(id_of(at)), received_at: at, ..event }
}

/// Publishes old events of these clients; their dispatches.
pub(crate) async fn old(f: &Fixture, clients: impl IntoIterator<Item = i64>) -> Vec<FedDispatch> {
    let events: Vec<_> = clients.into_iter().map(|client| received(event(client), now())).collect();
    let appended = f.store.append_events(&events, now()).await.unwrap();
    let seqs: Vec<_> = appended.iter().map(|a| a.seq).collect();
    f.store.load_dispatches(&seqs).await.unwrap()
}

/// A whole sweep; what it removed and how many batches it took.
pub(crate) async fn sweep_at(store: &Store, what: Sweep, keep: TimeDelta, now: DateTime<Utc>) -> (Removed, usize) {
    let (mut removed, mut batches, mut place) = (Removed::default(), 0, Place::default());
    loop {
        let swept = store.sweep(what, keep, now, place).await.unwrap();
        assert!(swept.removed.rows() <= BATCH_ROWS as u64, "{swept:?}");
        removed += swept.removed;
        batches += 1;
        assert!(batches < 1000, "no end to {what:?}");
        match swept.next {
            Some(next) => place = next,
            None => return (removed, batches),
        }
    }
}

async fn sweep(f: &Fixture, what: Sweep) -> Removed {
    sweep_at(&f.store, what, KEEP, cleaning()).await.0
}

/// The clients of the events that are stored.
async fn clients(f: &Fixture) -> BTreeSet<i64> {
    let page = baton_storage::Page { limit: 200, cursor: None };
    let events = f.store.search_events(&Default::default(), &page).await.unwrap().items;
    events.iter().map(|event| event.object_id.text().parse().unwrap()).collect()
}

/// A call as it is logged, begun at this instant.
fn called(of: &FedDispatch, status: CallStatus, at: DateTime<Utc>) -> baton_domain::Execution {
    baton_domain::Execution { id: ExecutionId(id_of(at)), started_at: at, ..execution(of, 1, 1, status) }
}

async fn old_events_go_with_all_that_belongs_to_them(f: Fixture) {
    let owner = f.owner().await;
    let fed = old(&f, 1..=5).await;
    // Two delivered, one of them a minute too late; one failed by two handlers; one unmatched; one is under way.
    let mut record = ends(&fed[..1], EventStatus::Delivered);
    record.executions = vec![called(&fed[0], CallStatus::Fail, now()), called(&fed[0], CallStatus::Success, after(1))];
    f.store.record(owner, &record).await.unwrap();
    let mut late = ends(&fed[1..2], EventStatus::Delivered);
    late.finished[0].finished_at = after(10 * DAY + 60);
    late.executions = vec![called(&fed[1], CallStatus::Success, after(10 * DAY + 60))];
    f.store.record(owner, &late).await.unwrap();
    f.store.record(owner, &dies(&fed[2], &[1, 2])).await.unwrap();
    f.store.record(owner, &ends(&fed[3..4], EventStatus::Unmatched)).await.unwrap();
    let sums = f.sums().await;
    assert_eq!(sums, [5, 2, 1, 1, 1, 0]);

    let removed = sweep(&f, Sweep::Events).await;
    assert_eq!(removed, Removed { events: 3, executions: 4, dead_letters: 2, ..Removed::default() });
    assert_eq!(clients(&f).await, [2, 5].into());
    for (rows, left) in [
        ("SELECT count(*) FROM results", 0),
        ("SELECT count(*) FROM executions", 1),
        ("SELECT count(*) FROM deliveries", 0),
        ("SELECT count(*) FROM dispatches", 1),
    ] {
        assert_eq!(count(&f, rows).await, left, "{rows}");
    }
    assert_eq!(f.sums().await, sums, "the balance does not notice");
    // What is left goes on, and goes when its time has come.
    f.store.record(owner, &ends(&fed[4..], EventStatus::Delivered)).await.unwrap();
    assert_eq!(f.sums().await, [5, 3, 1, 1, 0, 0]);
    let (removed, _) = sweep_at(&f.store, Sweep::Events, KEEP, after(101 * DAY)).await;
    assert_eq!(removed, Removed { events: 2, executions: 1, ..Removed::default() });
    assert_eq!((clients(&f).await.len(), f.sums().await), (0, [5, 3, 1, 1, 0, 0]));
}

async fn what_is_unfinished_stays_whatever_its_age(f: Fixture) {
    let owner = f.owner().await;
    let fed = old(&f, 1..=3).await;
    // One is pending, one is being retried, one ended and was sent on its way again.
    let retrying = Record {
        executions: vec![called(&fed[1], CallStatus::Success, now()), called(&fed[1], CallStatus::Fail, now())],
        retries: vec![delivery(&fed[1], 2, DeliveryState::Retrying, 1)],
        started: vec![(fed[1].seq, GenerationNumber(3))],
        partitions: vec![fed[1].partition],
        ..Record::default()
    };
    f.store.record(owner, &retrying).await.unwrap();
    let ended =
        Record { executions: vec![called(&fed[2], CallStatus::Success, now())], ..ends(&fed[2..], EventStatus::Delivered) };
    f.store.record(owner, &ended).await.unwrap();
    f.store.replay_event(fed[2].event_id, None, after(2)).await.unwrap();
    let known = f.store.recorded_progress(&[(fed[1].seq, fed[1].event_id)]).await.unwrap();
    assert_eq!(known.len(), 2);

    for what in Sweep::ALL {
        assert_eq!(sweep(&f, what).await, Removed::default(), "{what:?}");
    }
    assert_eq!((clients(&f).await, f.unfinished().await.len()), ([1, 2, 3].into(), 3));
    assert_eq!(f.store.recorded_progress(&[(fed[1].seq, fed[1].event_id)]).await.unwrap(), known);
    assert_eq!(f.sums().await, [3, 0, 0, 0, 2, 1]);
}

async fn a_dead_letter_keeps_its_event_until_it_is_old_itself(f: Fixture) {
    let owner = f.owner().await;
    let fed = old(&f, [1]).await;
    let mut record = dies(&fed[0], &[1, 2]);
    record.retries[1].updated_at = after(10 * DAY);
    f.store.record(owner, &record).await.unwrap();
    assert_eq!(sweep(&f, Sweep::Events).await, Removed::default());
    let (removed, _) = sweep_at(&f.store, Sweep::Events, KEEP, after(100 * DAY + 1)).await;
    assert_eq!(removed, Removed { events: 1, executions: 2, dead_letters: 2, ..Removed::default() });
    assert_eq!(f.sums().await, [1, 0, 1, 0, 0, 0]);
}

async fn executions_can_go_before_their_events(f: Fixture) {
    let owner = f.owner().await;
    let fed = old(&f, 1..=2).await;
    let of = |d: &FedDispatch| {
        vec![
            called(d, CallStatus::Fail, now()),
            called(d, CallStatus::Fail, after(10 * DAY - 1)),
            called(d, CallStatus::Success, after(10 * DAY)),
        ]
    };
    f.store.record(owner, &Record { executions: of(&fed[0]), ..ends(&fed[..1], EventStatus::Delivered) }).await.unwrap();
    let under_way = Record { executions: of(&fed[1]), partitions: vec![fed[1].partition], ..Record::default() };
    f.store.record(owner, &under_way).await.unwrap();
    // A call whose event is not stored at all.
    let stray = FedDispatch { event_id: EventId(id_of(now())), ..fed[0].clone() };
    let stray = Record { executions: of(&stray), partitions: vec![fed[0].partition], ..Record::default() };
    f.store.record(owner, &stray).await.unwrap();

    assert_eq!(sweep(&f, Sweep::Executions).await, Removed { executions: 4, ..Removed::default() });
    assert_eq!(f.store.event_executions(fed[0].event_id).await.unwrap().len(), 1, "the one that is young enough");
    assert_eq!(f.store.event_executions(fed[1].event_id).await.unwrap().len(), 3, "all of the event that is under way");
    assert_eq!(f.status(fed[0].event_id).await, EventStatus::Delivered);
}

async fn what_executions_say_of_their_event_stays_when_they_go(f: Fixture) {
    let owner = f.owner().await;
    let fed = old(&f, 1..=4).await;
    // Delivered in one go, one of them replayed since and not at its end; one failed.
    let mut record = delivers(&fed[..3]);
    record.executions = fed[..3].iter().map(|d| called(d, CallStatus::Success, now())).collect();
    f.store.record(owner, &record).await.unwrap();
    f.store.record(owner, &dies(&fed[3], &[1])).await.unwrap();
    f.store.replay_event(fed[2].event_id, None, cleaning()).await.unwrap();
    let ended = async |of: usize| {
        let event = f.store.event(fed[of].event_id).await.unwrap().unwrap();
        (event.status, event.finished_at, event.generation)
    };
    let before = [ended(0).await, ended(1).await, ended(2).await, ended(3).await];
    let delivered = (EventStatus::Delivered, Some(now() + TimeDelta::milliseconds(12)), Some(GenerationNumber(3)));
    assert_eq!((before[0], before[2].0), (delivered, EventStatus::Pending));
    let sums = f.sums().await;

    assert_eq!(sweep(&f, Sweep::Executions).await, Removed { executions: 3, ..Removed::default() });
    assert_eq!([ended(0).await, ended(1).await, ended(2).await, ended(3).await], before);
    assert_eq!((f.sums().await, count(&f, "SELECT count(*) FROM results").await), (sums, 3));
    assert_eq!(audit(f.database.url()).await.unwrap().imbalances(), []);
    // Sent on its way again it is no more delivered than any other.
    f.store.replay_event(fed[0].event_id, None, cleaning()).await.unwrap();
    assert_eq!((f.status(fed[0].event_id).await, count(&f, "SELECT count(*) FROM results").await), (EventStatus::Pending, 2));
    // Events of which nothing says how they ended are for the audit to find, not for a sweep to hide.
    assert_eq!(count(&f, "DELETE FROM results WHERE event_seq = 2 RETURNING event_seq").await, 2);
    assert_eq!(sweep(&f, Sweep::Events).await, Removed { events: 1, dead_letters: 1, ..Removed::default() });
    assert_eq!(clients(&f).await, [1, 2, 3].into());
    assert_eq!(audit(f.database.url()).await.unwrap().imbalances(), [Imbalance::Lost(1)]);
}

async fn batches_are_bounded_and_pass_over_what_stays(f: Fixture) {
    let owner = f.owner().await;
    let fed = old(&f, 1..=1500).await;
    let (stay, go) = fed.split_at(400);
    for part in go.chunks(500) {
        let calls = part.iter().flat_map(|d| [called(d, CallStatus::Fail, now()), called(d, CallStatus::Success, now())]);
        f.store.record(owner, &Record { executions: calls.collect(), ..ends(part, EventStatus::Delivered) }).await.unwrap();
    }
    // The first to have come in ended late, with calls that have to stay as well.
    let mut late = ends(stay, EventStatus::Delivered);
    late.finished.iter_mut().for_each(|end| end.finished_at = after(50 * DAY));
    late.executions = stay.iter().map(|d| called(d, CallStatus::Success, after(50 * DAY))).collect();
    f.store.record(owner, &late).await.unwrap();

    let (removed, batches) = sweep_at(&f.store, Sweep::Events, KEEP, cleaning()).await;
    assert_eq!(removed, Removed { events: 1100, executions: 2200, ..Removed::default() });
    assert!((6..20).contains(&batches), "{batches}");
    assert_eq!(count(&f, "SELECT count(*) FROM executions").await, 400);
    assert_eq!(f.sums().await, [1500, 1500, 0, 0, 0, 0]);
    let again = sweep_at(&f.store, Sweep::Events, KEEP, cleaning()).await;
    assert_eq!(again, (Removed::default(), 2), "one page and a bit that stay");
}

async fn with_nothing_old_one_look_is_enough(f: Fixture) {
    let owner = f.owner().await;
    let events: Vec<_> = (1..=1200).map(|n| received(keyed(n, &n.to_string()), after(50 * DAY))).collect();
    let appended = f.store.append_events(&events, after(50 * DAY)).await.unwrap();
    let seqs: Vec<_> = appended.iter().map(|a| a.seq).collect();
    let fed = f.store.load_dispatches(&seqs).await.unwrap();
    let mut record = ends(&fed, EventStatus::Delivered);
    record.finished.iter_mut().for_each(|end| end.finished_at = after(50 * DAY));
    record.executions = fed.iter().map(|d| called(d, CallStatus::Success, after(50 * DAY))).collect();
    f.store.record(owner, &record).await.unwrap();
    for what in Sweep::ALL {
        assert_eq!(sweep_at(&f.store, what, KEEP, cleaning()).await, (Removed::default(), 1), "{what:?}");
        assert_eq!(sweep_at(&f.store, what, TimeDelta::MAX, cleaning()).await, (Removed::default(), 1), "{what:?}");
    }
}

async fn idempotency_keys_are_forgotten_after_their_time(f: Fixture) {
    let day = TimeDelta::hours(24);
    let publish = async |client: i64, key: &str, at: DateTime<Utc>| {
        f.store.append_events(&[received(keyed(client, key), at)], at).await.unwrap().remove(0)
    };
    let old: Vec<_> = (1..=1500).map(|n| received(keyed(n, &format!("old {n}")), now())).collect();
    f.store.append_events(&old, now()).await.unwrap();
    let first = publish(1, "remembered", after(61)).await;
    // A key that is given to another event after its time is that one's from then on.
    let second = publish(2, "old 2", after(DAY)).await;
    assert!(!second.duplicate);
    let (removed, batches) = sweep_at(&f.store, Sweep::IdempotencyKeys, day, after(DAY + 60)).await;
    assert_eq!((removed, batches), (Removed { idempotency_keys: 1499, ..Removed::default() }, 2));
    let again = publish(1, "remembered", after(DAY + 60)).await;
    assert_eq!((again.id, again.duplicate), (first.id, true));
    assert_eq!(publish(2, "old 2", after(DAY + 60)).await.id, second.id);
    assert!(!publish(1, "old 1", after(DAY + 60)).await.duplicate);
    // From where the sweep before came to, nothing is missed.
    let swept = f.store.sweep(Sweep::IdempotencyKeys, day, after(2 * DAY + 60), Place::since(after(60))).await.unwrap();
    assert_eq!((swept.removed.idempotency_keys, swept.next), (2, None));
    assert_eq!(count(&f, "SELECT count(*) FROM idempotency_keys").await, 1);
}

async fn an_event_stays_while_its_key_is_remembered(f: Fixture) {
    let owner = f.owner().await;
    let hour = TimeDelta::hours(1);
    let appended = f.store.append_events(&[received(keyed(1, "once"), now()), received(event(2), now())], now()).await.unwrap();
    let fed = f.store.load_dispatches(&[appended[0].seq, appended[1].seq]).await.unwrap();
    f.store.record(owner, &ends(&fed, EventStatus::Delivered)).await.unwrap();
    let (removed, _) = sweep_at(&f.store, Sweep::Events, hour, after(DAY - 1)).await;
    assert_eq!((removed.events, removed.idempotency_keys, clients(&f).await), (1, 0, [1].into()));
    let again = f.store.append_events(&[received(keyed(1, "once"), after(DAY - 1))], after(DAY - 1)).await.unwrap();
    assert_eq!((again[0].id, again[0].status, again[0].duplicate), (appended[0].id, EventStatus::Delivered, true));
    // Then it goes with its key, whether that was swept before or not.
    let (removed, _) = sweep_at(&f.store, Sweep::Events, hour, after(DAY)).await;
    assert_eq!((removed.events, removed.idempotency_keys), (1, 1));
    assert_eq!(count(&f, "SELECT count(*) FROM idempotency_keys").await, 0);
}

/// A record that ends one dispatch late, as a dispatcher does now.
pub(crate) fn ends_late(of: &FedDispatch) -> Record {
    let end = baton_storage::Finished { finished_at: cleaning(), ..finished(of, EventStatus::Delivered) };
    Record { finished: vec![end], partitions: vec![of.partition], ..Record::default() }
}
