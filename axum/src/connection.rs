//! A connection's task, and what it knows of the server's end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower_service::Service;

/// What a server has of its connections. It is closed by [`close`](Self::close), or when it is dropped; guests know of it.
#[derive(Debug, Default)]
pub(crate) struct House {
    closed: watch::Sender<bool>,
}

/// A connection's place in the house, which is not empty before it is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    closed: watch::Receiver<bool>,
}

impl House {
    pub(crate) fn guest(&self) -> Guest {
        let closed = self.closed.subscribe();
        Guest { closed }
    }

    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// What `future` returns, unless the house is closed before.
    pub(crate) async fn unless_closed<R>(&self, future: impl Future<Output = R>) -> Option<R> {
        let mut door = self.guest();
        tokio::select! {
            biased;
            () = door.closed() => None,
            output = future => Some(output),
        }
    }

    pub(crate) async fn wait_until_empty(&self) {
        self.closed.closed().await;
    }
}

impl Guest {
    async fn closed(&mut self) {
        // An error means that the house is gone.
        let _ = self.closed.wait_for(|closed| *closed).await;
    }
}

/// Answers the requests of one connection, until it ends, or to the end of those that have begun when the house is closed.
pub(crate) async fn converse<I, S>(io: I, service: S, mut guest: Guest)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut service = service.clone();
        async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request.map(Body::new)).await
        }
    });
    let mut builder = Builder::new(ringway_hyper::Executor);
    // WebSockets over HTTP/2.
    builder.http2().enable_connect_protocol();
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    // Who has broken it off, or spoken something else, is not answered: there is nobody to tell.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = guest.closed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
