//! What quinn needs of a runtime: somebody who runs its tasks, sockets that cut and join datagrams, and somebody who
//! tells the time.
//!
//! Applications use it as `ringway::quinn`. The module `socket` is the UDP socket that quinn's endpoint reads and its
//! connections write.

#![forbid(unsafe_code)]

mod socket;

use std::future::Future;
use std::io;
use std::net;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use pin_project_lite::pin_project;
use quinn::{AsyncTimer, AsyncUdpSocket};

/// The runtime that quinn is polled in: its tasks run on our workers, its sockets wait in their rings, and its timeouts
/// follow the runtime's clock, which a test may pause.
///
/// `quinn::Endpoint::client` and `server` look for a runtime of tokio's; [`quinn::Endpoint::new`] takes this one. As many
/// datagrams as the kernel cuts and joins go through one system call (GSO, GRO), as on tokio.
///
/// # Panics
///
/// quinn's calls, outside a runtime and in one without timers.
///
/// ```
/// use std::net::UdpSocket;
/// use std::sync::Arc;
///
/// # fn main() -> std::io::Result<()> {
/// # /// The hash that a server proves itself to its former clients by. With quinn's feature `ring` or `aws-lc-rs`,
/// # /// `EndpointConfig::default()` has one.
/// # struct Key;
/// # impl quinn::crypto::HmacKey for Key {
/// #     fn sign(&self, _: &[u8], signature: &mut [u8]) { signature.fill(7) }
/// #     fn signature_len(&self) -> usize { 32 }
/// #     fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), quinn::crypto::CryptoError> { Ok(()) }
/// # }
/// # let config = quinn::EndpointConfig::new(Arc::new(Key));
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// let runtime = Arc::new(ringway_quinn::Runtime);
/// let endpoint = quinn::Endpoint::new(config, None, socket, runtime)?;
/// assert!(endpoint.local_addr()?.port() > 0);
///
/// endpoint.close(0_u32.into(), b"done");
/// endpoint.wait_idle().await;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Runtime;

impl quinn::Runtime for Runtime {
    #[track_caller]
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let inner = ringway_timer::sleep_until(deadline.into());
        Box::pin(Timer { inner })
    }

    #[track_caller]
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        ringway_runtime::spawn(future);
    }

    #[track_caller]
    fn wrap_udp_socket(&self, socket: net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(socket::Socket::new(socket)?))
    }

    fn now(&self) -> Instant {
        ringway_timer::Instant::now().into_std()
    }
}

pin_project! {
    /// One of the runtime's sleeps, as quinn knows them.
    #[derive(Debug)]
    struct Timer {
        #[pin]
        inner: ringway_timer::Sleep,
    }
}

impl AsyncTimer for Timer {
    /// Its place in the wheel is moved, and nothing is allocated.
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().inner.reset(deadline.into());
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().inner.poll(cx)
    }
}
