//! Planning: takeover, a new generation, and what is not taken.

use super::story::{chain, tell};

#[test]
fn a_chain_taken_over_goes_on_where_it_stood() {
    tell(
        "plan 1: 10:A=ok 20:B=2@60 30:C
         event 1 is retrying
         starts C1
         ok C1
         attempts B1 2
         later 60
         starts B1
         retry B1 in 60
         attempts B1 3
         later 60
         starts B1
         ok B1 -> event 1 delivered",
    );
}

#[test]
fn a_chain_taken_over_waits_for_what_must_end_first() {
    tell(
        "plan 1: 10:A/a/wait=1@60 20:B
         starts nothing
         later 60
         starts A1
         ok A1
         starts B1",
    );
    tell(
        "plan 1: 10:A/a/wait=dead 20:B=skipped 30:C
         starts C1
         ok C1 -> event 1 failed",
    );
}

#[test]
fn only_what_has_not_ended_takes_a_place_in_its_lane_after_a_takeover() {
    tell(
        "plan 1: 10:A/crm=ok 20:B/billing=1@60
         plan 2: 10:A/crm 20:B/billing
         held 1
         starts A2
         ok A2
         later 60
         starts B1
         ok B1 -> event 1 delivered
         starts B2
         ok B2 -> event 2 delivered",
    );
}

#[test]
fn an_overdue_retry_taken_over_starts_at_once() {
    tell(
        "later 3600
         plan 1: 10:A=1@-60
         starts A1",
    );
}

#[test]
fn a_chain_that_is_not_later_than_the_last_is_handed_back() {
    tell(
        "plan 5: 10:A
         refuse 5: 10:B
         refuse 4: 10:B
         left 5
         starts A5
         plan 6: 10:A
         left 5 6
         refuse 5: 10:C
         starts nothing
         ok A5 -> event 5 delivered
         starts A6",
    );
}

#[test]
fn an_earlier_chain_is_taken_once_those_before_it_have_ended() {
    tell(
        "plan 5: 10:A
         starts A5
         refuse 4: 10:A
         ok A5 -> event 5 delivered
         plan 4: 10:A
         starts A4",
    );
}

#[test]
fn a_chain_with_nothing_left_to_do_is_handed_back() {
    tell(
        "refuse 1: nothing
         refuse 2: 10:A=ok 20:B=dead 30:C=skipped
         left nothing
         starts nothing",
    );
}

#[test]
fn what_is_not_known_or_not_under_way_changes_nothing() {
    tell(
        "plan 1: 10:A 20:B
         starts A1
         ok A9
         ok Z1
         dead Z1
         retry A9 in 0
         retry B1 in 0
         back B1
         attempts B1 0
         retry A1 in 60
         retry A1 in 0
         back A1
         attempts A1 1
         starts B1
         ok B1
         ok B1
         retry B1 in 0
         back B1
         starts nothing
         later 60
         starts A1
         ok A1 -> event 1 delivered
         ok A1
         dead A1
         left nothing",
    );
}

#[test]
fn a_new_generation_plans_unstarted_chains_anew_and_leaves_started_ones_alone() {
    tell(
        "plan 1: 10:A/crm 20:B
         plan 2: 10:A/crm/wait 20:B
         starts A1
         replan 1: 10:Z | 2: 10:C/crm 20:D
         starts D2
         ok A1
         starts B1 C2
         ok B1 -> event 1 delivered
         ok C2
         ok D2 -> event 2 delivered",
    );
}

#[test]
fn a_chain_planned_anew_keeps_its_place() {
    tell(
        "plan 1: 10:A/crm
         plan 2: 10:A/crm
         plan 3: 10:B/crm
         starts A1
         replan 2: 10:C/crm 10:D/billing | 3: 10:C/crm 10:D/billing
         left 1 2 3
         held 3
         starts D2
         ok A1 -> event 1 delivered
         ok D2
         starts C2 D3
         ok C2 -> event 2 delivered
         starts C3",
    );
}

#[test]
fn a_chain_that_no_handler_wants_any_more_is_taken_out_and_frees_its_lanes() {
    tell(
        "plan 1: 10:A/crm
         plan 2: 10:B/crm
         plan 3: 10:A/crm
         pause A
         starts nothing
         replan 1: nothing | 3: nothing -> out 1, out 3
         left 2
         held 0
         starts B2
         ok B2 -> event 2 delivered",
    );
}

#[test]
fn a_generation_that_changes_nothing_here_changes_nothing() {
    tell(
        "plan 1: 10:A/crm 20:B
         plan 2: 10:A/crm
         starts A1
         retry A1 in 60
         starts B1
         replan 9: 10:Z
         left 1 2
         held 1
         later 60
         starts A1
         ok B1
         ok A1 -> event 1 delivered
         starts A2",
    );
}

#[test]
fn a_chain_whose_only_call_was_put_back_has_not_started() {
    tell(
        "plan 1: 10:A
         starts A1
         back A1
         replan 1: 10:B
         starts B1",
    );
    tell(
        "plan 1: 10:A 20:B
         starts A1
         retry A1 in 60
         replan 1: 10:C
         starts B1",
    );
}

#[test]
fn a_chain_planned_anew_may_come_before_one_that_is_under_way_in_its_lane() {
    tell(
        "plan 1: 10:A/a
         plan 2: 10:B/crm
         pause A
         starts B2
         replan 1: 10:A/a 20:C/crm
         held 0
         starts C1
         retry B2 in 0
         held 1
         starts nothing
         ok C1
         held 0
         starts B2",
    );
}

#[test]
fn a_chain_is_found_by_its_deliveries_sorted_and_knows_whether_it_has_started() {
    let sorted = |text: &str| chain(text).deliveries().iter().map(|d| (d.priority, d.handler.0)).collect::<Vec<_>>();
    assert_eq!(sorted("20:A 10:C 10:B"), [(10, 66), (10, 67), (20, 65)]);
    for (text, started) in
        [("10:A 20:B", false), ("10:A=running", true), ("10:A 20:B=ok", true), ("10:A=skipped 20:B", true), ("10:A=1@60", true)]
    {
        assert_eq!(chain(text).started(), started, "{text}");
    }
}
