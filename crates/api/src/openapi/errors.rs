//! The errors that each operation can answer.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::{ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Type};

use super::operations;
use crate::problem::{Code, phrase};

/// What any operation can answer.
const EVERY: &[Code] = &[Code::Unauthorized, Code::ValidationFailed, Code::Internal, Code::Unavailable];
/// What an operation with a body can answer.
const WITH_BODY: &[Code] =
    &[Code::BadJson, Code::BadRequest, Code::RequestTimeout, Code::BodyTooLarge, Code::UnsupportedMediaType];
/// What an operation on one thing can answer.
const WITH_ID: &[Code] = &[Code::NotFound];
/// What single operations can answer beside.
const MORE: &[(&str, &[Code])] = &[
    ("replace_handler", &[Code::VersionMismatch, Code::EditConflict]),
    ("update_handler", &[Code::VersionMismatch, Code::EditConflict]),
    ("delete_handler", &[Code::VersionMismatch, Code::EditConflict]),
    ("toggle_handler", &[Code::VersionMismatch, Code::EditConflict, Code::HandlerArchived]),
    ("set_priorities", &[Code::VersionMismatch]),
    ("test_handler", &[Code::Overloaded]),
    ("publish_event", &[Code::EventTooLarge, Code::Overloaded, Code::BacklogFull]),
    ("publish_batch", &[Code::EventTooLarge, Code::Overloaded, Code::BacklogFull]),
    ("replay_event", &[Code::NoOriginal]),
    ("cancel_job", &[Code::JobEnded]),
    ("restart_cache_manager", &[Code::RestartFailed, Code::RunQueued]),
    ("run_cleaner", &[Code::RunFailed]),
    ("rollback_cache", &[Code::RestartFailed, Code::RunQueued, Code::NotFound]),
];

/// Adds the errors to every operation.
pub(super) fn describe(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            let more =
                MORE.iter().find(|(id, _)| Some(*id) == operation.operation_id.as_deref()).map_or(&[][..], |(_, codes)| codes);
            let with_body = if operation.request_body.is_some() { WITH_BODY } else { &[] };
            let with_id = if path.contains('{') { WITH_ID } else { &[] };
            let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
            for code in [EVERY, with_body, with_id, more].concat() {
                by_status.entry(code.status().as_u16()).or_default().push(code);
            }
            let responses = by_status.into_iter().map(|(status, codes)| (status.to_string(), RefOr::T(response(&codes))));
            operation.responses.responses.extend(responses);
        }
    }
}

/// The response of one status, which several codes may have.
fn response(codes: &[Code]) -> Response {
    let meaning = |code: &Code| Code::TABLE.iter().find(|(c, ..)| c == code).map_or("", |(.., meaning)| meaning);
    let description = codes.iter().map(|code| format!("`{}`: {}", code.word(), meaning(code))).collect::<Vec<_>>().join(" ");
    let example = codes.first().map(example);
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).example(example).build();
    let response = ResponseBuilder::new().description(description).content("application/problem+json", content);
    match codes.first().map(|code| code.status().as_u16()) {
        Some(401) => response.header("WWW-Authenticate", text("The scheme that is asked for: Bearer")),
        Some(503) => response.header("Retry-After", text("Seconds after which to try again")),
        _ => response,
    }
    .build()
}

fn text(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).description(Some(description)).build()
}

fn example(code: &Code) -> serde_json::Value {
    let status = code.status();
    let mut problem = json!({
        "type": "about:blank", "title": phrase(status), "status": status.as_u16(), "code": code.word(),
        "detail": "A sentence for a person.",
    });
    if *code == Code::ValidationFailed {
        problem["detail"] = json!("priority: must be 1 to 65535");
        problem["errors"] = json!([{"field": "priority", "message": "must be 1 to 65535"}]);
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_is_named_here_exists() {
        let mut document = crate::openapi_document();
        let ids: Vec<_> = document.paths.paths.values_mut().flat_map(operations).filter_map(|o| o.operation_id.clone()).collect();
        for (id, _) in MORE {
            assert!(ids.iter().any(|known| known == id), "{id}");
        }
    }
}
