//! Bodies that may be left out. A schema that may be null would say that too, but generated clients then send something odd.

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{OneOf, SchemaType};
use utoipa::openapi::{OpenApi, RefOr, Required, Schema, Type};

use super::operations;

/// Says of every body whether it may be left out.
pub(super) fn describe(document: &mut OpenApi) {
    document.paths.paths.values_mut().flat_map(operations).for_each(describe_body);
}

fn describe_body(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let mut required = Required::True;
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        if let Some(RefOr::T(Schema::OneOf(OneOf { items, .. }))) = &mut content.schema
            && items.iter().any(is_null)
        {
            items.retain(|item| !is_null(item));
            content.schema = items.pop();
            required = Required::False;
        }
    }
    body.required = Some(required);
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
