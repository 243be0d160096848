//! Code of the user's in the child.

use std::io;
use std::os::unix::process::CommandExt;

use crate::Command;

impl Command {
    /// Has `f` called in the child, after fork(2) and before exec(2). More than one are called in the order in which
    /// they were given. If one fails, the child ends, and its error is that of [`spawn`](Self::spawn).
    ///
    /// Standard streams, working folder, user and group are set up by then.
    ///
    /// # Safety
    ///
    /// The child is a copy of a process with threads, of which only this one is there. `f` may do no more than a signal
    /// handler may: it does not allocate, takes no lock, and calls nothing of the runtime.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let mut command = Command::new("true");
    /// // SAFETY: the closure makes one system call, and nothing else.
    /// unsafe { command.pre_exec(|| Err(std::io::Error::from_raw_os_error(13))) };
    /// let error = command.spawn().unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: what std asks for, the caller has promised.
        unsafe { self.as_std_mut().pre_exec(f) };
        self
    }
}
