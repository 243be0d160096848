//! The attributes of ringway: `#[main]` and `#[test]`.
//!
//! They turn an `async fn` into an ordinary one which builds a runtime, runs the body on it and
//! returns what the body returned. Use them through the facade (`#[ringway::main]`,
//! `#[ringway::test]`), which chooses among the entry points below by its features.
//!
//! The work is done in four steps, one module each: `args` reads what stands in the parentheses,
//! `function` takes the function apart without looking into its body, `manifest` finds out under
//! which name the caller knows ringway, `expand` writes the new function. All of them work on
//! `proc_macro2` tokens, so that they can be tested outside a compiler.

#![forbid(unsafe_code)]

mod args;
mod expand;
mod function;
mod manifest;
#[cfg(test)]
mod tests;
mod toml;

use proc_macro::TokenStream;

use crate::expand::{Attribute, Kind};

/// Runs an `async fn` on a runtime which is made for the call and dropped after it.
///
/// Without arguments it is the multithreaded runtime with all drivers enabled and one worker for
/// each core that the process may use.
///
/// The function need not be called `main`, and unless it is, it may take arguments. Each call
/// starts and stops a runtime; to call into async code often, keep a `Runtime`.
///
/// # Arguments
///
/// - `flavor = "multi_thread"` (the default), `"current_thread"`, or `"local"`, a `LocalRuntime`, whose tasks need
///   not be `Send`.
/// - `name = "..."`, the runtime's name.
/// - `worker_threads = N`, at least 1, with `multi_thread` only.
/// - `start_paused = true` starts with the clock paused; beyond tokio, also with `flavor = "multi_thread"`, if that is
///   written down. To move the clock takes the feature `test-util`.
/// - `unhandled_panic = "ignore"` (the default) or `"shutdown_runtime"`, not with `multi_thread`: a panic of any task
///   ends the runtime, and the function panics.
/// - `crate = "path"` says where ringway is to be found. It is needed only if ringway comes by way
///   of another crate that re-exports it: a dependency which was renamed in `Cargo.toml`, such as
///   `tokio = { package = "ringway" }`, is recognised.
/// - `tokio_compat = true` has a runtime of tokio's at the side of this one, for libraries that call tokio themselves:
///   `Builder::enable_tokio_compat`, with the feature `tokio-compat`.
///
/// All but the last are tokio's.
///
/// # Panics
///
/// The function panics if the runtime cannot be built.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    run(Kind::Main, true, args, item)
}

/// Makes a test of an `async fn`, with a runtime of its own.
///
/// As [`macro@main`], but the default flavour is `current_thread`.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    run(Kind::Test, true, args, item)
}

/// [`macro@main`] where the feature `rt-multi-thread` is off.
///
/// The flavour has to be given: `multi_thread` is the default, and an error here.
#[proc_macro_attribute]
pub fn main_rt(args: TokenStream, item: TokenStream) -> TokenStream {
    run(Kind::Main, false, args, item)
}

/// [`macro@test`] where the feature `rt-multi-thread` is off.
#[proc_macro_attribute]
pub fn test_rt(args: TokenStream, item: TokenStream) -> TokenStream {
    run(Kind::Test, false, args, item)
}

/// What `#[main]` is where the feature `rt` is off: an error which says so.
#[proc_macro_attribute]
pub fn main_fail(_args: TokenStream, _item: TokenStream) -> TokenStream {
    expand::no_runtime(Kind::Main, &manifest::facade_name()).into()
}

/// What `#[test]` is where the feature `rt` is off: an error which says so.
#[proc_macro_attribute]
pub fn test_fail(_args: TokenStream, _item: TokenStream) -> TokenStream {
    expand::no_runtime(Kind::Test, &manifest::facade_name()).into()
}

fn run(kind: Kind, multi_thread: bool, args: TokenStream, item: TokenStream) -> TokenStream {
    let attribute = Attribute {
        kind,
        multi_thread,
        facade: manifest::facade_name(),
    };
    attribute.expand(args.into(), item.into()).into()
}
