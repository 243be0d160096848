//! Child processes.
//!
//! ```
//! # #[ringway::main]
//! # async fn main() -> std::io::Result<()> {
//! use ringway::process::Command;
//!
//! let output = Command::new("echo").arg("hello").output().await?;
//! assert!(output.status.success());
//! assert_eq!(output.stdout, b"hello\n");
//! # Ok(())
//! # }
//! ```
//!
//! Writing to a child and reading from it at the same time:
//!
//! ```
//! # #[ringway::main]
//! # async fn main() -> std::io::Result<()> {
//! use std::process::Stdio;
//!
//! use ringway::io::AsyncWriteExt;
//! use ringway::process::Command;
//!
//! let mut sort = Command::new("sort")
//!     .stdin(Stdio::piped())
//!     .stdout(Stdio::piped())
//!     .spawn()?;
//! let mut input = sort.stdin.take().expect("it was asked for");
//! ringway::spawn(async move { input.write_all(b"b\na\n").await });
//! assert_eq!(sort.wait_with_output().await?.stdout, b"a\nb\n");
//! # Ok(())
//! # }
//! ```

#[doc(inline)]
pub use ringway_process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
