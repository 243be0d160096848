//! Signals of the operating system.
//!
//! ```
//! # #[ringway::main]
//! # async fn main() -> std::io::Result<()> {
//! use ringway::signal::unix::{SignalKind, signal};
//!
//! let mut hangup = signal(SignalKind::hangup())?;
//! # ringway::spawn(async {
//! #     std::process::Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status()
//! # });
//! // Until somebody says `kill -HUP`:
//! hangup.recv().await;
//! println!("reading the configuration again");
//! # Ok(())
//! # }
//! ```

#[doc(inline)]
pub use ringway_signal::{ctrl_c, unix};
