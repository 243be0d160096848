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
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.std.env_remove(key);
        self
    }

    /// Has the child begin with an empty environment.
    pub fn env_clear(&mut self) -> &mut Command {
        self.std.env_clear();
        self
    }

    /// Sets the child's working folder. Whether a program with a relative path is looked for before or after that, is not
    /// specified: name it by an absolute one.
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.std.current_dir(dir);
        self
    }

    /// Says what the child's standard input is. By default it is ours.
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.std.stdin(cfg);
        self
    }

    /// Says what the child's standard output is. By default it is ours, but for [`output`](Self::output).
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.std.stdout(cfg);
        self
    }

    /// Says what the child's standard error is. By default it is ours, but for [`output`](Self::output).
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.std.stderr(cfg);
        self
    }

    /// Whether the child is killed (SIGKILL) when its [`Child`] is dropped, or the future of [`status`](Self::status) or
    /// [`output`](Self::output), before it was waited for. It is not, by default.
    pub fn kill_on_drop(&mut self, kill_on_drop: bool) -> &mut Command {
        self.kill_on_drop = kill_on_drop;
        self
    }

    /// What [`kill_on_drop`](Self::kill_on_drop) has set.
    pub fn get_kill_on_drop(&self) -> bool {
        self.kill_on_drop
    }

    /// Has the child run as this user.
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
