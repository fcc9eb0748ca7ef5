//! The services that tests run against.

/// The variable that names a running PostgreSQL whose user may create databases.
pub const POSTGRES_URL: &str = "BATON_TEST_POSTGRES_URL";
/// The variable that names a running Redis.
pub const REDIS_URL: &str = "BATON_TEST_REDIS_URL";

/// The value of a variable that `cargo xtask test` sets.
///
/// # Panics
/// When it is not set. A test that cannot run must not look as if it had passed.
pub(crate) fn required(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!(
            "{variable} is not set: run `cargo xtask test`, which starts the services that the tests need; \
             or run `cargo xtask services` beside and set what it prints"
        ),
    }
}
