//! The completion face: owned buffers in, buffers and results out, and all of io_uring. Not in tokio.
//!
//! A program that was written for tokio does not need it, so the feature `uring` is not part of `full`.
//!
//! ```
//! # #[ringway::main]
//! # async fn main() -> std::io::Result<()> {
//! use ringway::net::{TcpListener, TcpStream};
//! use ringway::uring;
//! use std::time::Duration;
//!
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let client = TcpStream::connect(listener.local_addr()?).await?;
//! let server = uring::accept(&listener).await?;
//!
//! // The buffer goes to the kernel and comes back with the result.
//! let (result, question) = uring::send_all(&client, "how are you?").await;
//! assert_eq!(result?, question.len());
//! let (result, buf) = uring::recv(&server, Vec::with_capacity(64)).await;
//! assert_eq!(&buf[..result?], b"how are you?");
//!
//! // A timeout that loses neither the buffer nor bytes that come at the last moment.
//! let (result, buf) = uring::recv(&server, buf)
//!     .cancel_after(Duration::from_millis(5))
//!     .await;
//! assert!(uring::is_cancelled(&result.unwrap_err()));
//! assert_eq!(buf.capacity(), 64);
//! # Ok(())
//! # }
//! ```

#[doc(inline)]
pub use ringway_uring::*;
