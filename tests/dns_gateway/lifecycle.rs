//! The limits, the counters, and the end.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    Client, Gateway, PATIENCE, TcpClient, Upstream, binary, encode, gated, query, wait_until,
};

/// Mutant: stop without waiting for what is in flight.
#[test]
fn a_stop_answers_what_is_in_flight_by_udp_and_tcp_and_closes_idle_connections() {
    for signal in [Signal::TERM, Signal::INT] {
        let (gate, upstream) = gated(|_| true);
        let closed = gate.lock().expect("nobody else");
        let long = [
            "--upstream-timeout-ms",
            "20000",
            "--drain-timeout-ms",
            "20000",
        ];
        let mut gateway = Gateway::of(&upstream, &long);
        let mut idle = TcpClient::of(&gateway);
        let client = Client::of(&gateway);
        let mut tcp = TcpClient::of(&gateway);
        client.send(&encode(&query("a.test.")));
        tcp.send(&query("b.test."));
        wait_until("both are in flight", || upstream.count() == 2);
        gateway.signal(signal);
        assert!(idle.is_closed());
        assert!(gateway.is_running());
        drop(closed);
        assert_eq!(client.receive().answers.len(), 1);
        assert_eq!(tcp.receive().answers.len(), 1);
        assert!(tcp.is_closed());
        assert!(gateway.wait_for_end(PATIENCE).success());
    }
}

/// A client may have as many queries under way as he likes, and the gateway has read one more than it lets him.
///
/// Mutant: take the permits of all queries before the clients have ended.
#[test]
fn a_stop_answers_the_query_that_waits_behind_those_in_flight() {
    const PIPELINED: usize = 64;
    let (gate, upstream) = gated(|_| true);
    let closed = gate.lock().expect("nobody else");
    let long = [
        "--upstream-timeout-ms",
        "20000",
        "--drain-timeout-ms",
        "60000",
    ];
    let mut gateway = Gateway::of(&upstream, &long);
    let mut client = TcpClient::of(&gateway);
    for index in 0..=PIPELINED {
        client.send(&query(&format!("host-{index}.test.")));
    }
    wait_until("as many as may are in flight", || {
        gateway.counter("tcp") > PIPELINED as u64 && upstream.count() == PIPELINED
    });
    gateway.signal(Signal::TERM);
    wait_until("it has been told", || {
        TcpStream::connect(gateway.address).is_err()
    });
    drop(closed);
    for _ in 0..=PIPELINED {
        assert_eq!(client.receive().answers.len(), 1);
    }
    assert!(gateway.wait_for_end(PATIENCE).success());
}

#[test]
fn a_stop_waits_no_longer_than_it_is_told_to_and_a_second_signal_ends_at_once() {
    let upstream = Upstream::start(|_| Vec::new());
    let never = ["--upstream-timeout-ms", "60000"];
    let mut patient = Gateway::of(
        &upstream,
        &[&never[..], &["--drain-timeout-ms", "300"]].concat(),
    );
    let mut told = Gateway::of(
        &upstream,
        &[&never[..], &["--drain-timeout-ms", "60000"]].concat(),
    );
    for gateway in [&patient, &told] {
        Client::of(gateway).send(&encode(&query("a.test.")));
    }
    wait_until("both are in flight", || upstream.count() == 2);
    let begin = Instant::now();
    patient.signal(Signal::TERM);
    assert_eq!(patient.wait_for_end(PATIENCE).code(), Some(1));
    assert!(begin.elapsed() >= Duration::from_millis(300));
    told.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(100));
    assert!(told.is_running());
    told.signal(Signal::INT);
    assert_eq!(told.wait_for_end(PATIENCE).code(), Some(1));
}

/// Mutant: count nothing out of what is in flight.
#[test]
fn packets_beyond_the_limit_are_dropped_and_counted() {
    let upstream = Upstream::start(|_| Vec::new());
    let limits = ["--max-in-flight", "2", "--upstream-timeout-ms", "200"];
    let gateway = Gateway::of(&upstream, &limits);
    let client = Client::of(&gateway);
    for index in 0..5 {
        client.send(&encode(&query(&format!("host-{index}.test."))));
    }
    wait_until("they have come", || gateway.counter("udp") == 5);
    assert_eq!(gateway.counter("dropped"), 3);
    wait_until("there is room again", || gateway.counter("in_flight") == 0);
}

/// Mutant: drop what is in the cache, too.
#[test]
fn what_is_in_the_cache_is_answered_beyond_the_limit() {
    let (gate, upstream) = gated(|_| true);
    let limits = ["--max-in-flight", "1", "--upstream-timeout-ms", "20000"];
    let gateway = Gateway::of(&upstream, &limits);
    let client = Client::of(&gateway);
    client.ask(&query("known.test."));
    let closed = gate.lock().expect("nobody else");
    client.send(&encode(&query("slow.test.")));
    wait_until("there is no room", || upstream.count() == 2);
    let other = Client::of(&gateway);
    assert_eq!(other.ask(&query("known.test.")).answers.len(), 1);
    other.send(&encode(&query("unknown.test.")));
    wait_until("it was dropped", || gateway.counter("dropped") == 1);
    drop(closed);
    assert_eq!(client.receive().answers.len(), 1);
}

#[test]
fn what_cannot_work_is_said_at_the_start_with_its_reason() {
    let upstream = Upstream::start(|_| Vec::new());
    let address = upstream.address.to_string();
    let cases: [(&[&str], &str); 4] = [
        (
            &["--upstream", "127.0.0.1:53", "--listen", &address],
            "choose another",
        ),
        (&["--zone", "/nowhere/a.zone"], "cannot read the zone"),
        (&["--upstream", "127.0.0.1"], "cannot find the upstream"),
        (&[], "--upstream"),
    ];
    for (arguments, reason) in cases {
        let output = Command::new(binary())
            .args(arguments)
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(reason),
            "{arguments:?}: {said}"
        );
    }
}

/// Mutant: keep the sockets by which upstreams were asked.
#[test]
fn no_descriptor_is_left_open() {
    let upstream = Upstream::start(|asked| vec![asked.address(0)]);
    let gateway = Gateway::of(&upstream, &[]);
    let round = || {
        for index in 0..50 {
            gateway.ask(&query(&format!("host-{index}.test.")));
        }
        let mut tcp = TcpClient::of(&gateway);
        tcp.send(&query("a.test."));
        tcp.receive();
    };
    round();
    let base = gateway.open_descriptors();
    round();
    round();
    wait_until("all are closed", || gateway.open_descriptors() <= base);
}
