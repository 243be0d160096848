//! [`DirBuilder`]: how to make a directory.

use std::io;
use std::path::Path;

use crate::metadata::metadata;
use crate::op::{Location, NameOp};
use crate::pool::change;

/// How to make a directory.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use std::os::unix::fs::PermissionsExt;
/// use ringway_fs::{DirBuilder, metadata};
///
/// let private = path.join("a/b/c");
/// DirBuilder::new().recursive(true).mode(0o700).create(&private).await?;
/// assert_eq!(metadata(&private).await?.permissions().mode() & 0o777, 0o700);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug, Default)]
pub struct DirBuilder {
    recursive: bool,
    mode: Option<u32>,
}

/// Who may do what with a new directory, before the umask: everybody everything.
pub(crate) const DEFAULT_MODE: u32 = 0o777;

impl DirBuilder {
    /// The directory itself, not its parents, for everybody whom the umask lets.
    pub fn new() -> Self {
        DirBuilder::default()
    }

    /// Whether parents that do not exist are made, too. It is then no error if the directory exists.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_fs::DirBuilder;
    ///
    /// let deep = path.join("a/b");
    /// let error = DirBuilder::new().create(&deep).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound, "there is no `a`");
    /// let mut builder = DirBuilder::new();
    /// builder.recursive(true).create(&deep).await?;
    /// // It may be there already.
    /// builder.create(&deep).await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// Who may do what with the new directories, before the umask. Without it: `0o777`.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = Some(mode);
        self
    }

    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` (a directory, if not recursive, or another kind of file), `NotFound` if its parent does
    /// not exist, and the other errors of mkdir(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether, and how much of it, is done.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_fs::DirBuilder;
    ///
    /// let builder = DirBuilder::new();
    /// builder.create(&path).await?;
    /// let again = builder.create(&path).await.unwrap_err();
    /// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        if self.recursive {
            self.create_all(path).await
        } else {
            self.create_one(path).await
        }
    }

    async fn create_one(&self, path: &Path) -> io::Result<()> {
        let mode = self.mode.unwrap_or(DEFAULT_MODE) as libc::mode_t;
        change(NameOp::MakeDir(Location::of_path(path)?, mode)).await
    }

    /// Goes up to the first parent that exists, and down again.
    async fn create_all(&self, path: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        for dir in path
            .ancestors()
            .take_while(|dir| !dir.as_os_str().is_empty())
        {
            match self.create_or_find(dir).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(dir),
                result => {
                    result?;
                    break;
                }
            }
        }
        for dir in missing.into_iter().rev() {
            self.create_or_find(dir).await?;
        }
        Ok(())
    }

    /// It is as good if the directory exists, perhaps because somebody else has just made it.
    async fn create_or_find(&self, path: &Path) -> io::Result<()> {
        match self.create_one(path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let found = metadata(path).await.is_ok_and(|metadata| metadata.is_dir());
                if found { Ok(()) } else { Err(error) }
            }
            result => result,
        }
    }
}
