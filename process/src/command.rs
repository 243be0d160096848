//! What is to be run, and how.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child as StdChild, Command as StdCommand, ExitStatus, Output, Stdio};

use ringway_runtime::driver;

use crate::Child;

/// What is to be run, and how: std's builder, whose children can be awaited.
///
/// Unless something else is said, the child has our standard streams, environment and working folder. It has no other
/// descriptor of ours: all that the runtime opens is closed by exec(2).
///
/// ```
/// use ringway_process::Command;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let output = Command::new("sh").arg("-c").arg("echo $GREETING").env("GREETING", "hello").output().await?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct Command {
    std: StdCommand,
    kill_on_drop: bool,
}

impl Command {
    /// A command that runs `program`, without arguments. If the name has no slash in it, it is looked for in the folders
    /// of `PATH`.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        Self::from(StdCommand::new(program))
    }

    /// The command as std has it, to look at.
    pub fn as_std(&self) -> &StdCommand {
        &self.std
    }

    /// The command as std has it, to change what this face has no method for.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::os::unix::process::ExitStatusExt;
    /// use ringway_process::Command;
    ///
    /// let mut command = Command::new("sh");
    /// command.as_std_mut().args(["-c", "kill -TERM $$"]);
    /// assert_eq!(command.as_std().get_args().count(), 2);
    /// assert_eq!(command.status().await?.signal(), Some(15));
    /// # let _std = command.into_std();
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn as_std_mut(&mut self) -> &mut StdCommand {
        &mut self.std
    }

    /// The command as std has it. What [`kill_on_drop`](Self::kill_on_drop) has set is lost.
    pub fn into_std(self) -> StdCommand {
        self.std
    }

    /// Adds an argument. It is passed as it is: no shell splits it or looks for wildcards in it.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.std.arg(arg);
        self
    }

    /// Adds several arguments.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let output = Command::new("echo").args(["-n", "two words", "*"]).output().await?;
    /// assert_eq!(output.stdout, b"two words *", "no shell has looked at it");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn args<I, S>(&mut self, args: I) -> &mut Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.std.args(args);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env<K, V>(&mut self, key: K, val: V) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.env(key, val);
        self
    }

    /// Sets several variables of the child's environment.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let place = [("LANG", "C"), ("TZ", "UTC")];
    /// let output = Command::new("sh").args(["-c", "echo $LANG $TZ"]).envs(place).output().await?;
    /// assert_eq!(output.stdout, b"C UTC\n");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.envs(vars);
        self
    }

    /// Takes a variable out of the child's environment.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let mut shell = Command::new("sh");
    /// shell.args(["-c", "echo ${HOME-none}"]).env_remove("HOME");
    /// assert_eq!(shell.output().await?.stdout, b"none\n");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.std.env_remove(key);
        self
    }

    /// Has the child begin with an empty environment.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let output = Command::new("/usr/bin/env").env_clear().env("ONLY", "this").output().await?;
    /// assert_eq!(output.stdout, b"ONLY=this\n");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn env_clear(&mut self) -> &mut Command {
        self.std.env_clear();
        self
    }

    /// Sets the child's working folder. Whether a program with a relative path is looked for before or after that, is not
    /// specified: name it by an absolute one.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let output = Command::new("pwd").current_dir("/").output().await?;
    /// assert_eq!(output.stdout, b"/\n");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.std.current_dir(dir);
        self
    }

    /// Says what the child's standard input is. By default it is ours.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::process::Stdio;
    /// use ringway_process::Command;
    ///
    /// // It finds the end of its input at once.
    /// let status = Command::new("cat").stdin(Stdio::null()).status().await?;
    /// assert!(status.success());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.std.stdin(cfg);
        self
    }

    /// Says what the child's standard output is. By default it is ours, but for [`output`](Self::output).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::process::Stdio;
    /// use ringway_process::Command;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// let mut text = String::new();
    /// child.stdout.take().expect("it was asked for").read_to_string(&mut text).await?;
    /// assert_eq!(text, "hello\n");
    /// assert!(child.wait().await?.success());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.std.stdout(cfg);
        self
    }

    /// Says what the child's standard error is. By default it is ours, but for [`output`](Self::output).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::process::Stdio;
    /// use ringway_process::Command;
    ///
    /// // What it complains of concerns nobody.
    /// let mut list = Command::new("ls");
    /// list.arg("/no/such/folder").stdout(Stdio::null()).stderr(Stdio::null());
    /// assert!(!list.status().await?.success());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.std.stderr(cfg);
        self
    }

    /// Whether the child is killed (SIGKILL) when its [`Child`] is dropped, or the future of [`status`](Self::status) or
    /// [`output`](Self::output), before it was waited for. It is not, by default.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::process::Stdio;
    /// use ringway_process::Command;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut command = Command::new("sleep");
    /// command.arg("600").stdout(Stdio::piped()).kill_on_drop(true);
    /// assert!(command.get_kill_on_drop());
    /// let mut child = command.spawn()?;
    /// let mut output = child.stdout.take().expect("it was asked for");
    /// drop(child);
    /// // The end of its output: it has gone.
    /// assert_eq!(output.read(&mut [0; 16]).await?, 0);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn kill_on_drop(&mut self, kill_on_drop: bool) -> &mut Command {
        self.kill_on_drop = kill_on_drop;
        self
    }

    /// What [`kill_on_drop`](Self::kill_on_drop) has set.
    pub fn get_kill_on_drop(&self) -> bool {
        self.kill_on_drop
    }

    /// Has the child run as this user.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// // Only root may become somebody else.
    /// let output = Command::new("id").arg("-u").uid(65534).gid(65534).output().await;
    /// match output {
    ///     Ok(output) => assert_eq!(output.stdout, b"65534\n"),
    ///     Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn uid(&mut self, id: u32) -> &mut Command {
        self.std.uid(id);
        self
    }

    /// Has the child run as this group.
    pub fn gid(&mut self, id: u32) -> &mut Command {
        self.std.gid(id);
        self
    }

    /// Sets argument zero, by which a program knows its own name. By default it is the program's.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let output = Command::new("sh").arg0("other").args(["-c", "echo $0"]).output().await?;
    /// assert_eq!(output.stdout, b"other\n");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn arg0<S>(&mut self, arg: S) -> &mut Command
    where
        S: AsRef<OsStr>,
    {
        self.std.arg0(arg);
        self
    }

    /// Puts the child into a process group; 0: one of its own, with the child's number.
    ///
    /// A group of its own does not get the signals that a terminal sends to ours, as by ctrl-c.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// // The fifth number of its `stat` is its group.
    /// let mut child = Command::new("sleep").arg("600").process_group(0).spawn()?;
    /// let id = child.id().expect("it runs");
    /// let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    /// assert_eq!(stat.split(' ').nth(4), Some(id.to_string().as_str()));
    /// child.kill().await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn process_group(&mut self, pgroup: i32) -> &mut Command {
        self.std.process_group(pgroup);
        self
    }

    /// Starts the child. This blocks the thread until exec(2) has succeeded or failed, for some hundred microseconds.
    ///
    /// # Errors
    ///
    /// Those of fork(2) and exec(2): there is no such program, it may not be run, no more processes are allowed. If
    /// there is no descriptor left for its pipes or to wait by; a child that has been started is killed then.
    ///
    /// # Panics
    ///
    /// Outside a runtime, and in one without I/O. No child is started then.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_process::Command;
    ///
    /// let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
    /// assert_eq!(child.wait().await?.code(), Some(3));
    /// let error = Command::new("no-such-program").spawn().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.spawn_with(StdCommand::spawn)
    }

    /// As [`spawn`](Self::spawn), by a function of the caller's that starts the process.
    ///
    /// # Errors
    ///
    /// Those of `with`, and as [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let mut started = None;
    /// let mut child = Command::new("true").spawn_with(|command| {
    ///     let child = command.spawn()?;
    ///     started = Some(child.id());
    ///     Ok(child)
    /// })?;
    /// assert_eq!(child.id(), started);
    /// assert!(child.wait().await?.success());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_with(
        &mut self,
        with: impl FnOnce(&mut StdCommand) -> io::Result<StdChild>,
    ) -> io::Result<Child> {
        driver::assert_context();
        Child::new(with(&mut self.std)?, self.kill_on_drop)
    }

    /// Starts the child, by the call and not by the first poll of the future, and waits for its end. Streams that were
    /// asked for are closed.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// # Panics
    ///
    /// The call, as [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// Not safe: the future owns the child, which is dropped with it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_process::Command;
    ///
    /// let (yes, no) = (Command::new("true").status(), Command::new("false").status());
    /// // Both run by now.
    /// assert!(yes.await?.success());
    /// assert_eq!(no.await?.code(), Some(1));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + use<> {
        let child = self.spawn();
        async {
            let mut child = child?;
            child.stdin.take();
            child.stdout.take();
            child.stderr.take();
            child.wait().await
        }
    }

    /// Starts the child, by the call and not by the first poll of the future, waits for its end, and reads what it says
    /// on standard output and error, whatever was said of these before.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// # Panics
    ///
    /// The call, as [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// Not safe: the future owns the child, which is dropped with it.
    #[track_caller]
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + use<> {
        self.std.stdout(Stdio::piped());
        self.std.stderr(Stdio::piped());
        let child = self.spawn();
        async { child?.wait_with_output().await }
    }
}

impl From<StdCommand> for Command {
    fn from(std: StdCommand) -> Command {
        Command {
            std,
            kill_on_drop: false,
        }
    }
}
