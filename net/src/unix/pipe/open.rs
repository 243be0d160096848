//! Opening a pipe that has a name.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{End, Receiver, Sender, must_be_pipe};

/// How to open a pipe that has a name in the file system (a FIFO, made by mkfifo(3)).
///
/// ```
/// use ringway_net::unix::pipe;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let options = pipe::OpenOptions::new();
/// let error = options.open_receiver("/etc/passwd").unwrap_err();
/// assert_eq!(error.to_string(), "not a pipe");
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Options that open one end, and check that it is a pipe.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Opens the pipe for both reading and writing. A sender is there without a receiver then, and a receiver never
    /// finds the end of the stream.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::unix::pipe;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let path = std::env::temp_dir().join(format!("ringway-doc-fifo-{}", std::process::id()));
    /// # let _ = std::fs::remove_file(&path);
    /// assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// // With both ends in one hand, the end of the stream does not come when the last writer goes.
    /// let mut receiver = pipe::OpenOptions::new().read_write(true).open_receiver(&path)?;
    /// pipe::OpenOptions::new().open_sender(&path)?.write_all(b"one").await?;
    /// pipe::OpenOptions::new().open_sender(&path)?.write_all(b"two").await?;
    /// let mut both = [0; 6];
    /// receiver.read_exact(&mut both).await?;
    /// assert_eq!(&both, b"onetwo");
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn read_write(&mut self, value: bool) -> &mut Self {
        self.read_write = value;
        self
    }

    /// Leaves out the look whether the file is a pipe.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_net::unix::pipe;
    ///
    /// // Neither is a pipe; only the first one is asked.
    /// let checked = pipe::OpenOptions::new().open_receiver("/dev/zero");
    /// assert_eq!(checked.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// let opened = pipe::OpenOptions::new().unchecked(true).open_receiver("/dev/zero");
    /// assert!(opened.is_ok());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn unchecked(&mut self, value: bool) -> &mut Self {
        self.unchecked = value;
        self
    }

    /// Opens the end to read from. It does not wait for a sender; a read before there was one finds the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// Those of open(2), and `InvalidInput` if it is no pipe.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn open_receiver<P: AsRef<Path>>(&self, path: P) -> io::Result<Receiver> {
        Receiver::from_file_unchecked(self.open(path.as_ref(), End::Read)?)
    }

    /// Opens the end to write to.
    ///
    /// # Errors
    ///
    /// Those of open(2): `ENXIO` if there is no receiver; and `InvalidInput` if it is no pipe.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        Sender::from_file_unchecked(self.open(path.as_ref(), End::Write)?)
    }

    fn open(&self, path: &Path, end: End) -> io::Result<File> {
        let file = std::fs::OpenOptions::new()
            .read(end == End::Read || self.read_write)
            .write(end == End::Write || self.read_write)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        if !self.unchecked {
            must_be_pipe(&file)?;
        }
        Ok(file)
    }
}
