//! Files and directories.
//!
//! ```
//! # #[ringway::main]
//! # async fn main() -> std::io::Result<()> {
//! use ringway::fs::{self, File};
//! use ringway::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # let folder = std::env::temp_dir().join(format!("ringway-doc-{}", std::process::id()));
//! fs::create_dir_all(&folder).await?;
//! let path = folder.join("greeting");
//! let mut file = File::create(&path).await?;
//! file.write_all(b"hello, ").await?;
//! file.write_all(b"world").await?;
//! file.flush().await?;
//! assert_eq!(fs::read_to_string(&path).await?, "hello, world");
//!
//! let mut file = File::open(&path).await?;
//! let mut word = [0; 5];
//! file.read_exact(&mut word).await?;
//! assert_eq!(&word, b"hello");
//! # fs::remove_dir_all(&folder).await?;
//! # Ok(())
//! # }
//! ```

#[doc(inline)]
pub use ringway_fs::*;
