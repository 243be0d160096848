//! A server that speaks PostgreSQL's protocol, version 3.0, and understands the few statements that the tests send: simple
//! and extended queries with pipelines, errors that last to the next Sync, notifications, and cancels by another connection.
//!
//! Each session is a task. It owns its statements and portals; what others may do to it (cancel it, notify it) goes through
//! the [`Peers`] that all sessions share.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use ringway::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use ringway::sync::{Notify, mpsc};
use tokio_util::codec::{Decoder, FramedRead};

/// What a first message asks for, where others have a version.
const CANCEL_REQUEST: i32 = 80_877_102;
/// Version 3.0.
const VERSION: i32 = 3 << 16;
/// Numbers of types.
const INT4: i32 = 23;
const TEXT: i32 = 25;
const VOID: i32 = 2278;
/// Who knows this may cancel.
const SECRET: i32 = 0x5eed;
/// Bytes after which an answer is sent before it is complete.
const FLUSH: usize = 64 * 1024;

/// The sessions of a server.
#[derive(Default)]
pub(crate) struct Peers {
    last: AtomicI32,
    sessions: Mutex<HashMap<i32, Peer>>,
}

/// What others may do to a session.
#[derive(Clone)]
struct Peer {
    cancel: Arc<Notify>,
    notifications: mpsc::UnboundedSender<Notification>,
    channels: Arc<Mutex<HashSet<String>>>,
}

struct Notification {
    from: i32,
    channel: String,
    payload: String,
}

/// A message of the client's. The first one has no tag.
struct Message {
    tag: u8,
    body: BytesMut,
}

struct Messages {
    is_first: bool,
}

impl Decoder for Messages {
    type Item = Message;
    type Error = io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> io::Result<Option<Message>> {
        let tag_length = if self.is_first { 0 } else { 1 };
        if source.len() < tag_length + 4 {
            return Ok(None);
        }
        let length = (&source[tag_length..]).get_i32() as usize;
        if source.len() < tag_length + length {
            return Ok(None);
        }
        let tag = if self.is_first { 0 } else { source.get_u8() };
        self.is_first = false;
        source.advance(4);
        let body = source.split_to(length - 4);
        Ok(Some(Message { tag, body }))
    }
}

/// The statements that there are.
#[derive(Clone, Copy)]
enum Statement {
    AddOne,
    Divide,
    Repeat,
    Series,
    Sleep,
}

impl Statement {
    fn parse(sql: &str) -> Option<Self> {
        Some(match sql {
            "SELECT $1::int4 + 1" => Self::AddOne,
            "SELECT 100 / $1::int4" => Self::Divide,
            "SELECT repeat('x', $1::int4)" => Self::Repeat,
            "SELECT n FROM generate_series(1, $1::int4) AS n" => Self::Series,
            "SELECT pg_sleep(60)" => Self::Sleep,
            _ => return None,
        })
    }

    /// The types of its parameters.
    fn takes(self) -> &'static [i32] {
        match self {
            Self::Sleep => &[],
            _ => &[INT4],
        }
    }

    /// The type of its column.
    fn returns(self) -> i32 {
        match self {
            Self::Repeat => TEXT,
            Self::Sleep => VOID,
            _ => INT4,
        }
    }
}

/// Why a statement fails: a code and a text.
type Failure = (&'static str, String);

/// Talks to one client to its end. A first message that wants to cancel has no more to say.
pub(crate) async fn serve<I>(stream: I, peers: Arc<Peers>) -> io::Result<()>
where
    I: AsyncRead + AsyncWrite,
{
    let (reader, writer) = split(stream);
    let mut messages = FramedRead::new(reader, Messages { is_first: true });
    let Some(Message { mut body, .. }) = messages.next().await.transpose()? else {
        return Ok(());
    };
    match body.get_i32() {
        CANCEL_REQUEST => {
            let (id, secret) = (body.get_i32(), body.get_i32());
            assert_eq!(secret, SECRET);
            if let Some(peer) = peers.sessions.lock().unwrap().get(&id) {
                peer.cancel.notify_one();
            }
            Ok(())
        }
        VERSION => {
            let id = peers.last.fetch_add(1, Ordering::Relaxed) + 1;
            let (notifications, notified) = mpsc::unbounded_channel();
            let peer = Peer {
                cancel: Arc::default(),
                notifications,
                channels: Arc::default(),
            };
            peers.sessions.lock().unwrap().insert(id, peer.clone());
            let session = Session {
                id,
                peer,
                peers: &peers,
                writer,
                answer: BytesMut::new(),
                statements: HashMap::new(),
                portals: HashMap::new(),
                is_skipping: false,
                status: b'I',
            };
            let outcome = session.run(messages, notified).await;
            peers.sessions.lock().unwrap().remove(&id);
            outcome
        }
        version => Err(io::Error::other(format!("version {version}"))),
    }
}

struct Session<'a, I> {
    id: i32,
    peer: Peer,
    peers: &'a Peers,
    writer: WriteHalf<I>,
    answer: BytesMut,
    statements: HashMap<String, Statement>,
    portals: HashMap<String, (Statement, i32)>,
    /// After an error, up to the next Sync.
    is_skipping: bool,
    status: u8,
}

impl<I: AsyncRead + AsyncWrite> Session<'_, I> {
    async fn run(
        mut self,
        mut messages: FramedRead<ReadHalf<I>, Messages>,
        mut notified: mpsc::UnboundedReceiver<Notification>,
    ) -> io::Result<()> {
        self.reply(b'R', |body| body.put_i32(0));
        let (id, version) = (self.id, "server_version\x0016.0\0");
        self.reply(b'S', |body| body.put_slice(version.as_bytes()));
        self.reply(b'K', |body| {
            body.put_i32(id);
            body.put_i32(SECRET);
        });
        self.ready();
        loop {
            self.flush().await?;
            ringway::select! {
                message = messages.next() => match message.transpose()? {
                    None | Some(Message { tag: b'X', .. }) => return Ok(()),
                    Some(message) => self.handle(message).await?,
                },
                Some(note) = notified.recv() => self.reply(b'A', |body| {
                    body.put_i32(note.from);
                    put_text(body, &note.channel);
                    put_text(body, &note.payload);
                }),
            }
        }
    }

    async fn handle(&mut self, Message { tag, mut body }: Message) -> io::Result<()> {
        if tag == b'S' {
            self.is_skipping = false;
            self.ready();
            return Ok(());
        }
        if self.is_skipping {
            return Ok(());
        }
        let outcome = match tag {
            b'Q' => self.simple(&text(&mut body)),
            b'P' => self.parse(&mut body),
            b'D' => self.describe(&mut body),
            b'B' => self.bind(&mut body),
            b'E' => self.execute(&text(&mut body)).await?,
            b'C' => {
                body.advance(1);
                self.statements.remove(&text(&mut body));
                self.reply(b'3', |_| {});
                Ok(())
            }
            _ => Err(("08P01", format!("message {tag}"))),
        };
        if let Err((code, text)) = outcome {
            self.reply(b'E', |body| {
                for (field, value) in [(b'S', "ERROR"), (b'C', code), (b'M', text.as_str())] {
                    body.put_u8(field);
                    put_text(body, value);
                }
                body.put_u8(0);
            });
            self.is_skipping = tag != b'Q';
        }
        if tag == b'Q' {
            self.ready();
        }
        Ok(())
    }

    /// Several statements in one text, whose rows are text.
    fn simple(&mut self, sql: &str) -> Result<(), Failure> {
        for statement in sql.split(';').map(str::trim) {
            let words: Vec<&str> = statement.split_whitespace().collect();
            match words.as_slice() {
                [] => continue,
                ["SELECT", value, "AS", name] => {
                    self.describe_row(name, INT4);
                    self.row(|cell| cell.put_slice(value.as_bytes()));
                }
                ["LISTEN", channel] => {
                    let mut channels = self.peer.channels.lock().unwrap();
                    channels.insert((*channel).to_owned());
                }
                ["NOTIFY", channel, payload] => {
                    let channel = channel.trim_end_matches(',');
                    self.notify(channel, payload.trim_matches('\''));
                }
                ["START", "TRANSACTION"] => self.status = b'T',
                ["COMMIT" | "ROLLBACK"] => self.status = b'I',
                _ => return Err(("42601", format!("syntax error at \"{statement}\""))),
            }
            self.reply(b'C', |body| put_text(body, words[0]));
        }
        Ok(())
    }

    fn notify(&self, channel: &str, payload: &str) {
        for peer in self.peers.sessions.lock().unwrap().values() {
            if peer.channels.lock().unwrap().contains(channel) {
                let note = Notification {
                    from: self.id,
                    channel: channel.to_owned(),
                    payload: payload.to_owned(),
                };
                // A session that ends hears nothing.
                let _ = peer.notifications.send(note);
            }
        }
    }

    fn parse(&mut self, body: &mut BytesMut) -> Result<(), Failure> {
        let (name, sql) = (text(body), text(body));
        let statement = Statement::parse(&sql);
        let statement = statement.ok_or_else(|| ("42601", format!("syntax error at \"{sql}\"")))?;
        self.statements.insert(name, statement);
        self.reply(b'1', |_| {});
        Ok(())
    }

    fn describe(&mut self, body: &mut BytesMut) -> Result<(), Failure> {
        assert_eq!(body.get_u8(), b'S', "only statements are described");
        let statement = self.statements[&text(body)];
        self.reply(b't', |body| {
            body.put_i16(statement.takes().len() as i16);
            statement
                .takes()
                .iter()
                .for_each(|number| body.put_i32(*number));
        });
        self.describe_row("column", statement.returns());
        Ok(())
    }

    fn bind(&mut self, body: &mut BytesMut) -> Result<(), Failure> {
        let (portal, statement) = (text(body), self.statements[&text(body)]);
        for _ in 0..body.get_i16() {
            assert_eq!(body.get_i16(), 1, "parameters are binary");
        }
        let parameter = match body.get_i16() {
            0 => 0,
            _ => {
                assert_eq!(body.get_i32(), 4);
                body.get_i32()
            }
        };
        self.portals.insert(portal, (statement, parameter));
        self.reply(b'2', |_| {});
        Ok(())
    }

    async fn execute(&mut self, portal: &str) -> io::Result<Result<(), Failure>> {
        let (statement, parameter) = self.portals[portal];
        match statement {
            Statement::AddOne => self.row(|cell| cell.put_i32(parameter + 1)),
            Statement::Divide if parameter == 0 => {
                return Ok(Err(("22012", "division by zero".to_owned())));
            }
            Statement::Divide => self.row(|cell| cell.put_i32(100 / parameter)),
            Statement::Repeat => self.row(|cell| cell.put_bytes(b'x', parameter as usize)),
            Statement::Series => {
                for number in 1..=parameter {
                    self.row(|cell| cell.put_i32(number));
                    if self.answer.len() >= FLUSH {
                        self.flush().await?;
                    }
                }
            }
            Statement::Sleep => {
                let cancelled = self.peer.cancel.notified();
                match ringway::time::timeout(Duration::from_secs(60), cancelled).await {
                    Ok(()) => return Ok(Err(("57014", "canceling statement".to_owned()))),
                    Err(_) => self.row(|_| {}),
                }
            }
        }
        self.reply(b'C', |body| put_text(body, "SELECT"));
        Ok(Ok(()))
    }

    fn describe_row(&mut self, name: &str, number: i32) {
        self.reply(b'T', |body| {
            body.put_i16(1);
            put_text(body, name);
            // No table's.
            body.put_i32(0);
            body.put_i16(0);
            body.put_i32(number);
            body.put_i16(-1);
            body.put_i32(-1);
            body.put_i16(0);
        });
    }

    /// A row of one cell.
    fn row(&mut self, cell: impl FnOnce(&mut BytesMut)) {
        self.reply(b'D', |body| {
            body.put_i16(1);
            with_length(body, 0, cell);
        });
    }

    fn ready(&mut self) {
        let status = self.status;
        self.reply(b'Z', |body| body.put_u8(status));
    }

    fn reply(&mut self, tag: u8, body: impl FnOnce(&mut BytesMut)) {
        self.answer.put_u8(tag);
        with_length(&mut self.answer, 4, body);
    }

    async fn flush(&mut self) -> io::Result<()> {
        let answer: Bytes = self.answer.split().freeze();
        self.writer.write_all(&answer).await
    }
}

/// What `body` writes, behind its length, to which `own` is added.
fn with_length(target: &mut BytesMut, own: usize, body: impl FnOnce(&mut BytesMut)) {
    let at = target.len();
    target.put_i32(0);
    body(target);
    let length = (target.len() - at - 4 + own) as i32;
    target[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn put_text(body: &mut BytesMut, text: &str) {
    body.put_slice(text.as_bytes());
    body.put_u8(0);
}

/// Takes a text up to its zero.
fn text(body: &mut BytesMut) -> String {
    let end = body.iter().position(|byte| *byte == 0).expect("a zero");
    let text = body.split_to(end);
    body.advance(1);
    String::from_utf8(text.to_vec()).expect("text")
}
