//! axum's servers: [`serve`] in place of `axum::serve`, which spawns on tokio's runtime. Not in tokio.
//!
//! Everything else of axum is axum's own. Our `TcpListener` and `UnixListener` implement its trait [`Listener`]; a listener of
//! yours, which does TLS say, implements it as well. Services of tonic's are served when they are routes:
//! `serve(listener, Routes::new(service).prepare().into_axum_router())`.
//!
//! What of axum needs tokio's runtime still needs it, and the feature `tokio-compat`: `extract::ws`, and the keep-alives of
//! server-sent events.

#[doc(inline)]
pub use ringway_axum::{
    IncomingStream, Listener, ListenerExt, Serve, ServeFuture, TapIo, WithGracefulShutdown, serve,
};
