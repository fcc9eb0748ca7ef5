//! The paths that need no token. They are served by other routers, so that they are described by hand.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem, Paths};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, ObjectBuilder, ResponseBuilder, Type};

struct Open {
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answers: &'static [(&'static str, &'static str)],
    media_type: &'static str,
}

const OPEN: [Open; 5] = [
    Open {
        path: "/healthz",
        id: "get_health",
        summary: "Says that the process runs.",
        answers: &[("200", "It runs")],
        media_type: "text/plain",
    },
    Open {
        path: "/readyz",
        id: "get_readiness",
        summary: "Says whether the process can do its work now.",
        answers: &[("200", "It can"), ("503", "It cannot; the body says why")],
        media_type: "text/plain",
    },
    Open {
        path: "/metrics",
        id: "get_metrics",
        summary: "Shows metrics in the text format of Prometheus.",
        answers: &[("200", "The metrics")],
        media_type: "text/plain",
    },
    Open {
        path: "/openapi.json",
        id: "get_openapi",
        summary: "Shows this document.",
        answers: &[("200", "OpenAPI 3.1")],
        media_type: "application/json",
    },
    Open {
        path: "/docs/",
        id: "get_docs",
        summary: "Shows this document to people.",
        answers: &[("200", "A page; everything that it loads is served here")],
        media_type: "text/html",
    },
];

pub(super) fn add(paths: &mut Paths) {
    for open in OPEN {
        let kind = if open.media_type == "application/json" { Type::Object } else { Type::String };
        let content = || ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind.clone()).build())).build();
        let mut operation = OperationBuilder::new()
            .operation_id(Some(open.id))
            .summary(Some(open.summary))
            .tag("Operation")
            .securities(Some(Vec::<SecurityRequirement>::new()));
        for (status, description) in open.answers {
            operation =
                operation.response(*status, ResponseBuilder::new().description(*description).content(open.media_type, content()));
        }
        paths.paths.insert(open.path.to_owned(), PathItem::new(HttpMethod::Get, operation));
    }
}
