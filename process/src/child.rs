//! A process that was started, until it was waited for and after.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Output};
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::running::Running;
use crate::{ChildStderr, ChildStdin, ChildStdout};

/// A child process.
///
/// # Dropping it
///
/// The process runs on, unless [`Command::kill_on_drop`](crate::Command::kill_on_drop) was asked for. When it ends it
/// is reaped in the background, by the runtime where it was started or by any other that lives. While there is none it
/// stays a zombie, and is reaped when the next child is started.
///
/// ```
/// use ringway_process::Command;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let mut child = Command::new("true").spawn()?;
/// let status = child.wait().await?;
/// assert!(status.success());
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct Child {
    state: State,
    /// The child's standard input, if it was asked for by [`Stdio::piped`](std::process::Stdio::piped). Take it out to
    /// write to it beside a [`wait`](Self::wait), which closes it.
    pub stdin: Option<ChildStdin>,
    /// The child's standard output, if it was asked for.
    pub stdout: Option<ChildStdout>,
    /// The child's standard error, if it was asked for.
    pub stderr: Option<ChildStderr>,
}

#[derive(Debug)]
enum State {
    Running(Running),
    Ended(ExitStatus),
}

impl Child {
    /// Takes over a child that std has started; if that fails it is killed.
    #[track_caller]
    pub(crate) fn new(mut child: std::process::Child, kill_on_drop: bool) -> io::Result<Self> {
        let stdin = child.stdin.take().map(ChildStdin::from_std);
        let stdout = child.stdout.take().map(ChildStdout::from_std);
        let stderr = child.stderr.take().map(ChildStderr::from_std);
        let mut running = Running::new(child, true)?;
        let (stdin, stdout, stderr) =
            (stdin.transpose()?, stdout.transpose()?, stderr.transpose()?);
        running.kill_on_drop = kill_on_drop;
        Ok(Self {
            state: State::Running(running),
            stdin,
            stdout,
            stderr,
        })
    }

    /// The number of the process; none when it has been waited for, since the number may be another's then.
    pub fn id(&self) -> Option<u32> {
        match &self.state {
            State::Running(running) => Some(running.id()),
            State::Ended(_) => None,
        }
    }

    /// Sends SIGKILL, and does not wait for the end. Nothing happens to one that has been waited for.
    ///
    /// # Errors
    ///
    /// Those of kill(2), as when the process has become another user's.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let mut child = Command::new("sleep").arg("600").spawn()?;
    /// child.start_kill()?;
    /// assert!(!child.wait().await?.success());
    /// // It is too late, and no error.
    /// child.start_kill()?;
    /// assert_eq!(child.id(), None);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn start_kill(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Running(running) => running.kill(),
            State::Ended(_) => Ok(()),
        }
    }

    /// Sends SIGKILL and waits for the end.
    ///
    /// # Errors
    ///
    /// Those of [`start_kill`](Self::start_kill) and [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// Outside a runtime, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Safe: once polled, it has sent the signal.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::os::unix::process::ExitStatusExt;
    /// use ringway_process::Command;
    ///
    /// let mut child = Command::new("sleep").arg("600").spawn()?;
    /// child.kill().await?;
    /// assert_eq!(child.wait().await?.signal(), Some(9));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await?;
        Ok(())
    }

    /// Waits for the end of the process, and says how it ended; again, if it is called again.
    ///
    /// It closes [`stdin`](Self::stdin) first, lest the child waits for input while we wait for the child. Take it out
    /// before to keep it open.
    ///
    /// # Errors
    ///
    /// Those of waitpid(2): `ECHILD` if another part of the program has reaped it, or ignores SIGCHLD. If the runtime
    /// has shut down. After an error it may be called again.
    ///
    /// # Panics
    ///
    /// Outside a runtime, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is lost when the future is dropped, and the next call says the same. Input is closed from the first
    /// poll on.
    ///
    /// ```
    /// use std::process::Stdio;
    /// use ringway_process::Command;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let mut child = Command::new("grep")
    ///     .arg("-q")
    ///     .arg("needle")
    ///     .stdin(Stdio::piped())
    ///     .spawn()?;
    /// let mut input = child.stdin.take().expect("it was asked for");
    /// input.write_all(b"hay\nneedle\nhay\n").await?;
    /// drop(input);
    /// assert!(child.wait().await?.success());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        let running = match &mut self.state {
            State::Ended(status) => return Ok(*status),
            State::Running(running) => running,
        };
        let status = poll_fn(|cx| running.poll_wait(cx)).await?;
        self.state = State::Ended(status);
        Ok(status)
    }

    /// How the process has ended, if it has. It does not wait, and leaves `stdin` as it is.
    ///
    /// # Errors
    ///
    /// Those of waitpid(2), as for [`wait`](Self::wait).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let mut child = Command::new("sleep").arg("600").spawn()?;
    /// assert!(child.try_wait()?.is_none(), "it sleeps");
    /// child.start_kill()?;
    /// child.wait().await?;
    /// assert!(child.try_wait()?.is_some());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let running = match &mut self.state {
            State::Ended(status) => return Ok(Some(*status)),
            State::Running(running) => running,
        };
        let status = running.try_wait()?;
        if let Some(status) = status {
            self.state = State::Ended(status);
        }
        Ok(status)
    }

    /// Waits for the end of the process, and reads what it says on standard output and error meanwhile, as far as they
    /// were asked for. It closes `stdin` first.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait), and of reading.
    ///
    /// # Panics
    ///
    /// Outside a runtime, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Not safe: the future owns the child, which is dropped with it, and so is what was read.
    ///
    /// ```
    /// use std::process::Stdio;
    /// use ringway_process::Command;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// let output = child.wait_with_output().await?;
    /// assert_eq!(output.stdout, b"hello\n");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        // Both outlive the reading: a child that writes on finds somebody who could read.
        let (mut out, mut err) = (self.stdout.take(), self.stderr.take());
        let (status, stdout, stderr) = all(
            self.wait(),
            read_whole(out.as_mut()),
            read_whole(err.as_mut()),
        )
        .await?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

async fn read_whole(stream: Option<&mut (impl AsyncRead + Unpin)>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// The results of all three, or the first error.
async fn all<A, B, C>(
    a: impl Future<Output = io::Result<A>>,
    b: impl Future<Output = io::Result<B>>,
    c: impl Future<Output = io::Result<C>>,
) -> io::Result<(A, B, C)> {
    let (mut a, mut b, mut c) = (pin!(a), pin!(b), pin!(c));
    let mut results = (None, None, None);
    poll_fn(|cx| {
        if results.0.is_none()
            && let Poll::Ready(result) = a.as_mut().poll(cx)
        {
            results.0 = Some(result?);
        }
        if results.1.is_none()
            && let Poll::Ready(result) = b.as_mut().poll(cx)
        {
            results.1 = Some(result?);
        }
        if results.2.is_none()
            && let Poll::Ready(result) = c.as_mut().poll(cx)
        {
            results.2 = Some(result?);
        }
        match (results.0.take(), results.1.take(), results.2.take()) {
            (Some(a), Some(b), Some(c)) => Poll::Ready(Ok((a, b, c))),
            some => {
                results = some;
                Poll::Pending
            }
        }
    })
    .await
}
