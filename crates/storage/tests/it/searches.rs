//! Searching events, executions and dead letters, page by page.

use std::collections::HashMap;

use baton_domain::{CallStatus, EventId, EventStatus, Execution, ExecutionId, GenerationNumber, HandlerId, NewEvent, ObjectId};
use baton_storage::{
    DeadLetterSearch, DeliveryState, EXAMINED_MAX, EventSearch, ExecutionSearch, LastExecution, Page, Paged, Record, Result,
    StorageError,
};

use crate::fixture::{Fixture, after, delivery, dies, ends, event, execution, id_made_at, now, on_both, page};

on_both!(
    events_by_every_filter,
    events_by_status,
    executions_by_every_filter,
    executions_of_an_event_are_bounded,
    the_last_execution_of_each_handler,
    a_search_by_text_looks_at_so_many_a_page,
    dead_letters_by_every_filter,
    pages_lead_through_equal_instants,
    cursors_of_others_are_refused,
    spans_of_time_are_found_whole,
);

/// Every item of a list, read in pages of so many.
async fn walk<T, F: Future<Output = Result<Paged<T>>>>(limit: u16, list: impl Fn(Page) -> F) -> Vec<T> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let paged = list(Page { limit, cursor }).await.unwrap();
        assert!(paged.items.len() <= usize::from(limit));
        items.extend(paged.items);
        cursor = paged.next_cursor;
        if cursor.is_none() {
            return items;
        }
    }
}

async fn events(f: &Fixture, search: EventSearch) -> Vec<i64> {
    let found = walk(3, |page| {
        let (store, search) = (f.store.clone(), search.clone());
        async move { store.search_events(&search, &page).await }
    });
    found.await.iter().map(|e| e.seq.0).collect()
}

async fn executions(f: &Fixture, search: ExecutionSearch) -> Vec<ExecutionId> {
    let found = walk(2, |page| {
        let (store, search) = (f.store.clone(), search.clone());
        async move { store.search_executions(&search, &page).await }
    });
    found.await.iter().map(|x| x.id).collect()
}

async fn dead_letters(f: &Fixture, search: DeadLetterSearch) -> Vec<(i64, i64)> {
    let found = walk(2, |page| {
        let (store, search) = (f.store.clone(), search.clone());
        async move { store.search_dead_letters(&search, &page).await }
    });
    found.await.iter().map(|v| (v.seq.0, v.handler_id.0)).collect()
}

async fn events_by_every_filter(f: Fixture) {
    let mut published: Vec<_> = (1..=8).map(|n| NewEvent { received_at: after(n), ..event(n % 2) }).collect();
    published[2].object_id = ObjectId::from_json("\"1\"").unwrap();
    published[3].events_id = "clients.update".into();
    f.append(&published).await;
    assert_eq!(events(&f, EventSearch::default()).await, [8, 7, 6, 5, 4, 3, 2, 1]);
    // Number and string name the same object.
    assert_eq!(events(&f, EventSearch { object_id: Some("1".into()), ..Default::default() }).await, [7, 5, 3, 1]);
    assert_eq!(events(&f, EventSearch { events_id: Some("clients.update".into()), ..Default::default() }).await, [4]);
    let span = EventSearch { from: Some(after(3)), to: Some(after(6)), ..Default::default() };
    assert_eq!(events(&f, span.clone()).await, [5, 4, 3]);
    assert_eq!(
        events(&f, EventSearch { object_id: Some("1".into()), events_id: Some("clients.create".into()), ..span }).await,
        [5, 3]
    );
    assert_eq!(events(&f, EventSearch { object_id: Some("1\0".into()), ..Default::default() }).await, [0; 0]);
}

async fn events_by_status(f: Fixture) {
    use EventStatus::{Delivered, Failed, Pending, Retrying, Unmatched};
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2, 3, 4, 5, 6, 7]).await;
    f.store.record(owner, &ends(&fed[..2], Delivered)).await.unwrap();
    f.store.record(owner, &dies(&fed[2], &[1])).await.unwrap();
    f.store.record(owner, &ends(&fed[3..4], Unmatched)).await.unwrap();
    let started =
        Record { started: vec![(fed[4].seq, GenerationNumber(1))], partitions: vec![fed[4].partition], ..Record::default() };
    f.store.record(owner, &started).await.unwrap();
    // 6 is delivered and under way again, 7 is new.
    f.store.record(owner, &ends(&fed[5..6], Delivered)).await.unwrap();
    f.store.replay_event(fed[5].event_id, None, after(1)).await.unwrap();

    for (status, expected) in [
        (vec![], vec![7, 6, 5, 4, 3, 2, 1]),
        (vec![Delivered], vec![2, 1]),
        (vec![Failed], vec![3]),
        (vec![Unmatched], vec![4]),
        (vec![Retrying], vec![5]),
        (vec![Pending], vec![7, 6]),
        (vec![Pending, Retrying], vec![7, 6, 5]),
        (vec![Failed, Unmatched], vec![4, 3]),
        (vec![Delivered, Failed, Pending], vec![7, 6, 3, 2, 1]),
        (vec![Delivered, Failed, Pending, Retrying, Unmatched], vec![7, 6, 5, 4, 3, 2, 1]),
    ] {
        let search = EventSearch { status: status.clone(), ..Default::default() };
        assert_eq!(events(&f, search).await, expected, "{status:?}");
        let found =
            f.store.search_events(&EventSearch { status: status.clone(), ..Default::default() }, &page(50)).await.unwrap();
        assert!(found.items.iter().all(|e| status.is_empty() || status.contains(&e.status)), "{status:?}");
    }
}

async fn executions_by_every_filter(f: Fixture) {
    let owner = f.owner().await;
    let mut published: Vec<_> = [1, 2].map(event).into();
    published[0].data = r#"{"note":"50% off_\\ NOW"}"#.into();
    published[1].events_id = "clients.update".into();
    f.append(&published).await;
    let fed = f.unfinished().await;
    let mut log = vec![
        execution(&fed[0], 1, 1, CallStatus::Success),
        execution(&fed[0], 2, 1, CallStatus::Fail),
        execution(&fed[0], 2, 2, CallStatus::Skipped),
        execution(&fed[1], 1, 1, CallStatus::Fail),
    ];
    for (n, x) in (1..).zip(&mut log) {
        x.started_at = after(n);
    }
    log[1].error = Some(r"100% of C:\temp_dir is Full".into());
    log[3].error = Some("100 of C:xtempXdir".into());
    let ids: Vec<_> = log.iter().map(|x| x.id).collect();
    f.store
        .record(owner, &Record { executions: log, partitions: fed.iter().map(|d| d.partition).collect(), ..Record::default() })
        .await
        .unwrap();

    let expect = |search: ExecutionSearch, expected: Vec<usize>| {
        let (f, expected) = (&f, expected.into_iter().map(|n: usize| ids[n]).collect::<Vec<_>>());
        async move { assert_eq!(executions(f, search.clone()).await, expected, "{search:?}") }
    };
    let all = ExecutionSearch::default;
    expect(all(), vec![3, 2, 1, 0]).await;
    expect(ExecutionSearch { handler_id: Some(HandlerId(1)), ..all() }, vec![3, 0]).await;
    expect(ExecutionSearch { events_id: Some("clients.update".into()), ..all() }, vec![3]).await;
    expect(ExecutionSearch { object_id: Some("1".into()), ..all() }, vec![2, 1, 0]).await;
    expect(ExecutionSearch { event_id: Some(fed[1].event_id), ..all() }, vec![3]).await;
    expect(ExecutionSearch { status: vec![CallStatus::Fail], ..all() }, vec![3, 1]).await;
    expect(ExecutionSearch { status: vec![CallStatus::Success, CallStatus::Skipped], ..all() }, vec![2, 0]).await;
    expect(ExecutionSearch { from: Some(after(2)), to: Some(after(4)), ..all() }, vec![2, 1]).await;
    // What LIKE would take for a wildcard is taken to the letter.
    for (error, expected) in
        [("100%", vec![1]), ("temp_dir", vec![1]), (r"C:\temp", vec![1]), ("full", vec![1]), ("100", vec![3, 1]), ("\0", vec![])]
    {
        expect(ExecutionSearch { error: Some(error.into()), ..all() }, expected).await;
    }
    for (data, expected) in [
        ("50% off_", vec![2, 1, 0]),
        ("5%f", vec![]),
        (r"_\\ now", vec![2, 1, 0]),
        ("", vec![3, 2, 1, 0]),
        ("northwind", vec![3]),
    ] {
        expect(ExecutionSearch { data: Some(data.into()), ..all() }, expected).await;
    }
    let both =
        ExecutionSearch { data: Some("off".into()), status: vec![CallStatus::Fail], handler_id: Some(HandlerId(2)), ..all() };
    expect(both, vec![1]).await;
}

async fn executions_of_an_event_are_bounded(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await.remove(0);
    let log: Vec<_> = (1..=1010).map(|n| execution(&fed, 1, n, CallStatus::Fail)).collect();
    f.store.record(owner, &Record { executions: log, partitions: vec![fed.partition], ..Record::default() }).await.unwrap();
    let attempts: Vec<_> = f.store.event_executions(fed.event_id).await.unwrap().iter().map(|x| x.attempt).collect();
    assert_eq!(attempts, (1..=1000).collect::<Vec<_>>());
}

async fn the_last_execution_of_each_handler(f: Fixture) {
    let owner = f.owner().await;
    let dispatches = f.dispatches(&[1, 2]).await;
    let (one, two) = (&dispatches[0], &dispatches[1]);
    let failed = Execution { retry_at: Some(after(30)), ..execution(one, 2, 1, CallStatus::Fail) };
    let again = Execution { started_at: after(30), duration_ms: 5, ..execution(one, 2, 2, CallStatus::Success) };
    let skipped = execution(two, 3, 1, CallStatus::Skipped);
    // Written in another order than they were made.
    let executions = vec![again.clone(), failed.clone(), skipped.clone(), execution(two, 4, 1, CallStatus::Success)];
    let record = Record { executions, ..ends(&dispatches, EventStatus::Delivered) };
    f.store.record(owner, &record).await.unwrap();
    let short = |x: &Execution| LastExecution {
        id: x.id,
        event_id: x.event_id,
        attempt: x.attempt,
        status: x.status,
        started_at: x.started_at,
        duration_ms: x.duration_ms,
        error: x.error.clone(),
        retry_at: x.retry_at,
    };
    let of = async |handlers: &[i64]| f.store.last_executions(handlers.iter().map(|id| HandlerId(*id))).await.unwrap();
    let expected = HashMap::from([(HandlerId(2), short(&again)), (HandlerId(3), short(&skipped))]);
    assert_eq!(of(&[1, 2, 3, 99]).await, expected);
    assert_eq!(of(&[]).await, HashMap::new());
}

async fn a_search_by_text_looks_at_so_many_a_page(f: Fixture) {
    f.append(&[NewEvent { data: r#"{"city":"Ghent"}"#.into(), ..event(1) }]).await;
    let [of] = &f.unfinished().await[..] else { panic!("one") };
    let mut log: Vec<_> = (0..EXAMINED_MAX + 2).map(|_| execution(of, 5, 1, CallStatus::Fail)).collect();
    for nth in [0, 2] {
        log[nth] = Execution { error: Some("no way".into()), handler_id: HandlerId(7), ..log[nth].clone() };
    }
    let (oldest, third) = (log[0].id, log[2].id);
    let dispatcher = f.owner().await;
    for executions in log.chunks(1000) {
        let record = Record { executions: executions.to_vec(), partitions: vec![of.partition], ..Record::default() };
        f.store.record(dispatcher, &record).await.unwrap();
    }
    let search = ExecutionSearch { error: Some("NO WAY".into()), ..ExecutionSearch::default() };
    // The last that is looked at is the third; it is found, and the page leads on behind it.
    let first = f.store.search_executions(&search, &page(5)).await.unwrap();
    assert_eq!(first.items.iter().map(|x| x.id).collect::<Vec<_>>(), [third]);
    assert_eq!(executions(&f, search.clone()).await, [third, oldest]);
    // Other conditions narrow what is looked at.
    let of_handler = ExecutionSearch { handler_id: Some(HandlerId(7)), ..search };
    let found = f.store.search_executions(&of_handler, &page(5)).await.unwrap();
    assert_eq!((found.items.len(), found.next_cursor), (2, None));
    // What all have fills its page with the newest, and the next goes on behind them.
    let all = ExecutionSearch { data: Some("ghent".into()), ..ExecutionSearch::default() };
    let newest: Vec<_> = log.iter().rev().map(|x| x.id).collect();
    let first = f.store.search_executions(&all, &page(200)).await.unwrap();
    assert_eq!(first.items.iter().map(|x| x.id).collect::<Vec<_>>(), newest[..200]);
    let second = f.store.search_executions(&all, &Page { limit: 2, cursor: first.next_cursor }).await.unwrap();
    assert_eq!(second.items.iter().map(|x| x.id).collect::<Vec<_>>(), newest[200..202]);
    // A page may be empty and lead on.
    let nowhere = ExecutionSearch { data: Some("Bruges".into()), ..ExecutionSearch::default() };
    let found = f.store.search_executions(&nowhere, &page(5)).await.unwrap();
    assert!(found.items.is_empty() && found.next_cursor.is_some());
    assert_eq!(executions(&f, nowhere).await, []);
}

async fn dead_letters_by_every_filter(f: Fixture) {
    let owner = f.owner().await;
    let mut published: Vec<_> = (1..=3).map(event).collect();
    published[2].events_id = "clients.update".into();
    f.append(&published).await;
    let fed = f.unfinished().await;
    let mut rows: Vec<_> = fed.iter().map(|d| delivery(d, 1, DeliveryState::Dead, 12)).collect();
    rows.push(delivery(&fed[0], 2, DeliveryState::Dead, 1));
    rows.push(delivery(&fed[0], 3, DeliveryState::Retrying, 1));
    rows[1].updated_at = after(5);
    rows[1].last_error = Some("HTTP 500_".into());
    let partitions: Vec<_> = fed.iter().map(|d| d.partition).collect();
    f.store.record(owner, &Record { retries: rows, partitions, ..Record::default() }).await.unwrap();

    let expect = |search: DeadLetterSearch, expected: Vec<(i64, i64)>| {
        let f = &f;
        async move { assert_eq!(dead_letters(f, search.clone()).await, expected, "{search:?}") }
    };
    let all = DeadLetterSearch::default;
    expect(all(), vec![(2, 1), (3, 1), (1, 2), (1, 1)]).await;
    expect(DeadLetterSearch { handler_id: Some(HandlerId(1)), ..all() }, vec![(2, 1), (3, 1), (1, 1)]).await;
    expect(DeadLetterSearch { events_id: Some("clients.update".into()), ..all() }, vec![(3, 1)]).await;
    expect(DeadLetterSearch { object_id: Some("1".into()), ..all() }, vec![(1, 2), (1, 1)]).await;
    expect(DeadLetterSearch { error: Some("http 500_".into()), ..all() }, vec![(2, 1)]).await;
    expect(DeadLetterSearch { error: Some("no_answer".into()), ..all() }, vec![]).await;
    expect(DeadLetterSearch { data: Some(r#""ID":2,"#.into()), ..all() }, vec![(2, 1)]).await;
    expect(DeadLetterSearch { data: Some("Southwind".into()), ..all() }, vec![]).await;
    expect(DeadLetterSearch { from: Some(after(1)), ..all() }, vec![(2, 1)]).await;
    expect(DeadLetterSearch { to: Some(after(5)), ..all() }, vec![(3, 1), (1, 2), (1, 1)]).await;
    let ids = vec![
        (fed[0].event_id, HandlerId(2)),
        (fed[2].event_id, HandlerId(1)),
        (EventId::generate(), HandlerId(1)),
        (fed[0].event_id, HandlerId(3)),
    ];
    expect(DeadLetterSearch { ids: ids.clone(), ..all() }, vec![(3, 1), (1, 2)]).await;
    expect(DeadLetterSearch { ids, from: Some(now()), handler_id: Some(HandlerId(2)), ..all() }, vec![(1, 2)]).await;
    let found = f.store.search_dead_letters(&all(), &page(1)).await.unwrap().items.remove(0);
    assert_eq!((found.event_id, found.attempts, found.updated_at, found.next_attempt_at), (fed[1].event_id, 12, after(5), None));
    assert_eq!(
        (found.handler_name.as_str(), found.object_id, found.state),
        ("handler 1", published[1].object_id.clone(), DeliveryState::Dead)
    );
}

async fn pages_lead_through_equal_instants(f: Fixture) {
    let owner = f.owner().await;
    let objects: Vec<_> = (0..11).collect();
    for d in &f.dispatches(&objects).await {
        f.store.record(owner, &dies(d, &[3, 1, 2])).await.unwrap();
    }
    let expected: Vec<_> = (1..=11).rev().flat_map(|seq| [(seq, 3), (seq, 2), (seq, 1)]).collect();
    assert_eq!(dead_letters(&f, DeadLetterSearch::default()).await, expected);
    // A limit of 0 counts as 1, and the last page says that it is the last.
    let first = f.store.search_dead_letters(&DeadLetterSearch::default(), &page(0)).await.unwrap();
    assert_eq!((first.items.len(), first.next_cursor.is_some()), (1, true));
    let whole = f.store.search_dead_letters(&DeadLetterSearch::default(), &page(33)).await.unwrap();
    assert_eq!((whole.items.len(), whole.next_cursor), (33, None));
}

async fn cursors_of_others_are_refused(f: Fixture) {
    f.append(&[event(1), event(2)]).await;
    let cursor = f.store.search_events(&EventSearch::default(), &page(1)).await.unwrap().next_cursor;
    assert!(cursor.is_some());
    for cursor in [cursor, Some("nonsense".into()), Some(String::new()), Some("é".into())] {
        let page = Page { limit: 5, cursor };
        let refused = f.store.search_executions(&ExecutionSearch::default(), &page).await;
        assert!(matches!(refused, Err(StorageError::BadCursor)));
        let refused = f.store.search_dead_letters(&DeadLetterSearch::default(), &page).await;
        assert!(matches!(refused, Err(StorageError::BadCursor)));
        assert!(matches!(f.store.list_generations(&page).await, Err(StorageError::BadCursor)));
    }
}

/// Events and executions of hours that lie apart, each in its own: what a search narrows to must leave out none of them, also where
/// neighbours were stored in another order than they were received in.
async fn spans_of_time_are_found_whole(f: Fixture) {
    let owner = f.owner().await;
    let at = |minutes: i64| after(60 * minutes);
    let minutes = [0, 61, 60, 59, 200, 120, 121, 300];
    let events: Vec<_> = minutes
        .iter()
        .zip(1..)
        .map(|(m, n)| NewEvent { id: EventId(id_made_at(at(*m))), received_at: at(*m), ..event(n) })
        .collect();
    let seqs: Vec<_> = f.append(&events).await.iter().map(|a| a.seq).collect();
    let fed = f.store.load_dispatches(&seqs).await.unwrap();
    let mut record = ends(&fed, EventStatus::Delivered);
    // The id is made when the call has ended, half an hour after it began.
    record.executions.extend(fed.iter().zip(minutes).map(|(of, m)| Execution {
        id: ExecutionId(id_made_at(at(m + 30))),
        started_at: at(m),
        ..execution(of, 9, 1, CallStatus::Success)
    }));
    f.store.record(owner, &record).await.unwrap();
    for (from, to) in [(0, 1), (59, 62), (60, 61), (100, 250), (201, 400), (301, 500), (-500, -1), (-500, 500)] {
        let wanted = minutes.iter().filter(|m| (from..to).contains(*m)).count();
        let (from, to) = (Some(at(from)), Some(at(to)));
        let search = EventSearch { from, to, ..EventSearch::default() };
        assert_eq!(f.store.search_events(&search, &page(50)).await.unwrap().items.len(), wanted, "{from:?} {to:?}");
        let search = EventSearch { events_id: Some("clients.create".into()), ..search };
        assert_eq!(f.store.search_events(&search, &page(50)).await.unwrap().items.len(), wanted, "{from:?} {to:?}");
        let search = ExecutionSearch { handler_id: Some(HandlerId(9)), from, to, ..ExecutionSearch::default() };
        assert_eq!(f.store.search_executions(&search, &page(50)).await.unwrap().items.len(), wanted, "{from:?} {to:?}");
    }
}
