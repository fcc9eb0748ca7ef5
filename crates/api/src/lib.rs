//! The REST API of Baton and its OpenAPI document.
