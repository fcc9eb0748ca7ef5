//! A sample of every built-in event type, for test calls, filters and dry runs.

use baton_domain::event::{Publication, PublicationHead};
use baton_domain::{Catalogue, NewEvent};
use chrono::Utc;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::raw::raw;
use crate::request::optional_object;
use crate::state::ApiState;

/// An event to try something with. What is left out comes from the built-in sample of its type.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleInput {
    #[serde(default, deserialize_with = "optional_object")]
    #[schema(nullable = false)]
    pub(crate) event: Option<SampleHead>,
    #[schema(schema_with = crate::openapi::data, required = false)]
    pub(crate) data: Option<Box<RawValue>>,
}

/// What happened, to what, when.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleHead {
    /// The event type that is tried.
    #[schema(nullable = false, example = "clients.create")]
    pub(crate) events_id: Option<String>,
    #[schema(schema_with = crate::openapi::object_id, required = false)]
    pub(crate) object_id: Option<Box<RawValue>>,
    pub(crate) dt: Option<String>,
}

/// What would happen, to what, when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DryRunHead {
    /// An id or an older spelling of the catalogue.
    #[schema(example = "clients.create")]
    pub(crate) events_id: String,
    #[schema(schema_with = crate::openapi::object_id, required = false)]
    pub(crate) object_id: Option<Box<RawValue>>,
    pub(crate) dt: Option<String>,
}

/// The id of the event type, the object's id, the data.
const SAMPLES: &[(&str, &str, &str)] = &[
    ("clients.create", "4107", CLIENT),
    ("clients.update", "4107", r#"{"id":4107,"name":"Northwind Voice GmbH"}"#),
    ("clients.delete", "4107", "{}"),
    ("clients.archive", "4107", "{}"),
    ("clients.custom_fields.update", "4107", r#"{"id":4107,"crm_ref":"SF-00981","sla_tier":null}"#),
    ("clients.balance_notzero", "4107", "{}"),
    ("clients.balance_zero", "4107", "{}"),
    ("clients.accounts.create", "880", ACCOUNT),
    ("clients.accounts.update", "880", r#"{"id":880,"orig_capacity":45,"tech_prefix":null}"#),
    ("clients.accounts.delete", "880", "{}"),
    ("clients.subscriptions.assign", "5521", ASSIGNED),
    ("clients.subscriptions.activate", "5521", ACTIVE),
    ("clients.subscriptions.deactivate", "5521", CLOSED),
    ("clients.subscriptions.renew", "5521", ACTIVE),
    ("clients.subscriptions.close", "5521", CLOSED),
];

const CLIENT: &str = r#"{"id":4107,"name":"Northwind Voice Ltd","companies_id":3,"currencies_id":1,"status":"active","credit":250.0,"payment_terms_id":2,"c_company":"Northwind Voice Ltd","c_email_billing":"ap@northwind.example","orig_capacity":60,"low_balance_capacity":null,"autoinvoice_enabled":true,"tags":["wholesale"]}"#;
const ACCOUNT: &str = r#"{"id":880,"clients_id":4107,"name":"nw-sbc-fra1","auth_type":"ip","ips":["192.0.2.14","192.0.2.15"],"ani":null,"accname":null,"password":null,"tech_prefix":"7788#","orig_enabled":true,"orig_capacity":30,"orig_rate_tables_ids":[19],"orig_tags":["retail"],"term_enabled":false,"term_capacity":null,"term_tags":[],"notes":null}"#;
const ASSIGNED: &str = r#"{"id":5521,"clients_id":4107,"accounts_id":null,"packages_id":12,"start_dt":"2026-03-10T00:00:00+00:00","stop_dt":null,"condition":"new","status":"pending"}"#;
const ACTIVE: &str = r#"{"id":5521,"clients_id":4107,"accounts_id":null,"packages_id":12,"start_dt":"2026-03-10T00:00:00+00:00","stop_dt":null,"condition":"activated","status":"active","period_start_dt":"2026-03-10T00:00:00+00:00","period_stop_dt":"2026-04-09T23:59:59+00:00"}"#;
const CLOSED: &str = r#"{"id":5521,"clients_id":4107,"accounts_id":null,"packages_id":12,"start_dt":"2026-03-10T00:00:00+00:00","stop_dt":"2026-05-09T23:59:59+00:00","condition":"deactivated","status":"archive"}"#;

/// Head and data of a sample event of this type; operators' own types have no data.
///
/// # Errors
/// A sentence, when the type is not in the catalogue.
pub(crate) fn of(events_id: &str, catalogue: &Catalogue) -> Result<(PublicationHead, Box<RawValue>), String> {
    let known = catalogue.resolve(events_id)?;
    let (_, object_id, data) = SAMPLES.iter().find(|(id, ..)| *id == known.id).copied().unwrap_or(("", "1", "{}"));
    let head = PublicationHead { events_id: known.id.clone(), object_id: raw(object_id.into()), dt: None };
    Ok((head, raw(data.into())))
}

/// An event of this type, of what was sent and of its sample.
///
/// # Errors
/// What cannot be published, and another type than this.
pub(crate) async fn event(state: &ApiState, events_id: &str, input: SampleInput) -> Result<NewEvent, Problem> {
    let given = input.event.as_ref().and_then(|head| head.events_id.as_deref());
    let catalogue = state.catalogue.with(std::iter::once(events_id).chain(given)).await?;
    let (head, data) = of(events_id, &catalogue).map_err(|reason| Problem::field("event", reason))?;
    let wanted = head.events_id.clone();
    let SampleHead { events_id, object_id, dt } = input.event.unwrap_or_default();
    let head = PublicationHead {
        events_id: events_id.unwrap_or(head.events_id),
        object_id: object_id.unwrap_or(head.object_id),
        dt: dt.or(head.dt),
    };
    let publication = Publication { event: head, data: input.data.unwrap_or(data), ordering_key: None };
    let checked = publication.check(&catalogue, None, Utc::now()).map_err(Problem::invalid)?;
    if checked.events_id == wanted {
        Ok(checked)
    } else {
        Err(Problem::field("event.events_id", format!("must be the handler's event, {wanted}")))
    }
}

#[cfg(test)]
mod tests {
    use baton_domain::mask::mask_json;

    use super::*;

    #[test]
    fn every_built_in_type_has_a_sample_that_can_be_published() {
        let catalogue = Catalogue::default();
        for known in catalogue.types() {
            assert!(SAMPLES.iter().any(|(id, ..)| *id == known.id), "{}", known.id);
            let (event, data) = of(&known.id, &catalogue).unwrap();
            assert_eq!(mask_json(data.get()), data.get());
            let event = Publication { event, data, ordering_key: None }.check(&catalogue, None, Utc::now()).unwrap();
            assert_eq!(event.events_id, known.id);
        }
        assert_eq!(SAMPLES.len(), catalogue.types().len());
    }
}
