//! `cargo run --example chat -- 127.0.0.1:8080`
//!
//! A chat: the first line that a client sends is its name, every other goes to all the others. Try it with two of
//! `connect`.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use ringway::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use ringway::net::tcp::OwnedWriteHalf;
use ringway::net::{TcpListener, TcpStream};
use ringway::sync::mpsc;

/// Lines that wait for a client who does not read. Beyond that it misses some.
const WAITING_MAX: usize = 100;

/// Who is there, each with the way to it.
type Room = Arc<Mutex<HashMap<u64, mpsc::Sender<String>>>>;

#[ringway::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    let room = Room::default();
    for number in 0.. {
        let (stream, peer) = listener.accept().await?;
        let room = Arc::clone(&room);
        ringway::spawn(async move {
            if let Err(error) = welcome(stream, number, &room).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
    Ok(())
}

async fn welcome(stream: TcpStream, number: u64, room: &Room) -> io::Result<()> {
    let (from_client, mut to_client) = stream.into_split();
    let mut lines = BufReader::new(from_client).lines();
    to_client.write_all(b"who are you?\n").await?;
    let Some(name) = lines.next_line().await? else {
        return Ok(());
    };

    let (sender, heard) = mpsc::channel(WAITING_MAX);
    let seat = Seat { number, room };
    seat.tell_others(&format!("{name} is here"));
    // There is room for more than one line.
    let _ = sender.try_send(format!("welcome, {name}"));
    room.lock().expect("nobody panics").insert(number, sender);
    // It ends when the seat is left: then nobody has the sender any more.
    let passing_on = ringway::spawn(pass_on(heard, to_client));

    while let Some(line) = lines.next_line().await? {
        seat.tell_others(&format!("{name}: {line}"));
    }
    seat.tell_others(&format!("{name} has gone"));
    drop(seat);
    passing_on.await?
}

async fn pass_on(
    mut heard: mpsc::Receiver<String>,
    mut to_client: OwnedWriteHalf,
) -> io::Result<()> {
    while let Some(mut line) = heard.recv().await {
        line.push('\n');
        to_client.write_all(line.as_bytes()).await?;
    }
    Ok(())
}

/// A client's place in the room, which is free again when it is dropped.
struct Seat<'a> {
    number: u64,
    room: &'a Room,
}

impl Seat<'_> {
    fn tell_others(&self, line: &str) {
        let room = self.room.lock().expect("nobody panics");
        for (number, sender) in room.iter() {
            if *number != self.number {
                // Who does not read misses it.
                let _ = sender.try_send(line.to_owned());
            }
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.room
            .lock()
            .expect("nobody panics")
            .remove(&self.number);
    }
}
