//! How memory is allocated: every program that is linked with this crate uses mimalloc. An event makes some hundred small allocations in one
//! thread and frees many of them in another, which is what the allocator of glibc is slowest at.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The variable, and its value, with which a program takes writable memory a little at a time: for one that is to live under a limit on that.
/// Otherwise it takes a GiB at once, of which the system gives it what it uses.
pub const FRUGAL: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");
