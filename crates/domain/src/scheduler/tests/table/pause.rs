//! Pauses and open breakers, and calls that are handed back.

use super::story::tell;

#[test]
fn a_paused_delivery_is_not_tried_and_runs_when_the_pause_ends() {
    tell(
        "plan 1: 10:A
         pause A
         starts nothing
         later 3600
         starts nothing
         held 0
         resume A
         starts A1",
    );
}

#[test]
fn a_paused_delivery_with_continue_lets_later_stages_go_on() {
    tell(
        "plan 1: 10:A//continue 20:B
         pause A
         starts B1
         ok B1
         event 1 is pending
         resume A
         starts A1
         ok A1 -> event 1 delivered",
    );
}

#[test]
fn a_paused_delivery_with_wait_or_stop_holds_later_stages() {
    for policy in ["wait", "stop"] {
        tell(&format!(
            "plan 1: 10:A/a/{policy} 20:B
             pause A
             starts nothing
             resume A
             starts A1
             ok A1
             starts B1"
        ));
    }
}

#[test]
fn a_retry_that_is_due_waits_for_the_end_of_the_pause() {
    tell(
        "plan 1: 10:A//wait 20:B
         starts A1
         retry A1 in 60
         pause A
         later 60
         starts nothing
         resume A
         starts A1",
    );
}

#[test]
fn a_pause_does_not_undo_a_first_call_that_is_under_way() {
    tell(
        "plan 1: 10:A//continue 20:B
         starts A1
         pause A
         starts nothing
         retry A1 in 60
         starts B1
         later 60
         starts nothing",
    );
}

#[test]
fn a_pause_of_one_handler_holds_no_other_of_its_stage() {
    tell(
        "plan 1: 10:A 10:B 20:C
         pause A
         starts B1
         starts nothing
         ok B1
         starts C1",
    );
}

#[test]
fn later_events_wait_behind_a_paused_delivery_in_its_lane_and_drain_in_order() {
    tell(
        "plan 1: 10:A/crm
         plan 2: 10:B/crm
         plan 3: 10:A/crm
         pause A
         starts nothing
         held 2
         resume A
         starts A1
         ok A1 -> event 1 delivered
         starts B2
         ok B2 -> event 2 delivered
         starts A3",
    );
}

#[test]
fn a_delivery_behind_its_lane_stays_there_when_its_handler_is_resumed() {
    tell(
        "plan 1: 10:A/crm
         plan 2: 10:B/crm 20:C
         pause B
         starts A1 C2
         resume B
         starts nothing
         ok A1 -> event 1 delivered
         starts B2",
    );
}

#[test]
fn what_is_put_back_starts_again_and_no_try_is_counted() {
    tell(
        "plan 1: 10:A 20:B
         starts A1
         back A1
         attempts A1 0
         event 1 is pending
         starts A1
         starts nothing
         ok A1
         starts B1",
    );
}

#[test]
fn a_retry_that_is_put_back_stays_a_retry_and_is_due_at_once() {
    tell(
        "plan 1: 10:A 20:B
         starts A1
         retry A1 in 60
         starts B1
         later 60
         starts A1
         back A1
         attempts A1 1
         event 1 is retrying
         starts A1
         ok A1
         ok B1 -> event 1 delivered",
    );
}

#[test]
fn what_is_put_back_keeps_its_place_in_its_lane() {
    tell(
        "plan 1: 10:A/crm
         plan 2: 10:A/crm
         starts A1
         back A1
         held 1
         starts A1
         ok A1 -> event 1 delivered
         starts A2",
    );
}

#[test]
fn what_is_put_back_under_a_pause_is_held_like_any_other() {
    tell(
        "plan 1: 10:A//continue 20:B
         starts A1
         pause A
         back A1
         starts B1",
    );
}
