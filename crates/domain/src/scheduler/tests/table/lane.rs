//! Lanes: one object's events in order for each receiver.

use super::story::tell;

#[test]
fn a_later_event_waits_in_a_shared_lane_while_its_other_lane_goes_on() {
    tell(
        "plan 1: 10:A/crm
         plan 2: 10:A/crm 10:B/billing
         starts A1 B2
         held 1
         ok A1 -> event 1 delivered
         held 0
         starts A2
         ok A2
         ok B2 -> event 2 delivered",
    );
}

#[test]
fn within_one_event_the_chain_decides_and_not_the_lane() {
    tell(
        "plan 1: 10:A/crm 10:B/crm 20:C/crm
         starts A1 B1
         held 0
         retry A1 in 60
         ok B1
         starts C1",
    );
}

#[test]
fn a_lane_is_free_when_every_delivery_of_the_earlier_event_in_it_has_ended() {
    tell(
        "plan 1: 10:A/crm 10:B/crm 20:C/crm
         plan 2: 10:D/crm
         starts A1 B1
         ok A1
         starts nothing
         ok B1
         starts C1
         held 1
         ok C1 -> event 1 delivered
         starts D2",
    );
}

#[test]
fn each_way_to_end_frees_the_lane() {
    for (end, status) in [("ok", "delivered"), ("dead", "failed"), ("skip", "unmatched")] {
        tell(&format!(
            "plan 1: 10:A/crm
             plan 2: 10:A/crm
             starts A1
             {end} A1 -> event 1 {status}
             starts A2"
        ));
    }
}

#[test]
fn what_a_stop_skips_leaves_its_lane() {
    tell(
        "plan 1: 10:A/a/stop 20:B/crm 30:C/billing
         plan 2: 10:B/crm 10:C/billing
         starts A1
         held 2
         dead A1 -> skipped B, skipped C, event 1 failed
         held 0
         starts B2 C2",
    );
}

#[test]
fn a_later_event_cannot_overtake_a_stage_that_still_waits() {
    tell(
        "plan 1: 10:A/a/wait 20:B/crm
         plan 2: 10:C/crm
         starts A1
         retry A1 in 60
         starts nothing
         later 60
         starts A1
         ok A1
         starts B1
         ok B1 -> event 1 delivered
         starts C2",
    );
}

#[test]
fn a_retry_of_an_earlier_event_holds_its_lane_and_no_other() {
    tell(
        "plan 1: 10:A/crm 10:B/billing
         plan 2: 10:A/crm 10:B/billing
         plan 3: 10:B/billing
         starts A1 B1
         retry A1 in 3600
         ok B1
         starts B2
         ok B2
         starts B3
         ok B3 -> event 3 delivered
         held 1
         later 3600
         starts A1
         ok A1 -> event 1 delivered
         starts A2
         ok A2 -> event 2 delivered",
    );
}

#[test]
fn handlers_of_different_event_types_keep_order_in_the_lane_that_they_name() {
    // Create, update and delete of one client, each with its own handler, all for the CRM.
    tell(
        "plan 1: 10:A/crm 20:B/billing
         plan 2: 10:C/crm
         plan 3: 10:D/crm
         starts A1
         held 2
         retry A1 in 60
         starts B1
         ok B1
         later 60
         starts A1
         ok A1 -> event 1 delivered
         starts C2
         retry C2 in 60
         starts nothing
         later 60
         starts C2
         dead C2 -> event 2 failed
         starts D3",
    );
}

#[test]
fn without_a_lane_the_target_is_the_lane() {
    tell(
        "plan 1: 10:A 10:B
         plan 2: 10:A 10:C
         starts A1 B1 C2
         held 1",
    );
}

#[test]
fn held_by_its_lane_a_delivery_with_continue_lets_later_stages_go_on() {
    tell(
        "plan 1: 10:A/crm
         plan 2: 10:A/crm/continue 20:B/billing
         starts A1 B2
         ok B2
         event 2 is pending
         ok A1 -> event 1 delivered
         starts A2
         ok A2 -> event 2 delivered",
    );
}

#[test]
fn held_by_its_lane_a_delivery_with_wait_or_stop_holds_later_stages() {
    for policy in ["wait", "stop"] {
        tell(&format!(
            "plan 1: 10:A/crm
             plan 2: 10:A/crm/{policy} 20:B/billing
             starts A1
             retry A1 in 60
             starts nothing
             held 1
             later 60
             starts A1
             ok A1 -> event 1 delivered
             starts A2
             ok A2
             starts B2"
        ));
    }
}

#[test]
fn once_its_lane_is_free_a_delivery_is_tried_before_later_stages_go_on() {
    tell(
        "plan 1: 10:A/crm
         plan 2: 10:A/crm 20:B/billing
         plan 3: 10:A/crm 20:B/billing
         starts A1 B2
         ok A1 -> event 1 delivered
         ok B2
         starts A2 B3
         ok A2 -> event 2 delivered
         ok B3
         starts A3
         ok A3 -> event 3 delivered",
    );
}

#[test]
fn a_lane_that_frees_itself_late_takes_its_delivery_back_into_the_chain() {
    // While A waits in its lane, B may go; once the lane is free and A not yet tried, B waits for A like in any chain.
    tell(
        "plan 1: 10:A/crm 10:B/billing
         plan 2: 10:A/crm 20:B/billing
         starts A1 B1
         ok A1
         ok B1 -> event 1 delivered
         starts A2
         starts nothing
         ok A2
         starts B2",
    );
}

#[test]
fn a_delivery_that_ends_out_of_turn_leaves_the_others_in_their_order() {
    tell(
        "plan 1: 10:A/crm
         plan 2: 10:A/crm
         plan 3: 10:A/crm
         starts A1
         held 2
         skip A2 -> event 2 unmatched
         held 1
         starts nothing
         left 1 3
         ok A1 -> event 1 delivered
         starts A3",
    );
}

#[test]
fn what_starts_is_named_in_the_order_of_publication_then_priority_then_handler() {
    tell(
        "plan 1: 20:A/a 10:B/b
         plan 2: 10:D/d 10:C/c
         starts B1 C2 D2
         ok B1
         ok C2
         plan 3: 10:C/c
         starts A1 C3",
    );
}
