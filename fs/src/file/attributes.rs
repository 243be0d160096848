//! What is known of an open file: its size, times and permissions; and setting them.

use std::fs::{File as StdFile, Metadata, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::time::SystemTime;

use super::File;
use crate::file_times::FileTimes;
use crate::op::{descriptor, with_std};
use crate::pool::on_pool;
use crate::status::Status;

impl File {
    /// What std says about the file, by fstat(2).
    ///
    /// The call is made on the spot: on a local file system it does not wait for a disk, and takes a
    /// fraction of a microsecond. On a network file system it may wait for the server.
    ///
    /// # Errors
    ///
    /// Those of fstat(2).
    ///
    /// # Cancel safety
    ///
    /// Nothing happens but the asking.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut file = File::create(&path).await?;
    /// file.write_all(b"0123456789").await?;
    /// // Or some of it may still be on its way.
    /// file.flush().await?;
    /// let metadata = file.metadata().await?;
    /// assert!(metadata.is_file());
    /// assert_eq!(metadata.len(), 10);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn metadata(&self) -> io::Result<Metadata> {
        with_std(self.as_fd(), StdFile::metadata)
    }

    /// What the kernel says about the file, by statx(2), on the spot as [`Self::metadata`], which says the same in the type
    /// of std.
    ///
    /// # Errors
    ///
    /// Those of statx(2).
    ///
    /// # Cancel safety
    ///
    /// Nothing happens but the asking.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    ///
    /// let file = File::create(&path).await?;
    /// let status = file.status().await?;
    /// assert!(status.is_file() && status.len() == 0);
    /// assert_eq!(status.nlink(), 1);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn status(&self) -> io::Result<Status> {
        descriptor::status_of_fd(self.as_fd())
    }

    /// Changes the permissions of the file: fchmod(2), on the blocking pool.
    ///
    /// # Errors
    ///
    /// EPERM if the process does not own the file.
    ///
    /// # Cancel safety
    ///
    /// Once begun it is done, whether or not anybody waits for it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    ///
    /// let file = File::create(&path).await?;
    /// let mut permissions = file.metadata().await?.permissions();
    /// permissions.set_readonly(true);
    /// file.set_permissions(permissions).await?;
    /// assert!(file.metadata().await?.permissions().readonly());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        let fd = self.core.fd.clone();
        on_pool(move || with_std(fd.as_fd(), |file| file.set_permissions(perm))).await
    }

    /// Changes when the file was last read and written: futimens(2), on the blocking pool, after the writes
    /// that are in flight.
    ///
    /// # Errors
    ///
    /// EPERM if the process does not own the file.
    ///
    /// # Cancel safety
    ///
    /// Once begun it is done, whether or not anybody waits for it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::time::{Duration, SystemTime};
    /// use ringway_fs::{File, FileTimes};
    ///
    /// let file = File::create(&path).await?;
    /// let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    /// file.set_times(FileTimes::new().set_modified(then)).await?;
    /// assert_eq!(file.metadata().await?.modified()?, then);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.settle_write().await;
        let fd = self.core.fd.clone();
        on_pool(move || with_std(fd.as_fd(), |file| file.set_times(times.into_std()))).await
    }

    /// Changes when the file was last written: short for [`Self::set_times`].
    ///
    /// # Errors
    ///
    /// As [`Self::set_times`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::set_times`].
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::time::SystemTime;
    /// use ringway_fs::File;
    ///
    /// let file = File::create(&path).await?;
    /// file.set_modified(SystemTime::UNIX_EPOCH).await?;
    /// assert_eq!(file.metadata().await?.modified()?, SystemTime::UNIX_EPOCH);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time)).await
    }
}
