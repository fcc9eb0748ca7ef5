//! The named limits of the contract. Limits of a queue or a batch stand with the code that has the queue.

/// The longest event id of the catalogue, in characters.
pub const EVENTS_ID_MAX: usize = 128;
/// The longest textual `object_id`, in characters.
pub const OBJECT_ID_MAX: usize = 200;
/// The longest ordering key, in characters.
pub const ORDERING_KEY_MAX: usize = 300;
/// The longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_MAX: usize = 200;
/// The largest event, in bytes of its JSON.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// The largest batch, in bytes of its JSON.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most events in one batch.
pub const BATCH_EVENTS_MAX: usize = 1000;
/// The most of an answer's body, of a script's standard output and of its standard error that is kept, in bytes.
pub const OUTPUT_KEPT_BYTES: usize = 64 * 1024;
/// The longest name of a handler, in characters.
pub const NAME_MAX: usize = 200;
/// The longest URL, script path, lane or argument, in characters.
pub const TEXT_MAX: usize = 2000;
/// The longest notes, in characters.
pub const NOTES_MAX: usize = 10_000;
/// The most arguments of a script.
pub const ARGS_MAX: usize = 64;
/// The most extra headers of an HTTP task.
pub const HEADERS_MAX: usize = 50;
/// The longest value of an extra header, in bytes.
pub const HEADER_VALUE_MAX: usize = 8192;
/// The longest filter, in characters.
pub const FILTER_MAX: usize = 2000;
/// The longest user, password, client id, secret, scope or audience, in characters.
pub const CREDENTIAL_MAX: usize = 2000;
/// The longest PEM text, in bytes.
pub const PEM_MAX: usize = 64 * 1024;
/// The most calls at once that a handler can be limited to.
pub const CONCURRENCY_MAX: i64 = 1000;
/// The most calls a second that a handler can be limited to.
pub const PER_SECOND_MAX: i64 = 10_000;
/// The most handlers of one generation.
pub const GENERATION_HANDLERS_MAX: usize = 20_000;
/// How long an idempotency key is remembered, in hours.
pub const IDEMPOTENCY_HOURS: i64 = 24;
