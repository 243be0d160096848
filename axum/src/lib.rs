//! axum's `serve` and what belongs to it, with a task of the runtime for each connection and no runtime of tokio's.
//!
//! Applications use it as `ringway::axum`. Routers, handlers, extractors and layers are axum's own; so are the traits
//! [`Listener`] and [`ListenerExt`], which our listeners implement. Ours are the function [`serve`], its futures, and
//! [`IncomingStream`], because axum's can be made by axum only.
//!
//! - `serve`: the loop that accepts, and its end.
//! - `connection`: a connection's task.
//! - `incoming`: what makes a service of a connection: routers, handlers, and information about who connected.

#![forbid(unsafe_code)]

mod connection;
mod incoming;
mod serve;

pub use axum::serve::{Listener, ListenerExt, TapIo};
pub use incoming::IncomingStream;
pub use serve::{Serve, ServeFuture, WithGracefulShutdown, serve};
