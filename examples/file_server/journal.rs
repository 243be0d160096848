//! The access log, written by a thread of its own, and the warnings.
//!
//! 1. Who logs a request only appends to a buffer, under a lock that nobody holds across a system
//!    call. A terminal or a pipe that takes no more delays no worker.
//! 2. The buffer is bounded. Lines that find no room are dropped and counted, and the count is
//!    told. An output that takes nothing for a while, as a full disk, gets the others later.
//! 3. A line of the log is one line: whatever a client sends is escaped.
//! 4. Warnings go to standard error at once, at most one per second.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::limits::{
    LOG_BYTES_MAX, LOG_FLUSH_TIME, LOG_GATHER_TIME, LOG_TARGET_BYTES_MAX, WARNING_INTERVAL,
};
use crate::listener::Peer;

/// The way to the log. One for the whole program, shared by reference.
#[derive(Debug)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
    logs_access: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something waits to be written, or the journal closes.
    filled: Condvar,
    /// Everything was written, and the writer ends.
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    dropped_lines: u64,
    last_warning: Option<Instant>,
    closing: bool,
    finished: bool,
}

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'a> {
    pub(crate) peer: Peer,
    /// When, as text.
    pub(crate) time: &'a str,
    /// The request line as it came, or what came of it.
    pub(crate) request_line: &'a [u8],
    pub(crate) status: &'a str,
    /// Bytes of the body that were sent.
    pub(crate) body_bytes: u64,
    pub(crate) duration: Duration,
    /// The connection ended before the response did.
    pub(crate) aborted: bool,
}

impl Journal {
    /// Starts the thread that writes the log to standard output and warnings to standard error.
    pub(crate) fn start(logs_access: bool) -> io::Result<Journal> {
        let shared = Arc::<Shared>::default();
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.write_until_closed(&mut io::stdout()))?;
        Ok(Journal {
            shared,
            logs_access,
        })
    }

    /// Whether lines are wanted; if not, nobody needs to format them.
    pub(crate) fn logs_access(&self) -> bool {
        self.logs_access
    }

    /// Takes whole lines of the access log, and leaves `lines` empty.
    pub(crate) fn append(&self, lines: &mut Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        self.shared.append(lines);
        lines.clear();
    }

    /// Says on standard error what is wrong with this machine or process; at most one line per
    /// second.
    pub(crate) fn warn(&self, message: std::fmt::Arguments<'_>) {
        self.shared.warn(message);
    }

    /// Writes what waits, but gives up on an output that takes nothing for [`LOG_FLUSH_TIME`].
    pub(crate) fn close(&self) {
        let mut state = self.shared.lock();
        state.closing = true;
        self.shared.filled.notify_one();
        let waited = self
            .shared
            .finished
            .wait_timeout_while(state, LOG_FLUSH_TIME, |state| !state.finished);
        drop(waited);
    }
}

impl Shared {
    /// A thread that panicked while it held the lock left nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// See [`Journal::warn`].
    fn warn(&self, message: std::fmt::Arguments<'_>) {
        let due = {
            let mut state = self.lock();
            let now = Instant::now();
            let due = state
                .last_warning
                .is_none_or(|last| now - last >= WARNING_INTERVAL);
            if due {
                state.last_warning = Some(now);
            }
            due
        };
        if due {
            // If standard error is gone there is nobody left to tell.
            let _ = writeln!(io::stderr(), "file_server: {message}");
        }
    }

    fn append(&self, lines: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len() + lines.len() > LOG_BYTES_MAX {
            state.dropped_lines += lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
            return;
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(lines);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// The life of the writer thread. An output that is gone (a closed pipe) ends the log, not the
    /// server. One that takes nothing for another reason may take it later: a disk that is full, a pipe that does not wait.
    fn write_until_closed(&self, output: &mut impl Write) {
        let (mut batch, mut closing, mut is_written) = (Vec::new(), false, true);
        loop {
            if is_written {
                closing = self.take(&mut batch);
            }
            let written = write_out(&mut batch, output);
            let was_written = std::mem::replace(&mut is_written, written.is_ok());
            match written {
                Ok(()) if closing => break,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                // It is slow, which the lines tell of that it costs.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Once: other warnings have to be told meanwhile.
                Err(error) if was_written => {
                    self.warn(format_args!("cannot write the access log: {error}"));
                }
                Ok(()) | Err(_) => {}
            }
            std::thread::sleep(LOG_GATHER_TIME);
        }
        self.lock().finished = true;
        self.finished.notify_all();
    }

    /// Waits for lines and swaps them for the empty `batch`; true if there will be no more.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let state = self.lock();
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closing;
        let mut state = self
            .filled
            .wait_while(state, idle)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::swap(&mut state.waiting, batch);
        let dropped = std::mem::take(&mut state.dropped_lines);
        if dropped > 0 {
            // Writing to a vector cannot fail.
            let _ = writeln!(
                batch,
                "- - {dropped} lines dropped: this output is too slow"
            );
        }
        state.closing
    }
}

/// Writes a batch. After an error, what was not written is left in it, or in the output.
fn write_out(batch: &mut Vec<u8>, output: &mut impl Write) -> io::Result<()> {
    while !batch.is_empty() {
        match output.write(batch) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => drop(batch.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

impl Access<'_> {
    /// Appends this request as one line: `peer [time] "request line" status bytes microseconds`.
    pub(crate) fn write_line(&self, lines: &mut Vec<u8>) {
        let Access {
            peer,
            time,
            status,
            body_bytes,
            ..
        } = self;
        let micros = self.duration.as_micros();
        let aborted = if self.aborted { " aborted" } else { "" };
        // Writing to a vector cannot fail.
        let _ = write!(lines, "{peer} [{time}] \"");
        escape(self.request_line, lines);
        let _ = writeln!(lines, "\" {status} {body_bytes} {micros}us{aborted}");
    }
}

/// Appends what a client sent so that it can neither end the line nor the quotes nor speak to the
/// terminal.
fn escape(text: &[u8], lines: &mut Vec<u8>) {
    let shown = &text[..text.len().min(LOG_TARGET_BYTES_MAX)];
    for &byte in shown {
        match byte {
            b'"' | b'\\' => lines.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => lines.push(byte),
            _ => {
                let _ = write!(lines, "\\x{byte:02x}");
            }
        }
    }
    if shown.len() < text.len() {
        lines.extend_from_slice(b"...");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn access(request_line: &[u8]) -> Access<'_> {
        Access {
            peer: Peer::Address(SocketAddr::from(([127, 0, 0, 1], 80))),
            time: "2001-09-09T01:46:40Z",
            request_line,
            status: "200",
            body_bytes: 12,
            duration: Duration::from_micros(345),
            aborted: false,
        }
    }

    fn line(request_line: &[u8]) -> String {
        let mut lines = Vec::new();
        access(request_line).write_line(&mut lines);
        String::from_utf8(lines).expect("ASCII")
    }

    #[test]
    fn a_line_says_who_when_what_and_how_it_went() {
        assert_eq!(
            line(b"GET /a HTTP/1.1"),
            "127.0.0.1:80 [2001-09-09T01:46:40Z] \"GET /a HTTP/1.1\" 200 12 345us\n"
        );
        let mut lines = Vec::new();
        Access {
            aborted: true,
            ..access(b"")
        }
        .write_line(&mut lines);
        assert!(lines.ends_with(b"345us aborted\n"));
    }

    #[test]
    fn no_byte_of_a_client_forges_a_line_or_speaks_to_the_terminal() {
        let every: Vec<u8> = (0..=255).collect();
        let line = line(&every);
        assert!(
            line.bytes()
                .all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\n')
        );
        assert_eq!(line.matches('\n').count(), 1);
        // The quotes of the line itself, and the escaped one.
        assert_eq!(line.matches('"').count(), 3);
        assert!(line.contains("\\\"") && line.contains("\\\\") && line.contains("\\x1b"));
    }

    #[test]
    fn a_long_request_line_is_cut() {
        let long = vec![b'a'; LOG_TARGET_BYTES_MAX + 1];
        assert!(line(&long).contains("a...\" 200"));
        assert!(!line(&long[1..]).contains("..."));
    }

    #[test]
    fn lines_beyond_the_bound_are_dropped_counted_and_the_count_is_told() {
        let shared = Shared::default();
        let line = [vec![b'a'; 1023], vec![b'\n']].concat();
        for _ in 0..LOG_BYTES_MAX / line.len() + 5 {
            shared.append(&line);
        }
        let mut batch = Vec::new();
        assert!(!shared.take(&mut batch));
        let text = String::from_utf8(batch).expect("ASCII");
        assert!(text.ends_with("- - 5 lines dropped: this output is too slow\n"));
        assert_eq!(text.lines().count(), LOG_BYTES_MAX / line.len() + 1);
    }

    /// As a disk that is full for a while does.
    ///
    /// Mutants: any error ends the log; begin with the first line again after one; go on with the next lines after one.
    #[test]
    fn what_an_output_does_not_take_for_a_while_is_written_later() {
        struct Full {
            calls: u32,
            taken: Vec<u8>,
        }
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.calls += 1;
                assert!(self.calls < 50, "it comes to no end");
                if self.calls.is_multiple_of(2) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                let count = bytes.len().min(10);
                self.taken.extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                self.calls += 1;
                if self.calls.is_multiple_of(2) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                Ok(())
            }
        }
        let mut output = Full {
            calls: 0,
            taken: Vec::new(),
        };
        let (shared, lines) = (Shared::default(), b"the first line\nand the second\n");
        shared.append(lines);
        shared.lock().closing = true;
        shared.write_until_closed(&mut output);
        assert_eq!(output.taken, lines);
        assert!(shared.lock().finished);
    }

    /// Or it would take the place of all other warnings.
    ///
    /// Mutant: warn at each try.
    #[test]
    fn an_output_that_takes_nothing_for_long_is_warned_of_once() {
        struct Full(Instant);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.0.elapsed() < WARNING_INTERVAL * 3 / 2 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let shared = Shared::default();
        shared.append(b"a line\n");
        shared.lock().closing = true;
        shared.write_until_closed(&mut Full(Instant::now()));
        let last = shared.lock().last_warning.expect("it is told");
        assert!(last.elapsed() >= WARNING_INTERVAL, "{:?}", last.elapsed());
    }

    #[test]
    fn an_output_that_is_gone_ends_the_writer_and_appending_stays_harmless() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let shared = Shared::default();
        shared.append(b"line\n");
        shared.write_until_closed(&mut Gone);
        assert!(shared.lock().finished);
        for _ in 0..LOG_BYTES_MAX {
            shared.append(b"line\n");
        }
        assert!(shared.lock().waiting.len() <= LOG_BYTES_MAX);
    }
}
