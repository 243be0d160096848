//! [`FileTimes`]: when a file was read and written.

use std::time::SystemTime;

/// Times to be given to a file by [`File::set_times`](crate::File::set_times). What is not set stays as it is.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-file-times-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// use std::time::{Duration, SystemTime};
/// use ringway_fs::{File, FileTimes};
///
/// let file = File::create(folder.join("old")).await?;
/// let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
/// file.set_times(FileTimes::new().set_modified(long_ago)).await?;
/// assert_eq!(file.metadata().await?.modified()?, long_ago);
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "must be applied to a file via `File::set_times` to have any effect"]
pub struct FileTimes {
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
}

impl FileTimes {
    /// Sets nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets when the file was last read.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::time::SystemTime;
    /// use ringway_fs::{File, FileTimes};
    ///
    /// let file = File::create(&path).await?;
    /// file.set_times(FileTimes::new().set_accessed(SystemTime::UNIX_EPOCH)).await?;
    /// assert_eq!(file.metadata().await?.accessed()?, SystemTime::UNIX_EPOCH);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn set_accessed(self, t: SystemTime) -> Self {
        Self {
            accessed: Some(t),
            ..self
        }
    }

    /// Sets when the file was last written.
    pub fn set_modified(self, t: SystemTime) -> Self {
        Self {
            modified: Some(t),
            ..self
        }
    }

    pub(crate) fn into_std(self) -> std::fs::FileTimes {
        let mut times = std::fs::FileTimes::new();
        if let Some(accessed) = self.accessed {
            times = times.set_accessed(accessed);
        }
        if let Some(modified) = self.modified {
            times = times.set_modified(modified);
        }
        times
    }
}
