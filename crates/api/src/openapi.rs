//! The OpenAPI document: what the routes say of themselves, the errors that every one of them can answer, and the paths without a token.

mod bodies;
mod errors;
mod open_paths;

use serde_json::json;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, Object, ObjectBuilder, OpenApi, OpenApiBuilder, Tag, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::{Code, ProblemBody, RefusedField};

const TOKEN: &str = "token";
const ABOUT: &str = "Publishes events, configures the handlers that they are sent to, and shows what became of them. Errors are \
    `application/problem+json` (RFC 9457) with a stable `code`; what is not known in a body or query is refused. Lists take `limit` and \
    `cursor` and answer `items` and `next_cursor`.";
const TAGS: [(&str, &str); 11] = [
    ("Handlers", "What is called for which event. Edits go live when the Cache Manager is restarted."),
    ("Event types", "The catalogue of events."),
    ("Events", "Publishing, and what became of what was published."),
    ("Executions", "The log of every call."),
    ("Dead letters", "Deliveries that failed for good, and their replay."),
    ("Jobs", "Replays of many dead letters and recoveries of handlers, with their progress."),
    ("Pauses", "What an operator holds back: a handler, an event type, or everything. Works at once; nothing is lost."),
    ("Services", "The Task Scheduler, and the restart of the Cache Manager."),
    ("Cache", "The live generation, what is saved but not live, the history."),
    ("Stats", "The account of every event."),
    ("Operation", "Health, metrics and this document; no token is needed."),
];

/// The whole document, from what the routes say of themselves.
pub(crate) fn document(mut routes: OpenApi) -> OpenApi {
    bodies::describe(&mut routes);
    errors::describe(&mut routes);
    let schemas = std::mem::take(&mut routes.components).map(|components| components.schemas).unwrap_or_default();
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The value of BATON_ADMIN_TOKEN.")).build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .schema(ProblemBody::name(), ProblemBody::schema())
        .schema(Code::name(), Code::schema())
        .schema(RefusedField::name(), RefusedField::schema())
        .security_scheme(TOKEN, SecurityScheme::Http(token))
        .build();
    let mut paths = routes.paths;
    open_paths::add(&mut paths);
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Baton")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
                .build(),
        )
        .paths(paths)
        .components(Some(components))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], _>(TOKEN, [])]))
        .tags(Some(TAGS.map(tag)))
        .build()
}

fn tag((name, description): (&str, &str)) -> Tag {
    TagBuilder::new().name(name).description(Some(description)).build()
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().filter_map(Option::as_mut)
}

/// The schema of an object's id: a number or a string.
pub(crate) fn object_id() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Number]))
        .description(Some("A number or a string, as it was published."))
        .examples([json!(4107), json!("4107")])
        .build()
}

/// The schema of an event's data: any object.
pub(crate) fn data() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::<utoipa::openapi::Schema>::FreeForm(true)))
        .description(Some("Any object; numbers stay as they were written."))
        .examples([json!({"id": 4107, "name": "Northwind"})])
        .build()
}
