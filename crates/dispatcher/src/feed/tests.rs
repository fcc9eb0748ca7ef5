use super::*;
use baton_domain::{EventId, ObjectId};

fn partitions(of: std::ops::Range<i16>) -> Vec<PartitionId> {
    of.map(PartitionId).collect()
}

fn row(seq: i64, partition: i16, key: &str) -> FedDispatch {
    FedDispatch {
        seq: Seq(seq),
        partition: PartitionId(partition),
        event_id: EventId::generate(),
        events_id: "clients.create".into(),
        object_id: ObjectId::from_json("1").unwrap(),
        ordering_key: key.into(),
        dt: String::new(),
        data: "{}".into(),
        handler_id: None,
        generation: None,
        retrying: false,
        received_at: chrono::DateTime::UNIX_EPOCH,
    }
}

fn rows(seqs: std::ops::RangeInclusive<i64>) -> Vec<FedDispatch> {
    seqs.map(|seq| row(seq, 1, "client/1")).collect()
}

fn query(read: &Read) -> &FeedQuery {
    match &read.what {
        What::Next(query) | What::Joining(query) => query,
        What::Rest { .. } => panic!("{read:?}"),
    }
}

/// A feed of some partitions that has read everything up to a place.
fn up_to_date(at: i64) -> Feed {
    let mut feed = Feed::default();
    feed.acquire(partitions(0..32));
    let read = feed.next().unwrap();
    feed.done(&read, &rows(at..=at), None, Some(Seq(at)));
    assert!(feed.next().is_none());
    feed
}

#[test]
fn what_was_there_before_may_be_recorded_until_everything_has_been_read_once() {
    let mut feed = Feed::default();
    assert!(feed.next().is_none());
    feed.acquire(partitions(0..64));
    let full = i64::from(READ_EVENTS);
    let first = feed.next().unwrap();
    assert!(first.may_be_recorded && query(&first).after == Seq(0) && query(&first).partitions.len() == 64);
    feed.done(&first, &rows(1..=full), None, Some(Seq(full)));
    let second = feed.next().unwrap();
    assert!(second.may_be_recorded && query(&second).after == Seq(full));
    feed.done(&second, &rows(full + 1..=full + 1), None, Some(Seq(full + 1)));
    assert!(feed.next().is_none());
    feed.want();
    assert!(!feed.next().unwrap().may_be_recorded);
}

#[test]
fn a_hint_during_a_read_leads_to_another() {
    let mut feed = up_to_date(10);
    feed.want();
    let read = feed.next().unwrap();
    feed.want();
    feed.done(&read, &[], None, None);
    assert!(feed.next().is_some());
}

#[test]
fn partitions_that_were_taken_over_are_read_up_to_the_cursor_and_join_it() {
    let mut feed = up_to_date(5000);
    feed.acquire(partitions(32..64));
    let full = i64::from(READ_EVENTS);
    let joining = feed.next().unwrap();
    assert!(joining.may_be_recorded && query(&joining).up_to == Some(Seq(5000)) && query(&joining).partitions.len() == 32);
    feed.done(&joining, &rows(1..=full), None, Some(Seq(full)));
    let more = feed.next().unwrap();
    assert_eq!((query(&more).after, query(&more).up_to), (Seq(full), Some(Seq(5000))));
    feed.done(&more, &rows(4000..=4000), None, Some(Seq(4000)));
    let joined = feed.next().unwrap();
    assert_eq!((query(&joined).after, query(&joined).up_to, query(&joined).partitions.len()), (Seq(5000), None, 64));
    // The owner before may have recorded what lies behind the cursor.
    assert!(joined.may_be_recorded);
}

#[test]
fn a_partition_with_more_than_its_part_of_a_read_is_read_on() {
    let mut feed = up_to_date(5000);
    feed.acquire(partitions(32..63));
    // Far fewer than a read may bring, but all of one partition: the others may have been cut at its last.
    let part: Vec<_> = (1..=49).map(|seq| row(seq, 40, "client/1")).collect();
    let joining = feed.next().unwrap();
    feed.done(&joining, &part, None, Some(Seq(49)));
    let more = feed.next().unwrap();
    assert_eq!((query(&more).after, query(&more).up_to), (Seq(49), Some(Seq(5000))));
    feed.done(&more, &part[..48], None, Some(Seq(48)));
    let joined = feed.next().unwrap();
    assert_eq!((query(&joined).after, query(&joined).partitions.len()), (Seq(5000), 63));
    let cut: Vec<_> = (5001..=5032).map(|seq| row(seq, 40, "client/1")).collect();
    feed.done(&joined, &cut, None, Some(Seq(5032)));
    let on = feed.next().unwrap();
    assert!(on.may_be_recorded && query(&on).after == Seq(5032));
}

#[test]
fn a_key_that_lags_is_passed_over_and_read_when_it_has_room() {
    let mut feed = up_to_date(100);
    feed.leave("client/1", PartitionId(1), Seq(90));
    feed.leave("client/1", PartitionId(1), Seq(95));
    assert!(feed.lags("client/1"));
    feed.want();
    let next = feed.next().unwrap();
    assert_eq!(query(&next).except_keys, ["client/1"]);
    feed.done(&next, &[row(150, 2, "client/2")], None, Some(Seq(150)));
    assert!(feed.next().is_none());

    feed.has_room("client/1");
    feed.has_room("client/1");
    let rest = feed.next().unwrap();
    let What::Rest { after, up_to, .. } = &rest.what else { panic!("{rest:?}") };
    assert_eq!((*after, *up_to), (Seq(90), Seq(150)));
    // Not all that was read had room: the rest of it is read again.
    feed.done(&rest, &rows(91..=99), None, Some(Seq(93)));
    assert!(feed.lags("client/1") && feed.next().is_none());
    feed.has_room("client/1");
    let rest = feed.next().unwrap();
    let What::Rest { after, .. } = &rest.what else { panic!("{rest:?}") };
    assert_eq!(*after, Seq(93));
    feed.done(&rest, &rows(94..=99), None, Some(Seq(99)));
    assert!(!feed.lags("client/1"));
}

#[test]
fn a_read_that_began_before_partitions_were_given_up_is_not_used() {
    let mut feed = up_to_date(100);
    feed.leave("client/1", PartitionId(1), Seq(90));
    feed.want();
    let read = feed.next().unwrap();
    feed.drop_partitions(&HashSet::from([PartitionId(1)]));
    assert!(!feed.is_current(&read) && !feed.lags("client/1"));
    feed.failed(read);
    let again = feed.next().unwrap();
    assert!(feed.is_current(&again) && !query(&again).partitions.contains(&PartitionId(1)));
    assert_eq!(query(&again).after, Seq(100));
}

#[test]
fn too_many_lagging_keys_pause_reading_until_they_have_room() {
    let mut feed = up_to_date(100);
    for n in 0..=LAGGING_KEYS {
        feed.leave(&format!("client/{n}"), PartitionId(1), Seq(90));
    }
    feed.want();
    assert!(feed.next().is_none());
    feed.has_room("client/7");
    let rest = feed.next().unwrap();
    feed.done(&rest, &[], None, None);
    assert!(matches!(feed.next().unwrap().what, What::Next(_)));
}

#[test]
fn what_this_process_appended_is_looked_for_as_far_as_that_is_known() {
    let mut feed = up_to_date(10);
    feed.want_here();
    let read = feed.next().unwrap();
    assert!(read.from_here && query(&read).after == Seq(10));
    // It looked further than what it brought: the rest was of other partitions.
    feed.done(&read, &rows(11..=12), Some(Looked { through: Seq(15), more: false }), Some(Seq(12)));
    assert!(feed.next().is_none());
    feed.want_here();
    feed.want();
    let read = feed.next().unwrap();
    assert!(!read.from_here && query(&read).after == Seq(15));
    feed.done(&read, &[], Some(Looked { through: Seq(15), more: true }), None);
    assert!(feed.next().is_some(), "there is more");
}
