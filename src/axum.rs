//! axum's servers: [`serve`] in place of `axum::serve`, which spawns on tokio's runtime. Not in tokio.
//!
//! Everything else of axum is axum's own. Our `TcpListener` and `UnixListener` implement its trait [`Listener`].

#[doc(inline)]
pub use ringway_axum::{
    IncomingStream, Listener, ListenerExt, Serve, ServeFuture, TapIo, WithGracefulShutdown, serve,
};
