//! The status of an event, from its deliveries.

use super::story::{chain, status};

#[test]
fn every_pair_of_deliveries_makes_a_status() {
    // Column and row: the past of one delivery and of the other. Either way round, and in one stage or two, they say the same.
    let table = "
                 -         running   again     1@60      ok        dead      skipped
        -        pending   pending   retrying  retrying  pending   pending   pending
        running  pending   pending   retrying  retrying  pending   pending   pending
        again    retrying  retrying  retrying  retrying  retrying  retrying  retrying
        1@60     retrying  retrying  retrying  retrying  retrying  retrying  retrying
        ok       pending   pending   retrying  retrying  delivered failed    delivered
        dead     pending   pending   retrying  retrying  failed    failed    failed
        skipped  pending   pending   retrying  retrying  delivered failed    unmatched";
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).filter(|row: &Vec<_>| !row.is_empty()).collect();
    let pasts = &rows[0];
    let past = |word: &str| if word == "-" { String::new() } else { format!("={word}") };
    assert_eq!(rows.len(), pasts.len() + 1);
    for row in &rows[1..] {
        assert_eq!(row.len(), pasts.len() + 1, "{row:?}");
        for (column, expected) in pasts.iter().zip(&row[1..]) {
            for second in [10, 20] {
                let text = format!("10:A{} {second}:B{}", past(row[0]), past(column));
                assert_eq!(chain(&text).status(), status(expected), "{text}");
            }
        }
    }
}

#[test]
fn one_delivery_alone_makes_the_status() {
    let table = [
        ("", "pending"),
        ("=running", "pending"),
        ("=1@60", "retrying"),
        ("=ok", "delivered"),
        ("=dead", "failed"),
        ("=skipped", "unmatched"),
    ];
    for (past, expected) in table {
        assert_eq!(chain(&format!("10:A{past}")).status(), status(expected), "{past}");
    }
}

#[test]
fn an_event_without_deliveries_is_unmatched() {
    assert!(chain("nothing").ended());
    assert_eq!(chain("nothing").status(), status("unmatched"));
}
