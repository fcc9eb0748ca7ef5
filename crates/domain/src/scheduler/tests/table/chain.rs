//! Stages, and what a failure means for the stages behind it.

use super::story::tell;

#[test]
fn stages_run_one_after_another_the_lowest_number_first() {
    tell(
        "plan 1: 300:C 1:A 20:B
         starts A1
         starts nothing
         ok A1
         starts B1
         ok B1
         starts C1
         ok C1 -> event 1 delivered
         left nothing
         starts nothing",
    );
}

#[test]
fn equal_priorities_run_side_by_side_and_the_next_stage_waits_for_all_of_them() {
    tell(
        "plan 1: 10:B 20:D 10:A 10:C
         starts A1 B1 C1
         ok B1
         ok A1
         starts nothing
         ok C1
         starts D1
         ok D1 -> event 1 delivered",
    );
}

#[test]
fn a_stage_waits_for_every_stage_before_it_not_only_for_the_last() {
    tell(
        "plan 1: 1:A//wait 2:B 3:C
         starts A1
         retry A1 in 60
         starts nothing
         later 60
         starts A1
         ok A1
         starts B1
         starts nothing
         retry B1 in 60
         starts C1",
    );
}

#[test]
fn a_first_call_under_way_has_not_been_tried_yet() {
    for policy in ["continue", "wait", "stop"] {
        tell(&format!(
            "plan 1: 10:A/a/{policy} 20:B
             starts A1
             later 3600
             starts nothing"
        ));
    }
}

#[test]
fn after_a_success_the_next_stage_goes_on_whatever_the_policy() {
    for policy in ["continue", "wait", "stop"] {
        tell(&format!(
            "plan 1: 10:A/a/{policy} 20:B
             starts A1
             ok A1
             starts B1
             ok B1 -> event 1 delivered"
        ));
    }
}

#[test]
fn with_continue_lower_priorities_go_on_at_once_and_retries_run_in_the_background() {
    tell(
        "plan 1: 10:A//continue 20:B 30:C
         starts A1
         retry A1 in 60
         event 1 is retrying
         starts B1
         later 60
         starts A1
         retry A1 in 60
         starts nothing
         ok B1
         starts C1
         ok C1
         event 1 is retrying
         later 59
         starts nothing
         later 1
         starts A1
         attempts A1 2
         ok A1 -> event 1 delivered",
    );
}

#[test]
fn with_continue_lower_priorities_go_on_after_a_death() {
    tell(
        "plan 1: 10:A//continue 20:B
         starts A1
         dead A1
         event 1 is pending
         starts B1
         ok B1 -> event 1 failed",
    );
}

#[test]
fn with_wait_lower_priorities_wait_until_it_has_succeeded() {
    tell(
        "plan 1: 10:A//wait 20:B
         starts A1
         retry A1 in 60
         starts nothing
         later 60
         starts A1
         starts nothing
         ok A1
         starts B1
         ok B1 -> event 1 delivered",
    );
}

#[test]
fn with_wait_lower_priorities_go_on_once_it_is_exhausted() {
    tell(
        "plan 1: 10:A//wait 20:B
         starts A1
         retry A1 in 60
         starts nothing
         later 60
         starts A1
         dead A1
         starts B1
         ok B1 -> event 1 failed",
    );
}

#[test]
fn with_stop_lower_priorities_wait_and_the_rest_is_skipped_once_it_is_exhausted() {
    tell(
        "plan 1: 10:A//stop 20:B 20:C 30:D
         starts A1
         retry A1 in 60
         starts nothing
         later 60
         starts A1
         dead A1 -> skipped B, skipped C, skipped D, event 1 failed
         left nothing",
    );
}

#[test]
fn stop_skips_later_stages_only() {
    tell(
        "plan 1: 5:Z 10:A//stop 10:B 20:C
         starts Z1
         retry Z1 in 600
         starts A1 B1
         dead A1 -> skipped C
         retry B1 in 60
         event 1 is retrying
         starts nothing
         later 60
         starts B1
         ok B1
         later 540
         starts Z1
         ok Z1 -> event 1 failed",
    );
}

#[test]
fn the_second_death_of_a_stage_finds_nothing_left_to_skip() {
    tell(
        "plan 1: 10:A//stop 10:B//stop 20:C
         starts A1 B1
         dead B1 -> skipped C
         dead A1 -> event 1 failed",
    );
}

#[test]
fn a_handler_that_is_gone_stops_nothing() {
    for policy in ["continue", "wait", "stop"] {
        tell(&format!(
            "plan 1: 10:A/a/{policy} 20:B
             starts A1
             skip A1
             starts B1
             ok B1 -> event 1 delivered"
        ));
    }
}

#[test]
fn a_stage_of_mixed_policies_holds_the_next_until_each_is_content() {
    tell(
        "plan 1: 10:A//wait 10:B//continue 20:C
         starts A1 B1
         ok A1
         starts nothing
         retry B1 in 60
         starts C1",
    );
    tell(
        "plan 1: 10:A//wait 10:B//continue 20:C
         starts A1 B1
         retry A1 in 60
         ok B1
         starts nothing
         later 60
         starts A1
         dead A1
         starts C1",
    );
}

#[test]
fn retries_of_one_handler_do_not_hold_the_retries_of_another() {
    tell(
        "plan 1: 10:A 20:B
         starts A1
         retry A1 in 600
         starts B1
         retry B1 in 60
         later 60
         starts B1
         ok B1
         later 540
         starts A1
         ok A1 -> event 1 delivered",
    );
}

#[test]
fn what_is_due_may_start_at_that_very_instant_and_not_before() {
    tell(
        "plan 1: 10:A
         starts A1
         retry A1 in 2
         later 1
         starts nothing
         later 1
         starts A1",
    );
}
