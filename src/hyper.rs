//! What hyper 1 needs of a runtime. Not in tokio, where `hyper-util` has it.
//!
//! Give `Executor` to the builders that ask for one, as `hyper_util::server::conn::auto::Builder::new(Executor)`, and
//! `Timer` to their `timer` method. Sockets need `hyper_util::rt::TokioIo` around them, which knows nothing of tokio but its
//! traits. A channel of tonic's takes `Executor` too: `Endpoint::executor(Executor)` with `connect_with_connector`.

#[doc(inline)]
pub use ringway_hyper::{Executor, Timer};
