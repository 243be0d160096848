//! Clients by TCP.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::support::{Gateway, TcpClient, Upstream, encode, gated, name, query, uninterrupted};

/// Mutant: answer one after the other.
#[test]
fn a_quick_answer_does_not_wait_for_a_slow_one_before_it() {
    let (gate, upstream) = gated(|asked| asked.message.queries[0].name() == &name("slow.test."));
    let closed = gate.lock().expect("nobody else");
    let gateway = Gateway::of(&upstream, &["--upstream-timeout-ms", "20000"]);
    let mut client = TcpClient::of(&gateway);
    let (slow, quick) = (query("slow.test."), query("quick.test."));
    client.send(&slow);
    client.send(&quick);
    assert_eq!(client.receive().id, quick.id);
    drop(closed);
    assert_eq!(client.receive().id, slow.id);
}

#[test]
fn many_queries_in_one_write_are_all_answered() {
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let gateway = Gateway::of(&upstream, &[]);
    let mut client = TcpClient::of(&gateway);
    let mut bytes = Vec::new();
    for index in 0..500 {
        let packet = encode(&query(&format!("host-{}.test.", index % 10)));
        bytes.extend((packet.len() as u16).to_be_bytes());
        bytes.extend(packet);
    }
    client.stream.write_all(&bytes).expect("sends");
    for _ in 0..500 {
        assert_eq!(client.receive().answers.len(), 1);
    }
}

#[test]
fn who_has_asked_all_he_wants_still_gets_his_answers() {
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let gateway = Gateway::of(&upstream, &[]);
    let mut client = TcpClient::of(&gateway);
    client.send(&query("a.test."));
    client.stream.shutdown(Shutdown::Write).expect("connected");
    assert_eq!(client.receive().answers.len(), 1);
    assert!(client.is_closed());
}

#[test]
fn an_idle_client_is_left_after_its_time_and_not_before() {
    const IDLE: Duration = Duration::from_millis(300);
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let gateway = Gateway::of(&upstream, &["--idle-timeout-ms", "300"]);
    let mut client = TcpClient::of(&gateway);
    client.send(&query("a.test."));
    let begin = Instant::now();
    client.receive();
    assert!(client.is_closed());
    assert!(begin.elapsed() >= IDLE, "{:?}", begin.elapsed());
}

#[test]
fn beyond_the_cap_a_client_waits_until_another_ends() {
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let gateway = Gateway::of(&upstream, &["--max-clients", "1"]);
    let mut first = TcpClient::of(&gateway);
    first.send(&query("a.test."));
    first.receive();
    let mut second = TcpClient::of(&gateway);
    second.send(&query("a.test."));
    let short = Some(Duration::from_millis(200));
    second.stream.set_read_timeout(short).expect("sets");
    let read = uninterrupted(|| std::io::Read::read(&mut second.stream, &mut [0]));
    assert!(read.is_err(), "it has to wait");
    drop(first);
    second
        .stream
        .set_read_timeout(Some(crate::support::PATIENCE))
        .expect("sets");
    assert_eq!(second.receive().answers.len(), 1);
}
